"""The study from end to end on tiny budgets: records, files, printing, the command."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pyhits
from pyhits import plots
from pyhits.cli.app import app
from pyhits.errors import ArgumentError, FileFormatError
from pyhits.paper import (
    Budget,
    Cache,
    Result,
    Study,
    Table,
    get,
    measure,
    names,
    output,
    register,
    registry,
    reproduce,
)
from pyhits.paper.budget import BUDGETS, get_budget
from pyhits.paper.comparison.problems import SequenceProblem
from pyhits.plots.look import save_figure

TINY = Budget(
    "tiny",
    train=10,
    validation=4,
    test=4,
    n_steps=64,
    n_scales=5,
    max_steps=5,
    noisy_max_steps=5,
    polynomial_degree=3,
    paper_steps=2,
    repeats=1,
    grid=6,
    sequence_seconds=0.1,
    small_sequences=True,
)
PLANAR, CHAOTIC = "hyperbolic", "lorenz"
ERRORS = {"system", "noise", "scheme", "mse", "paper_mse", "seconds"}
TIMES = {"system", "scheme", "seconds", "mse", "paper_seconds"}


@pytest.fixture(scope="module")
def study(
    tmp_path_factory: pytest.TempPathFactory, toy_sequences: tuple[SequenceProblem, ...]
) -> Study:
    """Two systems on little data; models and measurements are shared by the tests."""
    cache = Cache(tmp_path_factory.mktemp("cache"))
    systems, waves = (PLANAR, CHAOTIC), [one for one in toy_sequences if one.name == "ks"]
    return Study(TINY, cache=cache, systems=systems, sequences=waves, n_jobs=1)


@pytest.mark.slow
def test_every_study_writes_its_files(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the figures one is drawn twice, the others as PNG alone."""

    def save(figure: Any, path: Path) -> Path:
        if path.suffix == ".pdf" and path.stem != "fig2":
            path.write_bytes(b"%PDF")
            return path
        return save_figure(figure, path)

    monkeypatch.setattr(output, "save_figure", save)
    out = tmp_path / "er"
    results = reproduce("all", study, out)
    assert list(results) == names()
    for name, result in results.items():
        records = json.loads((out / f"{name}.json").read_text())
        with (out / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(records) == len(rows) == len(result.records) > 0
        assert list(records[0]) == list(result.records[0])
        pictures = {p.suffix for p in out.glob(f"{name}.p*")}
        assert pictures == (set() if result.figure is None else {".pdf", ".png"})
    index = (out / "index.md").read_text()
    for name in names():
        assert f"## {name}: " in index
        assert f"({name}.csv)" in index
    assert "![" in index
    assert "| multiscale |" in index


@pytest.mark.parametrize(
    ("name", "noise"),
    [
        ("table6", 0.0),
        ("table7", 0.01),
        pytest.param("table8", 0.02, marks=pytest.mark.slow),
    ],
)
def test_errors_have_the_promised_records(study: Study, name: str, noise: float) -> None:
    result = get(name).make(study)
    records = result.records
    schemes = [f"nnts-{k}" for k in range(5)] + ["multiscale"]
    assert [(r["system"], r["scheme"]) for r in records] == [
        (system, scheme) for system in (PLANAR, CHAOTIC) for scheme in schemes
    ]
    for record in records:
        assert set(record) >= ERRORS
        assert record["noise"] == noise
        assert record["seconds"] > 0
        assert record["paper_mse"] > 0
        assert ("floor" in record) == (noise > 0)
        if record["scheme"] != "multiscale":
            assert record["step_sizes"] == [2 ** int(record["scheme"][5:])]
    assert len(result.tables) == (2 if noise else 1)
    assert "single scale" in result.notes[0]


def test_times_have_the_promised_records(study: Study) -> None:
    made = {name: get(name).make(study).records for name in ("table5", "table9")}
    for name, first in (("table5", "nnts-0"), ("table9", "rk-0")):
        for record in made[name]:
            assert set(record) >= TIMES
            assert record["threads"] >= 1
        assert made[name][0]["scheme"] == first
    by_scheme = {r["scheme"]: r for r in made["table9"] if r["system"] == PLANAR}
    # Steps of 1, 2, 4 and 8 fit into the coarsest learned one, of 16.
    assert list(by_scheme) == [*(f"rk-{k}" for k in range(4)), *(f"hybrid-{k}" for k in range(4)),
                               "multiscale"]  # fmt: skip


def test_runge_kutta_converges_with_order_four(study: Study) -> None:
    records = [r for r in get("table9").make(study).records if r["system"] == CHAOTIC]
    errors = [r["mse"] for r in records if r["scheme"] in ("rk-2", "rk-3")]
    assert np.log2(errors[1] / errors[0]) == pytest.approx(8, abs=1)


def test_corrected_hybrids_are_as_accurate_as_runge_kutta(study: Study) -> None:
    for record in get("table9").make(study).records:
        if record["scheme"].startswith("hybrid"):
            assert record["parareal_ratio"] <= 2
            assert 0 <= record["parareal_iterations"] <= 4


def test_the_coupled_error_is_that_of_an_evaluation(study: Study) -> None:
    model, test = study.model(PLANAR), study.data(PLANAR, "test")
    found = measure.learned(study, PLANAR)
    evaluated = model.evaluate(test)
    assert found["multiscale"].errors.mse == pytest.approx(evaluated.mse)
    np.testing.assert_allclose(found["multiscale"].errors.per_step, evaluated.per_step_mse)
    one = model.evaluate(test, step_sizes=[4])
    assert found["nnts-2"].errors.mse == pytest.approx(one.mse)


def test_the_floor_is_what_the_noise_of_the_start_costs(study: Study) -> None:
    floor = measure.floor(study, PLANAR, 0.02)
    variance = 0.02 * study.data(PLANAR, "test").mean_variance().mean()
    # A contracting system forgets the noise of the start; that of the truth stays.
    assert 0 < floor.clean_truth < 4 * variance
    assert floor.noisy_truth - floor.clean_truth == pytest.approx(variance, rel=0.5)


def test_diverged_forecasts_have_infinite_errors() -> None:
    truth = np.zeros((3, 5, 2))
    states = truth + 1.0
    states[1, 3:] = np.nan
    found = measure.errors(truth, states)
    assert found.mse == np.inf
    assert found.diverged == 1
    assert np.isfinite(found.per_step[:3]).all()
    assert measure.errors(truth, truth + 2.0).mse == 4.0


def test_json_has_no_infinity_and_csv_does(tmp_path: Path) -> None:
    result = Result([{"mse": np.inf, "step_sizes": [1, 2]}])
    output.write(result, "x", tmp_path)
    assert json.loads((tmp_path / "x.json").read_text()) == [{"mse": None, "step_sizes": [1, 2]}]
    assert (tmp_path / "x.csv").read_text() == "mse,step_sizes\ninf,1 2\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.23e-12, "1.2e-12"), (4.1, "4.1e+0"), (np.inf, "inf"), (None, "-"), (0.0, "0.0e+0")],
)
def test_numbers_read_as_in_the_paper(value: float | None, shown: str) -> None:
    assert output.number(value) == shown
    assert output.beside(value, 2.0) == f"{shown} (2.0e+0)"


