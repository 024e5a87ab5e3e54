"""Scales trained in one stack: the same as one after another, within rounding."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles

from pyhits import systems
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.flowmaps import FlowMap, ResidualNet, register
from pyhits.training import (
    History,
    Recipe,
    ScaleJob,
    optimisers,
    train_scale,
)
from pyhits.training import run as run_module
from pyhits.training.checkpoint import save_progress
from pyhits.training.jobs import JobSettings, TrainingData, Tuning, make_jobs
from pyhits.training.objective import Objective
from pyhits.training.parallel import train_scales
from pyhits.training.stacked import train_stacked

SMALL = Recipe(
    hidden_sizes=(16, 16), batch_size=64, max_steps=100, polynomial_degree=0, optimizer="adam"
)

Trained = tuple[FlowMap, History]


def make(
    data: Trajectories, sizes: list[int], recipe: Recipe = SMALL, **options: Any
) -> list[ScaleJob]:
    encoder = Standardise().fit(data.values)
    resolved = recipe.resolve(data.n_features, len(data), data.n_rows)
    settings = {"seed": 3, "dtype": "float64", **options}
    return make_jobs(TrainingData(data, data, encoder), JobSettings(resolved, **settings), sizes)


def sine_flow() -> Trajectories:
    """Solutions of x' = sin x: the flow 2 atan(tan(x / 2) e^t), which no polynomial is."""
    start = np.random.default_rng(0).uniform(-2, 2, (60, 1))
    t = 0.1 * np.arange(40)
    return Trajectories((2 * np.arctan(np.tan(start / 2) * np.exp(t)))[..., None], 0.1)


def stacked(jobs: list[ScaleJob]) -> list[Trained]:
    """Train in a stack, and put the scales in order again."""
    found = {index: (flow_map, history) for index, flow_map, history in
             train_stacked(jobs, [None] * len(jobs))}  # fmt: skip
    return [found[k] for k in range(len(jobs))]


def assert_same(one: Trained, other: Trained, rtol: float) -> None:
    """Compare weights and every record, apart from the seconds."""
    weights, others = one[0].state_dict(), other[0].state_dict()
    assert weights.keys() == others.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=rtol, atol=rtol)
    a, b = one[1], other[1]
    assert (a.flow_map, a.stopped_by, a.n_windows) == (b.flow_map, b.stopped_by, b.n_windows)
    np.testing.assert_allclose(a.validation_error, b.validation_error, rtol=rtol)
    np.testing.assert_allclose(a.one_step_mse, b.one_step_mse, rtol=rtol)
    assert len(a.records) == len(b.records)
    for left, right in zip(a.records, b.records, strict=True):
        assert left.keys() == right.keys()
        for name in left.keys() - {"seconds"}:
            np.testing.assert_allclose(left[name], right[name], rtol=rtol)


@pytest.mark.parametrize("optimizer", ["soap", "adam", "sgd"])
def test_a_stack_trains_as_its_scales_alone(optimizer: str) -> None:
    jobs = make(circles(20, 60), [1, 2, 8], replace(SMALL, optimizer=optimizer))
    together = stacked(jobs)
    for job, trained in zip(jobs, together, strict=True):
        assert_same(train_scale(job), trained, rtol=1e-6)


@pytest.mark.slow
def test_bases_and_the_race_between_nets() -> None:
    recipe = replace(SMALL, polynomial_degree=5, max_steps=600, learning_rate=1e-2)
    tuning = Tuning(base_certain=0.0)
    jobs = [replace(job, tuning=tuning) for job in make(sine_flow(), [1, 4, 16], recipe)]
    together = stacked(jobs)
    kinds = {history.flow_map for _, history in together}
    assert kinds == {"polynomial (degree 5) + net", "net"}
    for job, trained in zip(jobs, together, strict=True):
        assert_same(train_scale(job), trained, rtol=1e-5)


@pytest.mark.slow
def test_synthetic_windows_are_focused_in_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    foci: list[int] = []
    original = run_module.SyntheticWindows.focus_on

    def focus_on(self: Any, errors: torch.Tensor) -> None:
        foci.append(len(errors))
        original(self, errors)

    monkeypatch.setattr(run_module.SyntheticWindows, "focus_on", focus_on)
    data = systems.get("van-der-pol").simulate(30, 200, dt=0.02, random_state=0)
    tuning = Tuning(synthetic_steps=0, n_synthetic=4096)
    recipe = replace(SMALL, polynomial_degree=9, max_steps=100, tables=False)
    jobs = [replace(job, tuning=tuning) for job in make(data, [32, 64], recipe)]
    together = stacked(jobs)
    assert foci
    for job, trained in zip(jobs, together, strict=True):
        assert_same(train_scale(job), trained, rtol=1e-5)


def test_only_nets_of_equal_shape_share_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dense scale trains alone, and so does what the closed form solves."""
    sizes: list[int] = []
    original = optimisers.build

    def build(*args: Any, **options: Any) -> Any:
        optimiser = original(*args, **options)
        (group,) = optimiser.param_groups
        sizes.append(len(group["params"][0]) if options.get("batched") else 1)
        return optimiser

    monkeypatch.setattr(optimisers, "build", build)
    together = stacked(make(sine_flow(), [4, 8, 16], dense=4))
    assert sorted(sizes) == [1, 2]
    assert [flow_map.outputs for flow_map, _ in together] == [4, 1, 1]
    sizes.clear()
    exact = stacked(make(circles(20, 60), [1, 2], replace(SMALL, polynomial_degree=3)))
    assert [history.stopped_by for _, history in exact] == ["closed form"] * 2
    assert not sizes


@register("test-tanh")
class Tanh(ResidualNet):
    """A family of a user's own."""


