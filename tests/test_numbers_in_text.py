"""Numbers in text tables as people, instruments and offices write them."""

import time
import warnings

import numpy as np
import pytest

import pyhits
from pyhits.errors import ArgumentError, DataError, FileFormatError, PyHiTSWarning

N = 50
RNG = np.random.default_rng(1)
X = np.round(2 + np.sin(0.1 * np.arange(N)), 4)
BIG = np.round(RNG.uniform(1000, 90000, N), 2)
SMALL = np.round(RNG.uniform(-1, 1, N), 3)


def comma(value, digits=4):
    return f"{value:.{digits}f}".replace(".", ",")


def german(value):
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def lines(*fields, header=""):
    return (header + "\n" if header else "") + "\n".join(fields) + "\n"


#: Spellings: what a file holds, and the values.
READ = {
    "decimal commas, one a line": (lines(*map(comma, X)), X),
    "decimal commas under a name": (lines(*map(comma, X), header="x"), X),
    "decimal commas and semicolons": (
        lines(*(f"{comma(a)};{comma(b)}" for a, b in zip(X, BIG, strict=True))),
        [X, BIG],
    ),
    "decimal commas and tabs": (
        lines(*(f"{comma(a)}\t{comma(b)}" for a, b in zip(X, BIG, strict=True)), header="x\ty"),
        [X, BIG],
    ),
    "decimal commas and spaces": (
        lines(*(f"{comma(a)}  {comma(b)}" for a, b in zip(X, BIG, strict=True))),
        [X, BIG],
    ),
    "decimal commas in quotes": (
        lines(*(f'"{comma(a)}","{comma(b)}"' for a, b in zip(X, BIG, strict=True))),
        [X, BIG],
    ),
    "some decimal commas": (lines(*(f"{comma(a)};{k}" for k, a in enumerate(X))), X),
    "spaces between thousands": (
        lines(*(f"{v:,.2f}".replace(",", " ").replace(".", ",") for v in BIG)),
        BIG,
    ),
    "narrow spaces between thousands": (
        lines(*(f"{v:,.2f}".replace(",", "\u202f") + ";1" for v in BIG), header="x;y"),
        BIG,
    ),
    "commas between thousands": (lines(*(f'"{v:,.2f}",{k}' for k, v in enumerate(BIG))), BIG),
    "points between thousands": (lines(*(f"{german(v)};{k}" for k, v in enumerate(BIG))), BIG),
    "apostrophes between thousands": (
        lines(*(f"{v:,.2f};1".replace(",", "'") for v in BIG), header="x;y"),
        BIG,
    ),
    "commas between thousands, one a line": (
        lines(*(f"{v:,.2f}" for v in BIG), header="x"),
        BIG,
    ),
    "percent signs and decimal commas": (
        lines(*(f"{comma(v)} %;1" for v in X), header="a;b"),
        X,
    ),
    "percent signs": (lines(*(f"{v},{v}%" for v in X), header="a,b"), [X, X]),
    "units in cells": (lines(*(f"{v} mm" for v in X), header="x"), X),
    "degrees": (lines(*(f"{v}\u00b0C;1" for v in X), header="x;y"), X),
    "currency": (lines(*(f"${v}" for v in X), header="x"), X),
    "exponents": (lines(*(f"{v:.9e}" for v in X), header="x"), X),
    "Fortran's exponents": (lines(*(f"{v:.9e}".replace("e", "D") for v in X), header="x"), X),
    "decimal commas with exponents": (
        lines(*(f"{v:.6e};1".replace(".", ",") for v in X), header="x;y"),
        X,
    ),
    "plus signs": (lines(*(f"{v:+.4f}" for v in X), header="x"), X),
    "typeset minus signs": (lines(*(f"{v}".replace("-", "\u2212") for v in SMALL)), SMALL),
    "leading points": (lines(*(f"{v:.3f}".replace("0.", ".") for v in SMALL), header="x"), SMALL),
    "trailing points": (lines(*(f"{round(v)}." for v in BIG), header="x"), BIG.round()),
    "quotes": (lines(*(f'"{v}"' for v in X), header='"x"'), X),
    "spaces around": (lines(*(f"  {v}  " for v in X), header="x"), X),
    "bars": (lines(*(f"{a}|{b}" for a, b in zip(X, BIG, strict=True)), header="a|b"), [X, BIG]),
    "truth": (lines(*(str(v > 2) for v in X), header="x"), (X > 2).astype(float)),
    "two columns of whole numbers": (lines(*(f"{k},{k * k}" for k in range(1, N))), None),
    "two columns of digits": (lines(*(f"{k},{k % 3}" for k in range(N)), header="a,b"), None),
}

