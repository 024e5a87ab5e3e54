"""Measure how many recorded values 90 % prediction intervals hold, over fresh trajectories.

    python -m benchmarks.intervals                       # seven systems, about ten minutes
    python -m benchmarks.intervals lorenz --out coverage.json

Each system: one fit with few optimiser steps on 500 trajectories, of which it holds out 100. The
intervals are those that it makes by itself, from these and from the others where they err alike,
and those of the same model calibrated on 2000 other trajectories; both are counted over 2000 fresh
ones, for each tenth of the horizon. A calibration on n trajectories is lucky or not: its coverage
varies by some sqrt(0.09 / n) about 90 %. Then three systems are learned from one recording of 6000
rows, and stretches of its next 12,000 are counted.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import pyhits
from pyhits.policies import arguments
from pyhits.util.atomic import write_bytes

#: System: step, steps.
SYSTEMS: dict[str, tuple[float, int]] = {
    "harmonic-oscillator": (0.02, 512),
    "hyperbolic": (0.02, 512),
    "cubic": (0.02, 512),
    "van-der-pol": (0.02, 512),
    "hopf": (0.02, 512),
    "lorenz": (0.01, 512),
    "rossler": (0.05, 512),
}

#: Trajectories to fit, to calibrate on, and to count.
N_FIT, N_CALIBRATE, N_FRESH = 500, 2000, 2000

#: Systems recorded once: step.
RECORDED: dict[str, float] = {"van-der-pol": 0.05, "lorenz": 0.02, "rossler": 0.1}

#: Rows to learn from, and rows between the starts of two stretches that are counted.
N_ROWS, APART = 6000, 37

#: Level of the intervals, and into how many parts the horizon is cut.
LEVEL, PARTS = 0.9, 10

#: Small nets, trained briefly: intervals are to hold whatever the model is worth.
SETTINGS: dict[str, Any] = {"max_steps": 300, "hidden_sizes": (32, 32), "random_state": 0}


def coverage(model: pyhits.HiTS, fresh: pyhits.Trajectories, level: float = LEVEL) -> np.ndarray:
    """Return the share of recorded values inside the intervals, for each part of the horizon."""
    truth = fresh.to_array()[:, model.coordinates_.history - 1 :]
    found = model.forecast(fresh, truth.shape[1] - 1, interval=level, on_divergence="return")
    inside = (found.low <= truth) & (truth <= found.high)
    each = inside[:, 1:].mean(axis=(0, 2))
    return np.array([part.mean() for part in np.array_split(each, PARTS)])


def measure(name: str, *, n_fit: int = N_FIT, n_other: int = N_FRESH) -> dict[str, Any]:
    """Return the coverage of one system's intervals."""
    system = pyhits.systems.get(name)
    dt, n_steps = SYSTEMS[name]
    train, other, fresh = (
        system.simulate(n_trajectories=n, n_steps=n_steps, dt=dt, random_state=seed)
        for seed, n in enumerate((n_fit, n_other, n_other), start=1)
    )
    begin = time.perf_counter()
    model = pyhits.HiTS(**arguments(**SETTINGS, n_jobs=1, verbose=False)).fit(train)
    seconds = time.perf_counter() - begin
    assert model.calibration_ is not None
    by_itself, n_own = coverage(model, fresh), model.calibration_.n_rollouts
    luck = model.calibration_.luck(LEVEL)
    calibrated = coverage(model.calibrate(other), fresh)
    return {
        "system": name,
        "level": LEVEL,
        "n_by_itself": n_own,
        "nine_in_ten_between": luck,
        "by_itself": by_itself.tolist(),
        "n_calibrated": model.calibration_.n_rollouts,
        "calibrated": calibrated.tolist(),
        "nrmse": model.evaluate(fresh, baselines=False).nrmse,
        "coupled": list(model.selection_.step_sizes),
        "fit_seconds": seconds,
    }


def measure_recording(name: str, *, n_rows: int = N_ROWS) -> dict[str, Any]:
    """Return the coverage of intervals made from one recording, over how it goes on."""
    system = pyhits.systems.get(name)
    whole = system.simulate(
        n_trajectories=1, n_steps=3 * n_rows - 1, dt=RECORDED[name], random_state=1
    )
    train, later = whole.cut(n_rows), whole[0][n_rows:]
    model = pyhits.HiTS(**arguments(**SETTINGS, n_jobs=1, verbose=False)).fit(train)
    assert model.calibration_ is not None
    horizon = model.calibration_.reach(LEVEL)
    rows = horizon + model.coordinates_.history
    starts = np.arange(0, len(later) + 1 - rows, APART)
    stretches = pyhits.Trajectories(
        later[starts[:, None] + np.arange(rows)], whole.dt, feature_names=whole.feature_names
    )
    return {
        "system": name,
        "level": LEVEL,
        "n_rows": n_rows,
        "n_rollouts": model.calibration_.n_rollouts,
        "horizon": horizon,
        "one_recording": coverage(model, stretches).tolist(),
        "coupled": list(model.selection_.step_sizes),
    }


def main() -> None:
    """Run the systems named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", default=list(SYSTEMS))
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    print(f"Share inside {LEVEL:.0%} intervals, %, at each tenth of the horizon")
    records = []
    for name in options.systems or SYSTEMS:
        record = measure(name)
        records.append(record)
        for kind, n in (("by_itself", "n_by_itself"), ("calibrated", "n_calibrated")):
            shares = " ".join(f"{100 * share:5.1f}" for share in record[kind])
            print(f"{name:<20} {record[n]:>5} rollouts  {shares}", flush=True)
        if name in RECORDED:
            records.append(measure_recording(name))
            shares = " ".join(f"{100 * share:5.1f}" for share in records[-1]["one_recording"])
            print(f"{name:<20}   one recording  {shares}", flush=True)
        if options.out is not None:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(options.out, json.dumps(records, indent=1).encode())


if __name__ == "__main__":
    main()
