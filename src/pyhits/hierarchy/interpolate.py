"""States between the finest coupled steps: linear, as in the paper, or a cubic spline."""

from __future__ import annotations

import numpy as np

from pyhits.util.checks import as_choice

METHODS = ("cubic", "linear")


def interpolate(states: np.ndarray, at: np.ndarray, method: str) -> np.ndarray:
    """Return states at fractional positions between rows.

    Returns array, shape (n, m, d): rows themselves where all positions are such. Diverged
    trajectories are interpolated linearly, up to their last finite state.

    Parameters
    ----------
    states : array, shape (n, k, d)
        Equally spaced states. Those of a diverged trajectory are not finite from some row on.
    at : array, shape (m,)
        Positions in ``[0, k - 1]``, in rows.
    method : {"cubic", "linear"}
        Not-a-knot cubic spline, or straight lines.
    """
    as_choice(method, "interpolation", METHODS)
    rows = at.astype(np.int64)
    if (rows == at).all():
        return states[:, rows]
    if method == "linear" or states.shape[1] < 3:
        return _linear(states, at)
    from scipy.interpolate import CubicSpline  # imported when used: half a second

    sound = np.isfinite(states).all(axis=(1, 2))
    clean = states if sound.all() else np.where(sound[:, None, None], states, 0.0)
    result = np.asarray(CubicSpline(np.arange(states.shape[1]), clean, axis=1)(at), states.dtype)
    # A spline would spread what is not finite over the whole trajectory.
    if clean is not states:
        result[~sound] = _linear(states[~sound], at)
    return result


def _linear(states: np.ndarray, at: np.ndarray) -> np.ndarray:
    low = np.floor(at).astype(np.int64)
    high = np.ceil(at).astype(np.int64)
    result = states[:, high]
    result -= states[:, low]
    result *= (at - low)[:, None].astype(states.dtype)
    result += states[:, low]
    return result
