"""The step that stands beside arrays: dt, sampling rates, and what may be meant for one."""

import numpy as np
import pytest

import pyhits
from pyhits.errors import ArgumentError, DataError, PyHiTSWarning

X = np.random.default_rng(0).standard_normal((50, 2))


def npz(path, **beside):
    np.savez(path, x=X, **beside)


def mat(path, **beside):
    from scipy.io import savemat

    savemat(path, {"x": X, **beside})


def h5(path, **beside):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, value in {"x": X, **beside}.items():
            file[name] = value


def attributes(path, **beside):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["x"] = X
        file["x"].attrs.update(beside)


def root(path, **beside):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["run/x"] = X
        file.attrs.update(beside)


def nc(path, **beside):
    xr = pytest.importorskip("xarray")
    data = {"x": (("row", "place"), X), **{k: ((), v) for k, v in beside.items()}}
    xr.Dataset(data).to_netcdf(path, engine="h5netcdf")


WAYS = [(npz, ".npz"), (mat, ".mat"), (h5, ".h5"), (attributes, ".h5"), (root, ".h5"), (nc, ".nc")]


@pytest.mark.parametrize(("write", "extension"), WAYS)
@pytest.mark.parametrize(
    ("beside", "dt"),
    [
        ({"Fs": 1000.0}, 1e-3),
        ({"sampling_rate": 50}, 0.02),
        ({"dt": 0.25}, 0.25),
        ({"dt": 0.25, "fs": 4}, 0.25),
    ],
)
def test_steps_and_rates_are_read(tmp_path, write, extension, beside, dt):
    path = tmp_path / f"a{extension}"
    write(path, **beside)
    data = pyhits.read(path)
    assert (data.n_rows, data.n_features, data.dt) == (50, 2, dt)
    assert pyhits.repair(path).trajectories.dt == dt
    assert not pyhits.read(path, time_column="none").dt_known


@pytest.mark.parametrize(("write", "extension"), [(npz, ".npz"), (mat, ".mat"), (h5, ".h5")])
def test_a_step_may_be_a_text_or_there_several_times(tmp_path, write, extension):
    path = tmp_path / f"a{extension}"
    write(path, dt="0.1")
    assert pyhits.read(path).dt == 0.1
    write(path, dt=np.full(3, 0.1))
    assert pyhits.read(path).dt == 0.1


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"dt": np.array([0.1, 0.2])}, r"'dt' is \[0.1, 0.2\], which is no one step"),
        ({"dt": "a tenth"}, "'dt' is 'a tenth', which is no one step"),
        ({"rate": 20.0}, r"'rate' is 20, and not used.* dt=0.05 \(--dt 0.05\)"),
        ({"freq": 20.0}, "'freq' is 20, and not used"),
        ({"t": np.array([0.0, 4.9])}, "2 numbers, 0 and 4.9, which are no times.* dt=0.1 says so"),
        ({"fs": 10.0, "dt": 0.5}, "'fs' is 10, where the step is 0.5"),
    ],
)
@pytest.mark.parametrize(("write", "extension"), [(npz, ".npz"), (h5, ".h5")])
def test_what_is_no_step_is_pointed_out_and_not_read_sideways(
    tmp_path, write, extension, beside, said
):
    path = tmp_path / f"a{extension}"
    write(path, **beside)
    with pytest.warns(PyHiTSWarning, match=said):
        data = pyhits.read(path)
    assert (data.n_rows, data.n_features) == (50, 2)


def test_the_users_step_goes_before_a_rate_in_another_unit(tmp_path):
    npz(tmp_path / "a.npz", fs=1000.0)
    assert pyhits.read(tmp_path / "a.npz", dt=1.0).dt == 1.0
    npz(tmp_path / "a.npz", dt=0.1)
    with pytest.raises(ArgumentError, match="dt=1 was given"):
        pyhits.read(tmp_path / "a.npz", dt=1.0)


def test_a_step_that_is_none_is_an_error(tmp_path):
    npz(tmp_path / "a.npz", dt=-0.1)
    with pytest.raises(DataError, match="own step is wrong: 'dt' is"):
        pyhits.read(tmp_path / "a.npz")


def test_times_go_before_steps(tmp_path):
    npz(tmp_path / "a.npz", t=np.arange(50) * 2.0, fs=1000.0)
    assert pyhits.read(tmp_path / "a.npz").dt == 2.0


def test_times_are_named_without_their_group(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["run/x"], file["run/clock"] = X, np.arange(50) * 0.5
    assert pyhits.read(tmp_path / "a.h5", time_column="clock").dt == 0.5


def test_our_own_files_keep_their_times_or_leave_them_aside(tmp_path):
    pyhits.write(pyhits.Trajectories(X, 0.1), tmp_path / "a.npz")
    assert pyhits.read(tmp_path / "a.npz", time_column="none", dt=3.0).dt == 3.0
    with pytest.raises(ArgumentError, match="with its own times"):
        pyhits.read(tmp_path / "a.npz", time_column="x0")


def test_cells_of_dates_are_times(tmp_path):
    from scipy.io import savemat

    days = np.datetime_as_string(np.datetime64("2024-01-01") + np.arange(50))
    cell = np.empty((50, 1), dtype=object)
    cell[:, 0] = days
    savemat(tmp_path / "a.mat", {"x": X, "date": cell})
    assert pyhits.read(tmp_path / "a.mat").span() == ("2024-01-01", "2024-02-19")


def test_dates_in_a_variable_of_netcdf_are_times(tmp_path):
    xr = pytest.importorskip("xarray")
    days = np.datetime_as_string(np.datetime64("2024-01-01") + np.arange(50))
    data = {"x": (("row", "place"), X), "date": ("row", days.astype(object))}
    xr.Dataset(data).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert pyhits.read(tmp_path / "a.nc").span() == ("2024-01-01", "2024-02-19")


def test_external_links_beside_data_are_mentioned(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = X
        file["y"] = h5py.ExternalLink("other.h5", "/y")
    with pytest.warns(PyHiTSWarning, match="not followed: 'y' to '/y' in another file, 'other.h5'"):
        assert pyhits.read(tmp_path / "a.h5").n_features == 2


def test_groups_of_hdf5_say_the_step_of_what_they_hold(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["dt"] = 5.0
        group = file.create_group("experiment/cold")
        file["experiment"].attrs["dt"], group.attrs["dt"] = 2.0, 0.25
        file["other"] = "text"
        group["u"] = np.random.default_rng(0).random((20, 2))
        file["experiment/warm"] = group["u"][()]
    for variable, dt in (("experiment/cold/u", 0.25), ("experiment/warm", 2.0)):
        assert pyhits.read(tmp_path / "a.h5", variable=variable).dt == dt
