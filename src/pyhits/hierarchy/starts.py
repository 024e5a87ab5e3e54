"""Initial states and times, as users give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.checks import as_numeric
from pyhits.errors import ArgumentError, DataError
from pyhits.trajectories import default_names


def as_states(initial_states: Any, feature_names: Sequence[str]) -> tuple[np.ndarray, bool]:
    """Return initial states as ``(n, d)``, and whether a single one of shape ``(d,)`` was given.

    Raises
    ------
    DataError
        The shape is another, or a value is not finite; its row and feature are named.
    """
    d = len(feature_names)
    if hasattr(initial_states, "columns"):
        named = {str(column): column for column in initial_states.columns}
        if set(named) == set(feature_names):
            initial_states = initial_states[[named[name] for name in feature_names]]
        elif default_names(d) != tuple(feature_names):
            raise DataError(
                f"Expected initial states with the columns {', '.join(feature_names)}, got "
                f"{', '.join(named)}."
            )
    states = as_numeric(initial_states, what="The initial states")
    single = states.ndim == 1
    states = states[None] if single else states
    if states.ndim != 2 or states.shape[1] != d or len(states) == 0:
        raise DataError(f"Expected initial states of shape (n, {d}), got {states.shape}.")
    if not np.isfinite(states).all():
        row, column = (int(k) for k in np.argwhere(~np.isfinite(states))[0])
        raise DataError(
            f"Initial state {row} is {states[row, column]} in {feature_names[column]!r}."
        )
    return states, single


def positions(t: Any, dt: float) -> np.ndarray:
    """Return times since the initial state in multiples of ``dt``, shape ``(m,)``."""
    at = np.atleast_1d(as_numeric(t, what="t").astype(np.float64)) / dt
    if at.ndim != 1 or len(at) == 0 or not (np.isfinite(at).all() and (at >= 0).all()):
        raise ArgumentError("Expected times t since the initial state, all 0 or later.")
    # A multiple of dt that rounding put just beside a step is that step.
    near = np.round(at)
    return np.asarray(np.where(np.abs(at - near) < 1e-9 * np.maximum(1, near), near, at))
