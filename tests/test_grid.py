"""Data know their grid: what is declared, what comes with the data, what files keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pyhits
from pyhits import Grid, Trajectories
from pyhits.errors import ArgumentError

RNG = np.random.default_rng(0)


def test_a_row_is_the_flattening_of_axes_and_channels() -> None:
    field = RNG.standard_normal((2, 7, 3, 4, 2))  # (run, time, y, x, channel)
    grid = Grid((3, 4), ("u", "v"), spacing=0.5, periodic=(True, None))
    data = Trajectories(field, 0.1, grid=grid)
    assert (len(data), data.n_features) == (2, 24)
    np.testing.assert_array_equal(data.grid.array(data.to_array()), field)
    assert (grid.n_points, grid.n_channels, grid.axes) == (12, 2, ("y", "x"))
    assert data.grid == grid != grid.with_edges(True, False)
    assert grid.with_edges(False).periodic == (False, False)
    assert "3 x 4 points, 2 channels" in grid.size_name()


@pytest.mark.parametrize(
    ("shape", "declared", "expected"),
    [
        ((9, 6, 8), (6, 8), Grid((6, 8))),
        ((2, 9, 6, 8), "6x8", Grid((6, 8))),
        ((9, 6, 8, 3), (6, 8, 3), Grid((6, 8), 3)),
        ((9, 6, 8, 3), (6, 8), Grid((6, 8), 3)),
        ((9, 6, 8, 5), (6, 8, 5), Grid((6, 8, 5))),
        ((9, 6, 8, 5, 2), (6, 8, 5, 2), Grid((6, 8, 5), 2)),
        ((9, 48), (6, 8), Grid((6, 8))),
        ((9, 40), "ring", Grid((40,), periodic=True)),
        ((2, 9, 40), "line", Grid((40,), periodic=False)),
        ((9, 6, 8), "6x8,ring,line", Grid((6, 8), periodic=(True, False))),
        ((9, 6, 8), "6x8,ring", Grid((6, 8), periodic=True)),
        ((9, 40), "none", None),
        ((9, 20, 2), Grid((20,), 2), Grid((20,), 2)),
    ],
)
def test_grids_are_declared_in_several_ways(
    shape: tuple[int, ...], declared: object, expected: Grid | None
) -> None:
    field = RNG.standard_normal(shape)
    data = Trajectories(field, grid=declared)
    assert data.grid == expected
    np.testing.assert_array_equal(data.values.ravel(), field.ravel())
    if expected is not None:
        assert data.cut(3).grid == expected
        assert data.with_grid(None).grid is None


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ((5, 8), "rows of 48 numbers"),
        (Grid((6, 7)), "rows of 48 numbers"),
        ("circle", "'ring'"),
        (7, "shape of a grid"),
        ((6, 0), "at least 1"),
        ("6x8,ring,ring,ring", "of 2 axes"),
    ],
)
def test_other_grids_are_refused(declared: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Trajectories(np.zeros((9, 48)) + RNG.standard_normal((9, 1)), grid=declared)


def test_spacing_follows_from_even_coordinates() -> None:
    even, uneven = np.linspace(3.0, -2.0, 6), np.array([0.0, 1.0, 4.0])
    grid = Grid((6, 3), coordinates=(even, uneven))
    assert grid.spacing == (pytest.approx(1.0), None)
    with pytest.raises(ArgumentError, match="Expected 6 finite coordinates along 'y'"):
        Grid((6, 3), coordinates=(uneven, uneven))
    with pytest.raises(ArgumentError, match="different names of axes"):
        Grid((6, 3), axes=("x", "x"))


@pytest.mark.parametrize("extension", [".npz", ".mat", ".h5", ".nc"])
def test_archives_keep_the_grid(tmp_path: Path, extension: str) -> None:
    grid = Grid((4, 3), ("u", "v"), periodic=(True, None), coordinates=(np.arange(4) / 3, None))
    data = Trajectories(RNG.standard_normal((9, 24)), 0.1, grid=grid)
    assert pyhits.read(pyhits.write(data, tmp_path / f"a{extension}")) == data


def test_models_keep_the_grid_and_forecast_in_its_shape(tmp_path: Path) -> None:
    angles = 0.1 * np.arange(80)[:, None] + np.arange(6) / 3
    field = np.cos(angles).reshape(80, 2, 3)
    grid = Grid((2, 3), periodic=(None, False), coordinates=(None, np.arange(3.0)))
    model = pyhits.HiTS([1], max_steps=1, verbose=False, random_state=0).fit(field, grid=grid)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert again.coordinates.grid.coordinates[1].tolist() == [0.0, 1.0, 2.0]
    assert again.coordinates.grid == model.coordinates_.grid
    assert again.forecast(field[0], 4).shape == (5, 2, 3)
    assert again.forecast_from(field, 4).shape == (5, 2, 3)
    assert again.evaluate(field, baselines=False).nrmse > 0
