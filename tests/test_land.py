"""Fields with points that hold no value at any time: left out, and NaN in forecasts."""

import numpy as np
import pytest
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.encoders import POD
from pyhits.fit.many_columns import modes_of_columns
from pyhits.fit.settings import Settings

xr = pytest.importorskip("xarray")


def sea(n=60, channels=("sst",)):
    """Return waves on 6 x 8 points, some of which are land."""
    t, x = np.arange(n)[:, None, None], np.arange(8.0)
    rows = np.sin(0.3 * t + x + 0.5 * np.arange(6.0)[:, None])
    rows[:, 2:4, 3:6] = np.nan
    coords = {"time": np.arange(float(n)), "lat": np.arange(6.0), "lon": x}
    return xr.Dataset(
        {name: (("time", "lat", "lon"), rows + k) for k, name in enumerate(channels)}, coords
    )


def quick():
    form = {"flow_map": "polynomial", "polynomial_degree": 1, "encoder": POD(2)}
    return pyhits.HiTS([1], n_jobs=1, verbose=False, **form)


def test_points_without_values_are_left_out_and_said():
    with pytest.warns(pyhits.errors.PyHiTSWarning, match="6 of 48 points hold no value"):
        data = pyhits.Trajectories(sea()["sst"])
    assert (data.n_features, data.grid) == (42, None)
    assert data.feature_names[19:21] == ("x22", "x23")


@pytest.mark.filterwarnings("ignore::pyhits.errors.PyHiTSWarning")
def test_columns_of_several_variables_have_their_names_and_units():
    recording = sea(160, channels=("sst", "ice"))
    recording["ice"] *= 1000
    data = pyhits.Trajectories(recording)
    assert data.feature_names[38:42] == ("sst.22", "ice.22", "sst.23", "ice.23")
    encoder = modes_of_columns(Settings(verbose=False), data, (), None)
    scale = encoder[0].fit(data).scale_.reshape(-1, 2)
    assert (scale == scale[0]).all()
    np.testing.assert_allclose(scale[0], [0.7, 700], rtol=0.05)


@pytest.mark.filterwarnings("ignore::pyhits.errors.PyHiTSWarning")
def test_variables_at_stations_are_named_by_both():
    dims = ("time", "station")
    recording = xr.Dataset({"t": (dims, np.ones((5, 2))), "q": (dims, np.ones((5, 2)))})
    assert pyhits.Trajectories(recording).feature_names == ("t.0", "q.0", "t.1", "q.1")
    recording = recording.assign_coords(station=["Ulm", "Bonn"])
    assert pyhits.Trajectories(recording).feature_names[1:3] == ("q.Ulm", "t.Bonn")


@pytest.mark.filterwarnings("ignore::pyhits.errors.PyHiTSWarning")
@pytest.mark.parametrize("channels", [None, ("sst",), ("sst", "ice")])
def test_forecasts_hold_none_at_them(channels):
    recording = sea()["sst"] if channels is None else sea(channels=channels)
    model = quick().fit(recording.isel(time=slice(0, 50)))
    later = model.forecast_from(recording.isel(time=slice(0, 50)), 9)
    assert type(later) is type(recording)
    expected = recording.isel(time=slice(49, 59))
    for name in channels or (None,):
        one, other = (x if name is None else x[name] for x in (later, expected))
        np.testing.assert_allclose(one.values, other.values, atol=1e-6)
        np.testing.assert_array_equal(np.isnan(one.values), np.isnan(other.values))


@pytest.mark.filterwarnings("ignore::pyhits.errors.PyHiTSWarning")
def test_values_that_are_missing_at_times_are_still_refused():
    recording = sea()
    recording["sst"][3, 0, 0] = np.nan
    with pytest.raises(pyhits.errors.DataError, match=r"row 3, column 'x0'"):
        quick().fit(recording)


def test_files_come_back_with_their_land(tmp_path):
    pytest.importorskip("h5netcdf")
    model, path, out = (tmp_path / name for name in ("m.safetensors", "sea.nc", "later.nc"))
    sea().to_netcdf(path, engine="h5netcdf")
    fit = ["fit", path, "-o", model, "--flow-map", "polynomial", "--step-sizes", "1"]
    for command in (
        [*fit, "--n-jobs", "1"],
        ["forecast", model, "--after", path, "--steps", "5", "-o", out],
    ):
        done = CliRunner().invoke(app, [str(part) for part in command])
        assert done.exit_code == 0, done.output
    with xr.open_dataset(out, engine="h5netcdf") as found:
        land = np.isnan(sea()["sst"].values[0])
        assert found.sizes == {"time": 6, "lat": 6, "lon": 8}
        np.testing.assert_array_equal(np.isnan(found["sst"].values[3]), land)
