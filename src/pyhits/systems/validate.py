"""Checks of what a system is made of: its region, its times, its right-hand side."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.util.checks import as_numeric

if TYPE_CHECKING:
    from pyhits.systems.system import System


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


def check_field(system: System) -> None:
    """Raise an ArgumentError unless ``rhs`` treats many states as it treats each by itself."""
    d = system.dimension
    states = system.sample(6, random_state=0).reshape(2, 3, d)
    how = (
        f"The rhs of {system.name} must take states of shape (..., {d}) and return their "
        "derivatives in the same shape: index components with x[..., 0] and return "
        "np.stack([...], axis=-1)"
    )
    with np.errstate(all="ignore"):
        try:
            together = system.field(states)
            apart = [system.field(x) for x in states.reshape(-1, d)]
        except Exception as error:
            raise ArgumentError(f"{how}. It raised {type(error).__name__}: {error}") from error
    if together.shape != states.shape or any(slope.shape != (d,) for slope in apart):
        raise ArgumentError(
            f"{how}. For states {states.shape} it returned {together.shape}, for one state "
            f"{(d,)} it returned {apart[0].shape}."
        )
    if not np.allclose(together.reshape(-1, d), apart, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise ArgumentError(
            f"{how}. For six states at once it returned other values than for each."
        )
