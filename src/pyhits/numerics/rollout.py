"""Stepping a state many times: the one loop, for arrays and tensors alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np

from pyhits.util.clock import UNLIMITED, Clock

_State = TypeVar("_State")

#: A state this many standard deviations away from the training data has diverged.
DIVERGED = 1e4

#: How far beyond recorded starts a map or a field is looked at, and how far from the mean of all
#: rows it may lead from there: multiples of what is recorded.
_BEYOND, _FAR = 1.15, 3.0

#: Recorded starts that are looked at, at most: the others lie among them.
_STARTS = 24


class Rows(Protocol):
    """An array or a tensor, as a sequence along its first axis."""

    def __getitem__(self, k: int, /) -> Any:
        """Return one of them."""


def iterate(
    step: Callable[[_State], _State],
    state: _State,
    n_steps: int,
    *,
    inputs: Rows | None = None,
    clock: Clock = UNLIMITED,
) -> Iterator[_State]:
    """Yield the states after 1, 2, ... ``n_steps`` steps.

    Raises TimeIsUpError.

    Parameters
    ----------
    step : callable
        Returns the state one step later, as a new array or tensor.
    state : array or Tensor
        What ``step`` takes.
    inputs : array or Tensor, shape (n_steps, ..., k), optional
        What the last features of each new state are replaced by, in place: what the next step takes
        besides the state itself.
    """
    for k in range(n_steps):
        clock.check()
        state = step(state)
        if inputs is not None:
            new: Any = state
            new[..., new.shape[-1] - inputs[k].shape[-1] :] = inputs[k]
        yield state


def last_state(
    step: Callable[[_State], _State], state: _State, n_steps: int, *, clock: Clock = UNLIMITED
) -> _State:
    """Return the state after ``n_steps`` steps; parameters are those of :func:`iterate`."""
    for state in iterate(step, state, n_steps, clock=clock):  # noqa: B007, B020
        pass
    return state


def beyond(starts: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts a little beyond recorded ones, from which steps are to stay near the data.

    Parameters
    ----------
    starts : array, shape (n, d)
        Of more than 24 as many are taken, evenly chosen.
    rows : array, shape (n_rows, d)
        All recorded states; those that are NaN do not count.

    Returns
    -------
    starts : array, shape (m, d)
        The recorded ones and the middles of two of them, further from the mean of all rows.
    low, high : array, shape (d,)
        Between which a state is near the data.
    """
    mean = np.nanmean(rows, axis=0)
    most = _FAR * np.nanmax(np.abs(rows - mean), axis=0)
    some = starts[np.linspace(0, len(starts) - 1, min(len(starts), _STARTS)).astype(int)]
    one, other = np.triu_indices(len(some))
    middles = (some[one] + some[other]) / 2
    return mean + _BEYOND * (middles - mean), mean - most, mean + most
