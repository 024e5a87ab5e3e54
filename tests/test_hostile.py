"""Inputs that mean no good, or were never looked at: refused in words, repaired in words, or used.

Every case goes through Python and through the command line; docs/hostile.md lists them all.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import pyhits
from pyhits.cli.app import app
from pyhits.data.trajectories import Trajectories
from pyhits.errors import PyHiTSError

RUNNER = CliRunner()
TINY = ["--max-steps", "3", "--hidden-sizes", "4", "--step-sizes", "1", "--n-jobs", "1", "-q"]
PAGE = Path(__file__).parent.parent / "docs" / "hostile.md"

T = np.arange(60) * 0.1
X = np.column_stack([np.sin(T), np.cos(T)])
ROWS = [[f"{t:.1f}", f"{x:.6f}", f"{y:.6f}"] for t, (x, y) in zip(T, X, strict=True)]


def run(*arguments: object) -> Result:
    return RUNNER.invoke(app, [str(a) for a in arguments])


def listed() -> dict[str, list[str]]:
    """What the page says of each case, cell by cell."""
    lines = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for cells in lines}


LISTED = listed()


def assert_listed(message: str, name: str, cell: int = 0) -> None:
    """Check that the page quotes a message, but for what it cuts out."""
    said = LISTED[name][cell].strip("`")
    for part in said.split("..."):
        assert part.strip() in message, (said, message)


def table(rows: list[list[str]] = ROWS, separator: str = ",", header: str = "t,x,y") -> str:
    lines = [separator.join(header.split(","))] if header else []
    return "\n".join([*lines, *(separator.join(row) for row in rows)]) + "\n"


def with_cell(row: int, column: int, text: str) -> str:
    rows = [list(r) for r in ROWS]
    rows[row][column] = text
    return table(rows)


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes
    ----------
    name : str
        File name, whose extension tells the format.
    content : str, bytes, array, or a function that makes the file
    refused : str or None
        What the error says; None if the file is used as it is.
    repaired : str or None
        What a note on its repair says, or an error if that starts with "!"; None if it is not
        tried.
    shape : tuple
        Rows and features of what is used as it is.
    """

    name: str
    content: Any
    refused: str | None = None
    repaired: str | None = None
    shape: tuple[int, int] = (60, 2)

    def make(self, folder: Path) -> Path:
        path = folder / self.name
        if callable(self.content):
            self.content(path)
        elif isinstance(self.content, np.ndarray):
            np.save(path, self.content, allow_pickle=self.content.dtype == object)
        else:
            text = self.content
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


def truncated(share: float) -> Callable[[Path], None]:
    """Write a sound file and cut it off."""

    def make(path: Path) -> None:
        pyhits.write(Trajectories(np.tile(X, (9, 1)), 0.1), path)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return make


def links_in_a_circle(path: Path) -> None:
    other = path.with_name("other.csv")
    other.symlink_to(path)
    path.symlink_to(other)


def spreadsheet(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")


class Trap:
    """Makes a folder when it is unpickled."""

    sprung = Path("pyhits-trap-was-sprung")

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.sprung),)


