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
from conftest import circles, quick

import pyhits
from pyhits.errors import CheckpointError
from pyhits.util.tensorfile import read_tensors, write_tensors

Split = tuple[pyhits.Trajectories, pyhits.Trajectories, pyhits.Trajectories]


_KILLED = """
import sys, numpy as np, pyhits
sys.path.insert(0, sys.argv[2])
from conftest import circles
data = circles(20, 100)
model = pyhits.HiTS([1, 2, 4], max_steps=1500, hidden_sizes=(16,), polynomial_degree=0,
                    random_state=0, n_jobs=2, verbose=False)
if __name__ == "__main__":
    model.fit(data, checkpoint=sys.argv[1])
"""


def test_sigkill_in_the_middle_and_again(tmp_path: Path) -> None:
    """A fit killed by SIGKILL, with its workers, continues and ends with the same model."""
    script = tmp_path / "fit.py"
    script.write_text(_KILLED)
    folder = tmp_path / "checkpoint"
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder), str(Path(__file__).parent)],
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not list(folder.glob("scale-*")):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    data = circles(20, 100)
    settings: dict[str, Any] = {
        "step_sizes": [1, 2, 4], "max_steps": 1500, "hidden_sizes": (16,), "polynomial_degree": 0,
    }  # fmt: skip
    resumed = quick(**settings).fit(data, checkpoint=folder)
    expected = quick(**settings).fit(data)
    np.testing.assert_array_equal(
        resumed.forecast(data.initial_states, 40, step_sizes=[1, 2, 4]),
        expected.forecast(data.initial_states, 40, step_sizes=[1, 2, 4]),
    )
    with pytest.raises(CheckpointError, match="other data or other settings"):
        quick(**{**settings, "max_steps": 10}).fit(data, checkpoint=folder)


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
def test_workers_do_not_outlive_a_killed_fit(tmp_path: Path) -> None:
    script = tmp_path / "fit.py"
    script.write_text(_KILLED.replace("max_steps=1500", "max_steps=10_000_000"))
    folder = tmp_path / "checkpoint"
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder), str(Path(__file__).parent)],
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and not list(folder.glob("scale-*.part.*")):
            time.sleep(0.1)
        workers = _children(process.pid)
        assert len(workers) >= 2
        process.kill()
        process.wait()
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and any(Path(f"/proc/{w}").exists() for w in workers):
            time.sleep(0.1)
        assert not any(Path(f"/proc/{w}").exists() for w in workers)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


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
