"""Forecasts in blocks of Dask: lazily, and written by the workers of a cluster."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import circles
from typer.testing import CliRunner

import pyhits
from pyhits import TimeStepper, Trajectories
from pyhits.cli.app import app
from pyhits.errors import ArgumentError, CheckpointError, DivergenceError
from pyhits.flowmaps import PolynomialMap
from pyhits.forecasting import ensembles
from pyhits.forecasting.horizon import Horizon

array = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
zarr = pytest.importorskip("zarr")

STARTS = circles(30, 2).initial_states


def turning(growth: float = 1.0) -> TimeStepper:
    """A model that turns states by 0.1, and lets them grow."""
    flow_map = PolynomialMap(2, 1).double()
    turn = growth * np.array([[np.cos(0.1), np.sin(0.1)], [-np.sin(0.1), np.cos(0.1)]])
    flow_map.coefficients[:, 1:] = flow_map.coefficients.new_tensor(turn - np.eye(2))
    flow_map.set_bounds(np.array([[-5.0, -5.0], [5.0, 5.0]]))
    return TimeStepper.from_flow_maps({1: flow_map}, Trajectories(STARTS[None], 0.1))


def test_a_forecast_of_a_dask_array_is_one() -> None:
    model, lazy = turning(), array.from_array(STARTS, chunks=(7, 1))
    found = model.forecast(lazy, 12)
    assert (found.shape, found.dtype, found.numblocks) == ((30, 13, 2), np.float64, (5, 1, 1))
    expected = model.forecast(STARTS, 12)
    np.testing.assert_allclose(found.compute(scheduler="sync"), expected, atol=1e-14)
    mean = found.mean(axis=0).compute(scheduler="sync")
    np.testing.assert_allclose(mean, expected.mean(axis=0), atol=1e-14)
    times = model.forecast(lazy, t=[0.25, 0.5], interpolation="linear")
    np.testing.assert_allclose(
        times[8:9].compute(scheduler="sync"),
        model.forecast(STARTS[8:9], t=[0.25, 0.5], interpolation="linear"),
        atol=1e-14,
    )
    with pytest.raises(ArgumentError, match=r"interval=... does not go with blocks"):
        model.forecast(lazy, 12, interval=0.9)
    with pytest.raises(ArgumentError, match="Expected an array of 2 axes, the last of 2"):
        model.forecast(lazy[:, 0], 12)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensembles, "_BLOCK_BYTES", 5 * 13 * 16)


def test_a_cluster_writes_one_array(two_workers: Any, small_blocks: None, tmp_path: Path) -> None:
    model, out = turning(), tmp_path / "a.zarr"
    pyhits.write(Trajectories([np.stack([x, x]) for x in STARTS], 0.1), tmp_path / "x.npz")
    model.save(tmp_path / "m.safetensors")
    address = two_workers.scheduler.address
    command = ["forecast", tmp_path / "m.safetensors", "--from", tmp_path / "x.npz", "--steps", 12]
    done = CliRunner().invoke(app, [*map(str, command), "--dask", address, "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "30 x 13 x 2 states written" in done.stderr
    stored = zarr.open_array(out, mode="r")
    np.testing.assert_allclose(stored[:], model.forecast(STARTS, 12), atol=1e-14)
    assert (stored.attrs["dt"], stored.attrs["diverged"]) == (0.1, None)
    for options, message in (
        (["-o", tmp_path / "a.npy"], "--dask writes .zarr"),
        (["-o", tmp_path / "b.zarr", "--tol", "1e-3"], "--tol does not go with --dask"),
        (["-o", out], "is there"),
    ):
        done = CliRunner().invoke(app, [str(a) for a in (*command, "--dask", address, *options)])
        assert done.exit_code in (1, 2)
        assert message in done.stderr


def test_what_diverges_is_named(two_workers: Any, small_blocks: None, tmp_path: Path) -> None:
    model, out = turning(1e3), tmp_path / "a.zarr"
    arguments = two_workers, STARTS, np.zeros(len(STARTS))
    with pytest.raises(DivergenceError, match=r"trajectory 0 diverged at step \d \(29 more"):
        ensembles.Ensemble(model, Horizon(12, None), out, {}).run(*arguments)
    assert list(tmp_path.iterdir()) == []
    settings = {"on_divergence": "return"}
    found = ensembles.Ensemble(model, Horizon(12, None), out, settings).run(*arguments)
    expected = model.forecast(STARTS, 12, on_divergence="return")
    np.testing.assert_allclose(found[:], expected, rtol=1e-12)
    with pytest.raises(CheckpointError, match="is there"):
        ensembles.Ensemble(model, Horizon(12, None), out, settings).run(*arguments)


def test_a_worker_that_dies_loses_its_block_alone(
    two_workers: Any, small_blocks: None, tmp_path: Path
) -> None:
    model, killed = turning(), []

    def kill_one(done: int, of: int) -> None:
        if not killed:
            killed.append(next(iter(two_workers.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    starts = np.tile(STARTS, (4, 1))
    ensemble = ensembles.Ensemble(model, Horizon(12, None), tmp_path / "a.zarr", {})
    found = ensemble.run(two_workers, starts, np.zeros(len(starts)), kill_one)
    np.testing.assert_allclose(found[:], model.forecast(starts, 12), atol=1e-14)
    assert killed
