"""Cost against work: seconds against trajectories, horizon, dimension and multiply-adds.

Untrained nets with small increments: the time does not depend on what they have learned. Linear
cost is a slope of 1 on double logarithmic axes; a cliff would show as a larger local one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import figures, models
from benchmarks.problem import SCALES
from benchmarks.record import Record
from benchmarks.timing import THREADS, Timing, repeat, threads
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.forecast import forecast
from pyhits.training import get_recipe

NAME = "scaling"

#: Local slopes up to it count as linear: neighbouring points are noisy to about 10 %.
LINEAR = 1.15


def run(quick: bool, out: Path) -> list[Record]:
    """Time growing forecasts along four axes."""
    records: list[Record] = []
    drawn: dict[str, tuple[list[float], list[Timing]]] = {}
    with threads(THREADS):
        for axis, points in _axes(quick).items():
            works, timings = [], []
            for work, (maps, n, d, n_steps) in points:
                timing = _time(maps, n, d, n_steps, quick)
                works.append(float(work))
                timings.append(timing)
                records.append(
                    Record.timed(NAME, f"{axis} {work:,}", timing, n * n_steps, threads=THREADS)
                )
            # The lower quartile: other programs' load only ever adds.
            slope = largest_slope(works, [t.low for t in timings])
            summary = Record(NAME, f"{axis}: largest local slope", value=slope, threads=THREADS)
            summary.aim(f"{LINEAR:g} or less (linear)", slope <= LINEAR)
            records.append(summary)
            drawn[axis] = (works, timings)
    figures.save(figures.scaling(drawn), out, "scaling")
    return records


def largest_slope(work: list[float], seconds: list[float]) -> float:
    """Return the steepest slope between neighbouring points on double logarithmic axes.

    Points whose work is less than half as much again as the last one's are passed over: their times
    differ by noise alone.
    """
    kept = [0]
    for k in range(1, len(work)):
        if work[k] >= 1.5 * work[kept[-1]]:
            kept.append(k)
    rise = np.diff(np.log([seconds[k] for k in kept]))
    return float(np.max(rise / np.diff(np.log([work[k] for k in kept]))))


#: Flow maps, trajectories, dimension and steps of one forecast.
_Point = tuple[dict[int, FlowMap], int, int, int]


def _axes(quick: bool) -> dict[str, list[tuple[int, _Point]]]:
    maps = models.untrained(2, 64, SCALES)
    most, longest, widest = (3162, 100_000, 256) if quick else (10_000, 1_000_000, 1024)
    trajectories = [n for n in (10, 32, 100, 316, 1000, 3162, 10_000) if n <= most]
    horizons = (100, 316, 1000, 3162, 10_000, 31_623, 100_000, 316_228, 1_000_000)
    dimensions = [2**k for k in range(1, 11) if 2**k <= widest]
    return {
        "trajectories": [(n, (maps, n, 2, 1024)) for n in trajectories],
        "horizon": [(k, (maps, 16, 2, k)) for k in horizons if k <= longest],
        "dimension": [(d, (models.untrained(d, 64, SCALES), 64, d, 512)) for d in dimensions],
        "multiply-adds a state": list(_default_widths(dimensions)),
    }


def _default_widths(dimensions: list[int]) -> Iterator[tuple[int, _Point]]:
    """Yield nets whose width follows the dimension, as the default recipe's does."""
    for d in dimensions:
        hidden = get_recipe("pyhits").resolve(d, 100, 100_000).hidden_sizes
        assert hidden is not None
        maps = models.untrained(d, hidden[0], SCALES)
        yield models.multiply_adds(maps[1]), (maps, 64, d, 256)


def _time(maps: dict[int, FlowMap], n: int, d: int, n_steps: int, quick: bool) -> Timing:
    starts = np.random.default_rng(0).uniform(-1, 1, (n, d))
    encoder = models.identity(d)
    return repeat(
        lambda: forecast(starts, maps, encoder, n_steps, on_divergence="return"),
        repeats=5 if quick else 9,
        budget=1.0 if quick else 8.0,
    )
