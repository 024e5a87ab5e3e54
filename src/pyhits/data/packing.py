"""What trajectories are made of: packed rows, their lengths, starts and shape, checked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import LARGEST_MAGNITUDE, as_count, as_names, as_numeric, is_number, shown

#: Largest value whose squares can be summed in single precision; the smallest is one over it.
_ROOM = 1e15


def pack(
    arrays: Sequence[np.ndarray], even: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows below each other and how many of each: of arrays, or of ``even`` ones in one.

    Raises DataError: there are none, or of other features, or of a single row.
    """
    if even is not None:
        n, length, d = even.shape
        lengths = np.full(n, length, dtype=np.int64)
        check_lengths(lengths)
        return np.ascontiguousarray(even).reshape(n * length, d), lengths
    lengths = np.array([len(a) for a in arrays], dtype=np.int64)
    values = _stacked(arrays)
    check_lengths(lengths)
    return values, lengths


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    if not arrays:
        raise DataError("Expected at least one trajectory, got none.")
    for k, a in enumerate(arrays):
        if a.ndim != 2:
            raise DataError(f"Trajectory {k} has shape {a.shape}; expected (time, feature).")
        if a.shape[1] != arrays[0].shape[1]:
            raise DataError(
                f"Trajectory {k} has {a.shape[1]} features, trajectory 0 has "
                f"{arrays[0].shape[1]}; all need the same."
            )
    if arrays[0].shape[1] == 0:
        raise DataError("Expected at least one feature, got none.")
    return np.ascontiguousarray(arrays[0]) if len(arrays) == 1 else np.concatenate(arrays)


def with_room(values: np.ndarray) -> np.ndarray:
    """Return float32 rows as float64 where squares would overflow or vanish; others as they are."""
    if values.dtype != np.float32:
        return values
    largest = max(-float(values.min()), float(values.max()))
    return values if largest == 0 or 1 / _ROOM < largest < _ROOM else values.astype(np.float64)


@lru_cache(maxsize=1)
def default_names(n: int) -> tuple[str, ...]:
    """Return the names of features that nobody named.

    The last are kept: those of millions of features take seconds, and are asked for repeatedly.
    """
    return tuple(f"x{k}" for k in range(n))


def feature_names_of(names: Sequence[str] | None, n: int) -> tuple[str, ...]:
    """Return one name a feature, all different; ``x0, x1 ...`` where none are given."""
    if names is None:
        return default_names(n)
    chosen = () if isinstance(names, str) else tuple(as_names(names, "feature_names"))
    if len(chosen) != n:
        raise ArgumentError(f"Expected {n} feature names, got {shown(names)}.")
    if len(set(chosen)) != n:
        raise ArgumentError(
            f"Feature names repeat: {', '.join(chosen)}. Give each column its own name, in the "
            "file or with feature_names."
        )
    return chosen


def check_lengths(lengths: np.ndarray) -> None:
    """Raise a DataError if there are none, or one of a single row."""
    if len(lengths) == 0:
        raise DataError("Expected at least one trajectory, got none.")
    if (lengths < 2).any():
        short = int(np.flatnonzero(lengths < 2)[0])
        raise DataError(
            f"Trajectory {short} has {lengths[short]} row(s); it takes at least 2 to show a step."
        )


def as_number(trajectory: Any, n: int) -> int:
    """Return the number of one of ``n`` trajectories, from 0; those below 0 count from the end."""
    k = as_count(trajectory, "the number of a trajectory", least=-n)
    if k >= n:
        raise ArgumentError(f"There is no trajectory {k}, there are {n}, from 0 on.")
    return k % n


def as_starts(starts: Any, n: int, dt: float) -> np.ndarray:
    """Return the time of each trajectory's first row, shape ``(n,)``.

    Raises ArgumentError: they are not one each, or so large that float64 cannot tell a step ``dt``
    from there on.
    """
    if starts is None:
        return np.zeros(n)
    array = np.asarray(as_numeric(starts, what="start_times"), dtype=np.float64)
    is_one_each = array.ndim == 0 or (array.ndim == 1 and len(array) == n)
    if not is_one_each or not np.isfinite(array).all():
        raise ArgumentError(f"Expected one finite start time for each of {n} trajectories.")
    if (np.spacing(np.abs(array)) > 0.5 * dt).any():
        raise ArgumentError(
            f"Expected start times from which float64 can tell steps of {dt:g}, got "
            f"{np.abs(array).max():g}; count from a later time."
        )
    return np.array(np.broadcast_to(array, (n,)))


def as_noise_level(value: Any) -> float:
    """Return ``value`` as a float of 0 or more."""
    if not is_number(value) or not 0 <= value < LARGEST_MAGNITUDE:
        raise ArgumentError(f"Expected a noise level of 0 or more, got {shown(value)}.")
    return float(value)


def as_fraction(value: Any) -> float:
    """Return ``value`` as a float between 0 and 1."""
    if not is_number(value) or not 0 < value < 1:
        raise ArgumentError(f"Expected a fraction between 0 and 1, got {shown(value)}.")
    return float(value)


def take(values: np.ndarray, begin: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return ``counts[k]`` rows from row ``begin[k]`` on, for every k; one part is a view."""
    if len(begin) == 1:
        return values[begin[0] : begin[0] + counts[0]]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(values[np.repeat(begin, counts) + within])