@pytest.mark.parametrize(
    "settings",
    [{"rollout_steps": 2}, {"windows": "first"}, {"optimizer": "ridge"}, {"flow_map": "test-tanh"}],
)
def test_what_cannot_be_stacked_trains_one_after_another(settings: dict[str, Any]) -> None:
    jobs = make(circles(20, 60), [1, 2], replace(SMALL, max_steps=20, **settings))
    together = stacked(jobs)
    for job, trained in zip(jobs, together, strict=True):
        assert_same(train_scale(job), trained, rtol=0)


def test_a_scale_that_stops_leaves_the_others_alone() -> None:
    """Scales are handed out as they stop; the others train on as they would alone."""
    recipe = replace(SMALL, max_steps=400, learning_rate=1e-2, target_error=1e-4)
    jobs = make(circles(20, 60), [1, 16], recipe)
    order = [index for index, _, _ in train_stacked(jobs, [None, None])]
    together = stacked(jobs)
    first, second = (history for _, history in together)
    assert order == [0, 1]
    assert first.stopped_by == "target"
    assert first.records[-1]["step"] < second.records[-1]["step"]
    for job, trained in zip(jobs, together, strict=True):
        assert_same(train_scale(job), trained, rtol=1e-4)


def test_a_scale_that_blows_up_is_tried_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = make(circles(20, 60), [1, 2])
    calls: list[int] = []
    original = Objective.relative_error

    def relative_error(self: Objective, held: Any) -> float:
        calls.append(1)
        return float("nan") if len(calls) == 1 else original(self, held)

    monkeypatch.setattr(Objective, "relative_error", relative_error)
    (_, retried), other = stacked(jobs)
    monkeypatch.setattr(Objective, "relative_error", original)
    assert retried.stopped_by == "steps"
    rates = [max(r["learning_rate"] for r in h.records) for h in (retried, other[1])]
    assert rates[0] == pytest.approx(0.3 * rates[1])
    assert_same(train_scale(jobs[1]), other, rtol=1e-6)


@pytest.mark.slow
def test_scales_of_a_stack_share_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()  # a clock that every look at it moves on
    monkeypatch.setattr(time, "perf_counter", lambda: 5e-4 * next(ticks))
    jobs = make(circles(20, 60), [1, 2], replace(SMALL, max_steps=10_000_000))
    for job in jobs:
        job.time_limit = 0.5
    histories = [history for _, history in stacked(jobs)]
    assert [history.stopped_by for history in histories] == ["time"] * 2
    for history in histories:
        assert 0.6 < history.records[-1]["seconds"] <= 1.0


def test_progress_names_the_scale() -> None:
    seen: dict[int, list[int]] = {0: [], 1: []}

    def reporter(index: int) -> Any:
        return lambda step, total, error: seen[index].append(step)

    list(train_stacked(make(circles(20, 60), [1, 2]), [reporter(0), reporter(1)]))
    assert seen[0] == seen[1] == [0, 64]


@pytest.mark.parametrize("outputs", [1, 3])
def test_targets_are_what_the_base_leaves(outputs: int) -> None:
    """In blocks as at once, and in float64, below the rounding of float32 states."""
    rng = np.random.default_rng(0)
    net = ResidualNet(2, (8,), base_degree=3, outputs=outputs)
    assert net.base is not None
    net.base.coefficients.copy_(1e-6 * torch.from_numpy(rng.standard_normal((2 * outputs, 10))))
    net.scale.fill_(1e-9)
    windows = rng.uniform(-1, 1, (1, 5000, 2)) + 1e-6 * rng.uniform(-1, 1, (1 + outputs, 5000, 2))
    inputs, targets = Objective(net, np.full(2 * outputs, 1e-6), "cpu", 1).tensors(windows)
    assert inputs.dtype == targets.dtype == torch.float32
    change = np.concatenate(list(windows[1:] - windows[0]), axis=1)
    left = change - net.base.double().increment(torch.from_numpy(windows[0])).numpy()
    scale = net.scale.double().numpy()
    np.testing.assert_allclose(targets[0].numpy(), left / scale, rtol=1e-6, atol=1e-5)


def test_a_checkpoint_of_another_optimiser_is_begun_anew(tmp_path: Path) -> None:
    """As an earlier version of PyHiTS may have left one, with the same settings."""
    (job,) = make(circles(20, 60), [1], replace(SMALL, optimizer="soap"))
    expected = train_scale(job)
    job.checkpoint = tmp_path / "part.safetensors"
    net = ResidualNet(2, (16, 16)).double()
    adam = torch.optim.Adam(net.parameters())
    save_progress(job.checkpoint, 1.0, {"step": 64}, net, adam)
    assert_same(expected, train_scale(job), rtol=0)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("optimizer", ["soap", "adam"])
def test_a_gpu_trains_all_scales_in_a_stack(optimizer: str) -> None:
    recipe = replace(SMALL, optimizer=optimizer, max_steps=600)
    there = train_scales(make(circles(20, 60), [1, 2, 4], recipe, device="cuda"))
    here = train_scales(make(circles(20, 60), [1, 2, 4], recipe), n_jobs=1)
    assert there.flow_maps.keys() == here.flow_maps.keys()
    for size, flow_map in there.flow_maps.items():
        assert next(flow_map.parameters()).device.type == "cpu"
        error = there.histories[size].validation_error
        assert error == pytest.approx(here.histories[size].validation_error, rel=0.5)
