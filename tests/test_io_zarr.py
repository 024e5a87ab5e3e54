"""Zarr stores, arrays beside the coordinates of their axes, and files like other files."""

import h5py
import numpy as np
import pytest
import scipy.io
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.errors import DataError, FileFormatError

xarray = pytest.importorskip("xarray")
zarr = pytest.importorskip("zarr")

X, Y = np.linspace(0, 1, 8, endpoint=False), np.linspace(0, 2, 6, endpoint=False)
FORMATS = (2, 3)
quiet = pytest.mark.filterwarnings("ignore::UserWarning")


def field(n_runs=2, n_times=12):
    """Waves of two variables that travel along x, with dates."""
    t = np.datetime64("2000-01-01", "ns") + np.arange(n_times) * np.timedelta64(6, "h")
    phase = 2 * np.pi * X - 0.3 * np.arange(n_times)[:, None, None] + 0 * Y[:, None]
    u = np.stack([np.sin(phase + run) for run in range(n_runs)]).astype(np.float32)
    dims = ("run", "time", "y", "x")
    variables = {"u": (dims, u, {"units": "m/s"}), "v": (dims, u**2)}
    attrs = {"source": "a test"}
    return xarray.Dataset(variables, {"time": t, "x": X, "y": ("y", Y, {"units": "m"})}, attrs)


@quiet
@pytest.mark.parametrize("number", FORMATS)
def test_stores_are_read_as_the_datasets_that_they_hold(tmp_path, number):
    for name, data in {"a": field(), "b": field()[["u"]].isel(run=0)}.items():
        data.to_zarr(tmp_path / f"{name}.zarr", zarr_format=number)
        found = pyhits.read(tmp_path / f"{name}.zarr")
        assert found == pyhits.Trajectories(data)
        np.testing.assert_array_equal(found.grid.coordinates[1], X)


@quiet
@pytest.mark.parametrize("number", FORMATS)
def test_plain_arrays_are_chosen_by_name(tmp_path, number):
    rows = np.random.default_rng(0).random((30, 6, 8))
    store = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=number)
    for name, array in {"u": rows, "t": np.arange(30) * 0.5, "x": X, "y": Y}.items():
        store[name] = array
    found = pyhits.read(tmp_path / "a.zarr")
    assert (found.dt, found.grid.axes, found.grid.shape) == (0.5, ("y", "x"), (6, 8))
    zarr.save_array(tmp_path / "b.zarr", rows[:, 0], zarr_format=number)
    np.testing.assert_array_equal(pyhits.read(tmp_path / "b.zarr", dt=0.1).values, rows[:, 0])


def test_missing_values_of_packed_stores(tmp_path):
    data = field()[["u"]]
    data["u"].encoding = {"dtype": "i2", "scale_factor": 1e-4, "_FillValue": -32767}
    data.to_zarr(tmp_path / "a.zarr", zarr_format=2)
    np.testing.assert_allclose(
        pyhits.read(tmp_path / "a.zarr").values, pyhits.Trajectories(data).values, atol=1e-4
    )
    data["u"][0, 3, 2, 1] = np.nan
    data.to_zarr(tmp_path / "b.zarr", zarr_format=2)
    with pytest.raises(DataError, match="NaN"):
        pyhits.read(tmp_path / "b.zarr")


def test_stores_are_replaced_whole(tmp_path):
    ragged = pyhits.Trajectories([np.eye(3), np.ones((4, 3))], 0.25)
    for data in (pyhits.Trajectories(field()), ragged):
        pyhits.write(data, tmp_path / "a.zarr")
        assert pyhits.read(tmp_path / "a.zarr") == data
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(FileFormatError, match="is a folder"):
        pyhits.write(ragged, tmp_path / "mine.zarr")


