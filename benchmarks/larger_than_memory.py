"""Fit trajectories on disk that are larger than memory: peak memory, time, error.

    python -m benchmarks.larger_than_memory [--gigabytes 20] [--folder DIR]

The file is sparse: the rows that a fit reads are simulated and written, all others are holes. What
is compared is a fit of the same rows in memory, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import pyhits
from pyhits.data.sampling import Sampling

_ROWS, _SYSTEM = 1000, "van-der-pol"


def make(path: Path, gigabytes: float) -> list[np.ndarray]:
    """Write the file and return the stretches that are read of it."""
    n_runs = round(gigabytes * 1e9 / (_ROWS * 16))
    stored = np.lib.format.open_memmap(path, "w+", np.float64, (n_runs, _ROWS, 2))
    stretches = Sampling().stretches(stored.shape, stored.dtype) or [
        (run, 0, _ROWS) for run in range(n_runs)
    ]
    system = pyhits.systems.get(_SYSTEM)
    data = system.simulate(len(stretches), _ROWS, dt=0.01, random_state=0)
    rows = []
    for k, (run, begin, end) in enumerate(stretches):
        rows.append(data[k][: end - begin])
        stored[run, begin:end] = rows[-1]
    stored.flush()
    return rows


def measure(path: Path) -> dict[str, float]:
    """Fit a file in this process; return its seconds of CPU, peak memory and error."""
    began = time.process_time()
    in_memory = path.suffix == ".npz"
    data = list(np.load(path)["rows"]) if in_memory else np.load(path, mmap_mode="r")
    model = pyhits.HiTS(n_jobs=1).fit(pyhits.Trajectories(data, 0.01))
    seconds = time.process_time() - began
    test = pyhits.systems.get(_SYSTEM).simulate(50, 1000, dt=0.01, random_state=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "peak": peak, "nrmse": model.evaluate(test).nrmse}


def main() -> None:
    """Print a line a fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=20.0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.measure)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        on_disk, in_memory = Path(folder, "large.npy"), Path(folder, "rows.npz")
        np.savez(in_memory, rows=np.stack(make(on_disk, options.gigabytes)))
        for what, path in (("on disk", on_disk), ("the same rows in memory", in_memory)):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.larger_than_memory", "--measure", path],
                check=True, capture_output=True, text=True, env=os.environ,
            )  # fmt: skip
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{what}: {path.stat().st_size / 1e9:.3g} GB, fit {found['seconds']:.0f} s of CPU, "
                f"peak memory {found['peak'] / 1e9:.2f} GB, nRMSE {found['nrmse']:.1e}"
            )


if __name__ == "__main__":
    main()
