"""Few points: small nets among the closed forms, judged by the same rollouts."""

from __future__ import annotations

import functools
import pickle
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pyhits
from pyhits import HiTS, Trajectories
from pyhits.encoders import Standardise
from pyhits.flowmaps import ConvolutionMap, PolynomialMap, ScaledNet
from pyhits.flowmaps.form import Increments
from pyhits.flowmaps.polynomial_form import PolynomialForm
from pyhits.policies import arguments
from pyhits.training import Recipe, closed, nets, run
from pyhits.training.comparison import increments
from pyhits.training.history import History
from pyhits.training.jobs import JobSettings, ScaleJob, TrainingData, Tuning, make_jobs
from pyhits.training.loop import train_scale
from pyhits.training.rollouts import LOST, Rollouts
from pyhits.training.search import FormSearch
from pyhits.util.clock import Clock


@functools.cache
def jumping(n: int = 600) -> np.ndarray:
    """A chaotic flow in space that the sign of z turns, so that its increments jump."""

    def rate(s: np.ndarray) -> np.ndarray:
        x, y, z = s
        return np.array([y, -x - np.sign(z) * y, y * y - np.exp(-x * x)])

    states = [np.array([0.2, 1.0, 0.0])]
    for _ in range(4 * (n - 1)):
        s, h = states[-1], 0.015
        a = rate(s)
        b = rate(s + h / 2 * a)
        c = rate(s + h / 2 * b)
        states.append(s + h / 6 * (a + 2 * b + 2 * c + rate(s + h * c)))
    return np.array(states[::4])


def recipe(**settings: object) -> Recipe:
    return Recipe(**{"flow_map": "best", "hidden_sizes": (16, 16)} | settings).resolve(3, 1, 600)


def scale(data: np.ndarray, size: int = 1, dense: int = 1, **settings: object) -> ScaleJob:
    head, tail = Trajectories(data, 1.0).split_time(0.2)
    scaling = Standardise().fit(head.values)
    sizes = [size]
    (job,) = make_jobs(
        TrainingData(head, tail, scaling),
        JobSettings(recipe(**settings), dense=dense, dtype="float64"),
        sizes,
    )
    return job


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, few_forms: None) -> None:
    """Let nets win after a few steps."""
    monkeypatch.setattr(nets, "_STEPS", 40)
    monkeypatch.setattr(run, "_MILESTONES", ())
    monkeypatch.setattr(closed, "_NEAR_EXACT", 0.0)
    monkeypatch.setattr(closed, "_NET_HANDICAP", np.inf)
    monkeypatch.setattr(closed, "_LEAST_COARSE_STEPS", 100)
    monkeypatch.setattr(closed, "_GAIN", np.inf)
    monkeypatch.setattr(closed, "HOPELESS", np.inf)
    monkeypatch.setattr(closed, "_AS_GOOD", 0.0)


def fit(data: object, **settings: object) -> HiTS:
    return HiTS(**arguments(**{"verbose": False, "random_state": 0, "n_jobs": 1} | settings)).fit(
        data
    )


def by_hand(flow_map: ScaledNet, fold: Rollouts) -> float:
    """Return the mean error of the rollouts of a fold, one rollout and one state at a time."""
    errors = []
    for k, start in enumerate(fold.starts):
        state = start[None]
        for truth in fold.truth:
            state = flow_map(state)
            error = float((state[0] - truth[k]).square().mean().sqrt().detach())
            errors.append(min(error, LOST))
    return float(np.mean(errors))


@pytest.mark.slow
@pytest.mark.usefixtures("few_forms")
def test_a_net_is_taken_where_it_steps_better_than_closed_forms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nets, "_STEPS", 500)
    monkeypatch.setattr(closed, "_SENSIBLE", 0.0)  # no polynomial below
    job = scale(jumping(400))
    flow_map, history = train_scale(job)
    assert isinstance(flow_map, ScaledNet)
    assert history.scores["net"] < min(history.scores["polynomial"], history.scores["kernel"])
    assert history.flow_map == "net"
    assert history.form == {}
    assert history.stopped_by in ("steps", "patience")
    search = FormSearch(job.train, job.validation, "polynomial")
    # Nets are judged in the single precision that they are trained in.
    assert search.judge(flow_map) == pytest.approx(history.scores["net"], rel=1e-4)
    assert by_hand(flow_map, search.comparisons[0].rollouts) == pytest.approx(
        history.scores["net"], rel=1e-4
    )


