"""The one loop that steps a state many times."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import rotation

from pyhits.numerics.rollout import iterate, last_state
from pyhits.util.clock import Clock, TimeIsUpError


def test_states_follow_from_the_one_before_in_arrays_and_tensors() -> None:
    matrix, start = rotation(0.1), np.array([[1.0, 0.0], [0.0, 2.0]])
    wanted = [start @ rotation(0.1 * k).T for k in range(1, 6)]
    found = list(iterate(lambda x: x @ matrix.T, start, 5))
    np.testing.assert_allclose(found, wanted, atol=1e-14)
    tensor = last_state(lambda x: x @ torch.from_numpy(matrix).T, torch.from_numpy(start), 5)
    np.testing.assert_allclose(tensor.numpy(), found[-1], atol=1e-14)
    assert last_state(lambda x: x @ matrix.T, start, 0) is start


def test_gradients_run_through_a_rollout() -> None:
    factor = torch.tensor(2.0, requires_grad=True)
    last_state(lambda x: factor * x, torch.ones(()), 3).backward()
    assert factor.grad is not None
    assert float(factor.grad) == 12.0  # of a cube at 2


def test_inputs_are_what_the_next_step_takes() -> None:
    """The sum of inputs so far, which the last column holds."""
    inputs = np.arange(1.0, 5.0).reshape(4, 1, 1)

    def step(x: np.ndarray) -> np.ndarray:
        return np.stack([x.sum(axis=1), np.full(len(x), np.nan)], axis=1)

    found = [x[0, 0] for x in iterate(step, np.array([[0.0, 0.5]]), 4, inputs=inputs)]
    np.testing.assert_array_equal(found, [0.5, 1.5, 3.5, 6.5])


def test_a_clock_ends_it() -> None:
    readings = iter(range(100))
    clock = Clock.start(3.0, now=lambda: float(next(readings)))
    taken: list[int] = []

    def step(k: int) -> int:
        taken.append(k)
        return k + 1

    with pytest.raises(TimeIsUpError):
        last_state(step, 0, 50, clock=clock)
    assert 0 < len(taken) < 5
