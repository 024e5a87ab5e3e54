"""Peak memory of a forecast above its result: 320 trajectories of 5120 steps.

Each forecast runs in a fresh process, which imports, loads the model and forecasts a little before
its resident memory is taken as the baseline. Linux only: the kernel is asked to forget the peak
of what came before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import pyhits
from benchmarks import models
from benchmarks.baselines import published
from benchmarks.record import Record
from benchmarks.timing import THREADS, threads

NAME = "memory"

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MEGA = 2**20


def run(quick: bool, out: Path) -> list[Record]:
    """Measure PyHiTS and the published algorithm with the same nets."""
    if not _CLEAR.exists():
        return [Record(NAME, "peak above the result", note="needs Linux's /proc")]
    records, found = [], {}
    with tempfile.TemporaryDirectory() as folder:
        path = models.plain(quick).save(Path(folder) / "plain.safetensors")
        for who in ("PyHiTS", "published algorithm"):
            command = [sys.executable, "-m", "benchmarks.memory", who, str(path)]
            answer = subprocess.run(
                command, check=True, capture_output=True, text=True,
                cwd=Path(__file__).parents[1],
            )  # fmt: skip
            found[who] = json.loads(answer.stdout)
            records.append(
                Record(
                    NAME,
                    f"{who}, peak above the result",
                    value=found[who]["above"],
                    unit="MB",
                    threads=THREADS,
                    note="baseline {baseline:.0f} MB, result {result:.0f} MB".format(**found[who]),
                )
            )
    ours, theirs = found["PyHiTS"]["above"], found["published algorithm"]["above"]
    records[0].aim("200 MB or less", ours <= 200)
    records[0].ratio, records[0].ratio_to = theirs / max(ours, 1.0), records[1].name
    return records


def measure(who: str, path: str, n: int = 320, n_steps: int = 5120) -> dict[str, float]:
    """Return baseline, result and peak above both of one forecast in this process, in MB."""
    model = pyhits.load(path)
    model.verbose = False
    starts = np.random.default_rng(0).uniform(-2, 2, (n, 2))
    maps = models.coupled(model)

    def forecast(states: np.ndarray, steps: int) -> np.ndarray:
        if who == "PyHiTS":
            return model.forecast(states, steps, on_divergence="return")
        encoded = torch.from_numpy(model.scaling.transform(states)).float()
        return published.forecast(encoded, maps, steps)

    with threads(THREADS):
        forecast(starts[:4], 2048)
        _CLEAR.write_text("5")
        baseline = _resident("VmRSS")
        result = forecast(starts, n_steps)
        peak = _resident("VmHWM")
    size = result.nbytes / _MEGA
    return {"baseline": baseline, "result": size, "above": peak - baseline - size}


def _resident(which: str) -> float:
    """Return a line of this process's memory status, in MB."""
    line = next(t for t in _STATUS.read_text().splitlines() if t.startswith(which))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2])))
