"""Inputs that act on a system while it steps: what a step of each size is told about them.

An input is held over ``dt``: row i of it acts from row i of the states to the next. A step of many
rows sees its mean and its trend, the first two coefficients in Legendre polynomials, which are all
there is of a constant or linear input. Steps of one row have no trend, nor do parameters, which are
constant over each trajectory: flow maps are spared columns that say nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

#: Trends below this part of the largest input are rounding.
_ROUNDING = 1e-9


def over_steps(inputs: np.ndarray, size: int, trends: Sequence[int] | None = None) -> np.ndarray:
    """Return mean and trend of inputs over steps of ``size`` rows that begin at each row.

    Returns array, shape (..., n_rows, k + len(trends)): all means, then the trends; a trend is 0
    for one row.

    Parameters
    ----------
    inputs : array, shape (..., n_rows, k)
        The last row is held beyond the end.
    size : int
        Rows of a step.
    trends : sequence of int, optional
        Columns whose trends are returned as well; by default all.
    """
    inputs = np.asarray(inputs, dtype=np.float64)
    asked = list(range(inputs.shape[-1]) if trends is None else trends)
    if size == 1 or inputs.shape[-2] == 0:
        return np.concatenate([inputs, np.zeros_like(inputs[..., asked])], axis=-1)
    from scipy.signal import oaconvolve  # asked for by coarse steps with inputs alone

    width = [(0, 0)] * inputs.ndim
    width[-2] = (0, size - 1)
    held = np.pad(inputs, width, mode="edge")
    middle = (2 * np.arange(size) + 1) / size - 1
    shape = (1,) * (inputs.ndim - 2) + (size, 1)
    # A convolution turns its kernel around; a constant input stays the number that it is.
    offset = held.mean(axis=-2, keepdims=True)

    def product(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        return np.asarray(oaconvolve(values, kernel[::-1].reshape(shape), mode="valid", axes=-2))

    mean = product(held - offset, np.full(size, 1 / size)) + offset
    if not asked:
        return np.asarray(mean)
    trend = product((held - offset)[..., asked], 3 / size * middle)
    largest = np.abs(held).max(initial=0.0)
    trend[np.abs(trend) < _ROUNDING * largest] = 0.0
    return np.concatenate([mean, trend], axis=-1)


def over_packed_steps(
    inputs: np.ndarray, offsets: np.ndarray, size: int, trends: Sequence[int] | None = None
) -> np.ndarray:
    """Return :func:`over_steps` of packed trajectories, which are never joined.

    Parameters
    ----------
    inputs : array, shape (n_rows, k)
    offsets : array, shape (n_trajectories + 1,)
        Row at which each trajectory begins.
    """
    lengths = np.diff(offsets)
    if (lengths == lengths[0]).all():
        together = inputs.reshape(len(lengths), -1, inputs.shape[1])
        return over_steps(together, size, trends).reshape(len(inputs), -1)
    pieces = [inputs[a:b] for a, b in itertools.pairwise(offsets)]
    return np.concatenate([over_steps(piece, size, trends) for piece in pieces])
