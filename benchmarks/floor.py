"""What this machine can do: float32 matrix products at the engine's shapes, and moving memory.

NumPy and SciPy play no part here; everything runs through torch, as PyHiTS does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from benchmarks.baselines import machine
from benchmarks.models import HIDDEN, work
from benchmarks.record import Record
from benchmarks.timing import THREADS, compare, threads
from pyhits.flowmaps import FlowMap, ResidualNet
from pyhits.hierarchy.batching import USUAL

NAME = "machine"


def block() -> tuple[int, int]:
    """Return rows and width of the products that a forecast of planar nets consists of."""
    with threads(1):  # as each of the engine's shares has
        bytes_each = ResidualNet(2, HIDDEN).width * torch.float32.itemsize
        return USUAL.block_rows(bytes_each, torch.get_num_threads()), HIDDEN[0]


def floor(
    flow_maps: Mapping[int, FlowMap], n_trajectories: int, n_steps: int, n_threads: int
) -> Callable[[], None]:
    """Return a function that does as many multiply-adds as a forecast, in products alone."""
    rows, width = block()
    return machine.products(work(flow_maps, n_trajectories, n_steps), rows, width, n_threads)


def run(quick: bool, out: Path) -> list[Record]:
    """Measure products and memory with one thread and with all of them."""
    rows, width = block()
    amount = 2e9 if quick else 1e10
    size, n = (1024, 1 << 24) if quick else (2048, 1 << 26)
    records = []
    for count in sorted({1, THREADS}):
        functions = {
            f"sgemm {rows} x {width} x {width}": machine.products(amount, rows, width, count),
            f"sgemm {size} x {size} x {size}": machine.large_product(size),
            "copy": machine.copy(n),
            "triad": machine.triad(n),
        }
        gigas = (2e-9 * amount, 2e-9 * size**3, 8e-9 * n, 12e-9 * n)
        with threads(count):
            timings = compare(functions, repeats=5 if quick else 15)
        for (name, timing), giga in zip(timings.items(), gigas, strict=True):
            unit = "GFLOP/s" if "sgemm" in name else "GB/s"
            records.append(
                Record.timed(
                    NAME,
                    name,
                    timing,
                    value=giga / timing.median,
                    unit=unit,
                    threads=count,
                    note="operands in cache" if str(rows) in name else "",
                )
            )
    return records
