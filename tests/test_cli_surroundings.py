"""The command line where little is there: streams, characters, memory, folders, time."""

from __future__ import annotations

import errno
import io
import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import circles, quick
from typer.testing import CliRunner

import pyhits
from pyhits import policies
from pyhits.cli import main
from pyhits.cli.app import app
from pyhits.cli.sentences import sentence
from pyhits.cli.streams import Printable
from pyhits.errors import InterruptedWarning, PyHiTSWarning, warn
from pyhits.flowmaps.residual import ACTIVATIONS
from pyhits.util.printable import printable

RUNNER = CliRunner()
posix = pytest.mark.skipif(os.name != "posix", reason="limits and streams are those of POSIX")
linux = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")


def run(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a command that imports little."""
    return _run([sys.executable, "-m", "pyhits", *arguments], **settings)


def shell(command: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of the shell; ``PYHITS`` stands for the command line."""
    own = f"{shlex.quote(sys.executable)} -m pyhits"
    return _run(["sh", "-c", command.replace("PYHITS", own)], **settings)


def _run(command: list[str], **settings: Any) -> subprocess.CompletedProcess[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(
        command, text=True, encoding="utf-8", timeout=100, check=False, **{**pipes, **settings}
    )


# Ctrl-C


def interrupted(
    monkeypatch: pytest.MonkeyPatch, when: Callable[[int], bool]
) -> Callable[..., None]:
    """Have the training of scales end as Ctrl-C ends it, before those for which ``when`` holds."""
    from pyhits.training import parallel

    def train(index: int, job: Any, report: Any) -> Any:
        if when(job.step_size):
            raise KeyboardInterrupt
        return index, *parallel.train_alone(job, report)

    monkeypatch.setattr(parallel, "_train_one", train)
    return train


@pytest.mark.parametrize(("first", "code"), [(2, 130), (1, 130)])
def test_an_interrupted_fit_exits_with_130_and_keeps_what_was_finished(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: int, code: int
) -> None:
    interrupted(monkeypatch, lambda size: size >= first)
    data, out = tmp_path / "d.npz", tmp_path / "m.safetensors"
    pyhits.write(circles(9, 40), data)
    options = "--step-sizes 1,2,4 --max-steps 20 --hidden-sizes 4 --polynomial-degree 0 --jobs 1"
    done = RUNNER.invoke(app, ["fit", str(data), *options.split(), "-o", str(out)])
    assert done.exit_code == code, done.output
    if first == 1:
        assert "Interrupted; nothing was finished." in done.output
        assert not out.exists()
    else:
        assert "interrupted: kept step sizes [1], left out [2, 4]" in done.output
        assert f"Model written to {out}" in done.output
        assert list(pyhits.load(out).flow_maps) == [1]


def test_a_whole_fit_exits_with_0(tmp_path: Path) -> None:
    pyhits.write(circles(9, 40), tmp_path / "d.npz")
    options = "--step-sizes 1 --flow-map polynomial --quiet --jobs 1"
    out = str(tmp_path / "m.safetensors")
    done = RUNNER.invoke(app, ["fit", str(tmp_path / "d.npz"), *options.split(), "-o", out])
    assert (done.exit_code, done.output) == (0, "")


# Warnings


def test_warnings_point_at_the_line_that_called() -> None:
    model = quick(step_sizes=[1], flow_map="polynomial", hidden_sizes=None, max_steps=None)
    model.fit(circles(9, 40))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.forecast([[50.0, 0.0]], 3, on_divergence="return")
        warn("one of one's own", InterruptedWarning)
    assert [Path(w.filename) for w in said] == [Path(__file__)] * len(said)
    assert {w.category for w in said} == {PyHiTSWarning, InterruptedWarning}


# Characters


def test_control_characters_are_written_out() -> None:
    assert printable("a\tb\nc é 日本 \N{ZERO WIDTH NON-JOINER}") == (
        "a\tb\nc é 日本 \N{ZERO WIDTH NON-JOINER}"
    )
    assert printable("\x1b[31m\x07\r\x85\u202e\u2028") == r"\x1b[31m\x07\r\x85\u202e\u2028"
    # Bytes of a file's name where the system knows ASCII alone, and halves of a character.
    assert printable("donn\udcc3\udca9es") == "données"
    assert printable("\ud83d \udcff") == r"\ud83d \udcff"


@pytest.mark.parametrize("drawn", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_names_and_notes_from_files_do_not_reach_the_terminal(
    tmp_path: Path, request: pytest.FixtureRequest, drawn: bool
) -> None:
    if not drawn:
        request.getfixturevalue("undrawn")
    data = pyhits.Trajectories(
        circles(9, 40).to_array(), 0.1, feature_names=["x\x1b[2J", "y\u202e<b>"]
    )
    model = quick(step_sizes=[1], flow_map="polynomial", hidden_sizes=None, max_steps=None)
    fitted = model.fit(data).stepper_
    model = replace(fitted, notes=(*fitted.notes, "\x1b]0;title\x07"))
    path, table = model.save(tmp_path / "m.safetensors"), tmp_path / "d.npz"
    pyhits.write(data, table)
    report = tmp_path / "r.html"
    for command in (
        ["info", path],
        ["info", path, "--json"],
        ["check", table],
        ["evaluate", path, table, "--report", report],
        ["evaluate", path, table, "--json"],
    ):
        done = RUNNER.invoke(app, [str(part) for part in command])
        assert done.exit_code == 0, done.output
        assert not set(done.output) & {"\x1b", "\x07", "\u202e"}
    page = report.read_text(encoding="utf-8")
    assert "y\\u202e&lt;b&gt;" in page
    assert not set(page) & {"\x1b", "\x07", "\u202e"}


@posix
def test_any_characters_where_the_system_knows_ascii_alone(tmp_path: Path) -> None:
    folder = tmp_path / "données"
    folder.mkdir()
    rows = "\n".join(f"{np.sin(k):.5f},{np.cos(k):.5f}" for k in range(30))
    (folder / "été.csv").write_text(f"température,日本\n{rows}\n", encoding="utf-8")
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for more in ({}, {"PYTHONIOENCODING": "ascii"}):
        environment = {**os.environ, **ascii_alone, **more}
        done = run("check", str(folder / "été.csv"), env=environment)
        assert done.returncode == 0, done.stderr
        assert "temp\\xe9rature" in done.stdout
        done = run("fit", str(folder / "été.txt"), "-o", "m.safetensors", env=environment)
        assert done.returncode == 2
        assert "donn\\xe9es/\\xe9t\\xe9.txt" in done.stderr


# Streams


@linux
@pytest.mark.parametrize("command", [["systems"], ["--help"]])
def test_a_full_device_is_named(command: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = run(*command, stdout=full)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Error: Cannot read or write standard output: No space left on device."
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(closed: str) -> None:
    done = shell(f"PYHITS systems {closed}")
    assert done.returncode == 0, done.stderr
    assert ("lorenz" in done.stdout) == (">&-" not in closed.replace("2>&-", ""))


@posix
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    done = shell("PYHITS systems | true")
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_command_prints_is_flushed_through() -> None:
    stream = io.StringIO()
    print("a\x1b", end="", file=Printable(stream))  # type: ignore[arg-type]
    assert stream.getvalue() == "a\\x1b"


# Memory, folders


@posix
def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = shell(f"cd {shlex.quote(str(gone))} && rmdir ../gone && PYHITS systems")
    assert done.returncode == 2
    assert "has been deleted; change to another one" in done.stderr


@linux
@pytest.mark.parametrize("kilobytes", [100_000, 700_000])
def test_little_memory_ends_in_a_sentence(tmp_path: Path, kilobytes: int) -> None:
    (tmp_path / "d.csv").write_text("\n".join(f"{k / 7},{k * k}" for k in range(50)))
    done = shell(f"ulimit -v {kilobytes} && PYHITS fit d.csv -o m.safetensors", cwd=tmp_path)
    assert done.returncode == 1
    assert "There is not enough memory" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_errors_in_sentences() -> None:
    for error, text, code in (
        (MemoryError(), "not enough memory", 1),
        (RuntimeError("can't start new thread"), "not enough memory", 1),
        (ImportError("x.so: failed to map segment from shared object"), "not enough memory", 1),
        (ImportError("No module named 'numpy'"), "Install pyhits again", 1),
        (OSError(5, "Input/output error", "d.csv"), "read or write d.csv: Input/output", 1),
        (ZeroDivisionError("division by zero"), "--debug", 1),
        (BrokenPipeError(), "", 0),
    ):
        found = sentence(error)
        assert text in found[0]
        assert found[1] == code


def test_a_recording_is_not_overwritten_by_its_forecast(tmp_path: Path) -> None:
    path, link = tmp_path / "d.npy", tmp_path / "link.npy"
    np.save(path, circles(3, 20).to_array())
    link.symlink_to(path.name)
    before = path.read_bytes()
    for out in (path, link):
        command = ["forecast", "m.safetensors", "--from", str(path), "--steps", "5", "-o", str(out)]
        done = RUNNER.invoke(app, command)
        assert done.exit_code == 2
        assert "would be lost" in done.output
    assert path.read_bytes() == before


# Time


#: Commands that end before anything is trained, and their exit codes.
REFUSALS = {
    "fit none.csv -o m.safetensors": 2,
    "fit d.csv -o m.safetensors --optimizer adamm": 2,
    "fit d.csv -o m.safetensors --input force": 2,
    "fit d.csv -o m.txt": 2,
    "fit nan.csv -o m.safetensors": 1,
    "info none.safetensors": 2,
    "info d.csv": 2,
    "forecast none.safetensors --from d.csv --steps 3 -o f.csv": 2,
    "evaluate none.safetensors d.csv": 2,
    "check d.csv": 0,
}


def test_refusals_import_nothing_that_trains(tmp_path: Path) -> None:
    """One after the other in one process, which after none of them holds what is heavy."""
    (tmp_path / "d.csv").write_text("x,y\n" + "\n".join(f"{k / 7},{k * k}" for k in range(50)))
    (tmp_path / "nan.csv").write_text("x,y\n" + "\n".join(f"{k / 7},nan" for k in range(50)))
    script = (
        "import sys\nfrom pyhits.cli.app import app\n"
        f"for command in {list(REFUSALS)}:\n"
        "    try:\n        app(command.split())\n"
        "    except SystemExit as end:\n        code = end.code\n"
        "    heavy = {'torch', 'sklearn', 'matplotlib', 'scipy.stats'} & set(sys.modules)\n"
        "    print('ENDED', command, code, sorted(heavy))\n"
    )
    done = _run([sys.executable, "-c", script], cwd=tmp_path)
    ended = [line for line in done.stdout.splitlines() if line.startswith("ENDED")]
    assert ended == [f"ENDED {command} {code} []" for command, code in REFUSALS.items()], (
        done.stderr
    )


def test_names_of_settings_are_those_that_there_are() -> None:
    """They stand beside the recipe, which is checked without importing torch."""
    assert tuple(ACTIVATIONS) == policies.ACTIVATIONS
    with pytest.raises(pyhits.errors.ArgumentError, match="Unknown activation"):
        pyhits.Nets(activation="sigmoid")


def test_too_many_open_files_are_said_to_be_that():
    said, code = sentence(OSError(errno.EMFILE, "Too many open files"))
    assert "ulimit -n" in said
    assert code == 1


@pytest.mark.parametrize(
    "where", ["pyhits.cli.limits.check_folder", "typer.core.TyperGroup.make_context"]
)
def test_an_interruption_before_a_command_begins_is_said(monkeypatch, capsys, where):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupted)
    with pytest.raises(SystemExit, match="130"):
        pyhits.cli.main()
    assert capsys.readouterr().err == "Error: Interrupted; nothing was finished.\n"


def test_an_interruption_within_the_care_of_another_error_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(obj: object) -> None:
        try:
            raise ImportError
        except ImportError:
            raise KeyboardInterrupt  # noqa: B904

    monkeypatch.setattr("pyhits.cli.app.app", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert "Interrupted" in capsys.readouterr().err
