"""Files: what is written comes back, and foreign archives are understood."""

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyhits.data.files import EXTENSIONS, read, write
from pyhits.data.files.media import FILMS, SOUNDS
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError, FileFormatError, PyHiTSWarning

h5py = pytest.importorskip("h5py")
pandas = pytest.importorskip("pandas")
xarray = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytest.importorskip("pyarrow")

TEXT = (".csv", ".tsv", ".txt", ".dat")
EXACT = tuple(e for e in EXTENSIONS if e not in (*TEXT, ".npy", *SOUNDS, *FILMS))


def make(lengths, n_features=2, dtype=np.float64, seed=0, **options):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((n, n_features)).astype(dtype) for n in lengths]
    return Trajectories(arrays, **{"dt": 0.01, **options})


CASES = {
    "one": make([5]),
    "one feature": make([5], 1),
    "even": make([4, 4, 4], 3, start_times=[0, 1.5, 3]),
    "ragged": make([3, 2, 7], 2, feature_names=["a b", "c, [é] \u00b5"]),
    "even, two rows": make([2, 2], 2),
    "float32": make([3, 5], 2, np.float32),
    "odd step": make([3, 5], 2, dt=1 / 3, start_times=[-2, 1e3]),
    "extreme": Trajectories([[1e-300, -0.0], [1.1, np.pi * 1e100], [5e-324, 1 / 3]], 1e-9),
}


# Round trips


@pytest.mark.parametrize("extension", EXACT)
@pytest.mark.parametrize("case", CASES)
def test_what_is_written_comes_back_equal(tmp_path, case, extension):
    path = tmp_path / f"data{extension}"
    assert write(CASES[case], path) == path
    assert read(path) == CASES[case]


@pytest.mark.parametrize("extension", TEXT)
@pytest.mark.parametrize("case", CASES)
def test_text_keeps_every_bit_of_the_values(tmp_path, case, extension):
    written = CASES[case]
    back = read(write(written, tmp_path / f"data{extension}"))
    np.testing.assert_array_equal(back.values, written.values)
    assert back.values.dtype == np.float64
    assert back.lengths.tolist() == written.lengths.tolist()
    assert back.start_times.tolist() == written.start_times.tolist()
    assert back.feature_names == written.feature_names
    assert back.dt == pytest.approx(written.dt, rel=1e-9)


@pytest.mark.parametrize("case", ["one", "one feature", "even"])
def test_npy_holds_the_values_alone(tmp_path, case):
    path = write(CASES[case], tmp_path / "data.npy")
    np.testing.assert_array_equal(read(path, dt=0.5).to_array(), CASES[case].to_array())
    assert read(path, dt=0.5).dt == 0.5


values = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100)
names = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1)


@pytest.mark.parametrize("extension", [".npz", ".csv", ".mat", ".h5", ".nc", ".parquet"])
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_trajectories_come_back(tmp_path, extension, data):
    lengths = data.draw(st.lists(st.integers(2, 5), min_size=1, max_size=3))
    n = data.draw(st.integers(1, 3))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    rows = st.lists(st.lists(values, min_size=n, max_size=n), min_size=5, max_size=5)
    arrays = [np.array(data.draw(rows))[:k].astype(np.float64) for k in lengths]
    if dtype == np.float32:
        arrays = [np.clip(a, -1e30, 1e30).astype(dtype) for a in arrays]
    labels = [f"x{name}" for name in data.draw(st.lists(names, min_size=n, max_size=n))]
    labels = [f"{label}{k}" for k, label in enumerate(labels)]
    written = Trajectories(
        arrays, data.draw(st.sampled_from([0.01, 1.0, 250.0])), feature_names=labels
    )
    back = read(write(written, tmp_path / f"data{extension}"))
    np.testing.assert_array_equal(back.values, written.values)
    assert back.feature_names == written.feature_names
    assert back.lengths.tolist() == written.lengths.tolist()
    assert back.dt == written.dt
    assert extension == ".csv" or back == written


