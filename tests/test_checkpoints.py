"""Fits that are killed: they continue to the same model and leave no process behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles, quick

from pyhits.errors import CheckpointError
from pyhits.training import ScaleJob
from pyhits.training.checkpoint import load_progress
from pyhits.training.parallel import train_scales
from pyhits.util.tensorfile import read_tensors, write_tensors

#: Two scales of nets that hesitate from their 40th evaluation on, where it is asked for, so that
#: they are killed in the middle however busy the machine is.
_FIT = """
import os, sys, time
import numpy as np
import torch
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.flowmaps import ScaledNet, register
from pyhits.training import Recipe
from pyhits.training.checkpoint import CheckpointFolder
from pyhits.training.jobs import JobSettings, TrainingData, Tuning, make_jobs
from pyhits.training.parallel import train_scales

@register("test-hesitant")
class Hesitant(ScaledNet):
    evaluations = 0

    def __init__(self, dimension, base_degree=None):
        super().__init__(dimension, base_degree)
        self.inner, self.outer = torch.nn.Linear(dimension, 16), torch.nn.Linear(16, dimension)

    def net(self, states):
        self.evaluations += 1
        if "PYHITS_HESITATE" in os.environ and self.evaluations > 40:
            time.sleep(0.2)
        return self.outer(torch.tanh(self.inner(states)))

def make(path):
    angle = np.arange(20)[:, None] + 0.1 * np.arange(101)
    data = Trajectories(np.stack([np.cos(angle), np.sin(angle)], axis=2), 0.1)
    recipe = Recipe(flow_map="test-hesitant", polynomial_degree=0, max_steps=120, synthetic=0.0)
    encoder = Standardise().fit(data.values)
    how = JobSettings(recipe.resolve(2, 20, 2000))
    jobs = make_jobs(TrainingData(data, data, encoder), how, [1, 4])
    folder = CheckpointFolder(path, "key")
    for job in jobs:
        job.checkpoint, job.checkpoint_seconds = folder.progress_file(job.step_size), 0.0
        job.tuning = Tuning(chunk=4)
    return jobs, folder

if __name__ == "__main__":
    jobs, folder = make(sys.argv[1])
    train_scales(jobs, n_jobs=2, folder=folder)
"""


def _step_reached(job: ScaleJob) -> int:
    assert job.checkpoint is not None
    progress = load_progress(job.checkpoint, 1.0)
    return 0 if progress is None else int(progress[0]["step"])


def _children(pid: int) -> set[int]:
    """Process numbers of the children of a process (Linux)."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.add(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_killed_fits_leave_no_process_and_continue_to_the_same_model(tmp_path: Path) -> None:
    """SIGKILL ends the fit and one of its workers; the other one ends by itself."""
    script = tmp_path / "fit.py"
    script.write_text(_FIT)
    exec(_FIT, module := {"__name__": "fit"})
    make: Any = module["make"]
    jobs, folder = make(tmp_path / "checkpoint")
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder.path)],
        env=os.environ | {"PYHITS_HESITATE": "1"},
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and min(map(_step_reached, jobs)) == 0:
            time.sleep(0.02)
        workers = _children(process.pid)
        assert len(workers) >= 2
        process.kill()
        os.kill(max(workers), signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and any(Path(f"/proc/{w}").exists() for w in workers):
            time.sleep(0.05)
        assert not any(Path(f"/proc/{w}").exists() for w in workers)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert 0 < min(map(_step_reached, jobs)) < 120
    resumed = train_scales(jobs, n_jobs=1, folder=folder).flow_maps
    expected = train_scales(make(tmp_path / "anew")[0], n_jobs=1).flow_maps
    for size, flow_map in expected.items():
        for mine, its in zip(
            resumed[size].state_dict().values(), flow_map.state_dict().values(), strict=True
        ):
            assert torch.equal(mine, its)


def test_folders_of_other_fits_are_refused(tmp_path: Path) -> None:
    data, settings = circles(20, 60), {"step_sizes": [1], "polynomial_degree": 0, "max_steps": 20}
    quick(**settings).fit(data, checkpoint=tmp_path)
    with pytest.raises(CheckpointError, match="other data or other settings"):
        quick(**{**settings, "max_steps": 10}).fit(data, checkpoint=tmp_path)


def test_a_changed_bit_of_a_finished_scale_trains_it_again(tmp_path: Path) -> None:
    """Lowest bits of weights, and files that say other things than their tensors."""
    data, folder = circles(20, 60), tmp_path / "checkpoint"
    settings: dict[str, Any] = {"step_sizes": [1, 2], "polynomial_degree": 0}
    expected = quick(**settings).fit(data, checkpoint=folder)
    begun = sorted(folder.glob("scale-*"))
    assert [path.name for path in begun] == [f"scale-{k:06d}.safetensors" for k in (1, 2)]
    start = data.initial_states
    for kept in (-1, 100, 0):
        content = begun[0].read_bytes()
        begun[0].write_bytes(content[:kept] + (bytes([content[-1] ^ 1]) if kept < 0 else b""))
        again = quick(**settings).fit(data, checkpoint=folder)
        np.testing.assert_array_equal(again.forecast(start, 20), expected.forecast(start, 20))
        assert read_tensors(begun[0], what="a scale")[1]["history"]["step_size"] == 1


def test_a_doctored_scale_is_trained_again(tmp_path: Path) -> None:
    data, folder = circles(20, 60), tmp_path / "checkpoint"
    settings: dict[str, Any] = {"step_sizes": [1], "polynomial_degree": 0}
    expected = quick(**settings).fit(data, checkpoint=folder)
    path = folder / "scale-000001.safetensors"
    tensors, facts = read_tensors(path, what="a scale")
    for other in (
        {"map": facts["map"] | {"config": facts["map"]["config"] | {"hidden_sizes": [30_000] * 9}}},
        {"map": facts["map"] | {"kind": "pickle"}},
        {"history": {"step_size": "one"}},
        {"history": None},
    ):
        write_tensors(path, tensors, facts | other)
        again = quick(**settings).fit(data, checkpoint=folder)
        start = data.initial_states
        np.testing.assert_array_equal(again.forecast(start, 20), expected.forecast(start, 20))
