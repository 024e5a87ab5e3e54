"""Files that cannot be read or written: one plain sentence each, never a stray traceback."""

import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
import scipy.io

from pyhits.data.files import EXTENSIONS, read, write
from pyhits.data.trajectories import Trajectories
from pyhits.errors import (
    ArgumentError,
    DataError,
    FileFormatError,
    MissingExtraError,
    PyHiTSError,
)

h5py = pytest.importorskip("h5py")
pandas = pytest.importorskip("pandas")
xarray = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytest.importorskip("pyarrow")

DATA = Trajectories(np.random.default_rng(0).standard_normal((3, 40, 5)), 0.1)
FIELD = np.arange(12.0).reshape(3, 4)


# Text: file contents, error, message

BAD_TEXT = {
    "only comments": ("# a\n\n# b\n", FileFormatError, "no rows, only comments"),
    "only a header": ("t,x\n", FileFormatError, r"a header \(t,x\) but no rows"),
    "one row": ("t,x\n0,1\n", DataError, "at least 2 rows"),
    "empty field": ("t,x\n0,1\n1,\n2,3\n", DataError, "line 3, column 'x' is empty"),
    "empty time": ("t,x\n0,1\n,2\n2,3\n", DataError, "line 3, column 't' is empty"),
    "empty column": ("1,,2\n3,,4\n", DataError, r"line 1, column 1 \(counted from 0\) is empty"),
    "open end with one value": ("1,2,\n3,4,\n5,6,7\n", DataError, "line 1, column 2 .* is empty"),
    "nan": ("# c\nt,x\n0,1\n1,nan\n", DataError, "finite number in line 4, column 'x', got 'nan'"),
    "NA": ("t,x\n0,1\n1,NA\n", DataError, "number in line 3, column 'x', got 'NA'"),
    "inf": ("0 1\n1 -inf\n", DataError, "line 2, column 1 .* got '-inf'"),
    "huge": ("t,x\n0,1\n1,1e200\n", DataError, "1e\\+200 in trajectory 0, row 1, column 'x'"),
    "word": ("t,x\n0,1\n1,abc\n", DataError, r"line 3, column 'x', got 'abc'\."),
    "word in row 1": ("1,abc\n2,3\n", DataError, "line 1, column 1 .* got 'abc'"),
    "long word": ("t,x\n0,1\n1," + "a" * 99 + "\n", DataError, r"got 'a+\.\.\.'"),
    "underscore": ("t,x\n0,1\n1,1_0\n", DataError, "got '1_0'"),
    "other date": ("date,x\n01/02/2020,1\n02/02/2020,2\n", DataError, "may be 1 February 2020"),
    "missing column": ("t,x\n0,1\n1\n2,3\n", FileFormatError, r"line 3 has 1 columns \(1\)"),
    "extra column": ("1 2\n3 4 5\n", FileFormatError, "line 2 has 3 columns .* first row has 2"),
    "missing at once": ("1,2\n3\n4,5\n", FileFormatError, "line 2 has 1 columns"),
    "extra beside dates": (
        "date,x\n2020-01-01,1\n2020-01-02,2,3\n",
        FileFormatError,
        "line 3 has 3 columns",
    ),
    "short header": ("t,x\n0,1,2\n1,2,3\n", FileFormatError, "names 2 columns, but line 2 has 3"),
    "uneven": ("t,x\n0,1\n1,2\n3,3\n4,4\n", DataError, "rows 1 and 2 of column 't'"),
    "repeated time": ("t,x\n0,1\n0,2\n", DataError, "row 1 of column 't' .* repeats row 0"),
    "mixed dates": ("date,x\n2020-01-01,1\n2020-01-02Z,2\n", DataError, "mix dates, dates with a"),
    "two times": ("t,year,x\n0,1,2\n1,2,3\n", DataError, "look like the time: t, year"),
    "no state": ("run,t\n0,1\n0,2\n", DataError, "No column of the table holds a state"),
    "scattered runs": ("run,x\n0,1\n1,2\n0,3\n", DataError, "trajectory 0.0 begins again in row 2"),
    "short run": ("run,x\n0,1\n0,2\n1,3\n", DataError, r"Trajectory 1 has 1 row\(s\)"),
    "complex": ("0,1+2j\n1,2\n", DataError, r"got '1\+2j'"),
    "quote": ('t,x\n0,"1\n1,2\n', PyHiTSError, "line 2"),
    "late bad byte": (b"# " + b"x" * 70000 + b"\n1 2\n3 \xff\n", PyHiTSError, "data.csv"),
    "half utf-16": ("t,x\n0,1\n1,2\n".encode("utf-16")[:-1], PyHiTSError, "truncated or damaged"),
    "zeros": (b"1,2\n\x00\x00\n", FileFormatError, "an unknown binary file"),
    "pickle": (pickle.dumps([1, 2]), FileFormatError, "never opens pickles"),
    "gzip": (b"\x1f\x8b\x08" + b"1" * 20, FileFormatError, "unpack it first"),
    "image": (b"\x89PNG\r\n\x1a\n", FileFormatError, "a PNG image"),
    "page": ("<html>\n<p>404</p>\n", DataError, "Expected a number in line 2"),
}


