"""The command line: results, exit codes, plain errors, silence."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import circles
from typer.testing import CliRunner, Result

import pyhits
from pyhits.cli.app import app

RUNNER = CliRunner()
SMALL = ["--max-steps", "40", "--hidden-sizes", "8", "--n-jobs", "1", "--step-sizes", "1,2,4"]


def run(*arguments: object) -> Result:
    return RUNNER.invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with trajectories and a model of them."""
    folder = tmp_path_factory.mktemp("cli")
    pyhits.write(circles(30, 80), folder / "train.npz")
    pyhits.write(circles(6, 60, seed=1), folder / "test.npz")
    done = run("fit", folder / "train.npz", "-o", folder / "m.safetensors", *SMALL)
    assert done.exit_code == 0, done.output
    return folder


def test_systems_lists_the_catalogue() -> None:
    listed = run("systems")
    assert listed.stderr == ""
    assert listed.stdout.split()[:4] == ["name", "dim", "dt", "title"]
    assert listed.exit_code == 0
    for name in pyhits.systems.names():
        assert name in listed.stdout
    rows = json.loads(run("systems", "--json").stdout)
    assert [r["name"] for r in rows] == pyhits.systems.names()
    one = run("systems", "lorenz")
    assert "rho" in one.stdout
    assert json.loads(run("systems", "lorenz", "--json").stdout)["dt"] == 0.0005
    assert run("systems", "--quiet").stdout.splitlines() == listed.stdout.splitlines()[1:]


def test_simulate_writes_what_the_library_simulates(tmp_path: Path) -> None:
    out = tmp_path / "x.npz"
    options = ["--trajectories", 5, "--steps", 20, "--dt", 0.1, "--seed", 3]
    done = run("simulate", "van-der-pol", *options, "-o", out)
    assert (done.exit_code, done.stdout) == (0, "")
    data = pyhits.read(out)
    assert data == pyhits.systems.get("van-der-pol").simulate(5, 20, dt=0.1, random_state=3)
    run("simulate", "hyperbolic", *options, "-o", out, "--region", "0,1,2,3")
    start = pyhits.read(out).initial_states
    assert ((start >= [0, 2]) & (start <= [1, 3])).all()
    run("simulate", "van-der-pol", *options, "-o", out, "--noise", 0.01)
    assert not np.array_equal(pyhits.read(out).values, data.values)


def test_fit_forecast_evaluate(files: Path, tmp_path: Path) -> None:
    model = files / "m.safetensors"
    out = tmp_path / "forecast.npz"
    done = run("forecast", model, "--from", files / "test.npz", "--steps", 25, "-o", out)
    assert done.exit_code == 0, done.output
    predicted = pyhits.read(out)
    assert (len(predicted), predicted.lengths[0], predicted.dt) == (6, 26, 0.1)
    assert predicted.feature_names == ("x", "y")
    loaded = pyhits.load(model)
    states = pyhits.read(files / "test.npz").initial_states
    np.testing.assert_array_equal(predicted.to_array(), loaded.forecast(states, 25))
    shown = run("evaluate", model, files / "test.npz")
    assert "mse" in shown.stdout
    values = json.loads(run("evaluate", model, files / "test.npz", "--json", "--quiet").stdout)
    assert values["mse"] < 1e-6
    fewer = ["--steps", 10, "--step-sizes", "2", "--json"]
    values = json.loads(run("evaluate", model, files / "test.npz", *fewer).stdout)
    assert (values["n_steps"], values["step_sizes"]) == (10, [2])


def test_a_recording_without_times_takes_the_models_step(files: Path, tmp_path: Path) -> None:
    table = tmp_path / "bare.csv"
    np.savetxt(table, circles(1, 30, seed=4)[0], delimiter=",", header="x,y", comments="")
    result = run("evaluate", files / "m.safetensors", table, "--json")
    assert json.loads(result.stdout)["dt"] == 0.1
    out = tmp_path / "m.safetensors"
    done = run("fit", table, "--dt", 0.1, "-o", out, "--max-steps", 20, "--n-jobs", 1)
    assert done.exit_code == 0, done.output
    assert pyhits.load(out).dt == 0.1


def test_info_shows_the_selection(files: Path, tmp_path: Path) -> None:
    shown = run("info", files / "m.safetensors")
    for words in ("<- chosen", "trained on", "closed form", "dt            0.1"):
        assert words in shown.stdout
    values = json.loads(run("info", files / "m.safetensors", "--json").stdout)
    assert values["step_sizes"] == [1, 2, 4]
    assert values["selection"]["path"]
    done = run("info", files / "m.safetensors", "--plot", tmp_path / "a" / "path.svg")
    assert done.exit_code == 0
    assert "<svg" in (tmp_path / "a" / "path.svg").read_text()
    assert run("info", files / "m.safetensors", "--plot", tmp_path / "path.xyz").exit_code == 2


