"""Checks of what a system is made of: its region, its times, its initial states."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.util.checks import as_count, as_numeric


def as_box(region: Any) -> np.ndarray:
    """Return a region as a read-only array ``(dimension, 2)`` of lows and highs.

    Raises
    ------
    ArgumentError
        Another shape, ends that are not finite, or a low end above its high end.
    """
    box = np.array(as_numeric(region, what="The region"), dtype=np.float64)
    if box.ndim != 2 or box.shape[1] != 2 or len(box) == 0:
        raise ArgumentError(
            "Expected a region of shape (dimension, 2), a low and a high end a component; "
            f"got shape {box.shape}."
        )
    if not (np.isfinite(box).all() and (box[:, 0] <= box[:, 1]).all()):
        raise ArgumentError(f"Expected finite low ends below high ends, got {box.tolist()}.")
    box.flags.writeable = False
    return box


def as_transient(value: Any) -> float:
    """Return ``value`` as a finite time of 0 or more, or raise an ArgumentError."""
    sound = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (sound and math.isfinite(value) and value >= 0):
        raise ArgumentError(f"Expected transient to be a time of 0 or more, got {value!r}.")
    return float(value)


def as_starts(
    initial_states: Any, n_trajectories: int | None, dimension: int, name: str
) -> np.ndarray:
    """Return given initial states ``(n, dimension)`` of the system of that name, in float64.

    Raises
    ------
    ArgumentError
        Another shape, another number than ``n_trajectories``, or numbers that are not finite.
    """
    states = np.array(as_numeric(initial_states, what="initial_states"), dtype=np.float64, ndmin=2)
    if states.ndim != 2 or states.shape[1] != dimension or len(states) == 0:
        raise ArgumentError(
            f"Expected initial_states of shape (n_trajectories, {dimension}) for {name}, "
            f"got {states.shape}."
        )
    if n_trajectories is not None:
        n = as_count(n_trajectories, "n_trajectories", most=None)
        if n != len(states):
            raise ArgumentError(
                f"n_trajectories={n} was given with {len(states)} initial states; leave it out."
            )
    if not np.isfinite(states).all():
        bad = int(np.flatnonzero(~np.isfinite(states).all(axis=1))[0])
        raise ArgumentError(f"Initial state {bad} is not finite: {states[bad]}.")
    return states