@pytest.mark.usefixtures("few_forms")
def test_closed_forms_stay_where_a_net_is_no_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nets, "_STEPS", 5)
    monkeypatch.setattr(closed, "_NET_HANDICAP", 0.5)
    job = scale(jumping(270))
    flow_map, history = train_scale(job)
    other, alone = train_scale(replace(job, recipe=replace(job.recipe, flow_map="closed")))
    assert history.scores["net"] > 0.5 * min(alone.scores.values())
    assert {k: v for k, v in history.scores.items() if k != "net"} == alone.scores
    assert history.form == alone.form
    assert history.stopped_by == "closed form"
    for mine, its in zip(flow_map.buffers(), other.buffers(), strict=True):
        assert torch.equal(mine, its)


@pytest.mark.usefixtures("few_forms")
def test_the_judge_of_nets_is_that_of_closed_forms() -> None:
    job = scale(jumping(270))
    search = FormSearch(job.train, job.validation)
    found = search.run()
    again = search.judge(found.form.solve(search.data))
    assert again == pytest.approx(found.score, rel=1e-6)


def test_nets_are_not_tried_where_nothing_is_known_of_the_future() -> None:
    noise = np.random.default_rng(0).standard_normal((300, 2))
    job = scale(noise, polynomial_degree=0)
    _, history = train_scale(job)
    assert "net" not in history.scores
    assert history.stopped_by == "closed form"
    mean = FormSearch(job.train, job.validation).of_mean
    truth = job.validation.encoder.transform(job.validation.values)
    assert mean == pytest.approx(np.sqrt((truth**2).mean(axis=1)).clip(max=2**0.5).mean(), rel=0.2)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("family", ["closed", "polynomial", "kernel"])
def test_closed_forms_alone_are_asked_for_by_name(family: str) -> None:
    _, history = train_scale(scale(jumping(200), flow_map=family))
    assert "net" not in history.scores