@pytest.mark.parametrize("case", BAD_TEXT)
def test_bad_text(tmp_path, case):
    content, error, match = BAD_TEXT[case]
    path = tmp_path / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error, match=match) as caught:
        read(path)
    assert str(path) in str(caught.value)


# Archives of arrays: what they hold, options, error, message

BAD_ARRAYS = {
    "several": ({"u": FIELD, "v": FIELD}, {}, DataError, r"u \(3, 4\), v \(3, 4\).*--variable"),
    "no numbers": ({"names": np.array(["a", "b"])}, {}, DataError, "Expected an array of numbers"),
    "scalars": ({"n": np.array(3)}, {}, DataError, r"found n \("),
    "wrong times": ({"u": FIELD, "t": np.arange(7)}, {}, DataError, "matches no axis of 'u'"),
    "two times": ({"u": FIELD, "t": np.arange(3), "time": np.arange(3)}, {}, DataError, "Several"),
    "uneven times": ({"u": FIELD, "t": np.array([0, 1, 5])}, {}, DataError, "not uniform"),
    "nan": ({"u": np.array([[1.0], [np.nan]])}, {}, DataError, "NaN in trajectory 0, row 1"),
    "complex": ({"u": FIELD * 1j}, {}, DataError, "complex"),
    "step": ({"u": FIELD, "dt": np.array(-1.0)}, {}, DataError, "file's own step is wrong"),
    "variable": ({"usol": FIELD}, {"variable": "usl"}, ArgumentError, "did you mean 'usol'"),
    "time": ({"u": FIELD}, {"time_column": "s"}, ArgumentError, "no array 's' for time_column"),
    "column": ({"u": FIELD}, {"time_column": 9}, ArgumentError, "time_column=9 is no column"),
    "version": ({"pyhits": np.array(9)}, {}, FileFormatError, "format version 9.*--upgrade"),
    "incomplete": ({"pyhits": np.array(1)}, {}, FileFormatError, "holds no 'values'"),
    "two versions": ({"pyhits": np.arange(2)}, {}, FileFormatError, "arrays are damaged"),
    "contradiction": (
        {
            "pyhits": np.array(1),
            "values": FIELD,
            "lengths": np.array([2, 2]),
            "dt": np.array(1.0),
            "start_times": np.zeros(2),
            "feature_names": np.arange(4),
        },
        {},
        FileFormatError,
        r"contradict each other: values \(3, 4\), 4 rows",
    ),
}


