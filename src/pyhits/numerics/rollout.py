"""Stepping a state many times: the one loop, for arrays and tensors alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

State = TypeVar("State")


def iterate(step: Callable[[State], State], state: State, n_steps: int) -> Iterator[State]:
    """Yield the states after 1, 2, ... ``n_steps`` steps.

    Parameters
    ----------
    step : callable
        Returns the state one step later, as a new array or tensor.
    state : array or Tensor
        What ``step`` takes.
    n_steps : int
    """
    for _ in range(n_steps):
        state = step(state)
        yield state


def last(step: Callable[[State], State], state: State, n_steps: int) -> State:
    """Return the state after ``n_steps`` steps; parameters are those of :func:`iterate`."""
    for state in iterate(step, state, n_steps):  # noqa: B007, B020
        pass
    return state