@pytest.mark.parametrize(
    ("chosen", "shown"), [((8, 16, 32), "3 - 5"), ((4,), "2"), ((1, 16), "0, 4")]
)
def test_scales_are_numbered_as_in_the_paper(chosen: tuple[int, ...], shown: str) -> None:
    assert measure.scale_names(chosen) == shown


def test_the_papers_recipe_comes_with_the_papers_nets(tmp_path: Path) -> None:
    longer = dataclasses.replace(TINY, n_steps=100)  # 5 steps of 16 in the loss
    study = Study(longer, recipe="paper", cache=Cache(tmp_path), systems=(PLANAR,))
    model = study.model(PLANAR)
    assert model.recipe.hidden_sizes == (128, 128, 128)
    assert (model.recipe.activation, model.recipe.rollout_steps) == ("relu", 5)
    assert (model.interpolation, model.recipe.max_steps) == ("linear", 2)
    assert Study("paper", cache=Cache(tmp_path)).recipe == "paper"
    assert Study("paper", recipe="pyhits", cache=Cache(tmp_path)).recipe == "pyhits"
    assert Study("paper", cache=Cache(tmp_path)).settings("lorenz")["max_steps"] == 100_000


@pytest.mark.slow
def test_models_fitted_side_by_side_are_the_same(study: Study, tmp_path: Path) -> None:
    beside = dataclasses.replace(TINY, side_by_side=True)
    other = Study(beside, cache=Cache(tmp_path), systems=study.systems, n_jobs=2)
    other.prepare()
    assert len(list(tmp_path.glob("models/*/model.safetensors"))) == 2
    start = study.data(PLANAR, "test").initial_states
    np.testing.assert_array_equal(
        other.model(PLANAR).forecast(start, 64), study.model(PLANAR).forecast(start, 64)
    )


