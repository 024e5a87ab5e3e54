"""One fit in one process and in two: the same model, bit for bit, in half the time.

The time of two processes includes starting them; a row of its own says how long that takes.
"""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from joblib.externals.loky import get_reusable_executor

import pyhits
from benchmarks.problem import training_data
from benchmarks.record import Record
from benchmarks.timing import Timing, stopwatch

NAME = "processes"

#: Scales whose nets take equally long.
_SIZES = (64, 128, 256, 512)


def run(quick: bool, out: Path) -> list[Record]:
    """Fit the same scales with ``n_jobs=1`` and ``n_jobs=2``."""
    steps = 1500 if quick else 8000
    training_data(200), training_data(40, seed=2)
    starting, _ = stopwatch(functools.partial(_cold_fit, 2, 1))
    apart, pair = stopwatch(functools.partial(_cold_fit, 2, steps))
    alone, single = stopwatch(functools.partial(_cold_fit, 1, steps))
    one = Record.timed(NAME, "fit, 1 process", Timing((alone,)), threads=1)
    one.note = f"{len(_SIZES)} scales, {steps} steps each"
    two = Record.timed(NAME, "fit, 2 processes", Timing((apart,)), threads=2).against(one)
    two.note = f"starting them took {starting:.1f} s of it"
    if not quick:  # a short fit is mostly the start
        two.aim("1.7 x or more", alone >= 1.7 * apart)
    differing = _differing(single, pair)
    same = Record(NAME, "weights", value=float(differing), unit="tensors differ")
    same.aim("none, bit for bit", differing == 0)
    return [one, two, same]


def _cold_fit(n_jobs: int, steps: int) -> pyhits.HiTS:
    """Fit with worker processes that have yet to start."""
    get_reusable_executor().shutdown(wait=True)
    model = pyhits.HiTS(
        _SIZES,
        flow_map=pyhits.Nets((64, 64, 64), polynomial_degree=0),
        training=pyhits.Training(max_steps=steps),
        selection="all",
        n_jobs=n_jobs,
        random_state=0,
        verbose=False,
    )
    return model.fit(training_data(200), validation=training_data(40, seed=2))


def _differing(a: pyhits.HiTS, b: pyhits.HiTS) -> int:
    """Return how many tensors of two models do not hold the same bits."""
    return sum(
        not torch.equal(value, b.flow_maps_[size].state_dict()[key])
        for size, flow_map in a.flow_maps_.items()
        for key, value in flow_map.state_dict().items()
    )
