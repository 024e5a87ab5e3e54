"""An ensemble forecast by the workers of a Dask cluster into one Zarr array.

    python -m benchmarks.ensembles [--trajectories 200000] [--steps 200]

One worker, two workers, and two of which one is killed: wall seconds and seconds of CPU of the
workers, so that a busy machine can be told from a slow program; what is written is compared.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import distributed
import numpy as np

import pyhits
from pyhits.forecasting.ensembles import Ensemble
from pyhits.forecasting.horizon import Horizon


def cpu_seconds(client: Any) -> float:
    """Return seconds of CPU of all workers that live."""
    return sum(client.run(time.process_time).values())


def run(
    model: Any, states: np.ndarray, steps: int, folder: Path, n: int, *, kill: bool
) -> dict[str, Any]:
    """Forecast on ``n`` workers; return seconds and the array."""
    with (
        distributed.LocalCluster(
            n_workers=n,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(n)
        client.run(_import)
        before, killed = cpu_seconds(client), []

        def watch(done: int, of: int) -> None:
            if kill and not killed and done > of // 4:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        began = time.perf_counter()
        ensemble = Ensemble(model, Horizon(steps, None), folder / f"{n}{kill}.zarr", {})
        stored = ensemble.run(client, states, np.zeros(len(states)), watch)
        wall = time.perf_counter() - began
        return {"wall": wall, "cpu": cpu_seconds(client) - before, "stored": stored}


def _import() -> None:
    import pyhits.forecasting.ensembles  # noqa: F401


def main() -> None:
    """Print a line a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=200_000)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    system = pyhits.systems.get("van-der-pol")
    train = system.simulate(100, 1000, dt=0.01, random_state=0)
    model = pyhits.HiTS(n_jobs=1, verbose=False).fit(train)
    random = np.random.default_rng(0)
    states = random.uniform(train.values.min(0), train.values.max(0), (options.trajectories, 2))
    states = states.astype(np.float32)
    first = None
    with tempfile.TemporaryDirectory() as folder:
        for n, kill in ((1, False), (2, False), (2, True)):
            found = run(model.stepper_, states, options.steps, Path(folder), n, kill=kill)
            stored = found["stored"]
            first = stored[:] if first is None else first
            same = bool(np.array_equal(stored[:], first, equal_nan=True))
            what = f"{n} worker{'s' if n > 1 else ''}{', one killed' if kill else ''}"
            states_each = stored.shape[0] * stored.shape[1]
            print(
                f"{what}: {states_each:.2e} states, {stored.nbytes / 1e9:.2f} GB, "
                f"wall {found['wall']:.1f} s, workers' CPU {found['cpu']:.1f} s, "
                f"{states_each / found['wall']:.1e} states/s; the same as of one: {same}"
            )


if __name__ == "__main__":
    main()
