"""Train the scales on a Dask cluster; here its workers are processes of this machine.

    python examples/dask_cluster.py [folder]

Writes a model and a checkpoint to the folder, by default a temporary one. Under 20 seconds on two
cores, most of them for starting the workers. Needs the extra "dask".
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
from distributed import Client, LocalCluster

import pyhits


def local_cluster() -> LocalCluster:
    """Return a cluster of two worker processes, each of one thread, which trains one scale.

    For a SLURM cluster return ``dask_jobqueue.SLURMCluster(...)`` instead: docs/clusters.md.
    """
    return LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=":0",  # any free port
        silence_logs=logging.CRITICAL,
    )


def run(folder: Path) -> pyhits.Evaluation:
    """Fit the cubic oscillator on a cluster and return the errors on fresh trajectories."""
    system = pyhits.systems.get("cubic")
    train = system.simulate(n_trajectories=24, n_steps=256, random_state=1)
    test = system.simulate(n_trajectories=12, n_steps=256, random_state=2)

    model = pyhits.HiTS(
        [1, 4, 16, 64],
        flow_map=pyhits.Nets(polynomial_degree=3),
        training=pyhits.Training(max_steps=60),
        random_state=0,
        verbose=False,
    )
    with local_cluster() as cluster, Client(cluster) as client, joblib.parallel_config("dask"):
        print(f"{len(client.ncores())} workers")
        # The data go to every worker once; this process writes the finished scales.
        model.fit(train, checkpoint=folder / "checkpoint")
    for step_size, history in model.history_.items():
        print(f"step size {step_size:>3}: {history.flow_map}, {history.validation_error:.1e}")
    print("coupled:", model.selection_.step_sizes)

    here = pyhits.HiTS(**{**model.get_params(), "n_jobs": 1}).fit(train)
    assert np.array_equal(
        here.forecast(test.initial_states, n_steps=256),
        model.forecast(test.initial_states, n_steps=256),
    )
    print("The same model as trained in this process.")

    evaluation = model.evaluate(test)
    print(evaluation)
    model.save(folder / "cubic.safetensors")
    return evaluation


def main() -> None:
    """Run in the folder given, or in a temporary one."""
    if len(sys.argv) > 1:
        run(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))


# Worker processes import this file, and must not start clusters of their own.
if __name__ == "__main__":
    main()