def test_a_diverged_forecast_is_named_or_cut(files: Path, tmp_path: Path) -> None:
    far = circles(2, 5).to_array().copy()
    far[1] *= 1e9
    pyhits.write(pyhits.Trajectories(far, 0.1), tmp_path / "far.npz")
    command = ["forecast", files / "m.safetensors", "--from", tmp_path / "far.npz", "--steps", 9]
    out = tmp_path / "out.npz"
    refused = run(*command, "-o", out)
    assert refused.exit_code == 1
    assert "trajectory 1 diverged at step 0" in refused.stderr
    assert not out.exists()
    cut = run(*command, "-o", out, "--on-divergence", "return")
    assert cut.exit_code == 0, cut.output
    assert "Trajectory 1 diverged" in cut.stderr
    assert len(pyhits.read(out)) == 1


def test_quiet_is_silent(files: Path, tmp_path: Path) -> None:
    model, test = files / "m.safetensors", files / "test.npz"
    for arguments in (
        ("simulate", "cubic", "-n", 2, "--steps", 9, "-o", tmp_path / "s.npz"),
        ("fit", test, "-o", tmp_path / "q.safetensors", *SMALL),
        ("forecast", model, "--from", test, "--steps", 3, "-o", tmp_path / "f.npz"),
    ):
        done = run(*arguments, "--quiet")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


COMMANDS = [
    "systems",
    "simulate",
    "fit",
    "info",
    "forecast",
    "couple",
    "evaluate",
    "export",
    "demo",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    shown = run(name, "--help")
    assert shown.exit_code == 0
    assert f"Example: pyhits {name}" in shown.stdout
    for option in ("--quiet", "--debug"):
        assert option in shown.stdout


def test_version() -> None:
    assert run("--version").stdout.strip() == f"pyhits {pyhits.__version__}"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fitt"], 2, "No such command"),
        (["fit"], 2, "Missing"),
        (["fit", "TEST", "-o", "x.safetensors", "--max-step", "3"], 2, "No such option"),
        (["fit", "TEST", "-o", "x.safetensors", "--max-steps", "many"], 2, "Invalid value for"),
        (["fit", "TEST", "-o", "x.pkl"], 2, "end in .safetensors"),
        (["fit", "nowhere.npz", "-o", "x.safetensors"], 2, "nowhere.npz"),
        (["fit", "TEST", "-o", "x.safetensors", "--step-sizes", "1,a"], 2, "whole numbers"),
        (["fit", "TEST", "-o", "x.safetensors", "--step-sizes", "2,3"], 2, "does not divide"),
        (["fit", "TEST", "-o", "x.safetensors", "--training", "papr"], 2, "did you mean 'paper'"),
        (["fit", "TEST", "-o", "x.safetensors", "--dt", "-1"], 2, "positive number"),
        (["fit", "TEST", "-o", "x.safetensors", "--dt", "0.2"], 2, "own times step by 0.1"),
        (["fit", "NAN", "-o", "x.safetensors"], 1, "line 5"),
        (["systems", "lorentz"], 2, "did you mean"),
        (["simulate", "lorentz", "-o", "x.npz"], 2, "lorenz"),
        (["simulate", "cubic", "-o", "x.xyz"], 2, "x.xyz"),
        (["simulate", "cubic", "-o", "x.npz", "--region", "0,1"], 2, "4 numbers"),
        (["simulate", "cubic", "-o", "x.npz", "--region", "a"], 2, "numbers such as"),
        (["simulate", "cubic", "-n", "0", "-o", "x.npz"], 2, "n_trajectories"),
        (["info", "TEST"], 2, "not a PyHiTS model"),
        (["info", "nowhere.safetensors"], 2, "There is no file"),
        (["forecast", "MODEL", "--from", "TEST", "-o", "x.npz"], 2, "Missing option '--steps'"),
        (["forecast", "MODEL", "--from", "TEST", "-o", "x.npz", "--steps", "0"], 2, "at least 1"),
        (["couple", "MODEL", "-o", "x.safetensors"], 2, "Missing option '--selection'"),
        (["couple", "MODEL", "-o", "x.npz", "--selection", "all"], 2, "end in .safetensors"),
        (["couple", "MODEL", "-o", "x.safetensors", "--selection", "8"], 2, "8 cannot be selected"),
        (
            ["couple", "MODEL", "-o", "x.safetensors", "--selection", "quick"],
            2,
            "Unknown selection",
        ),
        (["fit", "TEST", "-o", "x.safetensors", "--dense", "0"], 2, "dense"),
        (["evaluate", "MODEL", "WIDE"], 1, "have 3 features, the training data 2"),
        (["evaluate", "MODEL", "TEST", "--step-sizes", "8"], 2, "8 was not trained"),
    ],
)
def test_misuse_exits_with_two_and_one_sentence(
    arguments: list[str],
    code: int,
    message: str,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nan.csv").write_text("t,x\n0,1\n1,2\n2,3\n3,nan\n4,1\n")
    pyhits.write(pyhits.Trajectories(np.random.default_rng(0).random((3, 9, 3)), 0.1), "wide.npz")
    names = {
        "TEST": files / "test.npz",
        "MODEL": files / "m.safetensors",
        "NAN": "nan.csv",
        "WIDE": "wide.npz",
    }
    done = run(*[names.get(a, a) for a in arguments])
    assert done.exit_code == code, done.output
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.glob("x.*"))