def test_damaged_stores_are_named(tmp_path):
    (tmp_path / "torn.zarr").mkdir()
    (tmp_path / "torn.zarr" / "zarr.json").write_text("{")
    with pytest.raises(FileFormatError, match=r"torn\.zarr cannot be read as a Zarr store"):
        pyhits.read(tmp_path / "torn.zarr")


def test_pickles_in_stores_stay_closed(tmp_path):
    zarr.save_array(tmp_path / "a.zarr", np.eye(4), zarr_format=2)
    header = tmp_path / "a.zarr" / ".zarray"
    header.write_text(
        header.read_text().replace('"filters": null', '"filters": [{"id": "pickle"}]')
    )
    with pytest.raises(FileFormatError, match="pickled Python objects"):
        pyhits.read(tmp_path / "a.zarr")


@pytest.mark.parametrize("extension", [".zarr", ".nc", ".h5"])
@pytest.mark.parametrize("model", [".zarr", ".nc"])
def test_files_like_others_have_their_dimensions(tmp_path, model, extension):
    data, out = field(), tmp_path / f"b{extension}"
    path = tmp_path / f"a{model}"
    data.to_zarr(path) if model == ".zarr" else data.to_netcdf(path, engine="h5netcdf")
    read = pyhits.read(path)
    pyhits.write(read, out, like=path)
    made = xarray.open_zarr(out) if extension == ".zarr" else xarray.open_dataset(out)
    xarray.testing.assert_identical(made.load()[["u", "v"]], data)
    assert pyhits.read(out) == read


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments]).exit_code


def test_a_forecast_goes_on_in_the_form_of_its_recording(tmp_path):
    data = field(1).isel(run=0)[["u"]]
    data.to_zarr(tmp_path / "run.zarr")
    model, out = tmp_path / "flow.safetensors", tmp_path / "later.zarr"
    form = ["--flow-map", "polynomial", "--polynomial-degree", "1", "--step-sizes", "1"]
    assert run("fit", tmp_path / "run.zarr", *form, "-q", "-o", model) == 0
    for _ in range(2):  # the second replaces the first
        after = ["--after", tmp_path / "run.zarr", "--steps", "5"]
        assert run("forecast", model, *after, "-q", "-o", out) == 0
    later = xarray.open_zarr(out)
    assert later["u"].dims == ("time", "y", "x")
    assert later["u"].attrs == {"units": "m/s"}
    last = data["time"].values[-1]
    np.testing.assert_array_equal(
        later["time"].values - last, np.arange(6) * np.timedelta64(6, "h")
    )
    np.testing.assert_array_equal(later["y"].values, Y)
    np.testing.assert_array_equal(later["u"].values[0], data["u"].values[-1])


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".mat":
        scipy.io.savemat(path, arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array


@pytest.mark.parametrize("extension", [".npz", ".mat", ".h5"])
def test_coordinates_of_axes_make_grids(tmp_path, extension):
    path, t = tmp_path / f"a{extension}", np.arange(20) * 0.5
    u = np.random.default_rng(0).random((20, 6, 8))
    cases = [
        ({"u": u, "t": t, "x": X, "y": Y}, ("y", "x"), ("u",)),
        ({"u": u, "x": X, "y": Y}, ("y", "x"), ("u",)),
        ({"u": u, "v": u**2, "t": t, "lon": X, "lat": Y}, ("lat", "lon"), ("u", "v")),
        ({"usol": u[:, 0].T, "t": t, "x": X}, ("x",), ("usol",)),
        ({"u": u[:, :, :6].T, "t": t, "x": Y, "y": Y + 1}, ("x", "y"), ("u",)),
    ]
    for arrays, axes, channels in cases:
        write(path, arrays)
        grid = pyhits.read(path).grid
        assert (grid.axes, grid.channels) == (axes, channels)
    for arrays in ({"u": u, "t": t, "x": X}, {"u": u, "t": t, "a": X, "b": Y}):
        write(path, arrays)  # an axis without coordinates, coordinates of no axis by name
        assert pyhits.read(path).grid is None