DATES = [f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00" for k in range(60)]
SHUFFLED = [ROWS[k] for k in np.random.default_rng(0).permutation(60)]
EPOCH = np.datetime64("2024-01-01")

CASES = {
    # Text that cannot be read
    "empty file": Case("a.csv", "", "is empty"),
    "header only": Case("a.csv", "t,x\n", r"a header \(t,x\) but no rows"),
    "comments only": Case("a.csv", "# a\n# b\n", "no rows, only comments"),
    "one row": Case("a.csv", table(ROWS[:1]), "at least 2 rows", "!no two rows"),
    "only times": Case("a.csv", table([r[:1] for r in ROWS], header="t"), "No column .* a state"),
    "mixed delimiters": Case(
        "a.csv", table(ROWS[:30]) + table(ROWS[30:], ";", ""), "line 32 has 1 columns"
    ),
    "decimal commas": Case("a.csv", table(separator=";").replace(".", ",")),
    "thousands separators": Case("a.csv", with_cell(7, 1, '"1,234.5"')),
    "ragged rows": Case("a.csv", table([*ROWS[:5], ["0.5", "1"], *ROWS[6:]]), "line 7 has 2 col"),
    "repeated header": Case("a.csv", table(ROWS[:30]) + table(ROWS[30:])),
    "row of units": Case("a.csv", "t,x,y\ns,m,m\n" + table(header="")),
    "text in a cell": Case("a.csv", with_cell(7, 1, "broken"), "line 9, column 'x', got 'broken'"),
    "per cent in a cell": Case("a.csv", with_cell(7, 1, "5%"), "got '5%'"),
    "a header of numbers": Case("a.csv", table(header="0,1,2"), shape=(60, 3)),
    "a sign of comments in a name": Case("a.csv", table(header="t,#x,y")),
    "titles above the header": Case("a.csv", "Export of a logger\nstation,7\n" + table()),
    "text beside numbers": Case(
        "a.csv", table([[*r, "Berlin"] for r in ROWS], header="t,x,y,station")
    ),
    "words for truth": Case("a.csv", table([[r[0], "True", r[2]] for r in ROWS])),
    "dates of another order": Case(
        "a.csv", "date,x\n01/02/2024,1\n02/02/2024,2\n", "--time-format dayfirst"
    ),
    "zero bytes in text": Case("a.csv", table().encode().replace(b"0.5", b"\0"), "binary file"),
    "a web page": Case("a.csv", "<html>\n<p>404</p>\n", "Expected a number in line 2"),
    "JSON": Case("a.csv", '{"x": [1, 2]}\n', "a header .* but no rows"),
    # Text that can
    "semicolons": Case("a.csv", table(separator=";")),
    "tabs": Case("a.csv", table(separator="\t")),
    "spaces": Case("a.csv", table(separator="   ")),
    "spaces after commas": Case("a.csv", table(separator=", ")),
    "byte-order mark": Case("a.csv", b"\xef\xbb\xbf" + table().encode()),
    "UTF-16": Case("a.csv", table().encode("utf-16")),
    "Latin-1": Case("a.csv", table(header="t,T\xe9mp,y").encode("latin-1")),
    "line ends of old Macs": Case("a.csv", table().replace("\n", "\r")),
    "blank lines": Case("a.csv", table().replace("\n", "\n\n")),
    "comments between rows": Case(
        "a.csv", "# a\n" + table(ROWS[:5]) + "# b\n" + table(ROWS[5:], header="")
    ),
    "delimiter at every end": Case("a.csv", table(header="").replace("\n", ",\n")),
    "delimiter at ends of rows": Case("a.csv", "t,x,y\n" + table(header="").replace("\n", ",\n")),
    "quoted numbers": Case("a.csv", table([[f'"{f}"' for f in r] for r in ROWS])),
    "one column": Case("a.csv", table([r[1:2] for r in ROWS], header="x"), shape=(60, 1)),
    "repeated column names": Case("a.csv", table(header="t,x,x")),
    "a second column of dates": Case(
        "a.csv", table([[*r, d] for r, d in zip(ROWS, DATES, strict=True)], header="t,x,y,day")
    ),
    "two rows": Case("a.csv", table(ROWS[:2]), shape=(2, 2)),
    "three rows": Case("a.csv", table(ROWS[:3]), shape=(3, 2)),
    "five rows": Case("a.csv", table(ROWS[:5]), shape=(5, 2)),
    "dates": Case(
        "a.csv", table([[d, *r[1:]] for d, r in zip(DATES, ROWS, strict=True)], header="date,x,y")
    ),
    # Missing values
    "empty cell": Case("a.csv", with_cell(7, 1, ""), "line 9, column 'x' is empty", "'x' lacks 1"),
    "NA in a cell": Case("a.csv", with_cell(7, 1, "NA"), "got 'NA'. Fill", "'x' lacks 1 of 60"),
    "NaN in a cell": Case("a.csv", with_cell(7, 2, "nan"), "got 'nan'. Fill", "'y' lacks"),
    "infinity in a cell": Case("a.csv", with_cell(7, 1, "inf"), "got 'inf'", "1 infinite value"),
    "overflow to infinity": Case("a.csv", with_cell(7, 1, "1e400"), "'1e400'", "1 infinite value"),
    "a column of NaN": Case(
        "a.csv", table([[*r[:2], "nan"] for r in ROWS]), "column 'y', got 'nan'", "value: 'y'"
    ),
    "NaN everywhere": Case("a.npy", X * np.nan, r"NaN .* \(119 more like", "!Every value is miss"),
    "empty time": Case("a.csv", with_cell(7, 0, ""), "column 't' is empty", "1 row without a time"),
    # Times
    "uneven times": Case(
        "a.csv",
        table([[f"{float(r[0]) ** 1.3:.4f}", *r[1:]] for r in ROWS]),
        "not uniform",
        "Resampled",
    ),
    "a gap": Case("a.csv", table(ROWS[:20] + ROWS[40:]), "not uniform.*0.1", "20 rows of the grid"),
    "decreasing times": Case("a.csv", table(ROWS[::-1]), "comes before", "backwards"),
    "shuffled times": Case("a.csv", table(SHUFFLED), "comes before", "sorted by time"),
    "repeated times": Case("a.csv", table(ROWS[:7] + ROWS[6:]), "repeats row 6", "averaged"),
    "a clock that starts again": Case("a.csv", table(ROWS + ROWS), "comes before", "starts anew 1"),
    "two columns of times": Case("a.csv", table(header="t,year,y"), "look like the time: t, year"),
    # Numbers
    "1e300": Case("a.csv", with_cell(7, 1, "1e300"), "1e.300 in trajectory 0, row 7", "!rescale"),
    "all near 1e140": Case("a.npy", X * 1e140),
    "all near 1e-300": Case("a.npy", X * 1e-300),
    "denormal numbers": Case("a.npy", X * 1e-310),
    "huge integers": Case("a.npy", np.full((60, 2), 2**62) + np.arange(60)[:, None]),
    "a constant column": Case("a.csv", table([[*r[:2], "3"] for r in ROWS])),
    "all constant": Case("a.csv", table([[r[0], "2", "3"] for r in ROWS])),
    "an outlier": Case("a.csv", with_cell(7, 1, "55")),
    # Arrays
    "complex numbers": Case("a.npy", X + 1j, "is complex; give real and imaginary"),
    "booleans": Case("a.npy", X > 0),
    "numbers as text": Case("a.npy", X.astype(str)),
    "words": Case("a.npy", np.array([["a", "b"]] * 60), "got 'a' in row 0, column 0"),
    "dates as data": Case("a.npy", EPOCH + np.arange(60), "values of type datetime64"),
    "half precision": Case("a.npy", X.astype(np.float16)),
    "the other byte order": Case("a.npy", X.astype(">f8")),
    "records": Case("a.npy", np.ones(60, [("x", "f8"), ("y", "f8")])),
    "one number": Case("a.npy", np.array(3.0), r"got shape \(\)"),
    "no rows": Case("a.npy", np.empty((0, 2)), r"empty array \(0, 2\)"),
    "no columns": Case("a.npy", np.empty((60, 0)), r"empty array \(60, 0\)"),
    "trajectories without rows": Case("a.npy", np.empty((3, 0, 2)), r"empty array \(3, 0, 2\)"),
    "four axes": Case("a.npy", np.ones((5, 9, 3, 3)), "Of fields say the shape"),
    "pickled objects in .npy": Case("a.npy", np.array([Trap()], dtype=object), "never opened"),
    "a pickle named .npy": Case("a.npy", pickle.dumps(X.tolist(), 4), "never opens pickles"),
    "several arrays": Case("a.npz", lambda p: np.savez(p, a=X, b=X), "--variable name"),
    "an empty archive": Case("a.npz", np.savez, "found nothing"),
    "a spreadsheet": Case("a.npz", spreadsheet, "Expected an array of numbers"),
    "truncated .npz": Case("a.npz", truncated(0.5), "truncated or damaged"),
    "truncated .npy": Case("a.npy", truncated(0.5), "truncated or damaged"),
    "truncated .mat": Case("a.mat", truncated(0.5), "truncated or damaged"),
    "truncated .h5": Case("a.h5", truncated(0.5), "truncated or damaged"),
    "truncated .nc": Case("a.nc", truncated(0.5), "truncated or damaged"),
    # Files
    "compressed text": Case("a.csv.gz", gzip.compress(table().encode()), "unpack it first"),
    "compressed text named .csv": Case("a.csv", gzip.compress(table().encode()), "unpack it first"),
    "unknown extension": Case("a.xlsx", table(), "unknown extension '.xlsx'"),
    "no extension": Case("a", table(), "has no extension"),
    "missing file": Case("a.csv", lambda p: None, "There is no file"),
    "folder": Case("a.csv", lambda p: p.mkdir(), "got the folder"),
    "links in a circle": Case("a.csv", links_in_a_circle, "a link that leads to none"),
    "a model file as data": Case("a.safetensors", b"\0" * 99, "is a model file, not data"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two features, and good data beside it."""
    folder = tmp_path_factory.mktemp("hostile")
    pyhits.write(Trajectories(X, 0.1, feature_names=["x", "y"]), folder / "good.npz")
    done = run("fit", folder / "good.npz", "-o", folder / "m.safetensors", *TINY)
    assert done.exit_code == 0, done.output
    return folder / "m.safetensors"


def assert_plain(done: Result, match: str) -> None:
    """One sentence on standard error, an exit code, no traceback."""
    assert done.exit_code in (1, 2), done.output
    said = " ".join(done.stderr.split())
    assert re.search(match, said), said
    assert "Traceback" not in said
    assert "--debug" not in said
    assert done.exception is None or isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("name", CASES)
def test_as_it_is(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case = CASES[name]
    path = case.make(tmp_path)
    if case.refused is None:
        data = pyhits.read(path)
        assert data.values.shape == case.shape
        assert np.isfinite(data.values).all()
        seen = run("check", path, "--json")
        assert seen.exit_code == 0, seen.output
        values = json.loads(seen.stdout)
        assert (values["rows"], len(values["features"])) == case.shape
    else:
        with pytest.raises(PyHiTSError, match=case.refused) as caught:
            pyhits.read(path)
        assert_listed(str(caught.value).replace(f"{tmp_path}{os.sep}", ""), name)
        assert_plain(run("fit", path, "-o", "m.safetensors", *TINY), case.refused)
        assert not Path("m.safetensors").exists()
        assert run("check", path).exit_code in (1, 2)
    assert not Trap.sprung.exists()


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.repaired is not None])
def test_repaired(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path, out = case.make(tmp_path), tmp_path / "m.safetensors"
    assert case.repaired is not None
    if case.repaired.startswith("!"):
        with pytest.raises(PyHiTSError, match=case.repaired[1:]):
            pyhits.repair(path)
        assert_plain(run("fit", path, "--repair", "-o", out, *TINY), case.repaired[1:])
        return
    repaired = pyhits.repair(path)
    assert np.isfinite(repaired.trajectories.values).all()
    assert re.search(case.repaired, " ".join(repaired.notes)), repaired.notes
    assert_listed(" ".join(repaired.notes), name, 1)
    seen = run("check", path)
    assert seen.exit_code == 1
    assert re.search(case.repaired, seen.stdout), seen.stdout


USED = ["two rows", "three rows", "five rows", "all constant", "a constant column", "one column"]
USED += ["all near 1e140", "all near 1e-300", "denormal numbers", "huge integers", "booleans"]


@pytest.mark.parametrize("name", USED)
def test_models_of_odd_data_work(name: str, tmp_path: Path) -> None:
    path, out = CASES[name].make(tmp_path), tmp_path / "m.safetensors"
    done = run("fit", path, "-o", out, *TINY)
    assert done.exit_code == 0, done.output
    fitted = pyhits.load(out)
    states = fitted.forecast(pyhits.read(path), 3, on_divergence="return")
    assert np.isfinite(states[:, :2]).all()
    assert np.abs(states[:, 1]).max() <= 10 * np.abs(pyhits.read(path).values).max()
    done = run("evaluate", out, path, "--steps", "1", "-q", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["mse"] is not None


# What Python takes and files cannot hold

IN_MEMORY = {
    "ragged lists": ([[1.0, 2.0], [3.0]], "rows of unequal length"),
    "object arrays": (np.array([[1, "a"], [2, 3]], dtype=object), "got 'a' in row 0, column 1"),
    "None among numbers": ([[1, None], [2, 3]], "is NaN in trajectory 0, row 0, column 'x1'"),
    "arrays of dictionaries": (np.array([{}, {}], dtype=object), "got {} in row 0"),
    "masked values": (np.ma.masked_array(X, mask=X > 0.99), "is masked at index"),
    "other features in a list": ([X, X[:, :1]], "Trajectory 1 has 1 features"),
    "an empty trajectory in a list": ([X, X[:0]], "Trajectory 1"),
    "equal vectors in a list": ([X[:, 0], X[:, 0]], "can be read two ways"),
    "a dictionary": ({"x": [1, 2]}, "got a dict"),
    "a path": ("a.csv", "pyhits.read"),
    "nothing": (None, "got NoneType"),
    "an empty list": ([], "empty array"),
    "a number": (3.0, r"got shape \(\)"),
}


@pytest.mark.parametrize("name", IN_MEMORY)
def test_in_memory(name: str) -> None:
    data, match = IN_MEMORY[name]
    with pytest.raises(PyHiTSError, match=match) as caught:
        Trajectories(data)
    assert_listed(str(caught.value), name)
    with pytest.raises(PyHiTSError, match=match):
        pyhits.HiTS(verbose=False).fit(data)


# Options, models and targets: what follows "pyhits", and what is said

COMMANDS = {
    "a step of 0": ("fit {good} --dt 0 -o {out}", "dt to be a positive number, got 0"),
    "a negative step": ("fit {good} --dt -1 -o {out}", "dt to be a positive number"),
    "a step that is NaN": ("fit {good} --dt nan -o {out}", "dt to be a positive number, got nan"),
    "a step in words": ("fit {good} --dt fast -o {out}", "'--dt'"),
    "a step that contradicts": ("fit {good} --dt 0.3 -o {out}", "dt=0.3 was given"),
    "resampling to 0": ("fit {good} --resample 0 -o {out}", "resample to be a positive number"),
    "resampling to 1e-9": ("fit {good} --resample 1e-9 -o {out}", "more than 1000 rows of each"),
    "resampling to 100": ("fit {good} --resample 100 -o {out}", "No 3 whole rows"),
    "unknown way with gaps": ("fit {good} --gaps mend -o {out}", "Known: auto, cut, fill"),
    "a model that is data": ("evaluate {good} {good}", "is not a PyHiTS model file"),
    "data that is a model": ("evaluate {model} {model}", "is a model file, not data"),
    "a missing model": ("info {folder}/none.safetensors", "There is no file"),
    "start with NaN": ("forecast {model} --from {nan} --steps 3 -o {npz}", "got 'nan'"),
    "end with NaN": ("forecast {model} --after {nan} --steps 3 -o {npz}", "got 'nan'"),
    "too few columns": ("forecast {model} --from {one} --steps 3 -o {npz}", "1 features"),
    "other columns": ("evaluate {model} {other}", "features"),
    "no steps": ("forecast {model} --from {good} --steps 0 -o {npz}", "at least 1, got 0"),
    "steps in words": ("forecast {model} --from {good} --steps x -o {npz}", "'--steps'"),
    "start and end": ("forecast {model} --from {good} --after {good} --steps 3 -o {npz}", "either"),
    "all rows held out": ("evaluate {model} {good} --last 60", "it takes 2 or more"),
    "a share of 0": ("fit {good} --without-last 0 -o {out}", "Expected --without-last"),
    "target in a file": (
        "forecast {model} --from {good} --steps 3 -o {good}/a.npz",
        "Cannot write",
    ),
    "target is a folder": ("forecast {model} --from {good} --steps 3 -o {dir}", "it is a folder"),
    "model of another extension": ("fit {good} -o {folder}/m.txt", "end in .safetensors"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str, model: Path, tmp_path: Path) -> None:
    command, match = COMMANDS[name]
    files = {"nan": with_cell(0, 1, "nan"), "other": table(header="t,a,b")}
    files["one"] = table([r[:2] for r in ROWS], header="t,x")
    named = {key: tmp_path / f"{key}.csv" for key in files}
    for key, text in files.items():
        named[key].write_text(text)
    (tmp_path / "dir.npz").mkdir()
    places = {
        **named,
        "good": model.with_name("good.npz"),
        "model": model,
        "folder": tmp_path,
        "dir": tmp_path / "dir.npz",
        "out": tmp_path / "out.safetensors",
        "npz": tmp_path / "out.npz",
    }
    done = run(*[part.format(**places) for part in command.split()])
    assert_plain(done, match)
    said = " ".join(done.stderr.split())
    for folder in (tmp_path, model.parent):
        said = said.replace(f"{folder}{os.sep}", "")
    assert_listed(said, name)
    assert not places["out"].exists()
    assert not places["npz"].exists()


def test_starts_far_outside_are_forecast_or_named(model: Path) -> None:
    loaded = pyhits.load(model)
    states = loaded.forecast([[1e6, -1e6]], 50, on_divergence="return")
    assert states.shape == (1, 51, 2)
    for bad, match in (([np.nan, 1], "nan"), ([1, 2, 3], "shape"), ([1j, 1], "complex")):
        with pytest.raises(PyHiTSError, match=match):
            loaded.forecast([bad], 5)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may do anything"
)
def test_files_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(table())
    path.chmod(0)
    with pytest.raises(PyHiTSError, match="Permission denied"):
        pyhits.read(path)
    assert_plain(run("fit", path, "-o", tmp_path / "m.safetensors", *TINY), "Permission denied")


@pytest.mark.parametrize("name", [*CASES, *IN_MEMORY, *COMMANDS])
def test_the_page_lists_every_case(name: str) -> None:
    assert name in LISTED
    used = name in CASES and CASES[name].refused is None
    assert LISTED[name][0].startswith("used") == used
