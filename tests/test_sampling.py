"""How windows are drawn: evenly, early, by density, by error; and the study that compares them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles, quick
from scipy.stats import chisquare, kstest
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError
from pyhits.paper import Budget, Cache, Study, reproduce
from pyhits.paper.figures.sampling import MEASURES, ratios
from pyhits.policies import SAMPLINGS
from pyhits.training import (
    Recipe,
    ScaleJob,
    WindowSampler,
    get_recipe,
    train_scale,
)
from pyhits.training import run as run_module
from pyhits.training.jobs import JobSettings, TrainingData, Tuning, make_jobs
from pyhits.training.objective import Objective
from pyhits.training.sampling import (
    Density,
    Residual,
    Sampling,
    even_weights,
    focused,
    make_sampling,
    pool,
)
from pyhits.training.stacked import train_stacked
from pyhits.training.stages import prepare

SMALL = Recipe(hidden_sizes=(16,), batch_size=64, max_steps=200, polynomial_degree=0)


def sampler(data: Trajectories, step_size: int = 1, bias: float = 1.0) -> WindowSampler:
    encoder = Standardise().fit(data.values)
    return WindowSampler(data.values, data.offsets, encoder, step_size, 1, bias, seed=1)


def numbered(*lengths: int) -> WindowSampler:
    """Windows whose first state is the number of their row, over trajectories of these lengths."""
    data = Trajectories(np.split(np.arange(float(sum(lengths)))[:, None], np.cumsum(lengths)[:-1]))
    encoder = Standardise().set_statistics(np.zeros(1), np.ones(1))
    return WindowSampler(data.values, data.offsets, encoder, 1, 1, 3.0, seed=1)


def rows(sampling: Sampling, n: int, batch: int = 0) -> np.ndarray:
    """Row numbers at which the windows of a batch begin."""
    return sampling.draw(n, batch)[0, :, 0].astype(int)


def job(data: Trajectories, recipe: Recipe, step_size: int = 2, **options: Any) -> ScaleJob:
    encoder = Standardise(recipe.standardise).fit(data.values)
    resolved = recipe.resolve(data.n_features, len(data), data.n_rows)
    return make_jobs(
        TrainingData(data, data, encoder), JobSettings(resolved, seed=3, **options), [step_size]
    )[0]


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def settling(n: int = 40, n_steps: int = 400, d: int = 1) -> Trajectories:
    """Decays to 0, where most of the rows lie."""
    start = np.random.default_rng(0).uniform(-1, 1, (n, 1, d))
    return Trajectories(start * np.exp(-0.05 * np.arange(n_steps + 1))[:, None], 0.1)


# What is drawn


def test_uniform_draws_every_window_equally_often() -> None:
    """Chi-square over all windows of ragged trajectories, one of them too short for any."""
    lengths = [30, 2, 90, 2, 61]
    uniform = make_sampling("uniform", replace(numbered(*lengths), step_size=2), 64)
    counts = np.bincount(rows(uniform, 90_000), minlength=185)
    ends = np.cumsum(lengths)
    outside = np.concatenate([ends - 1, ends - 2])
    assert (counts[outside] == 0).all()
    assert chisquare(np.delete(counts, outside)).pvalue > 1e-3


@pytest.mark.parametrize("bias", [2.0, 3.0])
def test_early_follows_its_power_of_time(bias: float) -> None:
    """``T u**b`` has the distribution ``(t / T)**(1 / b)``."""
    early = make_sampling("early", replace(numbered(10_001), early_bias=bias), 64)
    u = np.random.default_rng(0).random(5000)
    times = (rows(early, 5000) + u) / 10_000
    assert kstest(times, lambda t: np.clip(t, 0, 1) ** (1 / bias)).pvalue > 1e-3


@pytest.mark.parametrize("d", [1, 2, 3])
def test_density_covers_the_region_more_evenly(d: int) -> None:
    """A histogram of visited states becomes flatter, by its coefficient of variation."""
    windows = sampler(settling(200, 400, d))
    edges = [np.linspace(*np.quantile(windows.states(windows.all_rows())[:, k], [0, 1]), 9)
             for k in range(d)]  # fmt: skip

    def unevenness(name: str) -> float:
        states = make_sampling(name, windows, 64).draw(20_000, 0)[0]
        counts, _ = np.histogramdd(states, edges)
        counts = counts[counts > 0]
        return float(counts.std() / counts.mean())

    assert unevenness("density") < 0.25 * unevenness("uniform")


def test_density_in_many_dimensions_draws_the_sparse_region_more_often() -> None:
    windows = sampler(settling(200, 200, d=30))

    def far(name: str) -> float:
        states = make_sampling(name, windows, 64).draw(20_000, 0)[0]
        return float((np.linalg.norm(states, axis=1) > 5).mean())

    assert far("density") > 3 * far("uniform") > 0


def test_weights_of_density_are_bounded_and_even_over_cells() -> None:
    rng = np.random.default_rng(0)
    states = np.concatenate([rng.random((9000, 2)) / 4, rng.random((1000, 2)) / 4 + 0.75])
    weights = even_weights(states, 0)
    assert weights.max() == 1
    assert weights[:9000].sum() == pytest.approx(weights[9000:].sum(), rel=0.3)
    outlier = np.append(np.zeros((9999, 1)), [[1.0]], axis=0)
    assert even_weights(outlier, 0)[0] > 1e-5
    np.testing.assert_array_equal(even_weights(np.full((50, 3), 7.0), 0), np.ones(50))
    flat = np.column_stack([states, np.ones(10_000)])
    np.testing.assert_array_equal(even_weights(flat, 0), weights)


def test_residual_draws_where_errors_are_and_starves_nothing() -> None:
    residual = make_sampling("residual", numbered(2001), 10**9)
    early = numbered(2001)
    np.testing.assert_array_equal(residual.draw(500, 4), early.draw(500, 4))

    def errors(windows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(windows[0, :, 0] < 20).float()

    residual.refresh(1, errors)
    drawn = rows(residual, 200_000)
    # A quarter evenly over 2000 windows, the rest over twenty of them.
    assert np.mean(drawn < 20) == pytest.approx(0.75 + 0.25 * 20 / 2000, abs=0.01)
    elsewhere = np.bincount(drawn, minlength=2000)[20:2000]
    assert elsewhere.min() > 5
    before = residual.focus
    for useless in (torch.zeros(2000), torch.full((2000,), torch.nan)):
        residual.refresh(2, lambda _, errors=useless: errors)  # type: ignore[misc]
        assert residual.focus is before
        assert residual.number == 1


def test_errors_weigh_by_their_root() -> None:
    focus = focused(torch.tensor([1.0, 9.0]))
    assert focus is not None
    np.testing.assert_allclose(focus, [0.125 + 0.75 / 4, 1.0])


def test_pools_hold_different_windows_half_of_them_early() -> None:
    windows = replace(numbered(1_000_001), early_bias=3.0)
    one, other = pool(windows, 10_000, 0), pool(windows, 10_000, 1)
    assert len(np.unique(one)) == len(one) > 9000
    assert len(np.intersect1d(one, other)) < 0.2 * len(one)
    share = np.mean(one < 125_000)
    assert share == pytest.approx(0.5 * (0.5 + 0.125), abs=0.06)
    np.testing.assert_array_equal(pool(numbered(50, 2, 3), 100, 5), [*range(49), 50, 52, 53])


@pytest.mark.parametrize("name", SAMPLINGS)
@pytest.mark.parametrize("d", [1, 30])
def test_batches_are_a_function_of_seed_number_and_focus(name: str, d: int) -> None:
    """Also from one trajectory alone, and in many dimensions."""
    rng = np.random.default_rng(0)
    data = Trajectories(np.cumsum(rng.standard_normal((300, d)), axis=0))
    one, other = (make_sampling(name, sampler(data, 4, 3.0), 4096) for _ in range(2))
    for sampling in (one, other):
        sampling.refresh(3, lambda windows: torch.from_numpy(windows[0, :, 0] ** 2))
    drawn = one.draw(100, 7)
    assert drawn.shape == (2, 100, d)
    np.testing.assert_array_equal(drawn, other.draw(100, 7))
    assert not np.array_equal(drawn, one.draw(100, 8))
    continued = make_sampling(name, sampler(data, 4, 3.0), 4096)
    continued.resume(one.number, one.focus)
    np.testing.assert_array_equal(drawn, continued.draw(100, 7))
    with pytest.raises(DataError, match="spans 401 rows"):
        make_sampling(name, sampler(data, 400), 64).draw(5, 0)


@pytest.mark.parametrize("p", [1, 3])
def test_the_errors_of_windows_are_the_parts_of_the_loss(p: int) -> None:
    scale = job(circles(10, 30), replace(SMALL, rollout_steps=p))
    stages = prepare(replace(scale, dtype="float64"))
    objective = Objective(stages.net.double(), stages.sigma, "cpu", p)
    tensors = objective.tensors(scale.train.draw(5000, 0))
    errors = objective.errors(*tensors)
    assert errors.shape == (5000,)
    assert float(errors.mean()) == pytest.approx(float(objective(*tensors).detach()), rel=1e-12)


# Training


@pytest.mark.parametrize(("name", "p"), zip(SAMPLINGS, (1, 2, 1, 2), strict=True))
def test_a_killed_training_resumes_bit_equal(name: str, p: int, tmp_path: Path) -> None:
    """Stopped between two refreshes, it draws what the uninterrupted one would have drawn."""
    recipe = replace(SMALL, sampling=name, rollout_steps=p, early_bias=2.0)
    whole = replace(job(settling(20, 60, 2), recipe), tuning=Tuning(chunk=16))
    expected, _ = train_scale(whole)
    part = tmp_path / "part.safetensors"
    stopped = replace(whole, checkpoint=part, checkpoint_seconds=0.0)

    def stop(step: int, total: int, error: float) -> None:
        if step > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_scale(stopped, stop)
    steps: list[int] = []
    resumed, _ = train_scale(stopped, lambda step, total, error: steps.append(step))
    assert steps[0] > 100
    assert same(resumed, expected)


@pytest.mark.parametrize("name", SAMPLINGS)
def test_a_stack_draws_as_its_scales_alone(name: str) -> None:
    recipe = replace(SMALL, sampling=name, optimizer="adam", max_steps=100)
    jobs = [job(circles(20, 60), recipe, size, dtype="float64") for size in (1, 4)]
    together = {k: flow_map for k, flow_map, _ in train_stacked(jobs, [None, None])}
    for k, one in enumerate(jobs):
        weights = train_scale(one)[0].state_dict()
        for key, weight in together[k].state_dict().items():
            torch.testing.assert_close(weight, weights[key], rtol=1e-6, atol=1e-6)


def test_samplings_train_other_nets_and_residual_follows_the_errors() -> None:
    """Taught windows and dense flow maps go with every sampling."""
    nets = [
        train_scale(job(settling(20, 60, 2), replace(SMALL, sampling=name), dense=2))[0]
        for name in SAMPLINGS
    ]
    assert not any(same(a, b) for k, a in enumerate(nets) for b in nets[:k])
    recipe = replace(SMALL, sampling="residual", early_bias=3.0)
    scale = job(settling(40, 200, 2), recipe)
    stages = prepare(scale)
    run = run_module.NetTraining(scale, stages, 1.0, pyhits.training.History(2), None)
    run.validate(run.every, 0.0, 1.0, 1e-3)
    assert isinstance(run.recorded, Residual)
    assert run.state.pool_focus is run.recorded.focus is not None
    even = make_sampling("uniform", scale.train, 64).draw(8192, 0)
    drawn = run.recorded.draw(8192, 0)
    assert float(run._errors(drawn).mean()) > 1.5 * float(run._errors(even).mean())


def test_the_paper_takes_first_windows_whatever_is_drawn_elsewhere() -> None:
    paper = get_recipe("paper")
    assert (paper.windows, paper.sampling, paper.early_bias) == ("first", "early", 1.0)
    short = paper.override(hidden_sizes=(8,), max_steps=20)
    data = circles(20, 20)
    scale = job(data, short, 1)
    stages = prepare(scale)
    run = run_module.NetTraining(scale, stages, 1.0, pyhits.training.History(1), None)
    inputs, targets = run.windows(5)
    assert inputs.shape == (20, 2)
    assert targets.shape == (5, 20, 2)
    np.testing.assert_allclose(inputs.numpy(), data.initial_states, atol=1e-6)


# Settings


def test_unknown_samplings_are_refused_with_a_suggestion() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'density'"):
        Recipe(sampling="densty")
    with pytest.raises(ArgumentError, match="Unknown sampling 'latest'"):
        quick(sampling="latest").fit(circles(5, 40))
    with pytest.raises(ArgumentError, match=r"nothing to choose from.* windows='anywhere'"):
        quick(training="paper", sampling="density").fit(circles(5, 40))


def test_models_keep_their_sampling(tmp_path: Path) -> None:
    data = circles(6, 60)
    model = quick(step_sizes=[1, 2], sampling="density", polynomial_degree=0).fit(data)
    assert model.recipe_.sampling == "density"
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert again.recipe.sampling == "density"
    other = quick(step_sizes=[1, 2], sampling="uniform", polynomial_degree=0).fit(data)
    assert not same(model.flow_maps_[1], other.flow_maps_[1])


def test_the_command_line_takes_a_sampling(tmp_path: Path) -> None:
    pyhits.write(circles(6, 60), tmp_path / "d.npz")
    options = ["--max-steps", "20", "--hidden-sizes", "4", "--step-sizes", "1,2", "--jobs", "1"]
    out = tmp_path / "m.safetensors"
    asked = ["fit", str(tmp_path / "d.npz"), "-o", str(out), "--quiet", *options, "--sampling"]
    done = CliRunner().invoke(app, [*asked, "residual"])
    assert done.exit_code == 0, done.output
    assert pyhits.load(out).recipe.sampling == "residual"
    refused = CliRunner().invoke(app, [*asked, "uniformly"])
    assert refused.exit_code != 0
    assert "did you mean 'uniform'" in refused.stderr


# The study


@pytest.mark.slow
def test_the_study_compares_all_samplings(tmp_path: Path) -> None:
    tiny = Budget(
        "tiny", train=6, validation=3, test=3, n_steps=160, n_scales=7, max_steps=9
    )  # fmt: skip
    study = Study(tiny, cache=Cache(tmp_path / "cache"), systems=("hyperbolic",))
    result = reproduce("sampling", study, tmp_path)["sampling"]
    places = {(r["system"], r["step_size"], r["sampling"]) for r in result.records}
    expected = {"harmonic-oscillator", "hyperbolic"}
    assert places == {(s, k, name) for s in expected for k in (4, 64) for name in SAMPLINGS}
    for record in result.records:
        assert record["seconds"] > 0
        assert all(record[measure] > 0 for measure in MEASURES)
    assert all(ratios(result.records, measure, "uniform") == [1.0] * 4 for measure in MEASURES)
    written = {p.name for p in tmp_path.glob("sampling.*")}
    assert written == {f"sampling.{end}" for end in ("json", "csv", "pdf", "png")}
    assert [len(table.rows) for table in result.tables] == [4, 4, 4, 4]


def test_ratios_of_diverged_rollouts() -> None:
    def record(system: str, sampling: str, mse: float) -> dict[str, Any]:
        return {"system": system, "step_size": 4, "sampling": sampling, "rollout_mse": mse}

    records = [
        record(system, sampling, mse)
        for system, errors in {"a": (2.0, 1.0), "b": (np.inf, np.inf), "c": (np.inf, 1.0)}.items()
        for sampling, mse in zip(("uniform", "early"), errors, strict=True)
    ]
    assert ratios(records, "rollout_mse", "early") == [pytest.approx(0.5), 1.0, 0.0]


def test_densities_of_memory_maps_copy_nothing(tmp_path: Path) -> None:
    """Only the rows of the pool are read."""
    np.save(tmp_path / "rows.npy", settling(4, 500, 2).values)
    values = np.load(tmp_path / "rows.npy", mmap_mode="r")
    windows = replace(sampler(settling(4, 500, 2), 2), values=values)
    density = Density(windows)
    assert density.sampler.values is values
    assert density.draw(10, 0).shape == (2, 10, 2)
