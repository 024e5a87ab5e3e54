"""Text tables as people and programs write them."""

import numpy as np
import pytest

from pyhits.data.files import read, write
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError

BOM = "\ufeff"
#: All of these hold the same table: t = 0, 0.5, 1 and two features.
ROWS = [[1.0, 10.0], [2.0, 0.02], [4.0, -30.0]]


@pytest.mark.parametrize(
    "text",
    [
        "t,x,y\n0,1,10\n0.5,2,2e-2\n1,4,-30\n",
        "t,x,y\n0,1,10\n0.5,2,2e-2\n1,4,-30",
        "t;x;y\n0;1;10\n0.5;2;2e-2\n1;4;-30\n",
        "t\tx\ty\n0\t1\t10\n0.5\t2\t2e-2\n1\t4\t-30\n",
        "t x y\n0 1 10\n0.5 2 2e-2\n1 4 -30\n",
        "  t    x     y\n  0    1    10\n  0.5  2  2e-2 \n  1  4 \t -30\n",
        "t, x, y\n0, 1, 10\n0.5, 2, 2e-2\n1, 4, -30\n",
        '"t","x","y"\n"0","1","10"\n"0.5","2","2e-2"\n"1","4","-30"\n',
        '"t" "x"  "y"\n0 "1" 10\n0.5 2 2e-2\n1 4 -30\n',
        f"{BOM}t,x,y\n0,1,10\n0.5,2,2e-2\n1,4,-30\n",
        "t,x,y\r\n0,1,10\r\n0.5,2,2e-2\r\n1,4,-30\r\n",
        "t,x,y\r0,1,10\r0.5,2,2e-2\r1,4,-30\r",
        "# made in 2020, with care\n#\nt,x,y\n# units\n0,1,10\n0.5,2,2e-2 # odd\n\n1,4,-30\n\n",
        "% from MATLAB\nt,x,y\n0,1,10\n0.5,2,2e-2\n% half way\n1,4,-30\n",
        "# one kind\n% and the other\nt,x,y\n0,1,10\n0.5,2,2e-2\n% here\n1,4,-30\n",
        "# t,x,y\n0,1,10\n0.5,2,2e-2\n1,4,-30\n",
        "#t x y\n0 1 10\n0.5 2 2e-2\n1 4 -30\n",
        "t x y\n0 1.0D0 10\n0.5 2 2d-2\n1 4 -3.0D+01\n",
        "t,x,y\n0,1,10\n   \n0.5,2,2e-2\n1,4,-30\n",
        ",t,x,y\n0,0,1,10\n1,0.5,2,2e-2\n2,1,4,-30\n",
        ",x,y\n0,1,10\n0.5,2,2e-2\n1,4,-30\n",
        "x,y,Time [s]\n1,10,0\n2,2e-2,0.5\n4,-30,1\n",
    ],
)
@pytest.mark.parametrize("extension", [".csv", ".txt"])
def test_one_table_in_many_guises(tmp_path, text, extension):
    path = tmp_path / f"data{extension}"
    path.write_bytes(text.encode())
    data = read(path)
    assert data.to_array().tolist() == [ROWS]
    assert data.feature_names == ("x", "y")
    assert data.dt == 0.5


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-8"])
def test_encodings(tmp_path, encoding):
    path = tmp_path / "data.csv"
    path.write_bytes("t,h\u00f6he,\u00b5\n0,1,2\n1,3,4\n".encode(encoding))
    assert read(path).feature_names == ("h\u00f6he", "\u00b5")


def test_a_character_cut_by_the_sample_of_the_encoding(tmp_path):
    path = tmp_path / "data.csv"
    text = "# " + "x" * ((1 << 16) - 3) + "\u00e9\nt,\u00e9\n0,1\n1,2\n"
    path.write_text(text, encoding="utf-8")
    assert read(path).feature_names == ("\u00e9",)


def test_without_a_header_a_uniform_first_column_is_the_time(tmp_path):
    path = tmp_path / "data.dat"
    table = np.column_stack([2 + 0.1 * np.arange(50), np.sin(np.arange(50)), np.ones(50)])
    np.savetxt(path, table, fmt="%.6f", delimiter="\t")
    data = read(path)
    assert data.dt == 0.1
    assert data.start_times.tolist() == [2]
    assert data.feature_names == ("x0", "x1")
    assert read(path, time_column="none", dt=0.1).n_features == 3
    assert read(path, time_column=0) == data


@pytest.mark.parametrize(
    "rows",
    ["1 2\n2 3\n4 5\n", "3 2\n2 3\n1 5\n", "0 1\n1 2\n", "0\n1\n2\n"],
    ids=["uneven", "falling", "two rows", "one column"],
)
def test_without_a_header_other_first_columns_are_features(tmp_path, rows):
    path = tmp_path / "data.txt"
    path.write_text(rows)
    data = read(path, dt=0.5)
    assert data.dt == 0.5
    np.testing.assert_array_equal(data.values, np.loadtxt(path, ndmin=2))


