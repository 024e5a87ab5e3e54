"""Data that are too large to be read: stretches of rows stand for all of them."""

import itertools

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.data.declared_grid import DeclaredGrid
from pyhits.data.sampling import Sampling, as_rows, parts_of_labelled
from pyhits.errors import DataError, FileFormatError

xarray = pytest.importorskip("xarray")
zarr = pytest.importorskip("zarr")
dask = pytest.importorskip("dask.array")

RUNS, TIMES, SHAPE = 4, 300, (6, 8)
FIELD = np.arange(RUNS * TIMES * 48, dtype=np.float32).reshape(RUNS, TIMES, *SHAPE)
AXES = {"y": np.arange(6) * 0.2, "x": np.arange(8) * 0.1}
DATES = np.datetime64("2000-01-01", "ns") + np.arange(TIMES) * np.timedelta64(1, "D")


def labelled():
    dims = ("run", "time", "y", "x")
    return xarray.DataArray(FIELD, coords={"time": DATES, **AXES}, dims=dims, name="u")


def to_h5(path):
    with h5py.File(path, "w") as file:
        for name, array in {"u": FIELD, "t": np.arange(TIMES) * 0.5, **AXES}.items():
            file[name] = array


def to_plain_zarr(path):
    zarr.save_array(path, FIELD)


WRITERS = {
    "a.zarr": lambda path: labelled().to_dataset().to_zarr(path, zarr_format=2),
    "plain.zarr": to_plain_zarr,
    "a.nc": lambda path: labelled().to_netcdf(path, engine="h5netcdf"),
    "a.h5": to_h5,
    "a.npy": lambda path: np.save(path, FIELD),
}


def expect_rows_of_the_field(found):
    """Every piece is rows that follow each other in the run and at the times that it says."""
    first = float(found.start_times.min())
    for piece, start, run in zip(found, found.start_times, found.recordings, strict=True):
        begin = round((start - first) / found.dt)
        rows = FIELD[run, begin : begin + len(piece)]
        np.testing.assert_array_equal(piece, rows.reshape(len(piece), -1))
    assert set(found.recordings) == set(range(RUNS))
    assert found.grid.shape == SHAPE


@pytest.mark.parametrize("name", WRITERS)
def test_stretches_of_large_files_stand_for_them(tmp_path, name):
    WRITERS[name](tmp_path / name)
    said = {"dt": 0.5, "grid": SHAPE} if name in ("a.npy", "plain.zarr") else {}
    with pytest.warns(pyhits.errors.PyHiTSWarning, match="Of 1200 rows .* 48 are read"):
        found = pyhits.read(tmp_path / name, max_bytes=1e5, **said)
    expect_rows_of_the_field(found)
    assert found.values.nbytes <= 0.1 * 1e5
    begins, last = found.split_time(0.2)  # each run is split, whatever its pieces
    assert set(last.initial_states[:, 0] // (TIMES * 48)) == set(range(RUNS))
    assert begins.n_rows > last.n_rows


def test_arrays_of_dask_are_taken_in_stretches():
    few = Sampling(1e5)
    array = dask.from_array(FIELD, chunks=(1, 10, *SHAPE))
    rows = as_rows(array, 0.5, DeclaredGrid.of(SHAPE), few)
    with pytest.warns(pyhits.errors.PyHiTSWarning, match="Of 1200 rows"):
        expect_rows_of_the_field(pyhits.Trajectories(rows, 0.5, grid=SHAPE))
    parts = parts_of_labelled(labelled().copy(data=array), few)
    np.testing.assert_array_equal(parts.items[0].values, FIELD[0, :8])
    assert parts_of_labelled(labelled(), few) is None  # in memory already
    whole = pyhits.Trajectories(array, 0.5, grid=SHAPE)
    assert whole == pyhits.Trajectories(FIELD, 0.5, grid=SHAPE)


def test_stretches_are_spread_over_runs_and_times():
    sampling = Sampling(1e6)
    assert sampling.stretches((4, 300, 48), np.float32) == []
    for shape in [(1, 1000, 1000), (40, 100, 100), (100, 20, 1000), (3, 12, 20_000)]:
        found = sampling.stretches(shape, np.float32)
        rows = sum(end - begin for _, begin, end in found)
        assert rows * shape[2] * 4 <= 1e6
        assert all(0 <= begin < end <= shape[1] for _, begin, end in found)
        together = sorted(found)
        for one, other in itertools.pairwise(together):
            assert other.run > one.run or other.begin >= one.end
        assert len(found) == 1 or (found[0].run, found[-1].run) == (0, shape[0] - 1)
    with pytest.raises(DataError, match="One row takes"):
        sampling.stretches((1, 10, 10**6), np.float32)


@pytest.mark.parametrize(("end", "begin"), [(20, TIMES - 20), (-20, 0)])
def test_ends_of_large_data(end, begin):
    found = Sampling(2e5, end).stretches((RUNS, TIMES, 48), np.float32)
    assert [tuple(one) for one in found] == [(k, begin, begin + 20) for k in range(RUNS)]


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments]).exit_code


