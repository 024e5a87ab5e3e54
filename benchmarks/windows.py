"""Drawing training windows: a batch costs the same from few trajectories and from very many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.record import Record
from benchmarks.timing import Timing, compare
from pyhits.encoders import Standardise
from pyhits.training import WindowSampler

NAME = "windows"

#: Trajectories, windows of a chunk of batches, and rows of a trajectory.
FEW, MANY, WINDOWS, ROWS = 800, 200_000, 65_536, 51


def run(quick: bool, out: Path) -> list[Record]:
    """Draw batches from both in turns, of even and of uneven lengths."""
    records = []
    for even in (True, False):
        few, many = compare(
            {n: _drawing(n, even) for n in (FEW, MANY)}, repeats=9 if quick else 31
        ).values()
        name = "even" if even else "uneven"
        small, large = (
            Record.timed(NAME, f"{name} lengths, {n:,} trajectories", timing, WINDOWS, threads=1)
            for n, timing in ((FEW, few), (MANY, many))
        )
        ratio = _ratio(few, many)
        large.against(small).aim("2 times as long or less", ratio <= 2)
        large.note = f"{ratio:.2f} times as long"
        records += [small, large]
    return records


def _drawing(n: int, even: bool) -> Callable[[], np.ndarray]:
    rng = np.random.default_rng(0)
    lengths = np.full(n, ROWS) if even else rng.integers(ROWS // 2, 2 * ROWS, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.standard_normal((offsets[-1], 2))
    encoder = Standardise().fit(values)
    windows = WindowSampler(values, offsets, encoder, 8, early_bias=3.0)
    return lambda: windows.draw(WINDOWS, 0)


def _ratio(few: Timing, many: Timing) -> float:
    # The lower quartile: other programs' load only ever adds.
    return many.low / few.low
