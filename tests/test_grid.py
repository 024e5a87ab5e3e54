"""Data know their grid: what is declared, what comes with the data, what files keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pyhits
from benchmarks.inhomogeneous import by_place
from pyhits import Grid, Trajectories
from pyhits.data.diagnostics.units import units
from pyhits.data.finding_grid import find_edges, find_grid
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError
from pyhits.fit.gridding import with_edges

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


# xarray, there and back

xr = pytest.importorskip("xarray")
TIMES = 0.1 * np.arange(12)


def _flow() -> xr.Dataset:
    lat, lon = np.linspace(-60, 60, 5), np.arange(0.0, 360, 60)
    u = np.cos(2 * TIMES[:, None, None] + np.radians(lon)) * np.cos(np.radians(lat))[:, None]
    dims = ("time", "lat", "lon")
    variables = {
        "u": (dims, u, {"units": "m/s"}),
        "v": (("lon", "time", "lat"), u.T.swapaxes(1, 2)),
    }
    mask = {"mask": (("lat", "lon"), np.ones((5, 6)))}
    return xr.Dataset(variables | mask, {"time": TIMES, "lat": lat, "lon": lon}, {"source": "here"})


def _model(data: object, **fit: object) -> pyhits.HiTS:
    quick = pyhits.HiTS(flow_map="polynomial", noise=False, verbose=False, random_state=0, n_jobs=1)
    return quick.fit(data, **fit)


def test_dimensions_are_axes_and_variables_channels() -> None:
    data = Trajectories(_flow())
    assert data.grid.axes == ("lat", "lon")
    assert data.grid.channels == ("u", "v")
    assert data.grid.spacing == (pytest.approx(30.0), pytest.approx(60.0))
    array = data.grid.array(data.to_array())
    np.testing.assert_array_equal(array[0, ..., 0], _flow()["u"].values)
    np.testing.assert_array_equal(array[0, ..., 1], _flow()["v"].transpose("time", "lat", "lon"))


@pytest.mark.parametrize(
    ("dims", "sizes", "coords", "axes", "channels"),
    [
        (("time", "x"), (4, 9), {}, ("x",), 1),
        (("time", "s"), (4, 9), {"s": np.arange(9) / 3}, ("s",), 1),
        (("time", "place"), (4, 9), {"place": np.arange(9) ** 1.5}, ("place",), 1),
        (("time", "place"), (4, 9), {}, None, 1),
        (("time", "mode"), (4, 9), {"mode": np.arange(9) / 3}, None, 1),
        (("time", "place"), (4, 9), {"place": list("abcdefghi")}, None, 1),
        (("time", "x"), (4, 3), {}, None, 1),
        (("run", "time", "z", "y", "x"), (2, 4, 2, 3, 2), {}, ("z", "y", "x"), 1),
        (("time", "level", "y", "x"), (4, 1, 3, 2), {}, ("y", "x"), 1),
        (("time", "component", "y", "x"), (4, 2, 3, 2), {}, ("y", "x"), 2),
        (("time", "w", "z", "y", "x"), (4, 2, 2, 3, 2), {}, None, 1),
    ],
)
def test_which_dimensions_are_axes(
    dims: tuple[str, ...], sizes: tuple[int, ...], coords: dict, axes: object, channels: int
) -> None:
    data = Trajectories(xr.DataArray(RNG.standard_normal(sizes), dims=dims, coords=coords))
    assert (None if data.grid is None else data.grid.axes) == axes
    assert data.grid is None or data.grid.n_channels == channels


@pytest.mark.parametrize("rows", [12, 1])
def test_forecasts_come_back_with_dimensions_and_coordinates(rows: int) -> None:
    flow = _flow()
    later = _model(flow).forecast_from(flow.isel(time=slice(-rows, None)), n_steps=3)
    assert isinstance(later, xr.Dataset)
    assert later["v"].dims == ("lon", "time", "lat")
    np.testing.assert_allclose(later["time"], 1.1 + 0.1 * np.arange(4))
    assert later["u"].attrs == {"units": "m/s"}
    for name in ("u", "v"):
        np.testing.assert_allclose(later[name].isel(time=0), flow[name].isel(time=-1))
    lift = xr.DataArray([0.0, 0.1], dims="run")
    field = (flow["v"].expand_dims(run=[3, 4]) + lift).rename("v")
    array = _model(field).forecast_from(field.isel(time=slice(-rows, None)), n_steps=3)
    assert array.dims == field.dims
    assert array.name == "v"
    assert array["run"].values.tolist() == [3, 4]
    np.testing.assert_allclose(array["lat"], flow["lat"])
    np.testing.assert_allclose(array.isel(time=0), field.isel(time=-1))


def test_a_month_after_one_date_is_a_month_later() -> None:
    import pandas as pd

    dates = pd.date_range("2020-01-01", periods=40, freq="MS")
    t = 0.5 * np.arange(40)[:, None] + np.arange(6)[:, None, None]
    dims = ("run", "time", "x")
    field = xr.DataArray(np.cos(t + np.arange(9) / 2), {"time": dates}, dims, name="h")
    later = _model(field).forecast_from(field.isel(time=[-1]), n_steps=2)
    assert later["time"].dt.strftime("%Y-%m-%d").values.tolist() == [
        "2023-04-01",
        "2023-05-01",
        "2023-06-01",
    ]


# Grids that the data show


def _lorenz96(n: int, points: int) -> np.ndarray:
    def rate(x: np.ndarray) -> np.ndarray:
        return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + 8

    x, rows = 8 + np.random.default_rng(1).standard_normal(points), []
    for k in range(n + 200):
        middle = x + 0.01 * rate(x)
        x = x + 0.02 * rate(middle)
        rows += [x] * (k >= 200)
    return np.array(rows)


def _heat(runs: int, points: int) -> list[np.ndarray]:
    rng, x, found = np.random.default_rng(2), np.linspace(0, np.pi, points), []
    for _ in range(runs):
        modes = rng.standard_normal(5) / np.arange(1, 6)
        decay = np.exp(-0.02 * np.arange(40)[:, None] * np.arange(1, 6) ** 2)
        found.append((decay * modes) @ np.sin(np.arange(1, 6)[:, None] * x))
    return found


def _burgers(points: int) -> np.ndarray:
    x = 2 * np.pi * np.arange(points) / points
    u, rows = np.sin(x) + 0.5, []
    for k in range(1500):
        up, down = np.roll(u, -1), np.roll(u, 1)
        u = u + 2e-3 * ((down**2 - up**2) / (4 * x[1]) + 0.1 * (up - 2 * u + down) / x[1] ** 2)
        rows += [u] * (k % 10 == 0)
    return np.array(rows)


def _nonlinear_wave(points: int) -> np.ndarray:
    """Two waves of a speed that depends on their size, hundreds of points to each."""
    x, t = 2 * np.pi * np.arange(points) / points, 0.02 * np.arange(600)[:, None]
    first, second = np.cos(x - t), np.cos(2 * x - 3.1 * t)
    return np.asarray(first + 0.4 * second + 0.3 * first * second)


def _pulse(points: int) -> np.ndarray:
    """One soliton on its way: most points are quiet most of the time."""
    x, t = np.arange(points) * 40 / points, 0.05 * np.arange(200)[:, None]
    near = (x - 5 - t + 20) % 40 - 20
    return np.asarray(1 / np.cosh(near) ** 2)


def _plane() -> np.ndarray:
    """Pulses that the wind takes over a plane, (runs, times, y, x)."""
    rng, (t, y, x) = np.random.default_rng(0), np.ogrid[:40, :10, :24]

    def pulse() -> np.ndarray:
        square = (x - rng.uniform(-12, 24) - 0.4 * t) ** 2 + (y - rng.uniform(0, 10)) ** 2
        return np.asarray(rng.normal() * np.exp(-square / (8 + 0.2 * t)))

    return np.stack([np.sum([pulse() for _ in range(8)], axis=0) for _ in range(12)])


L96, BURGERS = _lorenz96(1500, 24), _burgers(48)


@pytest.mark.parametrize(
    ("data", "is_ring"),
    [
        (L96, True),
        (L96[:, 3:], False),
        (L96[:300].astype(np.float32), True),
        (L96 + 0.02 * np.random.default_rng(0).standard_normal(L96.shape), True),
        (BURGERS, True),
        (BURGERS[:, 5:40], False),
        (_heat(10, 30), False),
        (_heat(10, 300), False),
        (_nonlinear_wave(400), True),
        (_pulse(200), True),
        (by_place("burgers-place", 8, 40, 33), True),  # fronts, which differ from run to run
    ],
)
def test_points_of_fields_are_found_and_their_edges(data: object, is_ring: bool) -> None:
    found = find_grid(Trajectories(data))
    assert found is not None
    assert found.error < found.other_orders
    assert find_edges(Trajectories(data), found.grid) == (is_ring,)


def _modes(rows: np.ndarray, n: int) -> np.ndarray:
    left, sizes, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    return left[:, :n] * sizes[:n]


@pytest.mark.parametrize(
    "data",
    [
        L96[:, np.random.default_rng(0).permutation(24)],
        L96 @ np.random.default_rng(1).standard_normal((24, 30)),
        _modes(L96, 20),
        L96[:, :12],
        np.random.default_rng(2).standard_normal((800, 20)).cumsum(axis=0),
        np.sin(0.1 * np.arange(800)[:, None] + np.random.default_rng(3).uniform(0, 6, 20)),
        np.sin(0.02 * np.arange(800)[:, None] * np.arange(1, 21)),
        np.concatenate([L96[k : k + 900, [0, 1, 2]] for k in range(0, 600, 90)], axis=1),
        np.ones((50, 20)),
        L96[:4],
        _plane().reshape(12, 40, -1),
        np.delete(_plane().reshape(12, 40, -1), [83, 84, 85, 107, 108, 109], axis=2),
    ],
)
def test_columns_that_are_no_points_are_not_taken_for_such(data: np.ndarray) -> None:
    assert find_grid(Trajectories(data)) is None


def test_edges_of_planes_and_several_channels_are_found() -> None:
    rng, y, x = np.random.default_rng(4), np.linspace(0, np.pi, 16), 2 * np.pi * np.arange(20) / 20
    runs = []
    for _ in range(12):  # advected along x, diffused between walls along y
        phase, sizes = rng.uniform(0, 6, (3, 3)), rng.standard_normal((3, 3))
        t = 0.05 * np.arange(40)[:, None, None]
        runs.append(
            sum(
                sizes[k, m] * np.exp(-0.1 * (m + 1) ** 2 * t) * np.sin((m + 1) * y[:, None])
                * np.cos((k + 1) * (x - t) + phase[k, m])
                for k in range(3)
                for m in range(3)
            )
        )  # fmt: skip
    field = np.stack(runs)
    plane = Trajectories(field, grid=(16, 20))
    assert find_edges(plane, plane.grid) == (False, True)
    both = np.stack([field, 0.5 - field[..., ::-1]], axis=-1)
    pair = Trajectories(both, grid=Grid((16, 20), 2))
    assert find_edges(pair, pair.grid) == (False, True)


def test_edges_show_where_neighbours_do_not_tell_what_comes_next() -> None:
    rng = np.random.default_rng(5)
    waves = rng.standard_normal((60, 24, 24))  # nothing in one row tells the next
    low = np.hypot(*np.meshgrid(np.fft.fftfreq(24, 1 / 24), np.fft.fftfreq(24, 1 / 24))) < 4
    field = np.fft.ifft2(np.fft.fft2(waves) * low).real
    plane = Trajectories(field, grid=(24, 24))
    assert find_edges(plane, plane.grid) == (True, True)
    part = Trajectories(field[:, :, :17], grid=(24, 17))
    assert find_edges(part, part.grid) == (True, False)
    rough = Trajectories(waves, grid=(24, 24))
    assert find_edges(rough, rough.grid) == (None, None)


def test_a_fit_says_what_it_found_and_lets_it_be_said_otherwise() -> None:
    model = _model(L96[:240].reshape(6, 40, 24))
    assert model.coordinates_.grid == Grid((24,), periodic=True)
    plain = Trajectories(L96[:40])
    assert plain.grid is None
    assert model.coordinates_.encode(plain).states.grid == model.coordinates_.grid
    assert any("points along a line" in note for note in model.notes_)
    assert any(note.startswith("Periodic edges found along x.") for note in model.notes_)
    several = L96[:90].reshape(6, 15, 24)
    assert _model(several, grid="none").coordinates_.grid is None
    line = _model(several, grid="line")
    assert line.coordinates_.grid.periodic == (False,)
    assert not any("edges" in note for note in line.notes_)
    doubled = np.concatenate([BURGERS, BURGERS[:, :1]], axis=1)
    settled = with_edges(Trajectories(doubled), Grid((49,)))
    assert settled.grid.periodic == (False,)
    assert "repeats the first" in settled.notes[1]


# One mean and one deviation a channel


def test_channels_are_scaled_by_one_number_each(tmp_path: Path) -> None:
    field = RNG.standard_normal((400, 5, 6, 2)) * [0.1, 30.0] + [2.0, -7.0]
    field[:, 0, :, 1] = -7.0  # a wall
    scaling = Standardise(channels=2).fit(field.reshape(400, -1))
    for name, expected in (("mean_", field.mean((0, 1, 2))), ("scale_", field.std((0, 1, 2)))):
        by_point = getattr(scaling, name).reshape(5, 6, 2)
        np.testing.assert_allclose(by_point, np.broadcast_to(expected, by_point.shape))
    data = Trajectories(field, 0.1, grid=(5, 6))
    spread = data.spread().reshape(5, 6, 2)
    np.testing.assert_allclose(spread[0, 0], np.sqrt(field.var(axis=0).mean(axis=(0, 1))))
    assert (np.ptp(spread, axis=(0, 1)) == 0).all()
    flat = np.full((9, 6), 3.0)
    assert (Standardise(channels=1).fit(flat).scale_ == 1.0).all()
    with pytest.raises(DataError, match="fields of 4 channels"):
        Standardise(channels=4).fit(flat)
    model = _model(_flow())
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert again.scaling.channels == 2
    np.testing.assert_array_equal(again.scaling.scale_, model.scaling_.scale_)
    np.testing.assert_array_equal(again.summary.std, model.summary_.std)


def test_errors_of_fields_are_in_units_of_their_channels() -> None:
    still = 1e-6 * np.sin(TIMES)[:, None]
    wave = np.cos(2 * TIMES[:, None] + np.arange(23) / 4)
    field = np.concatenate([still, wave], axis=1)
    model = _model(np.stack([np.roll(field, k, axis=0) for k in range(6)]), grid="line")
    spread = model.summary_.spread
    np.testing.assert_allclose(spread, np.full(24, np.sqrt(field.var(axis=0).mean())))


def test_points_of_a_channel_have_one_unit() -> None:
    rows = RNG.uniform(-1, 1, (40, 8))
    still = rows.copy()
    still[:, 3] = rows[:, 3] / 60
    low, high = rows.min(axis=0), rows.max(axis=0)
    names = [f"x{k}" for k in range(8)]
    assert units(still, names, low, high, what="data")
    assert not units(still, names, low, high, what="data", grid=Grid((8,)))
    (found,) = units(60 * rows, names, low, high, what="data", grid=Grid((4,), ("u", "v")))
    assert found.features == ("u", "v")
