"""Forecasts on disk: equal to those in memory, continued after a stop, never mixed with others."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles, quick, seeded
from test_cli import run

import pyhits
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, CheckpointError, DivergenceError, FileFormatError
from pyhits.flowmaps import FlowMap, PolynomialMap, ResidualNet
from pyhits.hierarchy import Batching, Stepper
from pyhits.hierarchy.forecast import Fill, Forecaster, forecast
from pyhits.hierarchy.to_file import ToFile

zarr = pytest.importorskip("zarr")
EXTENSIONS = ("npy", "zarr")
STARTS = np.random.default_rng(0).uniform(-1, 1, (53, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> pyhits.HiTS:
    """Exact on circles, by polynomials alone."""
    return quick(step_sizes=[1, 4], selection="all", polynomial_degree=1).fit(circles(20, 60))


#: Chunks of 8 trajectories of 41 states, and blocks of 8 or 16.
SMALL = Batching(chunk_bytes=8 * 41 * 2 * 4, file_bytes=8 * 41 * 2 * 4)


class Stop:
    """A progress that is interrupted once ``after`` trajectories are written."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.seen: list[int] = []

    def __call__(self, done: int, total: int) -> None:
        self.seen.append(done)
        if done >= self.after:
            raise KeyboardInterrupt


def nets() -> dict[int, FlowMap]:
    return {1: seeded(ResidualNet(2, (8,)), 0), 4: seeded(ResidualNet(2, (8,)), 1)}


def plain() -> Standardise:
    return Standardise().set_statistics(np.array([0.1, -0.2]), np.array([1.5, 0.5]))


def in_memory(starts: np.ndarray = STARTS, n_steps: int = 40, **settings: Any) -> Any:
    return forecast(starts, nets(), plain(), n_steps, **{"batching": SMALL} | settings)