WITH_UNITS = {
    "percent signs and decimal commas": "%",
    "percent signs": "%",
    "units in cells": "mm",
    "degrees": "C",
    "currency": r"\$",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", READ)
def test_numbers_are_read_as_they_are_meant(tmp_path, name, encoding):
    content, values = READ[name]
    path = tmp_path / "a.csv"
    path.write_bytes(content.replace("\n", "\r\n").encode(encoding))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = pyhits.read(path, time_column="none")
    if values is None:
        assert data.n_features == 2
        return
    expected = np.atleast_2d(np.asarray(values, dtype=float))
    np.testing.assert_allclose(data.values[:, : len(expected)].T, expected, rtol=1e-6)
    assert len(expected) <= data.n_features <= len(expected) + 1
    notes = " ".join(str(w.message) for w in said)
    assert bool(notes) == (name in WITH_UNITS), notes
    if name in WITH_UNITS:
        assert "Units next to the numbers are left out" in notes


MISSING = ["", "NA", "-", "--", "?", "null", "NULL", "nan", "NaN", "N/A", "#N/A", "None", "<NA>"]


@pytest.mark.parametrize("word", MISSING)
def test_words_for_nothing_are_named_and_mended(tmp_path, word):
    path = tmp_path / "a.csv"
    cells = [f"{v},{w}" for v, w in zip(X, BIG, strict=True)]
    cells[7] = f"{word},1"
    path.write_text(lines(*cells, header="x,y"))
    with pytest.raises(DataError, match="line 9, column 'x'"):
        pyhits.read(path)
    repaired = pyhits.repair(path, gaps="cut")
    assert repaired.trajectories.lengths.tolist() == [7, N - 8]
    assert "'x' lacks 1 of 50 rows (row 7)." in repaired.notes


@pytest.mark.parametrize("cell", ["broken", "1.2.3", "12abc", "5%", "1,2,3"])
def test_what_is_no_number_is_named(tmp_path, cell):
    path = tmp_path / "a.csv"
    cells = [f"{v};{w}" for v, w in zip(X, BIG, strict=True)]
    cells[7] = f"{cell};1"
    path.write_text(lines(*cells, header="x;y"))
    for read in (pyhits.read, pyhits.repair):
        with pytest.raises(DataError, match=rf"number in line 9, column 'x', got '{cell}'"):
            read(path)
    assert pyhits.read(path, without_columns=["x"]).feature_names == ("y",)


def test_marks_for_missing_values_are_pointed_out(tmp_path):
    path = tmp_path / "a.csv"
    cells = [f"{v}" for v in X]
    for k in (7, 20, 33):
        cells[k] = "-999"
    path.write_text(lines(*cells, header="x"))
    notes = " ".join(pyhits.check(path).notes)
    assert "-999" in notes
    assert "--drop-outliers" in notes
    assert pyhits.repair(path, outliers="drop", gaps="cut").trajectories.n_rows == N - 3


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (lines(*(f"{k % 7},{11 * k % 10}" for k in range(N))), {",": 1, ".": 2}),
        (lines(*(f"{k % 7},{11 * k % 90 + 10}" for k in range(20))), {",": 1, ".": 2}),
        (lines(*(f"{1 + k % 7},{11 * k % 900 + 100};5" for k in range(20))), {",": 2, ".": 2}),
    ],
    ids=["one digit", "two digits", "thousands"],
)
def test_commas_that_may_be_either_are_asked_about(tmp_path, content, values):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=r"decimal=',' \(--decimal ,\)"):
        pyhits.read(path)
    for decimal, n in values.items():
        assert pyhits.read(path, decimal=decimal, time_column="none").n_features == n
    with pytest.raises(ArgumentError, match=r"decimal to be '\.' or ','"):
        pyhits.read(path, decimal="x")


