"""Periods of recordings: cycles that return again and again, told from trend and noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

#: Correlation that a period must have with the next, and the part of the best that is as good.
_LEAST, _AS_GOOD = 0.3, 0.9

#: Rows of a trajectory that are looked at, and trajectories, at most.
_MOST_ROWS, _MOST = 1 << 16, 64

#: Degree of the trend that is taken off.
_TREND = 2


def find_period(
    trajectories: Sequence[np.ndarray], *, trend: int = _TREND, most: float = math.inf
) -> int:
    """Return the period of trajectories in rows; 1 where there is none.

    The first lag at which the autocorrelation has a peak that is nearly its highest, of all
    features and trajectories together, each without a trend, up to half the length of the longest.

    Parameters
    ----------
    trajectories : sequence of array, shape (time, d)
    trend : int
        Degree of the polynomial of time that is taken off; 0 is the mean.
    most : float
        Longest period.
    """
    longest = sorted(trajectories, key=len)[-_MOST:]
    size = min(_MOST_ROWS, len(longest[-1]))
    from scipy.fft import irfft, next_fast_len, rfft  # not needed to load and forecast

    length = next_fast_len(2 * size)
    power, pairs, lags = np.zeros(length // 2 + 1), np.zeros(size), np.arange(size)
    for rows in longest:
        part = without_trend(rows[-size:], trend)
        power += np.square(np.abs(rfft(part, length, axis=0))).sum(axis=1)
        pairs += np.maximum(len(part) - lags, 0)
    half = int(min(size // 2, most)) + 1
    together = irfft(power, length)[:half]
    if half < 3 or together[0] <= 0:
        return 1
    correlation = together / together[0] * pairs[0] / np.maximum(pairs[:half], 1)
    negative = np.flatnonzero(correlation < 0)
    if not len(negative):
        return 1
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner >= correlation[:-2]) & (inner > correlation[2:]))
    peaks = peaks[peaks > negative[0]]
    if not len(peaks) or correlation[peaks].max() < _LEAST:
        return 1
    return int(peaks[correlation[peaks] >= _AS_GOOD * correlation[peaks].max()][0])


def without_trend(rows: np.ndarray, degree: int = _TREND) -> np.ndarray:
    """Return rows ``(time, d)`` of order one without a polynomial of time."""
    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    if len(rows) <= degree + 1:
        return np.asarray(rows)
    basis, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, len(rows)), degree + 1))
    return np.asarray(rows - basis @ (basis.T @ rows))
