"""Windows drawn from trajectories, recipes that fit the data, optimisers by name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from conftest import circles, seeded
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError
from pyhits.flowmaps import ResidualNet
from pyhits.training import RECIPES, Recipe, WindowSampler, get_recipe
from pyhits.training.optimisers import build, rate


def identity(d: int = 2) -> Standardise:
    return Standardise().set_statistics(np.zeros(d), np.ones(d))


def sampler(data: Trajectories, step_size: int, p: int = 1, bias: float = 1.0) -> WindowSampler:
    return WindowSampler(data.values, data.offsets, identity(), step_size, p, bias, seed=1)


# Windows


@given(
    lengths=st.lists(st.integers(2, 30), min_size=1, max_size=6),
    step=st.integers(1, 8),
    p=st.integers(1, 3),
    bias=st.sampled_from([1.0, 3.0]),
)
@settings(max_examples=60, deadline=None)
def test_windows_stay_inside_their_trajectory(
    lengths: list[int], step: int, p: int, bias: float
) -> None:
    """Rows that hold (trajectory, time) show where each window came from."""
    data = Trajectories(
        [np.array([(k, t) for t in range(n)], dtype=float) for k, n in enumerate(lengths)]
    )
    windows = sampler(data, step, p, bias)
    fitting = sum(max(0, n - p * step) for n in lengths)
    assert windows.n_windows == fitting
    if fitting == 0:
        with pytest.raises(DataError, match=f"Step size {step} .* spans {p * step + 1} rows"):
            windows.draw(5, 0)
        with pytest.raises(DataError):
            windows.first()
        return
    drawn = windows.draw(200, 0)
    assert drawn.shape == (p + 1, 200, 2)
    assert (drawn[:, :, 0] == drawn[0, :, 0]).all()
    assert (np.diff(drawn[:, :, 1], axis=0) == step).all()
    everything = windows.spread(10_000)
    assert everything.shape[1] == fitting
    assert len(np.unique(everything[0], axis=0)) == fitting
    assert windows.spread(3).shape[1] == min(3, fitting)
    assert (windows.first()[0, :, 1] == 0).all()


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=300), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_every_number_finds_the_trajectory_that_its_window_lies_in(
    lengths: list[int], seed: int
) -> None:
    """As they are counted out one after another, whatever trajectories are too short."""
    lengths[0] = 40
    offsets = np.cumsum([0, *lengths])
    rows = np.repeat(np.arange(len(lengths)), lengths)[:, None].astype(float)
    windows = WindowSampler(rows, offsets, identity(1), 3, seed=seed)
    counts = np.maximum(np.array(lengths) - 3, 0)
    owners = np.repeat(np.arange(len(lengths)), counts)
    drawn = np.random.default_rng([seed, 3, 7]).integers(0, len(owners), 500)
    np.testing.assert_array_equal(windows.draw(500, 7)[0, :, 0], owners[drawn])


@pytest.mark.parametrize("n", [3, 800])
def test_all_windows_are_drawn_equally_often(n: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 30, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.arange(offsets[-1], dtype=float)[:, None]
    windows = WindowSampler(rows, offsets, identity(1), 2, seed=0)
    drawn = windows.draw(50 * windows.n_windows, 0)[0, :, 0].astype(int)
    count = np.bincount(drawn, minlength=len(rows))
    every = windows.all_rows()
    assert count.sum() == count[every].sum()
    assert chisquare(count[every]).pvalue > 0.01


@given(
    lengths=st.lists(st.integers(2, 30), min_size=1, max_size=6),
    step=st.integers(1, 8),
    most=st.integers(1, 40),
)
@settings(max_examples=40, deadline=None)
def test_even_windows_are_some_of_all(lengths: list[int], step: int, most: int) -> None:
    windows = sampler(Trajectories([np.zeros((n, 2)) for n in lengths]), step)
    assume(windows.n_windows > 0)
    every = windows.all_rows()
    numbers = np.linspace(0, len(every) - 1, min(most, len(every))).astype(int)
    assert windows.even_rows(most).tolist() == every[numbers].tolist()


def test_samplers_travel_without_what_follows_from_their_fields() -> None:
    data = circles(500, 4)
    one = sampler(data, 1)
    before = len(pickle.dumps(one))
    drawn = one.draw(10, 0)
    assert len(pickle.dumps(one)) == before
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).draw(10, 0), drawn)


def test_early_bias_favours_early_times() -> None:
    data = Trajectories(np.arange(1001.0)[:, None])
    times = WindowSampler(data.values, data.offsets, identity(1), 1, 1, 3.0, 0).draw(20_000, 0)[0]
    # The median of T u**3 is T / 8.
    assert np.median(times) == pytest.approx(125, rel=0.1)


def test_batches_depend_on_seed_and_number_alone() -> None:
    data = circles(5, 40)
    one, other = sampler(data, 2), sampler(data, 2)
    one.draw(10, 0)
    np.testing.assert_array_equal(one.draw(10, 7), other.draw(10, 7))
    assert not np.array_equal(one.draw(10, 7), one.draw(10, 8))


# Recipes


def test_the_paper_recipe_is_appendix_a1() -> None:
    paper = get_recipe("paper")
    assert (paper.activation, paper.optimizer, paper.learning_rate) == ("relu", "adam", 1e-3)
    assert (paper.rollout_steps, paper.max_steps, paper.target_error) == (5, 100_000, 1e-8)
    assert (paper.standardise, paper.windows, paper.polynomial_degree) == (False, "first", 0)
    assert paper.schedule == "constant"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"activation": "gelo"}, "did you mean 'gelu'"),
        ({"optimizer": "lion"}, "Unknown optimizer"),
        ({"learning_rate": -1}, "positive number"),
        ({"learning_rate": float("nan")}, "positive number"),
        ({"rollout_steps": 0}, "at least 1"),
        ({"hidden_sizes": 64}, "widths such as"),
        ({"hidden_sizes": (64, -1)}, "at least 1"),
        ({"max_steps": 0}, "at least 1"),
        ({"early_bias": 0.0}, "positive number"),
        ({"target_error": -1.0}, "0 or more"),
        ({"windows": "late"}, "Unknown windows"),
        ({"lerning_rate": 1.0}, "did you mean 'learning_rate'"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Recipe().override(**values)
    with pytest.raises(ArgumentError, match="Unknown recipe"):
        get_recipe("papr")


def test_a_recipe_resolves_with_the_data() -> None:
    few, many = Recipe().resolve(2, 1, 200), Recipe().resolve(2, 800, 4_000_000)
    wide = Recipe().resolve(128, 1, 4000)
    assert None not in vars(few).values()
    assert few.max_steps < many.max_steps
    assert (few.early_bias, many.early_bias) == (1.0, 3.0)
    assert few.batch_size < many.batch_size == 1024
    assert wide.hidden_sizes[0] > many.hidden_sizes[0]
    assert Recipe(max_steps=7, batch_size=0).resolve(2, 1, 99).max_steps == 7
    assert RECIPES["pyhits"] == Recipe(flow_map="auto")


def test_learning_rates_warm_up_and_fall_to_zero() -> None:
    rates = [rate(k / 1000, k, "cosine") for k in range(1001)]
    assert max(rates) == max(rates[150:300])
    assert rates[0] < 0.01
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert rate(0.9, 5, "constant") == 1.0


@pytest.mark.parametrize("name", ["soap", "adam", "adamw", "sgd"])
def test_every_optimiser_descends(name: str) -> None:
    net = seeded(ResidualNet(2, (16,), "tanh"), 0)
    assert isinstance(net, ResidualNet)
    optimiser = build(name, list(net.layers.parameters()), 3e-3)
    x = torch.linspace(-1, 1, 64)[:, None].expand(-1, 2)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (net.net(x) - torch.sin(2 * x)).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