def test_studies_of_ones_own(study: Study, tmp_path: Path) -> None:
    try:
        for source in (own, f"{__name__}:own"):
            register("own", "One of one's own", source)
            assert "own" in names()
            assert get("own").make(study).records == [{"systems": 2}]
        reproduce("own", study, tmp_path)
        assert json.loads((tmp_path / "own.json").read_text()) == [{"systems": 2}]
    finally:
        del registry._entries["own"]


def own(study: Study) -> Result:
    """A study in another file."""
    return Result([{"systems": len(study.systems)}], [Table("Own", ["n"], [["2"]])])


def drawn(study: Study) -> Result:
    """A study with a figure."""
    figure = plots.blank()
    figure.subplots().plot([0, 1])
    return Result([{"x": 1}], [Table("Own", ["n"], [["2"]])], figure=figure)


def test_all_are_written_with_an_index(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_entries", {})
    register("own", "A figure of one's own", drawn)
    assert list(reproduce("all", study, tmp_path / "er")) == ["own"]
    found = {path.name for path in (tmp_path / "er").iterdir()}
    assert found == {"index.md", *(f"own.{end}" for end in ("json", "csv", "pdf", "png"))}
    index = (tmp_path / "er" / "index.md").read_text()
    for words in ("## own: A figure of one's own", "(own.csv)", "![", "| 2 |"):
        assert words in index


def test_unknown_names_are_refused_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="did you mean 'table6'"):
        get("tabel6")
    for wrong in ({"budget": "quik"}, {"recipe": "papr"}, {"systems": ("lorentz",)}, {"seed": -1}):
        with pytest.raises(ArgumentError):
            Study(**wrong, cache=Cache(tmp_path))  # type: ignore[arg-type]
    (tmp_path / "file").write_text("")
    with pytest.raises(FileFormatError):
        Cache(tmp_path / "file")
    with pytest.raises(FileFormatError):
        reproduce("fig10", Study(TINY, cache=Cache(tmp_path)), tmp_path / "file")


def test_budgets_have_the_papers_counts_but_the_quick_one() -> None:
    assert list(BUDGETS) == ["quick", "standard", "paper"]
    assert all(b.n_steps == 5120 and b.n_scales == 11 for b in BUDGETS.values())
    assert get_budget("standard").train is None
    assert get_budget(TINY) is TINY


def test_the_command(tmp_path: Path) -> None:
    runner = CliRunner()
    out, cache = tmp_path / "out", tmp_path / "cache"
    options = ["--budget", "quick", "--out", str(out), "--cache", str(cache), "--quiet"]
    done = runner.invoke(app, ["reproduce", "table4", *options])
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert "architectures" in done.stdout
    assert {p.name for p in out.iterdir()} == {"table4.json", "table4.csv"}
    refused = runner.invoke(app, ["reproduce", "fig11", *options])
    assert refused.exit_code == 2
    assert "did you mean 'fig10'" in refused.stderr
    helped = runner.invoke(app, ["reproduce", "--help"])
    assert "Example: pyhits reproduce" in helped.stdout


def test_nothing_of_the_study_is_imported_with_the_library() -> None:
    import subprocess
    import sys

    code = "import pyhits, sys; print([m for m in sys.modules if m.startswith('pyhits.paper')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert pyhits.__version__