def test_the_time_column_can_be_named_or_numbered(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("t,clock,x\n0,0,5\n1,0.5,6\n3,1,7\n")
    for choice in ("clock", 1):
        data = read(path, time_column=choice)
        assert data.dt == 0.5
        assert data.feature_names == ("t", "x")
    assert read(path, time_column="none").feature_names == ("t", "clock", "x")


@pytest.mark.parametrize(
    "dates",
    [
        ["2020-01-01", "2020-01-02", "2020-01-03"],
        ["2020-01-01 00:00:00", "2020-01-02 00:00:00", "2020-01-03 00:00:00"],
        ["2020-01-01T00:00:00.5Z", "2020-01-02T00:00:00.5Z", "2020-01-03T00:00:00.5Z"],
    ],
)
@pytest.mark.parametrize("header", ["date,x\n", "when,x\n", ",x\n", ""])
def test_dates_are_times(tmp_path, dates, header):
    path = tmp_path / "data.csv"
    path.write_text(header + "".join(f"{d},{k * k}\n" for k, d in enumerate(dates)))
    data = read(path)
    assert data.dt == 86400
    assert data.values.ravel().tolist() == [0, 1, 4]


def test_row_numbers_are_neither_time_nor_state(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(",0,1\n0,5,6\n1,7,8\n2,9,9\n")
    data = read(path, dt=0.1)
    assert data.dt == 0.1
    assert data.feature_names == ("0", "1")
    path.write_text('"","x","y"\n1,5,6\n2,7,8\n')
    assert read(path).feature_names == ("x", "y")
    path.write_text(",x,clock\n0,5,0\n1,7,0.5\n")
    assert read(path, time_column=2).dt == 0.5


@pytest.mark.parametrize("labels", [("1", "2"), ("warm", "cold")])
def test_a_column_numbers_or_names_the_trajectories(tmp_path, labels):
    a, b = labels
    path = tmp_path / "data.csv"
    path.write_text(f"run,t,x\n{a},0,1\n{a},1,2\n{b},5,3\n{b},6,4\n{b},7,4\n")
    data = read(path)
    assert data.lengths.tolist() == [2, 3]
    assert data.start_times.tolist() == [0, 5]


def test_one_column_may_have_a_name_of_several_words(tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("Laser intensity\n1\n5\n2\n")
    assert read(path).feature_names == ("Laser intensity",)


def test_prose_in_comments_is_no_header(tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("# Lynx and hares\n1 4 7\n3 2 7\n1 6 7\n")
    assert read(path).feature_names == ("x0", "x1", "x2")


@pytest.mark.parametrize("name", ["time", "Year", "run"])
def test_a_feature_named_as_the_time_is_not_written(tmp_path, name):
    data = Trajectories(np.eye(3), feature_names=["a", "b", name])
    with pytest.raises(DataError, match=f"'{name}' would be read as"):
        write(data, tmp_path / "data.csv")
    assert read(write(data, tmp_path / "data.npz")) == data


@pytest.mark.parametrize("name", ["a#b", "% of x", 'say "#"', "a,b", "a\tb;c", "1", "nan"])
@pytest.mark.parametrize("extension", [".csv", ".tsv"])
def test_awkward_names_come_back(tmp_path, name, extension):
    data = Trajectories(np.eye(2), feature_names=["a", name])
    assert read(write(data, tmp_path / f"data{extension}")) == data


@pytest.mark.parametrize("name", ["", " x", "a\nb", "a\rb"])
def test_a_name_that_cannot_head_a_column_is_not_written(tmp_path, name):
    with pytest.raises(DataError, match="cannot head a column"):
        write(Trajectories(np.eye(2), feature_names=["a", name]), tmp_path / "data.csv")


def test_a_step_that_contradicts_the_file_says_what_to_do(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("t,x\n0,1\n1,2\n")
    with pytest.raises(ArgumentError, match=r"data\.csv: dt=0\.1 .* step by 1\. Leave dt out"):
        read(path, dt=0.1)


def test_large_files_take_the_fast_path(tmp_path, monkeypatch):
    path = write(
        Trajectories(np.random.default_rng(0).standard_normal((50, 3))), tmp_path / "x.csv"
    )
    monkeypatch.setattr("pyhits.data.files.rows._slow", None)
    assert read(path).n_rows == 50


def test_a_column_of_zeros_is_read(tmp_path) -> None:
    path = tmp_path / "zeros.dat"
    rows = np.column_stack([0.1 * np.arange(30), np.sin(np.arange(30.0)), np.zeros(30)])
    np.savetxt(path, rows)
    np.testing.assert_array_equal(read(path).values, rows[:, 1:])


def test_tables_are_written_like_the_one_that_was_read(tmp_path):
    source = tmp_path / "a.csv"
    source.write_text("t;x\n" + "".join(f"0,{k};{k},5\n" for k in range(9)))
    data = read(source)
    written = write(data, tmp_path / "b.csv", like=source)
    assert written.read_text().splitlines()[:3] == ["t;x", "0,0;0,5", "0,1;1,5"]
    assert read(written) == data
    plain = write(data, tmp_path / "c.csv")
    assert plain.read_text().splitlines()[1] == "0.0,0.5"
    assert read(write(data, tmp_path / "d.npz", like=source)) == data
