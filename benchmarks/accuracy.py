"""Fit the paper's systems with default settings and measure time and error.

    python -m benchmarks.accuracy                      # all five, some minutes on 2 cores
    python -m benchmarks.accuracy van-der-pol --scales 11 --out results.json

Each system: 800 trajectories to train, 320 to validate, 320 to test, 5120 steps. Van der Pol is
tested from [-2, 2]^2, inside its region. Prints one line a system. With --scales so many step sizes
are trained, nets at the coarse ones, and the error with all of them coupled is given too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

import pyhits
from pyhits.policies import arguments
from pyhits.report.text import facts

SYSTEMS = ("van-der-pol", "hyperbolic", "cubic", "hopf", "lorenz")
PAPER = {
    "hyperbolic": 5.1e-8,
    "cubic": 2.0e-4,
    "van-der-pol": 3.2e-3,
    "hopf": 4.1e-5,
    "lorenz": 4.1,
}


def measure(name: str, n_scales: int | None, settings: dict[str, object]) -> dict[str, object]:
    """Return the times and errors of one system; seconds of CPU are of this process alone."""
    system = pyhits.systems.get(name)
    begin = time.perf_counter()
    train = system.simulate(n_trajectories=800, n_steps=5120, random_state=1)
    valid = system.simulate(n_trajectories=320, n_steps=5120, random_state=2)
    tested = system.with_region([[-2, 2], [-2, 2]]) if name == "van-der-pol" else system
    test = tested.simulate(n_trajectories=320, n_steps=5120, random_state=3)
    simulated = time.perf_counter() - begin
    sizes = None if n_scales is None else [2**k for k in range(n_scales)]
    model = pyhits.HiTS(**arguments(step_sizes=sizes, random_state=0, **settings))
    begin, begin_cpu = time.perf_counter(), time.process_time()
    model.fit(train, validation=valid)
    fitted, fitted_cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    result = model.evaluate(test)
    everything = list(model.flow_maps_)
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        model.forecast(test.initial_states, 5120, step_sizes=everything, on_divergence="return")
        seconds.append(time.perf_counter() - begin)
    return {
        "system": name,
        "mse": result.mse,
        "paper_mse": PAPER.get(name),
        "coupled": list(result.step_sizes),
        "mse_all_scales": model.evaluate(test, step_sizes=everything).mse,
        "simulate_seconds": simulated,
        "fit_seconds": fitted,
        "fit_cpu_seconds": fitted_cpu,
        "forecast_seconds": result.seconds,
        "forecast_seconds_all_scales": statistics.median(seconds),
        "threads": torch.get_num_threads(),
        "model": facts(model),
    }


def main() -> None:
    """Run the systems named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", default=SYSTEMS)
    parser.add_argument("--scales", type=int, default=None)
    parser.add_argument("--max-steps", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    records = []
    for name in options.systems or SYSTEMS:
        record = measure(name, options.scales, {"max_steps": options.max_steps, "verbose": False})
        records.append(record)
        print(
            f"{name:<12} mse {record['mse']:.1e} (paper {record['paper_mse']})  "
            f"all scales {record['mse_all_scales']:.1e}  coupled {record['coupled']}  "
            f"fit {record['fit_seconds']:.0f} s, {record['fit_cpu_seconds']:.1f} of CPU  "
            f"forecast {record['forecast_seconds_all_scales']:.3f} s, all scales, "
            f"{record['threads']} threads",
            flush=True,
        )
        if options.out is not None:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    main()
