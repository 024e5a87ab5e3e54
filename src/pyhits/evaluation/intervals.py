"""How good prediction intervals are: coverage, interval score, continuous ranked probability."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyhits.data.stretches import evenly

#: Half widths of intervals of a level at given times, ``(m, d)``.
Widths = Callable[[np.ndarray, float], np.ndarray]

#: Levels of the intervals whose ends are the quantiles that a distribution is known by.
_LEVELS = tuple(np.round(np.arange(0.05, 1.0, 0.1), 2))


#: Level of the intervals that evaluations look at; and numbers that they are measured on, at most.
LEVEL, _MOST = 0.9, 1 << 19


def measures(
    truth: np.ndarray, states: np.ndarray, widths: Widths, scale: np.ndarray
) -> dict[str, float]:
    """Return ``coverage``, ``interval_score`` and ``crps`` of 90 % intervals about forecasts.

    Parameters
    ----------
    truth, states : array, shape (n, m, d)
        Without the initial states; of many some are looked at.
    widths : callable
        In the user's units.
    scale : array, shape (d,)
        Unit of the scores: the standard deviation of each feature.
    """
    some = evenly(len(truth), max(1, _MOST // max(truth[0].size, 1)))
    scaled, ahead = truth[some] / scale, states[some] / scale
    positions = np.arange(1.0, truth.shape[1] + 1)
    half = widths(positions, LEVEL) / scale
    low, high = ahead - half, ahead + half
    return {
        "coverage": coverage(scaled, low, high),
        "interval_score": interval_score(scaled, low, high, LEVEL),
        "crps": crps(scaled, ahead, lambda at, level: widths(at, level) / scale, positions),
    }


def coverage(truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Return the share of known values within finite intervals; NaN where there are none."""
    known = np.isfinite(truth) & np.isfinite(low) & np.isfinite(high)
    within = (truth >= low) & (truth <= high)
    return float(within[known].mean()) if known.any() else np.nan


def interval_score(truth: np.ndarray, low: np.ndarray, high: np.ndarray, level: float) -> float:
    """Return the mean interval score of finite intervals (Gneiting, Raftery 2007, eq. 43).

    The width of an interval, and ``2 / (1 - level)`` times how far a value lies outside.
    """
    known = np.isfinite(truth) & np.isfinite(low) & np.isfinite(high)
    if not known.any():
        return np.nan
    value, below, above = truth[known], low[known], high[known]
    outside = np.maximum(below - value, 0.0) + np.maximum(value - above, 0.0)
    return float(np.mean(above - below + 2 / (1 - level) * outside))


def crps(truth: np.ndarray, states: np.ndarray, widths: Widths, positions: np.ndarray) -> float:
    """Return the mean continuous ranked probability score, by quantiles at equal distances.

    Twice the mean pinball loss of the quantiles (Gneiting, Raftery 2007, eq. 20); the forecast is
    their median. Levels without finite intervals take those of the highest level that has them.
    Times at which no level has them are left out.

    Parameters
    ----------
    truth, states : array, shape (n, m, d)
    positions : array, shape (m,)
        Times since the initial state, in multiples of ``dt``.
    """
    losses, half = [], np.asarray(np.inf)
    for level in _LEVELS:
        own = widths(positions, level)
        half = np.where(np.isfinite(own), own, half)
        for sign in (-1.0, 1.0):
            share = 0.5 * (1 + sign * level)
            with np.errstate(invalid="ignore"):
                above = truth - (states + sign * half)
            losses.append(np.maximum(share * above, (share - 1) * above))
    total = 2 * np.mean(losses, axis=0)
    known = np.isfinite(total)
    return float(total[known].mean()) if known.any() else np.nan
