"""The plain hierarchy against the published algorithm: the same nets, the same states.

320 trajectories of 5120 steps of the Van der Pol oscillator, eleven scales of [2, 64, 64, 64, 2].
PyHiTS's time is that of ``HiTS.forecast``, conversions and checks included; the published
algorithm starts from standardised states and stops at them, and counts with the number of
threads that suits it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import models
from benchmarks.baselines import published
from benchmarks.floor import floor
from benchmarks.problem import van_der_pol
from benchmarks.record import Record
from benchmarks.timing import THREADS, compare, with_threads
from pyhits.hierarchy.forecast import forecast

NAME = "forecast"

OURS, THEIRS = "PyHiTS, 11 scales", "published algorithm"
WHOLE, FLOOR = "PyHiTS, 11 scales, whole batch", "multiply-adds alone"


def run(quick: bool, out: Path) -> list[Record]:
    """Time the plain hierarchy, the published algorithm and the multiply-adds alone."""
    problem = van_der_pol()
    model = models.plain(quick)
    maps, starts = models.coupled(model), problem.initial_states
    encoded = torch.from_numpy(model.scaling_.transform(starts)).float()
    n, n_steps = len(starts), problem.n_steps

    def ours() -> np.ndarray:
        return model.forecast(starts, n_steps, on_divergence="return")

    def as_published() -> np.ndarray:
        return published.forecast(encoded, maps, n_steps)

    forecasts = ours(), as_published()
    difference = np.nanmax(np.abs(model.scaling_.transform(forecasts[0]) - forecasts[1]))

    def whole_batch() -> np.ndarray:
        return forecast(
            starts, maps, model.scaling_, n_steps, on_divergence="return", rows_per_block=1 << 40
        )

    functions: dict[tuple[str, int], Callable[[], object]] = {}
    for count in sorted({1, THREADS}):
        functions[THEIRS, count] = with_threads(count, as_published)
        functions[WHOLE, count] = with_threads(count, whole_batch)
        functions[OURS, count] = with_threads(count, ours)
        functions[FLOOR, count] = floor(maps, n, n_steps, count)
    timings = compare(functions, repeats=4 if quick else 15, budget=4 if quick else 30)
    rows = {
        (name, count): Record.timed(NAME, name, timing, problem.n_states, threads=count)
        for (name, count), timing in timings.items()
    }
    theirs = [row for (name, _), row in rows.items() if name == THEIRS]
    fastest = min(theirs, key=lambda row: row.seconds or np.inf)
    theirs[-1].note = f"differs from PyHiTS by {difference:.0e} standard deviations at most"
    shares = []
    for (name, count), row in rows.items():
        least = timings[FLOOR, count].median
        if name == FLOOR:
            row.value, row.unit = 2e-9 * models.work(maps, n, n_steps) / least, "GFLOP/s"
            row.states_per_second = None
            continue
        row.share_of_floor = least / timings[name, count].median
        if name != THEIRS:
            row.against(fastest, 4.0 if (name, count) == (OURS, THREADS) else None)
        if name == OURS:
            share = Record(NAME, f"{OURS}, share of the floor", threads=count)
            share.share_of_floor = row.share_of_floor
            share.aim("60 % or more", row.share_of_floor >= 0.6)
            shares.append(share)
    rows[WHOLE, THREADS].note = "strided writes, but no blocks"
    mine = rows[OURS, THREADS]
    mine.error = problem.mse(forecasts[0])
    mine.note = f"nets trained for {model.recipe_.max_steps} steps: for timing, not for use"
    return [*rows.values(), *shares]