def test_text_beside_numbers_is_left_out_and_pointed_out(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(lines(*(f"Berlin,{v},ok" for v in X), header="station,x,flag"))
    with pytest.warns(PyHiTSWarning, match=r"no numbers: 'station' \('Berlin'\), 'flag' \('ok'\)"):
        data = pyhits.read(path)
    assert data.feature_names == ("x",)
    ids = pyhits.read(path, names=["trajectory", "x", "flag"], columns=["x"])
    assert len(ids) == 1


def test_trajectories_may_be_named_by_text(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{'Bonn' if k < 20 else 'Berlin'},{k % 20},{v}" for k, v in enumerate(X)]
    path.write_text(lines(*rows[:40], header="station,t,x"))
    data = pyhits.read(path, names=["trajectory", "t", "x"])
    assert data.lengths.tolist() == [20, 20]


def test_a_last_line_that_is_cut_off_is_named_and_mended(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "".join(f"{v},{v}\n" for v in X) + "1.")
    with pytest.raises(FileFormatError, match="line 52 has 1 columns"):
        pyhits.read(path)
    repaired = pyhits.repair(path)
    assert repaired.trajectories.n_rows == N
    assert "Line 52, the last, is cut off: left out." in repaired.notes


# Files that are no tables: refused at once


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"1," * (9 << 20) + b"1\n", "a line of more than 16 MB"),
        (b"x,y\n1,2\n" + b"\n" * (5 << 20), "blank lines among"),
        (b"x,y\n1,2\n" + b"\r\n" * (3 << 20), "blank lines among"),
        (
            b",".join([b"a"] * 100_001) + b"\n" + b",".join([b"1"] * 100_001) + b"\n",
            "100001 columns",
        ),
        (b"x,y\n" + b"1,2\n" * (2 << 20) + b"1,\0\n", "bytes of zero"),
        (b"# no data\n" * 1000, "only comments or blank lines"),
        (b"# no data\n" * (1 << 20), "no digit in its first 4 MB"),
        (b" \n" * (3 << 20), "no digit in its first 4 MB"),
        (b",\n" * (3 << 20), "no digit in its first 4 MB"),
        (b"# 7\n" * (3 << 20) + b"1,2\n" * 9, "more than 1000000 blank lines and comments above"),
    ],
)
def test_what_no_table_is_ends_at_once(tmp_path, content, match):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    begin = time.process_time()
    with pytest.raises(FileFormatError, match=match):
        pyhits.read(path)
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    "mark", ["-1.#IND", "1.#QNAN", "1.#INF", "#DIV/0!", "#VALUE!", ".", "*", "-nan(ind)"]
)
@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_is_no_number_is_missing_and_no_comment(tmp_path, mark, column, delimiter):
    rows = [[f"{np.sin(0.1 * k + c):.6f}" for c in range(3)] for k in range(60)]
    rows[20][column] = mark
    path = tmp_path / "marks.csv"
    lines = [delimiter.join(["a", "b", "c"]), *(delimiter.join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"line 22, column '[abc]'"):
        pyhits.read(path)
    mended = pyhits.repair(path).trajectories
    assert mended.lengths.tolist() == [20, 39]


def test_a_comment_at_the_end_of_a_line_is_none_of_its_numbers(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n" + "".join(f"{k % 7}.5,{k % 5}  # INDoors\n" for k in range(30)))
    assert pyhits.read(path).values[:, 1].tolist() == [float(k % 5) for k in range(30)]