def test_a_file_of_dt_given_again_must_agree(tmp_path):
    path = write(CASES["even"], tmp_path / "data.npz")
    assert read(path, dt=0.01).dt == 0.01


def test_feature_names_can_be_replaced(tmp_path):
    path = write(CASES["one"], tmp_path / "data.h5")
    assert read(path, feature_names=["u", "v"]).feature_names == ("u", "v")


# Writing


def test_a_missing_folder_is_made_and_nothing_else_is_left(tmp_path):
    path = write(CASES["one"], tmp_path / "new" / "data.csv")
    assert [p.name for p in path.parent.iterdir()] == ["data.csv"]


def test_text_and_path_and_capitals(tmp_path):
    path = write(CASES["even"], str(tmp_path / "DATA.NPZ"))
    assert read(str(path)) == CASES["even"]
    upper = write(CASES["one"], tmp_path / "DATA.CSV")
    assert "," in upper.read_text()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(CASES["one"], tmp_path / "data.npz")

    def fail(stream, **arrays):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match=r"Cannot write .*No space left on device"):
        write(CASES["even"], path)
    assert read(path) == CASES["one"]
    assert [p.name for p in tmp_path.iterdir()] == ["data.npz"]


def test_written_tables_are_plain_for_other_programs(tmp_path):
    written = CASES["ragged"]
    frame = pandas.read_csv(write(written, tmp_path / "data.csv"))
    assert list(frame.columns) == ["trajectory", "t", *written.feature_names]
    np.testing.assert_allclose(frame.iloc[:, 2:].to_numpy(), written.values, rtol=1e-14)
    parquet = pandas.read_parquet(write(written, tmp_path / "data.parquet"))
    assert list(parquet.columns) == list(frame.columns)


def test_written_netcdf_is_labelled(tmp_path):
    path = write(CASES["even"], tmp_path / "data.nc")
    with xarray.open_dataset(path, engine="h5netcdf") as dataset:
        assert dataset["values"].dims == ("trajectory", "time", "feature")
        assert dataset["feature"].values.tolist() == ["x0", "x1", "x2"]


# Foreign archives: one choice of variable, time and orientation for all of them


def save_npz(path, **arrays):
    np.savez(path, **arrays)


def save_mat(path, **arrays):
    scipy.io.savemat(path, arrays)


def save_mat73(path, **arrays):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = np.atleast_2d(array).T
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")


def save_h5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[f"run/{name}"] = array


ARCHIVES = pytest.mark.parametrize(
    ("extension", "save"),
    [(".npz", save_npz), (".mat", save_mat), (".mat", save_mat73), (".h5", save_h5)],
)
FIELD = np.arange(15.0).reshape(3, 5) ** 2


@ARCHIVES
def test_times_turn_the_data_and_grids_are_left_out(tmp_path, extension, save):
    path = tmp_path / f"data{extension}"
    save(path, usol=FIELD, t=np.arange(5) * 0.4 + 2, x=np.linspace(0, 1, 3))
    data = read(path)
    np.testing.assert_array_equal(data.to_array()[0], FIELD.T)
    assert data.dt == pytest.approx(0.4)
    assert data.start_times.tolist() == [2]


@ARCHIVES
def test_vectors_as_long_as_the_times_are_features(tmp_path, extension, save):
    path = tmp_path / f"data{extension}"
    t = 2 + 0.4 * np.arange(20)
    save(path, t=t, u=np.sin(t), v=np.cos(t))
    data = read(path)
    assert data.feature_names == ("u", "v")
    np.testing.assert_array_equal(data.values, np.column_stack([np.sin(t), np.cos(t)]))
    assert (data.dt, data.start_times.tolist()) == (pytest.approx(0.4), [2])
    assert read(path, columns=["v"]).feature_names == ("v",)
    save(path, t=t, u=np.sin(t), v=np.cos(t[:7]))
    with pytest.raises(DataError, match=r"Several arrays could be the data: .*v \(7,\)"):
        read(path)


