"""Windows between the recorded ones, and tables made from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import circles

from pyhits import systems
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.flowmaps import CellMap, PolynomialMap
from pyhits.training import Recipe, WindowSampler, train_scale
from pyhits.training.jobs import JobSettings, TrainingData, make_jobs
from pyhits.training.synthetic import SyntheticWindows, finer_sizes, interpolated, synthesise


def sampler(data: Trajectories, step_size: int) -> WindowSampler:
    encoder = Standardise().set_statistics(np.zeros(2), np.ones(2))
    return WindowSampler(data.values, data.offsets, encoder, step_size, seed=1)


def test_a_composed_fine_map_labels_states_between_the_recorded_ones() -> None:
    data = systems.get("van-der-pol").simulate(60, 200, dt=0.02, random_state=0)
    encoder = Standardise().fit(data.values)
    train, validation = (
        WindowSampler(data.values, data.offsets, encoder, 64, 1, 3.0, seed) for seed in (0, 1)
    )
    synthetic = synthesise(train, validation, degree=9, sigma=np.ones(2))
    assert synthetic is not None
    assert synthetic.error < 1e-8
    np.testing.assert_array_equal(synthetic.step(synthetic.windows[0]), synthetic.windows[1])
    start = encoder.inverse_transform(synthetic.windows[0, :100])
    system = systems.get("van-der-pol")
    truth = system.simulate(initial_states=start, n_steps=1, dt=64 * 0.02).to_array()[:, 1]
    np.testing.assert_allclose(
        encoder.inverse_transform(synthetic.windows[1, :100]), truth, atol=2e-3
    )
    low, high = encoder.transform(data.values).min(0), encoder.transform(data.values).max(0)
    pad = 0.1 * (high - low)
    assert (synthetic.windows >= low - 1.01 * pad).all()
    assert (synthetic.windows <= high + 1.01 * pad).all()


def test_focus_draws_where_the_error_is() -> None:
    windows = np.arange(2000.0).reshape(2, 1000, 1)
    even = torch.linspace(0, 1, 1001, dtype=torch.float64)[1:]
    synthetic = SyntheticWindows(windows, PolynomialMap(1, 1), 1, 0.0, 0, even)
    np.testing.assert_array_equal(synthetic.draw(64, 3), synthetic.draw(64, 3))
    errors = torch.zeros(1000)
    errors[:10] = 1.0
    synthetic.focus_on(errors)
    drawn = synthetic.draw(20_000, 0)[0, :, 0]
    assert 0.7 < np.mean(drawn < 10) < 0.8
    synthetic.focus_on(torch.full((1000,), torch.nan))
    np.testing.assert_array_equal(synthetic.draw(20_000, 0)[0, :, 0], drawn)


def test_noise_has_no_fine_map_to_compose() -> None:
    rng = np.random.default_rng(0)
    noisy = circles(60, 100).to_array() + 1e-3 * rng.standard_normal((60, 101, 2))
    data = Trajectories(noisy, 0.1)
    assert synthesise(sampler(data, 32), sampler(data, 32), degree=5, sigma=np.ones(2)) is None
    assert synthesise(sampler(data, 2), sampler(data, 2), degree=5, sigma=np.ones(2)) is None


@pytest.mark.slow
def test_coarse_steps_in_few_dimensions_are_tabulated() -> None:
    """A table is exact where no net is, on states that nobody recorded."""
    system = systems.get("van-der-pol")
    train, validation, test = (
        system.simulate(n, 256, dt=0.02, random_state=k) for k, n in enumerate((100, 40, 200))
    )
    encoder = Standardise().fit(train.values)
    recipe = Recipe(max_steps=2000).resolve(2, 100, train.n_rows)
    (job,) = make_jobs(TrainingData(train, validation, encoder), JobSettings(recipe), [128])
    table, history = train_scale(job)
    assert isinstance(table, CellMap)
    assert history.stopped_by == "closed form"
    assert history.flow_map == f"table ({table.n_leaves} cells of degree 7)"
    assert history.validation_error < 1e-7
    rows = torch.from_numpy(encoder.transform(test.to_array())).float()
    with torch.inference_mode():
        error = (table(rows[:, 0]) - rows[:, 128]).square().mean()
    assert error < 1e-4
    brief = replace(job, recipe=replace(recipe, tables=False, max_steps=2))
    assert not isinstance(train_scale(brief)[0], CellMap)


@pytest.mark.parametrize(
    ("size", "finer"),
    [(1, []), (2, []), (4, [1]), (6, [1]), (16, [4, 2, 1]), (12, [3]), (10, [2, 1]), (25, [5, 1])],
)
def test_a_fine_map_steps_four_times_at_least(size: int, finer: list[int]) -> None:
    assert finer_sizes(size) == finer


def test_states_between_the_recorded_ones_end_where_the_bounds_leave_none() -> None:
    data = circles(60, 100)
    nowhere = PolynomialMap(2, 1).double()
    nowhere.low.fill_(5.0)
    assert len(interpolated(sampler(data, 8), 4096, nowhere)) == 0
    nowhere.low.fill_(-5.0)
    assert interpolated(sampler(data, 8), 4096, nowhere).shape == (4096, 2)
