"""The uniform grid that times lie on, with or without rows left out, and interpolation to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pyhits.data.times.uniform import lies_on_grid


def usual_step(times: Sequence[np.ndarray]) -> float:
    """Return the median step of all recordings together, each of 2 rows or more."""
    return float(np.median(np.concatenate([np.diff(t) for t in times])))


def grid_step(times: Sequence[np.ndarray], usual: float) -> float | None:
    """Return the step of the grid on which all times lie, None if there is none.

    Each recording may begin anywhere; its steps are whole multiples of one step, to
    :data:`pyhits.data.times.uniform.UNIFORM_TOLERANCE` of it.

    Parameters
    ----------
    times : sequence of array, each shape (n_rows,)
        Increasing.
    usual : float
        About that step.
    """
    counts = [places(t, usual) for t in times]
    # Least squares through all recordings, each with a start of its own.
    above = sum(
        float((_centred(k) * _centred(t)).sum()) for k, t in zip(counts, times, strict=True)
    )
    below = sum(float((_centred(k) ** 2).sum()) for k in counts)
    if not below:
        return None
    dt = above / below
    # The mean of printed times has digits that nobody wrote.
    rounded = float(f"{dt:.6g}")
    for step in (rounded, dt):
        if all(lies_on_grid(t, step, k) for t, k in zip(times, counts, strict=True)):
            return float(f"{step:.10g}")
    return None


def places(times: np.ndarray, dt: float) -> np.ndarray:
    """Return how many steps of about ``dt`` each row lies behind the first, shape ``(n_rows,)``."""
    steps = np.maximum(np.rint(np.diff(times) / dt), 1)
    return np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)


def _centred(values: np.ndarray) -> np.ndarray:
    return np.asarray(values - values.mean())


#: Error of order 4, 3 (2 at extrema) and 2 in the step for smooth data.
METHODS = ("cubic", "pchip", "linear")


def interpolate(times: np.ndarray, values: np.ndarray, at: np.ndarray, method: str) -> np.ndarray:
    """Return values between those known.

    Returns array, shape (m, ...).

    Parameters
    ----------
    times : array, shape (n,)
        Increasing, 2 or more.
    values : array, shape (n, ...)
        Finite.
    at : array, shape (m,)
        Between the first time and the last.
    method : {"cubic", "pchip", "linear"}
        The cubic spline without a knot at the second and the last but one row, which is the
        parabola or the line where 3 or 2 rows are known; monotone cubic pieces (Fritsch and
        Carlson 1980), which overshoot nowhere; straight lines.
    """
    if len(times) == 1:
        return np.repeat(values, len(at), axis=0)
    if method == "linear" or len(times) == 2:
        k = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
        share = ((at - times[k]) / (times[k + 1] - times[k])).reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray(values[k] * (1 - share) + values[k + 1] * share)
    from scipy import interpolate as scipy_interpolate  # takes a fifth of a second to import

    make: Callable[..., Callable[[np.ndarray], np.ndarray]] = (
        scipy_interpolate.CubicSpline if method == "cubic" else scipy_interpolate.PchipInterpolator
    )
    # Times of day in seconds since 1970 would cost digits.
    return np.asarray(make(times - times[0], values)(at - times[0]))


def uniform_grid(first: float, last: float, dt: float) -> np.ndarray:
    """Return ``first, first + dt ...`` up to ``last``; rounding does not cost the last one."""
    rounding = 1e-9 + 2 * np.spacing(max(abs(first), abs(last))) / dt
    n = int(np.floor((last - first) / dt * (1 + 1e-12) + min(rounding, 0.01)))
    return np.asarray(np.minimum(first + dt * np.arange(n + 1), last))


def left_out(times: np.ndarray, values: np.ndarray, method: str) -> np.ndarray:
    """Return by how much every other row misses those between, shape ``(n_between, ...)``.

    The rows used are twice as far apart as those there are, so the error of the interpolation
    itself is smaller.
    """
    between = np.arange(1, len(times) - 1, 2)
    if len(between) == 0:
        return np.asarray(values[:0])
    every_other = slice(None, None, 2)
    back = interpolate(times[every_other], values[every_other], times[between], method)
    return np.asarray(back - values[between])
