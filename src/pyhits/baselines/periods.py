"""Periods of recordings: lags at which what is left without the trend looks like itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Correlation that a period must have at least, and rows that are looked at, at most.
_LEAST, _MOST_ROWS = 0.15, 1 << 14

#: The part of the highest peak that is as high.
_AS_HIGH = 0.75


def periods(recordings: Sequence[np.ndarray], count: int = 3) -> list[int]:
    """Return up to ``count`` periods in rows, the strongest first.

    They are peaks of the autocorrelation, up to a third of the longest recording, of the rows less
    a straight line and of the differences between rows.

    Parameters
    ----------
    recordings : sequence of array, shape (time, d)
    """
    rows = max(recordings, key=len)[-_MOST_ROWS:]
    if len(rows) < 9:
        return []
    found: dict[int, float] = {}
    t = np.linspace(-1.0, 1.0, len(rows))
    line = np.stack([np.ones_like(t), t], axis=1)
    level = rows - line @ np.linalg.lstsq(line, rows, rcond=None)[0]
    for part in (level, np.diff(rows, axis=0)):
        correlation = _autocorrelation(part - part.mean(axis=0))
        for lag in _peaks(correlation):
            found[lag] = max(found.get(lag, 0.0), float(correlation[lag]))
    ranked = sorted(found, key=lambda lag: -found[lag])
    return ranked[:count]


def _autocorrelation(part: np.ndarray) -> np.ndarray:
    """Return the mean correlation of the columns up to a third of their length."""
    n = len(part)
    from scipy.fft import irfft, next_fast_len, rfft  # not needed to load and forecast

    size = next_fast_len(2 * n)
    products = irfft(np.square(np.abs(rfft(part, size, axis=0))), size, axis=0)[: n // 3 + 2]
    pairs = n - np.arange(len(products))
    moving = products[0] > 1e-20
    if not moving.any():
        return np.zeros(len(products))
    own = products[:, moving] / products[0, moving] * (n / pairs)[:, None]
    return np.asarray(own.mean(axis=1))


def _peaks(correlation: np.ndarray) -> list[int]:
    """Return the lags of the highest peaks: of those about as high, the first in front."""
    inner = correlation[1:-1]
    at = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]))
    at = at[(at > 1) & (correlation[at] > _LEAST)]
    # What rises above its surroundings, not the ripples of noise upon a longer wave.
    around = (correlation[int(k - k // 4) : int(k + k // 4 + 1)].max() for k in at)
    at = at[correlation[at] >= list(around)] if len(at) else at
    if not len(at):
        return []
    first = at[correlation[at] >= _AS_HIGH * correlation[at].max()][0]
    ranked = at[np.argsort(-correlation[at], kind="stable")]
    return [int(first), *(int(k) for k in ranked if k % first)][:3]