def test_groups_that_differ_by_a_number_are_trajectories(tmp_path):
    path, t = tmp_path / "runs.h5", 0.1 * np.arange(30)
    with h5py.File(path, "w") as file:
        for k, n in enumerate([30, 20, 25]):
            file[f"run_{k}/time"], file[f"run_{k}/x"] = t[:n] + k, np.sin(t[:n] + k)
    with pytest.warns(PyHiTSWarning, match="3 groups such as 'run_0' hold the same arrays"):
        data = read(path)
    assert (data.lengths.tolist(), data.start_times.tolist()) == ([30, 20, 25], [0, 1, 2])
    assert data.n_features == 1
    assert read(path, variable="run_1/x").n_rows == 20
    with h5py.File(path, "a") as file:
        file.move("run_2", "test_2")
    with pytest.raises(DataError, match="Several arrays look like the time"):
        read(path)


@ARCHIVES
def test_times_as_long_as_the_first_axis_leave_the_data(tmp_path, extension, save):
    path = tmp_path / f"data{extension}"
    save(path, u=FIELD[:, :3], time=np.arange(3) * 0.5)
    np.testing.assert_array_equal(read(path).to_array()[0], FIELD[:, :3])


@ARCHIVES
def test_a_scalar_step_counts_where_there_are_no_times(tmp_path, extension, save):
    path = tmp_path / f"data{extension}"
    save(path, u=FIELD, dt=0.25)
    assert read(path).dt == 0.25
    save(path, u=FIELD, dt=0.25, t=np.arange(3))
    assert read(path).dt == 1


@ARCHIVES
def test_one_vector_is_one_feature(tmp_path, extension, save):
    path = tmp_path / f"data{extension}"
    save(path, u=np.arange(6.0), t=np.arange(6) * 0.5)
    data = read(path)
    assert data.to_array().shape == (1, 6, 1)
    assert data.dt == 0.5


@ARCHIVES
def test_trajectories_share_times_or_have_their_own(tmp_path, extension, save):
    path = tmp_path / f"data{extension}"
    values = np.arange(24.0).reshape(2, 4, 3)
    save(path, X=values, t=np.arange(4) * 0.5)
    np.testing.assert_array_equal(read(path).to_array(), values)
    assert read(path).dt == 0.5
    save(path, X=values, t=np.arange(4) * 0.5 + np.array([[0], [10]]))
    assert read(path).start_times.tolist() == [0, 10]
    assert read(path).dt == 0.5


@ARCHIVES
def test_snapshots_are_flattened_along_the_time(tmp_path, extension, save):
    path = tmp_path / f"data{extension}"
    field = np.arange(60.0).reshape(5, 3, 4)
    save(path, T=field, time=np.arange(5))
    np.testing.assert_array_equal(read(path).to_array()[0], field.reshape(5, 12))
    save(path, T=np.moveaxis(field, 0, 2), time=np.arange(5))
    np.testing.assert_array_equal(read(path).to_array()[0], field.reshape(5, 12))


@ARCHIVES
def test_variable_and_times_can_be_named(tmp_path, extension, save):
    path = tmp_path / f"data{extension}"
    prefix = "run/" if extension == ".h5" else ""
    save(path, u=FIELD, v=2 * FIELD, clock=np.arange(5) * 0.1, t=np.arange(5))
    data = read(path, variable=f"{prefix}v", time_column=f"{prefix}clock")
    np.testing.assert_array_equal(data.to_array()[0], 2 * FIELD.T)
    assert data.dt == pytest.approx(0.1)
    without = read(path, variable=f"{prefix}u", time_column="none", dt=3)
    np.testing.assert_array_equal(without.to_array()[0], FIELD)
    assert without.dt == 3


@ARCHIVES
def test_a_column_of_the_data_can_be_the_time(tmp_path, extension, save):
    path = tmp_path / f"data{extension}"
    save(path, u=np.column_stack([np.ones(4), np.arange(4) * 0.5, np.zeros(4)]))
    data = read(path, time_column=1)
    assert data.dt == 0.5
    assert data.to_array()[0].tolist() == [[1, 0]] * 4


