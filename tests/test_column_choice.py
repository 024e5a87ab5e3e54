"""Columns chosen, left out and named, in Python and on the command line, for files and frames."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.errors import ArgumentError, DataError, PyHiTSWarning

pandas = pytest.importorskip("pandas")

N = 120
T = 0.05 * np.arange(N)
X, Y = np.sin(3 * T), np.cos(3 * T)
TINY = ["--max-steps", "3", "--hidden-sizes", "4", "--step-sizes", "1", "--n-jobs", "1", "-q"]
TINY += ["--time-limit", "30"]


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def logged(tmp_path):
    """A table of an instrument: clock, station, x, a half-empty column, y, a constant."""
    path = tmp_path / "logged.csv"
    rows = [
        f"{t:.2f},Bonn,{x:.6f},{x if k < 30 else ''},{y:.6f},7"
        for k, (t, x, y) in enumerate(zip(T, X, Y, strict=True))
    ]
    path.write_text("\n".join(["position,station,x,half,y,gain", *rows]) + "\n")
    return path


READ = {
    "by name": {"columns": ["x", "y"]},
    "in one text": {"columns": "x,y"},
    "by number": {"columns": [2, 4]},
    "numbers as text": {"columns": ["2", "4"]},
    "without the others": {"without_columns": ["position", "station", "half", "gain"]},
    "without, in one text": {"without_columns": ["position,station", "half,5"]},
}


@pytest.mark.parametrize("name", READ)
def test_columns_are_chosen(logged, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = pyhits.read(logged, **READ[name])
    assert data.feature_names == ("x", "y")
    np.testing.assert_allclose(data.values, np.column_stack([X, Y]), atol=1e-6)
    assert pyhits.repair(logged, **READ[name]).trajectories == data
    assert pyhits.check(logged, **READ[name]).data == data


def test_the_order_is_that_of_the_choice(logged):
    data = pyhits.read(logged, columns=["y", "x"], time_column="position")
    assert data.feature_names == ("y", "x")
    assert data.dt == 0.05


def test_columns_get_names(logged):
    every = pyhits.read(logged, names=list("tsabcd"), columns=["a", "c"])
    assert (every.feature_names, every.dt) == (("a", "c"), 0.05)
    chosen = pyhits.read(logged, columns=["x", "y"], names=["u", "v"])
    assert chosen.feature_names == ("u", "v")
    with pytest.raises(ArgumentError, match="names gives 4 names"):
        pyhits.read(logged, columns=["x", "y"], names=list("abcd"))


@pytest.mark.parametrize(
    ("choice", "match"),
    [
        ({"columns": ["z"]}, "No column 'z' in the table for columns"),
        ({"columns": ["posision"]}, "did you mean 'position'"),
        ({"columns": [9]}, "columns=9, but the columns of the table are 0 to 5"),
        ({"columns": []}, "one column or more, got none"),
        ({"columns": [1.5]}, "a name or a number, got 1.5"),
        ({"without_columns": ["z"]}, "No column 'z' in the table for without_columns"),
    ],
)
def test_what_is_not_there_is_named(logged, choice, match):
    with pytest.raises(ArgumentError, match=match):
        pyhits.read(logged, **choice)


def test_a_column_that_costs_rows_is_named_with_the_way_out(logged):
    with pytest.raises(DataError, match=r"'half' 90\. without_columns=\['half'\]"):
        pyhits.read(logged, time_column="position")
    with pytest.warns(PyHiTSWarning, match="no numbers: 'station'"):
        assert pyhits.read(logged, without_columns="half", time_column="position").n_features == 3
    notes = " ".join(pyhits.repair(logged).notes)
    assert "75% of the rows are lost, 30 of 120 are whole: 'half' lacks 75%." in notes
    assert "--without-columns half) leaves it out and keeps 120." in notes


def test_a_column_that_is_rarely_there_may_be_filled(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{x},{y if k % 10 == 0 else ''}" for k, (x, y) in enumerate(zip(X, Y, strict=True))]
    path.write_text("\n".join(["x,y", *rows]) + "\n")
    with pytest.raises(DataError, match="--gaps fill --longest-gap 10"):
        pyhits.repair(path)
    filled = pyhits.repair(path, gaps="fill", longest_gap=10).trajectories
    assert filled.n_rows == 111
    np.testing.assert_allclose(filled.values[:, 1], Y[:111], atol=0.1)


def test_names_that_are_blank_or_there_twice_are_changed_and_written(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,,x,x.1\n" + "".join(f"{x},{y},{x},{y}\n" for x, y in zip(X, Y, strict=True)))
    with pytest.warns(PyHiTSWarning) as said:
        data = pyhits.read(path)
    assert data.feature_names == ("x", "column_1", "x.2", "x.1")
    assert "without a name are called 'column_1'" in str(said[0].message)
    assert "there twice are changed: 'x' to 'x.2'" in str(said[1].message)
    assert pyhits.read(pyhits.write(data, tmp_path / "b.csv")) == data
    frame = pandas.DataFrame(np.column_stack([X, Y]), columns=["x", "x"])
    with pytest.warns(PyHiTSWarning, match="there twice"):
        assert pyhits.Trajectories(frame).feature_names == ("x", "x.1")


@pytest.mark.parametrize("extension", [".npz", ".npy", ".mat", ".parquet"])
def test_features_of_every_format_are_chosen(tmp_path, extension):
    if extension == ".parquet":
        pytest.importorskip("pyarrow")
    data = pyhits.Trajectories(np.column_stack([X, Y, X * Y]), 0.1)
    path = pyhits.write(data, tmp_path / f"a{extension}")
    chosen = pyhits.read(path, columns=["x2", "x0"], names=["a", "b"])
    assert chosen.feature_names == ("a", "b")
    np.testing.assert_array_equal(chosen.values, data.values[:, [2, 0]])
    assert pyhits.read(path, without_columns=["x1"]).feature_names == ("x0", "x2")
    with pytest.raises(ArgumentError, match="No column 'z'"):
        pyhits.read(path, columns="z")


def test_columns_of_frames_and_arrays_in_repairs():
    frame = pandas.DataFrame({"clock": T, "x": X, "y": Y})
    mended = pyhits.repair(frame, columns=["y"], time_column="clock").trajectories
    assert (mended.feature_names, mended.dt) == (("y",), 0.05)
    array = pyhits.repair(np.column_stack([X, Y]), columns=[1], names=["v"]).trajectories
    assert array.feature_names == ("v",)
    with pytest.raises(ArgumentError, match="header=True is for files"):
        pyhits.repair(frame, header=True)


# A model reads again what it was fitted to


def test_a_model_finds_its_columns_again(logged, tmp_path):
    out, later = tmp_path / "m.safetensors", tmp_path / "later.csv"
    options = ["--columns", "x,y", "--time-column", "position"]
    done = run("fit", logged, *options, "-o", out, *TINY)
    assert done.exit_code == 0, done.output
    done = run("forecast", out, "--after", logged, "--steps", "5", "-o", later, "-q")
    assert done.exit_code == 0, done.output
    ahead = pyhits.read(later)
    assert ahead.feature_names == ("x", "y")
    assert ahead.start_times[0] == pytest.approx(T[-1])
    for command in (
        ["evaluate", out, logged, "--steps", "5", "-q"],
        ["evaluate", out, logged, "--steps", "5", "--repair", "-q"],
        ["evaluate", out, logged, "--steps", "5", *options, "-q"],
        [
            "couple",
            out,
            "--selection",
            "all",
            "--validation",
            logged,
            "-o",
            tmp_path / "c.safetensors",
        ],
    ):
        done = run(*command)
        assert done.exit_code == 0, done.output
    model = pyhits.load(out)
    assert pyhits.read(logged, like=model) == pyhits.read(
        logged, columns=["x", "y"], time_column="position"
    )
    wide = pandas.DataFrame({"y": Y, "other": X * Y, "x": X})
    assert model.evaluate(wide, n_steps=3).mse == model.evaluate(wide[["x", "y"]], n_steps=3).mse
    with pytest.raises(ArgumentError, match="a fitted model"):
        pyhits.read(logged, like="m.safetensors")


@pytest.mark.parametrize(
    "options",
    [
        ["--columns", "x", "--columns", "y"],
        ["--without-columns", "station,half", "--without-columns", "gain,position"],
        ["--names", "t,s,x,h,y,g", "--columns", "x,y"],
    ],
)
def test_the_command_line_takes_the_same_options(logged, options, tmp_path):
    seen = run("check", logged, *options, "--json")
    assert seen.exit_code == 0, seen.output
    assert '"x",\n    "y"\n' in seen.stdout
    done = run("fit", logged, *options, "-o", tmp_path / "m.safetensors", *TINY)
    assert done.exit_code == 0, done.output


def test_headers_and_decimals_on_the_command_line(tmp_path):
    path = Path(tmp_path / "a.csv")
    counts = np.random.default_rng(0).integers(0, 100, (60, 2)).tolist()
    path.write_text("0,1\n" + "".join(f"{a},{b}\n" for a, b in counts))
    assert run("check", path).exit_code == 1
    for option, rows in (("--header", 60), ("--no-header", 61)):
        assert f"{rows} rows x 2" in run("check", path, option).stdout
    path.write_text("".join(f"{k % 7},{k * k % 10}\n" for k in range(60)))
    assert "1 features" in run("check", path, "--decimal", ",").stdout


def test_names_with_commas_are_quoted_as_in_csv_files(tmp_path):
    rows = np.random.default_rng(0).random((20, 3))
    path = tmp_path / "a.csv"
    lines = [f"{k / 10},{a},{b},{c}" for k, (a, b, c) in enumerate(rows)]
    path.write_text('t,"x, in mm",y,z\n' + "\n".join(lines) + "\n")
    for columns in ('"x, in mm",z', ['"x, in mm"', "z"], ["x, in mm", "z"]):
        assert pyhits.read(path, columns=columns).feature_names == ("x, in mm", "z")
    assert pyhits.read(path, without_columns='"x, in mm"').feature_names == ("y", "z")
    renamed = pyhits.read(path, names='t,"a, b",c,d')
    assert renamed.feature_names == ("a, b", "c", "d")


def test_unknown_options_of_reading_are_refused_with_a_suggestion(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t,x\n0,1\n1,3\n2,2\n")
    for look in (pyhits.repair, pyhits.check):
        with pytest.raises(ArgumentError, match="no option 'colums'; did you mean 'columns'"):
            look(path, colums="x")