@pytest.mark.parametrize("extension", [".npz", ".mat", ".h5"])
@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_archives(tmp_path, case, extension):
    arrays, options, error, match = BAD_ARRAYS[case]
    path = tmp_path / f"data{extension}"
    if extension == ".npz":
        np.savez(path, **arrays)
    elif extension == ".mat":
        scipy.io.savemat(path, arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array.astype(h5py.string_dtype()) if array.dtype.kind == "U" else array
    with pytest.raises(error, match=match) as caught:
        read(path, **options)
    assert str(path) in str(caught.value)


def _beyond_unicode(order: str) -> np.ndarray:
    """Return a text of one character, whose number is none of Unicode."""
    return np.array([0x20202020]).astype(f"{order}u4").view(f"{order}U1")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extension", [".npz", ".npy", ".zarr"])
def test_texts_that_unicode_does_not_have(tmp_path, extension, order):
    path, rows = tmp_path / f"data{extension}", np.zeros((5, 1))
    if extension == ".npz":
        ours = {"pyhits": 1, "lengths": [5], "start_times": [0.0], "dt": 1.0}
        np.savez(path, values=rows, feature_names=_beyond_unicode(order), **ours)
    elif extension == ".npy":
        table = np.zeros(5, [("name", f"{order}U1"), ("x", "f8")])
        table["name"] = _beyond_unicode(order)
        np.save(path, table)
    else:
        group = pytest.importorskip("zarr").create_group(path, zarr_format=2)
        for name, array in (("x", rows), ("place", _beyond_unicode(order))):
            stored = group.create_array(name, data=array)
            stored.attrs["_ARRAY_DIMENSIONS"] = ["time", "place"][-array.ndim :]
    with pytest.raises(FileFormatError, match="characters that Unicode does not have"):
        read(path)


def test_times_of_trajectories_that_differ(tmp_path):
    path = tmp_path / "data.npz"
    steps = np.array([[0, 1, 2], [0, 2, 4]])
    np.savez(path, u=np.zeros((2, 3, 1)), t=steps)
    with pytest.raises(DataError, match="all need one dt"):
        read(path)
    np.savez(path, u=np.zeros((4, 3, 1)), t=np.zeros((4, 3)), clock=steps)
    with pytest.raises(DataError, match=r"'clock' have shape \(2, 3\)"):
        read(path, variable="u", time_column="clock")


def test_pickled_objects_are_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = np.array([Trap(), Trap()], dtype=object)
    np.savez(tmp_path / "data.npz", u=trap)
    np.save(tmp_path / "data.npy", trap)
    with pytest.raises(DataError, match="Python objects"):
        read(tmp_path / "data.npz")
    with pytest.raises(DataError, match="pickled Python objects, which are never opened"):
        read(tmp_path / "data.npy")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("dataset", "options", "error", "match"),
    [
        ({"u": (("time", "x"), FIELD), "v": ("time", FIELD[:, 0])}, {}, DataError, "variable="),
        ({"name": ("time", np.array(["a", "b"]))}, {}, DataError, "a numeric variable"),
        ({"u": (("time", "x"), FIELD)}, {"variable": "v"}, ArgumentError, "no array 'v'"),
        ({"u": (("time", "x"), FIELD)}, {"time_column": 0}, ArgumentError, "needs the name"),
        ({"u": (("time", "x"), FIELD)}, {"time_column": "s"}, ArgumentError, "No dimension 's'"),
        ({"u": (("time", "x"), FIELD * np.nan)}, {}, DataError, "NaN"),
    ],
)
def test_bad_netcdf(tmp_path, dataset, options, error, match):
    xarray.Dataset(dataset).to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
    with pytest.raises(error, match=match):
        read(tmp_path / "data.nc", **options)


def test_incomplete_netcdf_of_ours(tmp_path):
    xarray.Dataset(attrs={"pyhits": 1}).to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
    with pytest.raises(FileFormatError, match="holds no 'values'"):
        read(tmp_path / "data.nc")


def test_bad_parquet(tmp_path):
    path = tmp_path / "data.parquet"
    pandas.DataFrame({"t": [0, 1], "x": ["a", "b"]}).to_parquet(path)
    with pytest.raises(DataError, match="Column 'x' of the table, got 'a' in row 0"):
        read(path)


# Damage: whatever is cut off or overwritten, the error is ours

BINARY = [".npz", ".npy", ".parquet", ".mat", ".h5", ".nc"]