def test_dates_in_an_npz_file(tmp_path):
    days = np.datetime64("2020-01-01") + np.arange(5)
    np.savez(tmp_path / "data.npz", u=FIELD, t=days)
    assert read(tmp_path / "data.npz").dt == 86400


def test_older_matlab_files(tmp_path):
    scipy.io.savemat(tmp_path / "data.mat", {"u": FIELD, "t": np.arange(5.0)}, format="4")
    np.testing.assert_array_equal(read(tmp_path / "data.mat").to_array()[0], FIELD.T)


def test_a_netcdf_file_under_hdf5_s_extension(tmp_path):
    path = tmp_path / "data.nc"
    dataset = xarray.Dataset({"u": (("time", "x"), FIELD)}, {"time": np.arange(3) * 0.5})
    dataset.to_netcdf(path, engine="h5netcdf")
    data = read(path.rename(tmp_path / "data.h5"))
    assert data.dt == 0.5
    assert data.n_features == 5


# NetCDF


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_netcdf_dimensions_are_known_by_name(tmp_path, engine):
    dataset = xarray.Dataset(
        {
            "t2m": (("lat", "lon", "time"), np.arange(24.0).reshape(2, 3, 4)),
            "lat_bounds": (("lat", "side"), np.zeros((2, 2))),
        },
        {"time": pandas.date_range("2019-03-01", periods=4, freq="h")},
    )
    dataset.to_netcdf(tmp_path / "data.nc", engine=engine)
    data = read(tmp_path / "data.nc")
    np.testing.assert_array_equal(data.to_array()[0], np.arange(24.0).reshape(6, 4).T)
    assert data.dt == 3600
    assert data.dtype.isnative


def test_netcdf_variables_of_the_same_dimensions_are_features(tmp_path):
    dataset = xarray.Dataset(
        {name: ("t", np.arange(3.0) * k) for k, name in enumerate("xyz")}, {"t": [0, 0.5, 1]}
    )
    dataset.to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
    data = read(tmp_path / "data.nc")
    assert data.feature_names == ("x", "y", "z")
    assert data.dt == 0.5
    assert read(tmp_path / "data.nc", variable="y").feature_names == ("y",)
    assert read(tmp_path / "data.nc", time_column="none", dt=7).dt == 7


def test_netcdf_times_can_be_named(tmp_path):
    dataset = xarray.Dataset({"u": (("x", "beat"), FIELD)}, {"beat": np.arange(5) * 0.5})
    dataset.to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
    assert read(tmp_path / "data.nc").lengths.tolist() == [3]
    data = read(tmp_path / "data.nc", time_column="beat")
    assert data.lengths.tolist() == [5]
    assert data.dt == 0.5


def test_netcdf_times_of_a_calendar_without_dates(tmp_path):
    time = ("time", np.arange(3.0), {"units": "months since 2000-01-15", "calendar": "360_day"})
    dataset = xarray.Dataset({"u": (("time", "x"), FIELD)}, {"time": time})
    dataset.to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
    assert read(tmp_path / "data.nc").dt == 1


def test_durations_in_netcdf_stay_numbers(tmp_path):
    dataset = xarray.Dataset({"age": (("time", "x"), FIELD, {"units": "days"})})
    dataset.to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
    np.testing.assert_array_equal(read(tmp_path / "data.nc").to_array()[0], FIELD)


# Parquet


def test_parquet_columns_and_index(tmp_path):
    index = pandas.date_range("2020", periods=3, freq="D")
    pandas.DataFrame({"x": [1.0, 2, 4]}, index=index).to_parquet(tmp_path / "data.parquet")
    assert read(tmp_path / "data.parquet").dt == 86400
    frame = pandas.DataFrame({"k": [0, 0.5, 1], "x": [1.0, 2, 4]})
    frame.to_parquet(tmp_path / "data.parquet")
    assert read(tmp_path / "data.parquet").n_features == 2
    assert read(tmp_path / "data.parquet", time_column="k").dt == 0.5


def test_what_pandas_reads_is_pointed_to_it(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(FileFormatError, match=r"fit takes pandas.read_excel\('a.xlsx'\)"):
        read(tmp_path / "a.xlsx")