def test_couple_writes_another_choice(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "fast.safetensors"
    arguments = ["--selection", "speed", "--tolerance", "1e6", "--validation", files / "test.npz"]
    done = run("couple", files / "m.safetensors", *arguments, "-o", out)
    assert done.exit_code == 0, done.output
    model = pyhits.load(out)
    assert model.coupling.how == "speed"
    assert "Coupled step sizes" in done.stderr
    assert len(model.selection.step_sizes) == 1
    again = run("couple", out, "--selection", "1", "-o", out, "--json")
    assert json.loads(again.stdout)["selection"]["step_sizes"] == [1]
    assert pyhits.load(out).selection.step_sizes == (1,)
    assert "by speed" not in run("info", out).stdout
    assert run("info", out, "--plot", tmp_path / "front.svg").exit_code == 0


def test_debug_shows_the_traceback() -> None:
    done = run("info", "nowhere.safetensors", "--debug")
    assert "Traceback" in done.stderr
    assert done.exit_code == 2


def test_surprises_are_one_sentence_too(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("so it goes")

    monkeypatch.setattr("pyhits.forecasting.described.text", broken)
    done = run("info", files / "m.safetensors")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ZeroDivisionError: so it goes")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pyhits.forecasting.described.text", interrupted)
    assert run("info", files / "m.safetensors").exit_code == 130


def test_the_report_is_one_file(files: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "report.html"
    model, test = files / "m.safetensors", files / "test.npz"
    done = run("evaluate", model, test, "--report", page)
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert text.count("<svg") == 8
    for words in ("Error against time", "Which scales", "Accuracy and cost", "Scales", "Phase"):
        assert words in text
    assert "http://www.w3.org" in text
    links = {w for w in ("src=", 'href="http', "<script", "<link") if w in text}
    assert not links
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run("evaluate", model, test, "--report", blocked / "r.html").exit_code == 2


@pytest.mark.usefixtures("undrawn")
def test_the_demo_makes_its_files(tmp_path: Path) -> None:
    options = ["--trajectories", 8, "--steps", 60, "--scales", 2, "--max-steps", 30]
    done = run("demo", "--out", tmp_path / "demo", *options)
    assert done.exit_code == 0, done.output
    assert "mse" in done.stdout
    names = {p.name for p in (tmp_path / "demo").iterdir()}
    assert names == {"report.html", "forecast.npz", "van-der-pol.safetensors"}
    quiet = run("demo", "--out", tmp_path / "demo", *options, "--quiet")
    assert float(quiet.stdout) < 1
    assert quiet.stderr == ""


def test_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyhits", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("pyhits ")


def test_data_and_models_are_plotted(files: Path, tmp_path: Path) -> None:
    for file, kind in (
        ("test.npz", "portrait"),
        ("m.safetensors", "auto"),
        ("m.safetensors", "front"),
    ):
        out = tmp_path / f"{kind}.png"
        done = run("plot", files / file, "--kind", kind, "-o", out)
        assert done.exit_code == 0, done.output
        assert out.stat().st_size > 1000
    done = run("plot", files / "m.safetensors", "--kind", "lines", "-o", tmp_path / "x.png")
    assert done.exit_code != 0
    assert "known: auto, scales, front" in " ".join(done.stderr.split())


def test_a_fit_ends_with_a_summary_or_json(files: Path, tmp_path: Path) -> None:
    options = ["--step-sizes", "1", "--flow-map", "polynomial", "--n-jobs", "1", "--json"]
    done = run("fit", files / "test.npz", *options, "-o", tmp_path / "m.safetensors")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["step_sizes"] == [1]
    *_, name, error, maps, intervals, _, written = done.stderr.rstrip().splitlines()
    assert name.startswith("TimeStepper(")
    assert error.startswith("Error in validation rollouts")
    assert maps.startswith("Flow maps: polynomial")
    assert intervals.startswith("Intervals: ")
    assert written.startswith("Model written")


def test_a_time_limit_counts_from_the_begin_of_the_command(files: Path, tmp_path: Path) -> None:
    given = [
        "fit",
        files / "test.npz",
        "-o",
        tmp_path / "m.safetensors",
        "--time-limit",
        50,
        *SMALL,
    ]
    for spent, is_cut in ((0.0, False), (50.0, True)):
        begin = time.perf_counter() - spent
        done = RUNNER.invoke(app, [str(a) for a in given], obj=begin)
        assert done.exit_code == 0, done.output
        assert ("time limit has cut short" in " ".join(done.output.split())) == is_cut
