"""MATLAB files: structs, cells, objects, v7.3, and damage that ends other readers."""

import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

import pyhits
from pyhits.data.files import mat5, read, write
from pyhits.errors import DataError, FileFormatError, PyHiTSError, PyHiTSWarning

h5py = pytest.importorskip("h5py")

T = 0.1 * np.arange(40)
X = np.column_stack([np.sin(T), np.cos(T), T])
SHORT = (T[:25] + 1, X[:25])


def saved(path, variables, **options):
    scipy.io.savemat(path, variables, **options)
    return path


def cell(*values):
    found = np.empty((1, len(values)), dtype=object)
    found[0, :] = [*values]
    return found


def struct_array(**fields):
    n = len(next(iter(fields.values())))
    found = np.zeros((1, n), dtype=[(name, object) for name in fields])
    for name, values in fields.items():
        for k in range(n):
            found[0, k][name] = values[k]
    return found


# Structs and cells

STRUCTS = {
    "a struct": {"run": {"t": T, "x": X}},
    "columns as rows": {"run": {"t": T, "x": X.T}},
    "nested": {"run": {"clock": {"time": T}, "states": {"x": X, "names": "a"}}},
    "Simulink's structure with time": {"out": {"time": T, "signals": {"values": X, "label": "x"}}},
    "times in a struct": {"x": X, "meta": {"t": T, "gain": np.ones((2, 7))}},
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", STRUCTS)
def test_structs_with_a_time(tmp_path, case, packed):
    found = read(saved(tmp_path / "a.mat", STRUCTS[case], do_compression=packed))
    assert found.dt == pytest.approx(0.1)
    np.testing.assert_array_equal(found.values, X)


def test_fields_are_chosen_as_matlab_writes_them(tmp_path):
    runs = {"a": {"t": T, "x": X}, "b": {"t": 2 * T, "x": X + 1}}
    path = saved(tmp_path / "a.mat", runs)
    with pytest.raises(DataError, match="Several arrays look like the time: a/t"):
        read(path)
    for name in ("b.x", "b/x"):
        found = read(path, variable=name)
        assert found.dt == pytest.approx(0.2)
        np.testing.assert_array_equal(found.values, X + 1)


LISTS = {
    "cells": {"x": cell(X, SHORT[1]), "t": cell(T, SHORT[0])},
    "a struct array": {"run": struct_array(t=[T, SHORT[0]], x=[X, SHORT[1]], who=["me", "you"])},
    "columns as rows": {"x": cell(X.T, SHORT[1].T), "t": cell(T, SHORT[0])},
    "cells in a struct": {"run": {"x": cell(X, SHORT[1]), "t": cell(T, SHORT[0])}},
    "structs in cells": {"run": cell({"t": T, "x": X}, {"t": SHORT[0], "x": SHORT[1]})},
}


@pytest.mark.parametrize("case", LISTS)
def test_each_element_of_a_list_is_a_trajectory(tmp_path, case):
    found = read(saved(tmp_path / "a.mat", LISTS[case]))
    assert found.lengths.tolist() == [40, 25]
    assert found.dt == pytest.approx(0.1)
    np.testing.assert_allclose(found.start_times, [0, 1])
    np.testing.assert_array_equal(found[1], SHORT[1])


def test_lists_without_times_or_with_common_ones(tmp_path):
    found = read(saved(tmp_path / "a.mat", {"x": cell(X, SHORT[1]), "dt": 0.5}))
    assert (found.dt, found.lengths.tolist()) == (0.5, [40, 25])
    found = read(saved(tmp_path / "a.mat", {"x": cell(X, X + 1), "t": T}))
    assert found.dt == pytest.approx(0.1)
    assert len(found) == 2


def test_lists_that_do_not_fit_are_named(tmp_path):
    path = saved(tmp_path / "a.mat", {"x": cell(X, X), "t": cell(T, T[:9])})
    with pytest.raises(DataError, match=r"Element 1 of 'x' has the shape \(40, 3\).* 9 times 't'"):
        read(path)
    path = saved(tmp_path / "a.mat", {"x": cell(X, X), "y": cell(X, X)})
    with pytest.raises(DataError, match=r"Several lists .* x, y.*--variable"):
        read(path)
    assert len(read(path, variable="y")) == 2


# The format itself


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def flags(kind):
    return element(6, struct.pack("<II", kind, 0))


def mat(*elements):
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"".join(elements)


def instance(name, kind):
    inner = flags(17) + element(1, name) + element(1, b"MCOS") + element(1, kind)
    return element(14, inner)


NUMBERS = element(
    14,
    flags(6) + element(5, struct.pack("<ii", 40, 3)) + element(1, b"x") + element(9, X.T.tobytes()),
)


@pytest.mark.parametrize("kind", ["datetime", "duration", "timeseries", "timetable", "myclass"])
def test_objects_are_named(tmp_path, kind):
    path = tmp_path / "a.mat"
    path.write_bytes(mat(instance(b"t", kind.encode())))
    with pytest.raises(DataError, match=f"'t' is a MATLAB {kind} object, which only MATLAB can"):
        read(path)


def test_dates_that_cannot_be_read_are_said(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(mat(instance(b"t", b"datetime"), NUMBERS))
    with pytest.warns(PyHiTSWarning, match=r"posixtime.*Without it the rows have no times"):
        np.testing.assert_array_equal(read(path).values, X)
    with pytest.raises(DataError, match="'t' is a MATLAB datetime object"):
        read(path, time_column="t")
    assert read(path, time_column="none").n_rows == 40


@pytest.mark.parametrize("packed", [False, True])
def test_values_of_every_class_equal_those_of_scipy(tmp_path, packed):
    variables = {
        "complex": X + 2j,
        "logical": X > 0,
        "short": np.arange(-4, 8, dtype="i2").reshape(3, 4),
        "single": X.astype("f4"),
        "cube": np.arange(24.0).reshape(2, 3, 4),
        "empty": np.zeros((0, 3)),
        "text": "h\u00e4\u00df",
        "sparse": scipy.sparse.csc_array(np.diag([1.0, 0, 2])),
        "inner": cell(X, "a", cell(1.0)),
    }
    path = saved(tmp_path / "a.mat", variables, do_compression=packed)
    known = {v.name: v for v in mat5.variables(path)}
    assert list(known) == list(variables)
    for name in ("complex", "short", "single", "cube", "empty"):
        np.testing.assert_array_equal(known[name].load(), variables[name])
        assert known[name].shape == variables[name].shape
        assert known[name].dtype == known[name].load().dtype == variables[name].dtype
    np.testing.assert_array_equal(known["sparse"].load(), variables["sparse"].toarray())
    np.testing.assert_array_equal(known["logical"].load(), variables["logical"])
    assert known["text"].load().tolist() == ["h\u00e4\u00df"]
    assert known["inner"].load()[2][0].tolist() == [[1]]


def test_files_of_matlab_itself_equal_those_of_scipy(tmp_path):
    folder = os.path.join(os.path.dirname(scipy.io.__file__), "matlab", "tests", "data")  # noqa: PTH118, PTH120
    names = ["testmatrix_7.4_GLNX86", "test3dmatrix_6.1_SOL2", "testcomplex_6.5.1_GLNX86"]
    if not all(os.path.exists(f"{folder}/{name}.mat") for name in names):  # noqa: PTH110
        pytest.skip("this SciPy comes without its test data")
    for name in names:
        path = tmp_path / "a.mat"
        with open(f"{folder}/{name}.mat", "rb") as stream:  # noqa: PTH123
            path.write_bytes(stream.read())
        (found,) = mat5.variables(path)
        np.testing.assert_array_equal(found.load(), scipy.io.loadmat(path)[found.name])


BAD = {
    "unknown kind of numbers": element(
        14, flags(6) + element(5, b"\2\0\0\0\2\0\0\0") + element(1, b"x") + element(99, b"\0" * 32)
    ),
    "too few numbers": element(
        14, flags(6) + element(5, b"\2\0\0\0\2\0\0\0") + element(1, b"x") + element(9, b"\0" * 8)
    ),
    "negative shape": element(14, flags(6) + element(5, b"\xff" * 8) + element(1, b"x")),
    "many cells": element(
        14, flags(1) + element(5, struct.pack("<ii", 2**30, 2**30)) + element(1, b"x")
    ),
    "many empty structs": element(
        14,
        flags(2)
        + element(5, struct.pack("<ii", 2**30, 2**30))
        + element(1, b"x")
        + element(5, struct.pack("<i", 32))
        + element(1, b""),
    ),
    "no flags": element(14, b""),
    "too long": struct.pack("<II", 14, 2**31) + b"\0" * 64,
    "a bomb": element(15, zlib.compress(struct.pack("<II", 14, 2**31) + bytes(100))),
    "another element": element(77, b"\0" * 64),
}


@pytest.mark.parametrize("case", BAD)
def test_damaged_elements(tmp_path, case):
    path = tmp_path / "a.mat"
    path.write_bytes(mat(BAD[case]))
    with pytest.raises(FileFormatError, match=r"a\.mat cannot be read as a MATLAB .mat file"):
        read(path)


def test_no_changed_byte_ends_the_process(tmp_path):
    """SciPy's reader crashes on some of these; a process of its own shows whether this one does."""
    path = saved(tmp_path / "a.mat", {"run": {"t": T, "x": X}, "c": cell(X[:3], "text")})
    program = (
        "import random, sys\nfrom pathlib import Path\nimport pyhits\n"
        "from pyhits.errors import PyHiTSError\n"
        "path = Path(sys.argv[1])\ncontent = path.read_bytes()\nrng = random.Random(0)\n"
        "for _ in range(300):\n"
        "    changed = bytearray(content)\n"
        "    for _ in range(rng.choice((1, 2, 8))):\n"
        "        changed[rng.randrange(128, len(changed))] = rng.choice((0, 1, 128, 255))\n"
        "    path.write_bytes(changed)\n"
        "    try:\n        pyhits.read(path)\n    except PyHiTSError:\n        pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(path)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]


# v7.3


def v73(path, make):
    with h5py.File(path, "w", userblock_size=512) as file:
        make(file)
    content = path.read_bytes()
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    path.write_bytes(head + content[128:])
    return path


def put(group, name, array, kind="double"):
    group[name] = np.atleast_2d(array).T if np.ndim(array) > 1 else np.reshape(array, (-1, 1))
    group[name].attrs["MATLAB_class"] = np.bytes_(kind)
    return group[name]


def put_list(file, group, name, arrays, kind):
    store = file.require_group("#refs#")
    parts = [put(store, f"{group.name}{name}{k}".replace("/", ""), a) for k, a in enumerate(arrays)]
    links = group.create_dataset(name, (1, len(parts)), h5py.ref_dtype)
    links[0] = [part.ref for part in parts]
    if kind:
        links.attrs["MATLAB_class"] = np.bytes_(kind)


def test_structs_of_v73(tmp_path):
    def make(file):
        group = file.create_group("run")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        put(group, "t", T)
        put(group, "x", X)

    found = read(v73(tmp_path / "a.mat", make))
    assert found.dt == pytest.approx(0.1)
    np.testing.assert_array_equal(found.values, X)


@pytest.mark.parametrize("kind", ["cell", ""])
def test_lists_of_v73(tmp_path, kind):
    """Those of cells say what they are, those of struct arrays say nothing."""

    def make(file):
        group = file.create_group("run")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        put_list(file, group, "t", [T, SHORT[0]], kind)
        put_list(file, group, "x", [X, SHORT[1]], kind)

    found = read(v73(tmp_path / "a.mat", make))
    assert found.lengths.tolist() == [40, 25]
    np.testing.assert_array_equal(found[1], SHORT[1])


def test_other_values_of_v73(tmp_path):
    def make(file):
        pairs = np.zeros((3, 40), [("real", "f8"), ("imag", "f8")])
        pairs["real"] = X.T
        file["x"] = pairs
        file["x"].attrs["MATLAB_class"] = np.bytes_("double")
        put(file, "flags", X > 0, "logical")
        put(file, "day", np.zeros(6, "u4"), "datetime").attrs["MATLAB_object_decode"] = 3
        put(file, "note", np.array([104, 105], "u2"), "char")
        put(file, "none", np.zeros(2, "u8")).attrs["MATLAB_empty"] = 1

    path = v73(tmp_path / "a.mat", make)
    with pytest.warns(PyHiTSWarning, match="'day' is a MATLAB datetime object"):
        np.testing.assert_array_equal(read(path).values, X)
    with pytest.warns(PyHiTSWarning):
        np.testing.assert_array_equal(read(path, variable="flags").values, X > 0)


def test_cells_that_hold_themselves(tmp_path):
    def make(file):
        links = file.create_dataset("x", (2, 1), h5py.ref_dtype)
        links.attrs["MATLAB_class"] = np.bytes_("cell")
        links[:, 0] = [links.ref, links.ref]

    with pytest.raises(PyHiTSError, match="without an end"):
        read(v73(tmp_path / "a.mat", make))


def test_links_of_v73_are_not_followed(tmp_path):
    def make(file):
        put(file, "x", X)
        file["far"] = h5py.ExternalLink("other.mat", "/x")

    path = v73(tmp_path / "a.mat", make)
    np.testing.assert_array_equal(read(path).values, X)
    with pytest.raises(DataError, match="'far' is a link to '/x' in another file"):
        read(path, variable="far")


def test_what_pyhits_writes_is_read_by_scipy_and_back(tmp_path):
    data = pyhits.Trajectories([X, SHORT[1]], 0.1, feature_names=["a", "b", "c"])
    path = write(data, tmp_path / "a.mat")
    np.testing.assert_array_equal(scipy.io.loadmat(path)["values"], data.values)
    assert read(path) == data


def test_a_file_without_its_signature_is_not_left_to_scipy(tmp_path, monkeypatch):
    """SciPy's reader of v5 ends the process on damaged files."""
    path = tmp_path / "damaged.mat"
    scipy.io.savemat(path, {"x": np.arange(20.0).reshape(10, 2)})
    damaged = bytearray(path.read_bytes())
    damaged[5] = 0x16
    path.write_bytes(damaged)

    def never(*_, **__):
        raise AssertionError("SciPy was asked")

    monkeypatch.setattr(scipy.io, "loadmat", never)
    np.testing.assert_array_equal(pyhits.read(path)[0], np.arange(20.0).reshape(10, 2))