@pytest.mark.parametrize("extension", BINARY)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.95])
def test_truncated_files(tmp_path, extension, kept):
    path = write(DATA, tmp_path / f"data{extension}")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(FileFormatError, match=r"data\.\w+"):
        read(path)


# h5netcdf prints an ignored exception of its own when a damaged file does not open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("extension", BINARY)
def test_overwritten_files_give_our_errors_or_data(tmp_path, extension):
    path = write(DATA, tmp_path / f"data{extension}")
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = content.copy()
        place = int(rng.integers(8, len(content) - 16))
        damaged[place : place + 16] = rng.bytes(16)
        path.write_bytes(damaged)
        try:
            assert isinstance(read(path), Trajectories)
        except PyHiTSError as error:
            assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_empty_files(tmp_path, extension):
    path = tmp_path / f"data{extension}"
    path.touch()
    with pytest.raises(FileFormatError, match=r"is empty \(0 bytes\)"):
        read(path)


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("other", [".npz", ".npy", ".csv", ".parquet", ".mat", ".h5"])
def test_files_of_another_kind(tmp_path, extension, other):
    if {extension, other} <= {".csv", ".tsv", ".txt", ".dat"} or {extension, other} <= {
        ".h5",
        ".hdf5",
    }:
        pytest.skip("the same kind")
    if extension == other or (extension, other) in {(".nc", ".h5"), (".mat", ".h5")}:
        pytest.skip("the same container")
    path = write(DATA, tmp_path / f"data{other}").rename(tmp_path / f"renamed{extension}")
    with pytest.raises(FileFormatError, match=r"Expected .*renamed.* as its extension says, but"):
        read(path)


def test_a_spreadsheet_under_npz(tmp_path):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(DataError, match="Expected an array of numbers, found nothing"):
        read(path)


def test_unknown_bytes_under_mat(tmp_path):
    path = tmp_path / "data.mat"
    path.write_bytes(b"\0" * 300)
    with pytest.raises(PyHiTSError, match=r"data\.mat"):
        read(path)


# Paths


@pytest.mark.parametrize(
    ("path", "error", "match"),
    [
        ("missing.csv", FileFormatError, r"no file missing\.csv in the folder"),
        (".", FileFormatError, "got the folder"),
        (None, ArgumentError, "Expected the path of a file, got None"),
        ("", ArgumentError, "Expected the path of a file, got ''"),
        ("a\0b.csv", ArgumentError, "Expected the path"),
        ("x" * 300 + ".csv", FileFormatError, "x+"),
        (np.zeros(3), ArgumentError, "Expected the path"),
        ("/dev/null", FileFormatError, "a pipe or device"),
    ],
)
def test_bad_paths(path, error, match):
    with pytest.raises(error, match=match):
        read(path)


def test_a_folder_that_is_no_zarr_store_is_named(tmp_path):
    (tmp_path / "data.zarr").mkdir()
    with pytest.raises(FileFormatError, match=r"Expected a Zarr store.*holds none"):
        read(tmp_path / "data.zarr")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("data.cvs", r"unknown extension '\.cvs'; did you mean '\.csv'"),
        ("data.hdf", r"did you mean '\.hdf5'"),
        ("data.xlsx", r"Known: \.npz, \.npy, \.csv"),
        ("data", "has no extension"),
    ],
)
def test_unknown_extensions(tmp_path, name, match):
    path = tmp_path / name
    path.write_text("t,x\n0,1\n1,2\n")
    with pytest.raises(FileFormatError, match=match):
        read(path)
    with pytest.raises(FileFormatError, match=match):
        write(DATA, path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"variable": "x"}, r"variable='x' was given, but .* no named arrays"),
        ({"variable": 3}, "variable to be the name"),
        ({"time_column": 1.5}, "time_column to be a name or a number"),
        ({"time_column": "speed"}, "No column 'speed'"),
        ({"time_column": 7}, "columns of the table are 0 to 1"),
        ({"dt": "fast"}, "dt to be a positive number"),
        ({"dt": 0.3}, r"dt=0\.3 was given.*time_column=\"none\""),
        ({"feature_names": ["a", "b"]}, "Expected 1 feature names"),
    ],
)
def test_bad_options(tmp_path, options, match):
    path = tmp_path / "data.csv"
    path.write_text("t,x\n0,1\n1,2\n")
    with pytest.raises(ArgumentError, match=match):
        read(path, **options)


