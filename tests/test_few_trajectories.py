"""Few noisy trajectories: what they say together, and what is known a little beyond them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pyhits import Trajectories
from pyhits.encoders import Standardise
from pyhits.noise.field import PolynomialField
from pyhits.noise.observations import Observations, strays
from pyhits.training.comparison import Comparison, in_turn
from pyhits.training.rollouts import LOST, Beyond
from pyhits.training.search import FormSearch
from pyhits.training.windows import WindowSampler

STARTS = np.array([0.5, 0.8, 1.2, 0.9, 0.3])


def saturating(starts: np.ndarray = STARTS, n: int = 41) -> np.ndarray:
    """Return solutions of ``dx/dt = -x / (0.2 + x)``, ``(len(starts), n)``, times 0.1 apart."""
    states = [starts]
    for _ in range(10 * (n - 1)):
        half = states[-1] - 0.005 * states[-1] / (0.2 + states[-1])
        states.append(states[-1] - 0.01 * half / (0.2 + half))
    return np.stack(states[::10], axis=1)


def samplers(rows: np.ndarray) -> tuple[WindowSampler, WindowSampler]:
    """Return windows of all trajectories but the last, and of that one."""
    parts = [Trajectories(list(part[..., None]), 0.1) for part in (rows[:-1], rows[-1:])]
    scaling = Standardise().fit(parts[0].values)
    train, held = (WindowSampler(part.values, part.offsets, scaling, 1) for part in parts)
    return train, held


def noisy(seed: int) -> np.ndarray:
    rows = saturating()
    return rows + 0.05 * np.random.default_rng(seed).standard_normal(rows.shape)


def test_each_trajectory_is_stepped_through_by_what_has_not_seen_it() -> None:
    rows = noisy(0)
    train, held = samplers(rows)
    first = Comparison(train, held)
    *each, beyond = in_turn(train, held, first)
    assert len(each) == len(rows) - 1
    for k, comparison in enumerate(each):
        start = train.encoder.transform(rows[k, :1, None])
        assert torch.equal(comparison.rollouts.starts[0], torch.from_numpy(start)[0])
        seen = comparison.data.states.numpy()
        assert not np.isin(train.encoder.transform(rows[k, :, None]), seen).any()
    assert beyond.data is first.data
    assert in_turn(held, train, first) == []  # a single trajectory to fit to
    many = Trajectories(list(noisy(1)[..., None]), 0.1)
    several = WindowSampler(many.values, many.offsets, train.encoder, 1)
    assert in_turn(train, several, first) == []


def test_maps_are_to_stay_near_the_data_from_a_little_beyond_them() -> None:
    beyond = Beyond.of(samplers(saturating())[0])
    rates = torch.tensor([0.0, -0.1, 0.5]).double()[:, None, None]
    assert beyond.rate(lambda states: states * (1 + rates), 3) == [0.0, 0.0, LOST]
    # Stable where it was recorded, and no further.
    edge = beyond.starts.abs().max() / 1.1
    cubic = beyond.rate(lambda states: states + 0.1 * states * (states**2 / edge**2 - 1), 1)
    assert cubic == [LOST]


@pytest.mark.parametrize("seed", [1, 16, 17])
def test_chosen_forms_go_on_a_little_beyond_the_data(seed: int) -> None:
    train, held = samplers(noisy(seed))
    search = FormSearch(train, held, "polynomial")
    found = search.run().form
    flow_map = found.solve(search.data)
    start = np.array([1.3])
    state = torch.from_numpy(train.encoder.transform(start[:, None]))
    states = [state]
    for _ in range(40):
        states.append(flow_map(states[-1]))
    ahead = train.encoder.inverse_transform(torch.cat(states).detach().numpy())[:, 0]
    assert np.abs(ahead - saturating(start)[0]).max() < 0.25


def test_fields_that_stray_from_a_little_beyond_the_starts() -> None:
    cubic = PolynomialField.zero(1, 3)
    cubic = cubic.with_free(np.array([0.0, -1.0, 0.0, 0.9]))  # unstable beyond 1.05
    times = np.arange(1, 200) * 0.05
    for start, expected in ((0.8, False), (1.0, True)):
        states = start * np.exp(-0.5 * times)[None, :, None] * [[[1.0]], [[-1.0]]]
        observed = Observations(states, 0.05, 0.05, np.array([0.01]))
        assert strays(cubic, np.array([[start], [-start]]), observed) is expected