def test_forecasts_go_on_from_the_ends_of_large_files(tmp_path):
    rng = np.random.default_rng(0)
    waves = np.sin(np.arange(8) * np.pi / 4 - 0.1 * np.arange(TIMES)[:, None, None])
    field = labelled().copy(data=(rng.random((RUNS, 1, 6, 1)) + 0.5) * waves)
    field.to_dataset().to_zarr(tmp_path / "run.zarr", zarr_format=2)
    model, later = tmp_path / "flow.safetensors", tmp_path / "later.zarr"
    few = ["--max-bytes", "100000", "-q"]
    form = ["--flow-map", "polynomial", "--polynomial-degree", "1", "--step-sizes", "1"]
    assert run("fit", tmp_path / "run.zarr", *form, *few, "-o", model) == 0
    after = ["--after", tmp_path / "run.zarr", "--steps", "3"]
    assert run("forecast", model, *after, *few, "-o", later) == 0
    found = xarray.open_zarr(later)["u"]
    assert found.dims == field.dims
    assert found.sizes["run"] == RUNS
    np.testing.assert_array_equal(found.isel(time=0).values, field.isel(time=-1).values)
    assert found["time"].values[0] == DATES[-1]


def test_arrays_of_h5py_and_zarr_are_fitted_as_they_are(tmp_path):
    values = np.sin(np.arange(20)[:, None, None] * 0.1 + np.arange(48.0).reshape(SHAPE))
    zarr.save_array(tmp_path / "a.zarr", values)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stored = [file.create_dataset("u", data=values), zarr.open(tmp_path / "a.zarr", mode="r")]
        for array in stored:
            model = pyhits.HiTS([1], flow_map="polynomial", polynomial_degree=1, verbose=False)
            model.fit(array, grid=SHAPE, dt=0.1)
            assert model.forecast_from(values, 3).shape == (4, *SHAPE)


def table_of(begin, end):
    """Rows of runs of 100 rows each."""
    rows = np.arange(begin, end)
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(
        {"run": rows // 100, "t": 0.5 * (rows % 100), "x": np.sin(0.1 * rows), "y": 1.0 * rows}
    )


@pytest.fixture
def parquet_folder(tmp_path):
    pytest.importorskip("pyarrow")
    folder = tmp_path / "runs.parquet"
    folder.mkdir()
    for k in range(5):
        part = folder / f"part-{k}.parquet"
        table_of(1030 * k, 1030 * (k + 1)).to_parquet(part, row_group_size=206, index=False)
    return folder


def test_a_folder_of_parquet_files_is_one_table(parquet_folder):
    found = pyhits.read(parquet_folder)
    assert (len(found), found.n_rows, found.dt) == (52, 5150, 0.5)
    assert found.feature_names == ("x", "y")
    np.testing.assert_array_equal(found.values[:, 1], np.arange(5150))


def test_collections_of_arrays_say_what_they_hold(tmp_path, parquet_folder):
    bare = parquet_folder.rename(tmp_path / "bare")
    with pytest.raises(FileFormatError, match=r"Parquet folders end in \.parquet: rename it"):
        pyhits.read(bare)
    np.savez(tmp_path / "a.npz", x=np.zeros((5, 2)), y=np.zeros(3))
    with np.load(tmp_path / "a.npz") as archive, pytest.raises(DataError, match="'x', 'y': give"):
        pyhits.HiTS().fit(archive)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("run/x", data=np.zeros((5, 2)))
        with pytest.raises(DataError, match=r"a Group that holds 'x': .*data\['x'\]"):
            pyhits.HiTS().fit(file["run"])
    with pytest.raises(DataError, match="is closed; fit while it is open"):
        pyhits.HiTS().fit(dataset)


def test_row_groups_of_large_parquet_files_stand_for_them(parquet_folder):
    with pytest.warns(pyhits.errors.PyHiTSWarning, match="Of 5150 rows .* 2 of 25 row groups"):
        found = pyhits.read(parquet_folder, max_bytes=1.5e5)
    assert found.dt == 0.5
    for piece, start in zip(found, found.start_times, strict=True):
        rows = piece[:, 1]
        np.testing.assert_array_equal(np.diff(rows), 1.0)
        assert start == 0.5 * (rows[0] % 100)
    assert 400 <= found.n_rows <= 468
    assert found.values[:, 1].min() < 206
    assert found.values[:, 1].max() > 4900
    with pytest.warns(pyhits.errors.PyHiTSWarning, match="read, from 1 of 25"):
        few = pyhits.read(parquet_folder, max_bytes=1e4)
    assert few.n_rows == 31