def test_bad_options_for_one_array(tmp_path):
    path = write(DATA, tmp_path / "data.npy")
    with pytest.raises(ArgumentError, match="has no names"):
        read(path, time_column="t")
    with pytest.raises(ArgumentError, match="time_column=0 is no column"):
        read(path, time_column=0)


def test_bad_targets(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FileFormatError, match="it is a folder"):
        write(DATA, tmp_path / "folder.csv")
    (tmp_path / "file").touch()
    with pytest.raises(FileFormatError, match="Cannot write"):
        write(DATA, tmp_path / "file" / "data.csv")
    with pytest.raises(ArgumentError, match="Expected Trajectories to write, got ndarray"):
        write(FIELD, tmp_path / "data.csv")
    ragged = Trajectories([FIELD, FIELD[:2]])
    with pytest.raises(DataError, match=r"write \.npz instead"):
        write(ragged, tmp_path / "data.npy")
    assert not (tmp_path / "data.npy").exists()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may do anything"
)
def test_files_and_folders_without_permission(tmp_path):
    path = write(DATA, tmp_path / "data.csv")
    path.chmod(0)
    with pytest.raises(FileFormatError, match="Permission denied"):
        read(path)
    tmp_path.chmod(0o500)
    with pytest.raises(FileFormatError, match="Permission denied"):
        write(DATA, tmp_path / "new.csv")
    tmp_path.chmod(0o700)


# Extras that are not installed


@pytest.mark.parametrize(
    ("extension", "module", "message"),
    [
        (".h5", "h5py", r'\.h5 files needs h5py: pip install "pyhits\[hdf5\]"'),
        (".hdf5", "h5py", r'\.hdf5 files needs h5py: pip install "pyhits\[hdf5\]"'),
        (".nc", "xarray", r'\.nc files needs xarray: pip install "pyhits\[netcdf\]"'),
        (".nc", "h5netcdf", r'\.nc files needs h5netcdf: pip install "pyhits\[netcdf\]"'),
        (".parquet", "pyarrow", r'\.parquet files needs pyarrow: pip install "pyhits\[parquet\]"'),
    ],
)
def test_missing_extras_are_named(tmp_path, monkeypatch, extension, module, message):
    path = write(DATA, tmp_path / f"data{extension}")
    for name in [m for m in sys.modules if m == module or m.startswith(f"{module}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=f"Reading {message}"):
        read(path)
    with pytest.raises(MissingExtraError, match=f"Writing {message}"):
        write(DATA, tmp_path / f"other{extension}")


def test_missing_h5py_for_matlab(tmp_path, monkeypatch):
    path = write(DATA, tmp_path / "data.h5").rename(tmp_path / "data.mat")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"Reading MATLAB v7\.3 \.mat files needs h5py"):
        read(path)


def test_common_formats_need_no_extra(tmp_path, monkeypatch):
    for module in ("h5py", "xarray", "h5netcdf", "pyarrow", "pandas"):
        monkeypatch.setitem(sys.modules, module, None)
    for extension in (".npz", ".npy", ".csv", ".tsv", ".txt", ".dat", ".mat"):
        assert read(write(DATA, tmp_path / f"data{extension}")).n_rows == DATA.n_rows


@pytest.mark.parametrize(
    ("changed", "length"),
    [(bytes(64), "0"), (b"\xff" * 64, f"{2**64 - 1}"), (struct.pack("<2Q", 1, 2**16), "65536")],
)
def test_a_heap_without_an_end_is_refused_before_hdf5_reads_it(tmp_path, changed, length):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.random.default_rng(0).random((9, 2))
        file["x"].attrs["units"] = "a text in the heap"
    content = bytearray(path.read_bytes())
    begin = content.find(b"GCOL") + 16
    content[begin : begin + len(changed)] = changed
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=f"an entry of {length} bytes"):
        read(path)
