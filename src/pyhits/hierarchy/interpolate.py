"""States between the finest coupled steps: linear, as in the paper, or a cubic spline."""

from __future__ import annotations

import numpy as np

from pyhits.checks import as_choice

METHODS = ("cubic", "linear")


def interpolate(states: np.ndarray, at: np.ndarray, method: str) -> np.ndarray:
    """Return states at fractional positions between rows.

    Parameters
    ----------
    states : array, shape (n, k, d)
        Equally spaced states. Those of a diverged trajectory are not finite from some row on.
    at : array, shape (m,)
        Positions in ``[0, k - 1]``, in rows.
    method : {"cubic", "linear"}
        Not-a-knot cubic spline, or straight lines.

    Returns
    -------
    array, shape (n, m, d)
        Not finite wherever the nearest states are not.
    """
    as_choice(method, "interpolation", METHODS)
    low = np.clip(np.floor(at).astype(np.int64), 0, max(0, states.shape[1] - 2))
    high = np.minimum(low + 1, states.shape[1] - 1)
    if method == "linear" or states.shape[1] < 3:
        weight = (at - low)[:, None].astype(states.dtype)
        result = states[:, high]
        result -= states[:, low]
        result *= weight
        result += states[:, low]
        return result
    from scipy.interpolate import CubicSpline  # imported when used: half a second

    sound = np.isfinite(states).all(axis=2)
    clean = states if sound.all() else np.where(sound[..., None], states, 0.0)
    result = CubicSpline(np.arange(states.shape[1]), clean, axis=1)(at)
    if clean is not states:
        # A spline spreads the gap over its neighbours, so nothing near it is to be trusted.
        lost = ~(sound[:, low] & sound[:, high])
        result[lost] = np.nan
    return np.asarray(result, dtype=states.dtype)