def to_file(path: Path, after: int | None = None, **settings: Any) -> Any:
    keep = ToFile(path, 0.1, ("x", "y"), verbose=settings.pop("verbose", False))
    progress = None if after is None else Stop(after)
    return in_memory(keep=keep, progress=progress, **settings)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(
    "settings",
    [
        {"n_steps": 40},
        {"n_steps": 33, "at": np.array([5.0, 0.0, 32.1])},
        {"n_steps": 40, "step_sizes": [4]},
        {"n_steps": 13, "step_sizes": [4], "interpolation": "linear"},
        {"n_steps": 9, "method": "sequential"},
        {"n_steps": 40, "rows_per_block": 5},
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_files_equal_memory_to_the_last_bit(
    tmp_path: Path, extension: str, settings: dict[str, Any], dtype: type
) -> None:
    """53 trajectories leave a ragged last block."""
    starts = STARTS.astype(dtype)
    whole = in_memory(starts, **settings)
    path = tmp_path / "deep" / f"f.{extension}"
    found = to_file(path, starts=starts, **settings)
    assert found.dtype == dtype
    assert found.shape == whole.shape
    np.testing.assert_array_equal(found[:], whole)
    if extension == "npy":
        assert isinstance(found, np.memmap)
        np.testing.assert_array_equal(np.load(path), whole)
        np.save(tmp_path / "memory.npy", whole)
        assert path.read_bytes() == (tmp_path / "memory.npy").read_bytes()
    else:
        assert found.read_only
        np.testing.assert_array_equal(zarr.open(path, mode="r")[:], whole)


def test_threads_write_what_they_return(tmp_path: Path) -> None:
    shared = replace(SMALL, shared_work=1, shared_rows=(1, 1), shared_steps=1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        whole = in_memory(batching=shared)
        np.testing.assert_array_equal(to_file(tmp_path / "f.npy", batching=shared), whole)
    finally:
        torch.set_num_threads(before)


def test_what_a_file_says_of_itself(tmp_path: Path, model: pyhits.HiTS) -> None:
    data = pyhits.Trajectories(circles(9, 5).to_array(), 0.1, feature_names=["x", "y"],
                               start_times=np.arange(9.0))  # fmt: skip
    array = model.forecast(data, 30, out=tmp_path / "f.zarr")
    assert left(tmp_path) == ["f.zarr"]
    facts = dict(array.attrs)
    model.forecast(data, 30, out=tmp_path / "f.npy")
    assert left(tmp_path) == ["f.npy", "f.npy.json", "f.zarr"]
    record = json.loads((tmp_path / "f.npy.json").read_text())
    for found in (facts, record):
        assert found["dt"] == pytest.approx(0.1)
        assert found["feature_names"] == ["x", "y"]
        assert found["start_times"] == list(range(9))
        assert (found["complete"], found["trajectories"]) == (9, 9)
    assert array.metadata.dimension_names == ("trajectory", "time", "feature")
    times = model.forecast(STARTS, t=[0.5, 0.2], out=tmp_path / "t.zarr").attrs
    assert times["times"] == pytest.approx([0.5, 0.2])
    assert times["start_times"] == 0


def test_zarr_chunks_lie_within_blocks(tmp_path: Path) -> None:
    array = to_file(tmp_path / "f.zarr")
    forecaster = Forecaster(Stepper(nets(), batching=SMALL), plain(), 40)
    assert forecaster.chunk == 8
    assert array.chunks == (2, 41, 2)


def counted(at: list[int], stop: int | None = None) -> Fill:
    """Fill in as forecasts do, note where chunks begin, and stop at that of a number."""
    stepper = Stepper(nets())

    def fill(states: torch.Tensor, first: int) -> None:
        if len(at) == stop:
            raise KeyboardInterrupt
        at.append(first)
        stepper.fill(states)

    return fill


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_stopped_forecast_continues(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"f.{extension}"
    whole = in_memory()
    with pytest.raises(KeyboardInterrupt):
        to_file(path, after=24)
    assert not path.exists()
    record = json.loads((tmp_path / f"f.{extension}.json").read_text())
    assert 24 <= record["complete"] < 53
    assert record["complete"] % 8 == 0
    stepped: list[int] = []
    found = to_file(path, fill=counted(stepped))
    assert stepped == list(range(record["complete"], 53, 8))
    np.testing.assert_array_equal(found[:], whole)
    assert not (tmp_path / f"f.{extension}.part").exists()
    stepped.clear()
    np.testing.assert_array_equal(to_file(path, fill=counted(stepped))[:], whole)
    assert stepped == []


def test_ctrl_c_says_what_is_complete(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "f.npy"
    with pytest.raises(KeyboardInterrupt):
        to_file(path, verbose=True, fill=counted([], stop=3))
    said = capsys.readouterr().err
    assert "Stopped: 24 of 53 trajectories of this forecast are in" in said
    assert "call again with the same arguments to continue" in said
    to_file(path, verbose=True)
    assert "Continuing: 24 of 53" in capsys.readouterr().err


KILLED = """
import sys, time
import numpy as np
from pyhits.encoders import Standardise
from pyhits.flowmaps import ResidualNet, create
from pyhits.hierarchy import Batching
from pyhits.hierarchy.forecast import forecast
from pyhits.hierarchy.to_file import ToFile
config = ResidualNet(2, (8,)).config()
nets = {size: create("residual", config, seed=seed) for seed, size in enumerate((1, 4))}
plain = Standardise().set_statistics(np.array([0.1, -0.2]), np.array([1.5, 0.5]))
def slow(done, total):
    print(done, flush=True)
    time.sleep(0.1)
keep = ToFile(sys.argv[1], 0.1, ("x", "y"), verbose=False)
small = Batching(chunk_bytes=int(sys.argv[2]), file_bytes=int(sys.argv[2]))
forecast(np.load(sys.argv[3]), nets, plain, 40, keep=keep, progress=slow, batching=small)
"""


@pytest.mark.parametrize("extension", ["npy", pytest.param("zarr", marks=pytest.mark.slow)])
def test_a_killed_process_leaves_what_it_finished(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"f.{extension}"
    np.save(tmp_path / "starts.npy", STARTS)
    arguments = [str(path), str(SMALL.chunk_bytes), str(tmp_path / "starts.npy")]
    arguments = [sys.executable, "-c", KILLED, *arguments]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 16:
                break
        os.kill(process.pid, signal.SIGKILL)
    record = json.loads((tmp_path / f"f.{extension}.json").read_text())
    assert 16 <= record["complete"] < 53
    np.testing.assert_array_equal(to_file(path)[:], in_memory())


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"starts": STARTS + 1}, "other initial states"),
        ({"starts": STARTS[:9]}, "other initial states"),
        ({"starts": STARTS.astype(np.float64)}, "other initial states"),
        ({"interpolation": "linear"}, "other interpolation"),
        ({"at": np.array([0.0, 7.5])}, "other times"),
    ],
)
def test_other_forecasts_are_refused(
    tmp_path: Path, extension: str, complete: bool, changed: dict[str, Any], named: str
) -> None:
    path = tmp_path / f"f.{extension}"
    if complete:
        to_file(path)
    else:
        with pytest.raises(KeyboardInterrupt):
            to_file(path, after=16)
    before = left(tmp_path)
    with pytest.raises(CheckpointError, match=rf"{named}.*delete it.*overwrite=True"):
        to_file(path, **changed)
    assert left(tmp_path) == before
    if complete:
        assert to_file(path).shape == (53, 41, 2)


def test_other_weights_are_refused_and_replaced(tmp_path: Path, model: pyhits.HiTS) -> None:
    path = tmp_path / "f.npy"
    model.forecast(STARTS, 20, out=path)
    other = quick(step_sizes=[1, 4], selection="all", polynomial_degree=1).fit(
        circles(20, 60, seed=5)
    )
    with pytest.raises(CheckpointError, match="other weights"):
        other.forecast(STARTS, 20, out=path)
    replaced = other.forecast(STARTS, 20, out=path, overwrite=True)
    np.testing.assert_array_equal(replaced, other.forecast(STARTS, 20))
    with pytest.raises(CheckpointError, match="other weights, other step sizes, other n_steps"):
        model.forecast(STARTS, 5, step_sizes=[1], out=path)


def test_what_is_no_forecast_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.npy"
    np.save(path, np.zeros((53, 41, 2), np.float32))
    with pytest.raises(CheckpointError, match=r"f\.npy is not of this forecast \(it has no record"):
        to_file(path)
    path.unlink()
    wanted = np.array(to_file(path))
    # A file that another program put in its place.
    np.save(path, np.zeros((53, 41, 2), np.float32))
    with pytest.raises(CheckpointError, match="changed since"):
        to_file(path)
    path.unlink()
    np.testing.assert_array_equal(to_file(path), wanted)
    (tmp_path / "f.npy.json").write_text("{")
    with pytest.raises(CheckpointError, match="no record"):
        to_file(path)
    keep = tmp_path / "kept.zarr"
    keep.mkdir()
    (keep / "thesis.tex").touch()
    for overwrite in (False, True):
        with pytest.raises((CheckpointError, ArgumentError), match=r"kept\.zarr"):
            forecast(STARTS, nets(), plain(), 40,
                     keep=ToFile(keep, 0.1, "xy", overwrite=overwrite))  # fmt: skip
    assert left(keep) == ["thesis.tex"]


def test_a_part_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        to_file(tmp_path / "f.npy", after=24)
    os.truncate(tmp_path / "f.npy.part", 900)
    with pytest.raises(CheckpointError, match=r"f\.npy\.part is not of this forecast"):
        to_file(tmp_path / "f.npy")


def test_a_full_disk_keeps_what_is_complete(tmp_path: Path) -> None:
    """The system refuses to let the file grow beyond a size."""
    path = tmp_path / "f.npy"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30 * 41 * 2 * 4, before[1]))
    try:
        with pytest.raises(FileFormatError, match=r"24 of 53 trajectories.*make room and call"):
            to_file(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    np.testing.assert_array_equal(to_file(path), in_memory())


def test_too_little_room_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    with pytest.raises(FileFormatError, match=r"MB are to be written, 0\.0 MB free"):
        to_file(tmp_path / "f.npy")


def test_wrong_use_is_refused(tmp_path: Path, model: pyhits.HiTS) -> None:
    with pytest.raises(ArgumentError, match=r"end in \.npy or \.zarr"):
        model.forecast(STARTS, 5, out=tmp_path / "f.npz")
    with pytest.raises(ArgumentError, match=r"shape \(n, d\)"):
        model.forecast(STARTS[0], 5, out=tmp_path / "f.npy")
    with pytest.raises(ArgumentError, match="rows_per_block"):
        model.forecast(STARTS, 5, rows_per_block=0)
    (tmp_path / "file").touch()
    with pytest.raises(FileFormatError, match="Cannot write"):
        model.forecast(STARTS, 5, out=tmp_path / "file" / "f.npy")


def blowing_up() -> dict[int, FlowMap]:
    flow_map = PolynomialMap(2, 1)
    flow_map.coefficients[:, 1:] = torch.eye(2)
    return {1: flow_map}


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_divergence_is_recorded(tmp_path: Path, extension: str) -> None:
    starts = np.zeros((53, 2), np.float32)
    starts[[20, 50]] = 1.0
    encoder = Standardise().set_statistics(np.zeros(2), np.ones(2))
    keep = ToFile(tmp_path / f"f.{extension}", 0.1, ("x", "y"), verbose=False)
    settings = {"keep": keep, "on_divergence": "raise", "batching": SMALL}
    for _ in range(2):
        with pytest.raises(DivergenceError, match="trajectory 20 diverged at step 14"):
            forecast(starts, blowing_up(), encoder, 40, **settings)
        record = json.loads((tmp_path / f"f.{extension}.json").read_text())
        assert (record["complete"], record["diverged"]["trajectory"]) == (16, 20)
    settings["on_divergence"] = "return"
    found = forecast(starts, blowing_up(), encoder, 40, **settings)[:]
    lost = np.isnan(found).any(axis=(1, 2))
    assert np.flatnonzero(lost).tolist() == [20, 50]
    assert np.isnan(found[[20, 50], 14:]).all()
    assert np.isfinite(found[[20, 50], :14]).all()
    with pytest.raises(DivergenceError, match=r"trajectory 20 diverged.*\(1 more diverged\)"):
        forecast(starts, blowing_up(), encoder, 40, keep=keep, on_divergence="raise")


def test_the_command_streams(tmp_path: Path, model: pyhits.HiTS) -> None:
    model.save(tmp_path / "m.safetensors")
    data = circles(13, 5)
    pyhits.write(data, tmp_path / "test.npz")
    command = ["forecast", tmp_path / "m.safetensors", "--from", tmp_path / "test.npz", "--steps"]
    wanted = model.forecast(data, 21)
    for extension in EXTENSIONS:
        out = tmp_path / f"f.{extension}"
        done = run(*command, 20, "-o", out)
        assert done.exit_code == 0, done.output
        assert "13 x 21 x 2 states written to" in " ".join(done.stderr.split())
        assert run(*command, 20, "-o", out, "--quiet").output == ""
        refused = run(*command, 21, "-o", out)
        assert refused.exit_code == 1
        assert "other n_steps" in refused.stderr
        assert run(*command, 21, "-o", out, "--overwrite").exit_code == 0
    np.testing.assert_array_equal(pyhits.read(tmp_path / "f.npy").to_array(), wanted)
    np.testing.assert_array_equal(zarr.open(tmp_path / "f.zarr")[:], wanted)
    assert run(*command, 5, "-o", tmp_path / "f.xyz").exit_code == 2


BIG = """
import resource, sys
import numpy as np
from pyhits.encoders import Standardise
from pyhits.flowmaps import PolynomialMap
from pyhits.hierarchy.forecast import forecast
from pyhits.hierarchy.to_file import ToFile
starts = np.random.default_rng(0).uniform(-1, 1, (20_000, 2)).astype(np.float32)
encoder = Standardise().set_statistics(np.zeros(2), np.ones(2))
begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
maps = {s: PolynomialMap(2, 1) for s in (1, 8, 64)}
out = forecast(starts, maps, encoder, 5120, keep=ToFile(sys.argv[1], 1.0, "xy", verbose=False))
assert out.nbytes > 800e6
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin)
"""


@pytest.mark.slow
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_memory_stays_bounded(tmp_path: Path, extension: str) -> None:
    """0.8 GB of states take less than 0.25 GB of memory."""
    path = tmp_path / f"f.{extension}"
    done = subprocess.run(
        [sys.executable, "-c", BIG, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 250_000