@pytest.mark.usefixtures("few_forms")
def test_nets_cost_nothing_where_they_cannot_win(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a net was trained")

    monkeypatch.setattr(closed, "best_net", refuse)
    t = 0.2 * np.arange(270)
    exact = train_scale(scale(np.stack([np.cos(t), np.sin(t), np.cos(t + 1)], axis=1)))[1]
    assert min(exact.scores.values()) < closed._NEAR_EXACT
    # Too few steps in the training part; and too few windows to hold out one part alone.
    assert min(train_scale(scale(jumping(270), 4))[1].scores.values()) > closed._NEAR_EXACT
    assert min(train_scale(scale(jumping(150)))[1].scores.values()) > closed._NEAR_EXACT


@pytest.mark.usefixtures("few_forms")
@pytest.mark.parametrize(
    ("score", "form", "expected"),
    [(0.29, {}, None), (0.1, {}, [None]), (0.1, {"degree": 1}, ["polynomial"])],
)
def test_coarse_steps_have_nets_as_the_finest_where_it_gained(
    score: float, form: dict[str, int], expected: list[str | None] | None, monkeypatch: Any
) -> None:
    asked: list[list[str | None]] = []

    def note(*_: object, bases: list[Any], **__: object) -> None:
        asked.append([base and base.kind for base in bases])

    monkeypatch.setattr(closed, "best_net", note)
    monkeypatch.setattr(closed, "_SENSIBLE", np.inf)
    finest = PolynomialMap(2, 1).double()
    scores = {"polynomial": 0.4, "kernel": 0.3, "net": score}
    history = History(1, form=form, scores=scores)
    job = scale(jumping(400), 2).after(finest, history)
    train_scale(job)
    assert asked == []  # of so few steps no net errs less than the finest
    monkeypatch.setattr(closed, "_LEAST_COARSE_STEPS", 100)
    train_scale(job)
    assert asked == ([] if expected is None else [expected])


@pytest.mark.usefixtures("quick")
def test_too_little_time_leaves_closed_forms() -> None:
    job = replace(scale(jumping(270)), time_limit=1e-3)
    assert "net" not in train_scale(job)[1].scores
    search = FormSearch(job.train, job.validation, "polynomial")
    assert nets.best_net(job, search.judge, History(1), clock=Clock.start(0.5)) is None


@pytest.mark.usefixtures("own_seconds", "few_forms")
def test_nets_end_with_their_time() -> None:
    job = scale(jumping(270))
    search = FormSearch(job.train, job.validation, "polynomial")
    history = History(1)
    rival = nets.best_net(job, search.judge, history, clock=Clock.start(1.05, time.perf_counter))
    assert rival is not None
    assert history.stopped_by in ("time", "steps")
    assert history.records[-1]["seconds"] < 2.0
    assert rival.score == pytest.approx(search.judge(rival.net))


def test_a_net_upon_a_polynomial_learns_what_that_leaves() -> None:
    job = scale(jumping(270))
    windows = job.train.spread(2000)
    changes = windows[1] - windows[0]
    base = PolynomialForm(2, 1e-9).solve(Increments(windows[0], changes))
    assert isinstance(base, PolynomialMap)
    alone, upon = (nets.prepared(job, below)[1].net for below in (None, base))
    states = torch.from_numpy(windows[0])
    left = torch.from_numpy(changes) - base.increment(states)
    alone, upon = alone.double(), upon.double()
    # Nets are trained in single precision.
    assert torch.allclose(upon.scale, left.square().mean(0).sqrt(), rtol=1e-6)
    assert torch.equal(upon.net(states), alone.net(states))
    whole = base.increment(states) + upon.scale * alone.net(states)
    assert torch.allclose(upon.increment(states), whole, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_coupled_nets_are_trained_again_with_the_held_out_part() -> None:
    data = Trajectories(jumping(270), 1.0)
    head, tail = data.split_time(0.2)
    settings = {"encoder": [], "noise": False, "step_sizes": [1, 2], "selection": [2]}
    whole = fit(data, **settings)
    told = HiTS(**arguments(**settings, verbose=False, random_state=0, n_jobs=1)).fit(
        head, validation=tail
    )
    assert whole.history_[1].scores == told.history_[1].scores
    same = {}
    for size, flow_map in whole.flow_maps_.items():
        pairs = zip(flow_map.parameters(), told.flow_maps_[size].parameters(), strict=True)
        same[size] = all(torch.equal(a, b) for a, b in pairs)
    # Only the coupled one was.
    assert same == {1: True, 2: False}


def test_a_net_far_behind_what_it_competes_with_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nets, "_STEPS", 40)
    job = scale(jumping(270))
    for bar, stopped in ((0.15, ("behind", 10)), (0.3, ("behind", 20)), (0.5, ("steps", 40))):
        history = History(1)
        nets.best_net(job, lambda _: 1.0, history, bar=bar)
        assert (history.stopped_by, history.records[-1]["step"]) == stopped


def test_fitting_again_without_time_keeps_the_net() -> None:
    job = scale(jumping(270))
    net = nets.prepared(job)[1].net
    assert closed.fit_again(job, net, History(1), clock=Clock.start(0.1)) is net


@pytest.mark.usefixtures("quick")
def test_a_net_upon_a_polynomial_is_fitted_again_as_such() -> None:
    job = scale(jumping(270))
    form = PolynomialForm(2, PolynomialForm.penalties[3])
    first = form.solve(increments(job.train, 2000))
    assert isinstance(first, PolynomialMap)
    net = nets.prepared(job, first)[1].net
    again = closed.fit_again(job, net, History(1, form=form.as_dict()))
    assert isinstance(again, ScaledNet)
    assert again.base is not None
    assert torch.equal(again.base.coefficients, first.coefficients)
    assert torch.equal(again.scale, net.scale)
    assert not torch.equal(next(again.parameters()), next(net.parameters()))


def test_a_constant_feature_is_left_alone() -> None:
    data = np.column_stack([jumping(300), np.full(300, 7.25)])
    job = scale(data)
    windows = job.train.spread(2000)
    base = PolynomialForm(1, 1e-9).solve(Increments(windows[0], windows[1] - windows[0]))
    assert isinstance(base, PolynomialMap)
    for below in (None, base):
        assert nets.prepared(job, below)[1].net.scale[3] == 0


def test_the_loss_spans_as_many_steps_as_windows_allow() -> None:
    job = scale(jumping(250))
    assert nets.prepared(job)[0].train.rollout_steps == 4
    short = np.arange(0, len(job.train.values) + 1, 5)
    pieces = replace(job, train=replace(job.train, offsets=short))
    assert nets.prepared(pieces)[0].train.rollout_steps == 2
    told = replace(job, train=replace(job.train, n_inputs=1))
    assert nets.prepared(told)[0].train.rollout_steps == 1


@pytest.mark.usefixtures("quick")
def test_nets_return_the_states_inside_a_step() -> None:
    flow_map, history = train_scale(scale(jumping(270), 2, 2))
    assert isinstance(flow_map, ScaledNet)
    assert flow_map.outputs == 2
    assert history.flow_map.endswith("net, 2 outputs")


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore:Forecasts with")
def test_inputs_act_on_nets_too() -> None:
    rng = np.random.default_rng(0)
    pushed, acts = [np.zeros(2)], np.sign(rng.standard_normal(500))
    for push in acts[:-1]:
        x, y = pushed[-1]
        pushed.append(np.array([x + 0.1 * y, y - 0.1 * (abs(x) + push)]))
    model = HiTS([1, 2], verbose=False, random_state=0, n_jobs=1)
    model.fit(Trajectories(np.array(pushed), 0.1), inputs=acts)
    assert isinstance(model.flow_maps_[1], ScaledNet)
    ahead = model.forecast(np.array(pushed[100:101]), 5, inputs=acts[None, 100:105])
    assert ahead.shape[-1] == 2
    assert np.isfinite(ahead).all()


@pytest.mark.usefixtures("quick")
def test_fits_with_nets_are_saved_and_noted(tmp_path: Path) -> None:
    model = fit(jumping(270), step_sizes=[1, 2], encoder=[], noise=False)
    assert model.recipe_.flow_map == "best"
    assert model.dtype_ == "float64"
    assert all(isinstance(m, ScaledNet) for m in model.flow_maps_.values())
    (note,) = (note for note in model.notes_ if note.startswith("Nets instead of closed forms"))
    assert f"step size 1 ({model.history_[1].scores['net']:.2g} for " in note
    loaded = pyhits.load(model.save(tmp_path / "model.safetensors"))
    assert np.array_equal(loaded.forecast(jumping(5), 20), model.forecast(jumping(5), 20))
    assert loaded.history[1].scores == model.history_[1].scores


@pytest.mark.usefixtures("quick")
def test_jobs_that_travel_end_with_the_same_net() -> None:
    job = scale(jumping(270))
    (mine, first), (its, second) = (train_scale(j) for j in (job, pickle.loads(pickle.dumps(job))))
    assert isinstance(mine, ScaledNet)
    assert first.scores == second.scores
    for a, b in zip(mine.state_dict().values(), its.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_notes_say_that_no_net_won_or_was_tried() -> None:
    tried = History(1, scores={"kernel": 0.1, "net": 0.2}, form={"degree": 1})
    assert "closed forms did better" in nets.nets_taken({1: tried})
    assert "No net was tried" in nets.nets_taken({1: History(1, scores={"kernel": 0.1})})


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_killed_training_goes_on_where_it_was(tmp_path: Path) -> None:
    job = replace(scale(jumping(270)), tuning=Tuning(chunk=8))
    whole, _ = train_scale(job)
    part = tmp_path / "part.safetensors"
    kept = replace(job, checkpoint=part, checkpoint_seconds=0.0)

    def kill(step: int, total: int, error: float) -> None:
        if total == nets._STEPS and step > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_scale(kept, kill)
    assert part.exists()
    steps: list[tuple[int, int]] = []
    again, _ = train_scale(kept, lambda step, total, _: steps.append((step, total)))
    # It went on behind the beginning.
    assert next(step for step, total in steps if total == nets._STEPS) > 10
    for mine, its in zip(again.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(mine, its)


# Fields


def fields(size: int = 1) -> ScaleJob:
    """A scale of a season that all points share, in noise: no map of points steps it well."""
    season = np.sin(np.arange(300) * np.pi / 6)[:, None]
    rows = season + 0.5 * np.random.default_rng(0).normal(size=(300, 40))
    head, tail = Trajectories(rows, 1.0, grid="ring").split_time(0.2)
    scaling = Standardise(common=True).fit(head.values)
    own = Recipe(flow_map="best").resolve(40, 1, 300, on_grid=True)
    return make_jobs(TrainingData(head, tail, scaling), JobSettings(own, dtype="float64"), [size])[
        0
    ]


@pytest.mark.usefixtures("few_forms")
@pytest.mark.parametrize(
    ("rival", "rate", "trainings"),
    [(0.1, 0.5, 1), (0.5, 1.0, 2), (0.5, 0.5, 3), (0.95, 1.0, 3), (None, 1.0, 1)],
)
def test_nets_that_fall_behind_something_else_are_given_up_early(
    monkeypatch: pytest.MonkeyPatch, rival: float | None, rate: float, trainings: int
) -> None:
    """Far behind after a brief training, or behind and no better for twice the time."""
    seconds = []

    def trained(*args: Any, recipe: Any, **rest: Any) -> tuple[Any, History]:
        seconds.append(recipe.seconds)
        error = 0.9 * rate ** (len(seconds) - 1)
        return ConvolutionMap([40], hidden=2, dilations=[1]), History(1, validation_error=error)

    monkeypatch.setattr(closed, "train_convolution", trained)
    monkeypatch.setattr(closed, "_LEAST_BRIEF", 0.1)
    job = fields()
    job.rival = None if rival is None else lambda: rival
    flow_map, history = train_scale(job)
    assert len(seconds) == trainings
    is_whole = rival is None or trainings == 3
    assert ("net" in history.scores) == is_whole
    assert is_whole == (seconds[-1] > 2.5)
    if not is_whole:
        train_scale(fields(2).after(flow_map, history))
        assert len(seconds) == trainings


def test_nets_learn_nothing_of_what_is_linear_but_for_noise() -> None:
    season = np.sin(np.arange(410) * np.pi / 6)[:, None] * [1, 0.5]
    known = season + 0.05 * np.random.default_rng(0).normal(size=(410, 2))
    rows = np.concatenate([known[k : 400 + k] for k in range(4)], axis=1)
    _, history = train_scale(scale(rows))
    assert min(history.scores.values()) > closed._NEAR_EXACT
    assert "net" not in history.scores
