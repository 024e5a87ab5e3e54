"""Periods of recordings, told from trend and noise, and whether what moves grows with its level."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

#: Correlation that a period must have with the next, and the part of the best that is as good.
_LEAST, _AS_GOOD = 0.3, 0.9

#: Rows of a trajectory that are looked at, and trajectories, at most.
_MOST_ROWS, _MOST = 1 << 16, 64

#: The same of several periods, which may be weak: correlation, part of the best, and rows.
_LEAST_OF_SEVERAL, _AS_HIGH_OF_SEVERAL, _MOST_OF_SEVERAL = 0.15, 0.75, 1 << 14

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
    for alike in _side_by_side([rows[-size:] for rows in longest]):
        part = without_trend(alike, trend)
        power += np.square(np.abs(rfft(part, length, axis=0))).sum(axis=1)
        pairs += np.maximum(len(part) - lags, 0) * (part.shape[1] // longest[0].shape[1])
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


def _side_by_side(trajectories: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield trajectories in order of length, those of one length as columns of one array."""
    for length, group in groupby(trajectories, key=len):
        alike = list(group)
        count = max(1, _MOST_ROWS // (length * alike[0].shape[1]))
        for k in range(0, len(alike), count):
            yield np.concatenate(alike[k : k + count], axis=1)


def strongest_periods(recordings: Sequence[np.ndarray], count: int = 3) -> list[int]:
    """Return up to ``count`` periods of recordings in rows, the strongest first.

    They are peaks of the autocorrelation, up to a third of the longest recording, of the rows less
    a straight line and of the differences between rows.

    Parameters
    ----------
    recordings : sequence of array, shape (time, d)
    """
    rows = max(recordings, key=len)[-_MOST_OF_SEVERAL:]
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
    from scipy.fft import irfft, next_fast_len, rfft

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
    at = at[(at > 1) & (correlation[at] > _LEAST_OF_SEVERAL)]
    # What rises above its surroundings, not the ripples of noise upon a longer wave.
    around = (correlation[int(k - k // 4) : int(k + k // 4 + 1)].max() for k in at)
    at = at[correlation[at] >= list(around)] if len(at) else at
    if not len(at):
        return []
    first = at[correlation[at] >= _AS_HIGH_OF_SEVERAL * correlation[at].max()][0]
    ranked = at[np.argsort(-correlation[at], kind="stable")]
    return [int(first), *(int(k) for k in ranked if k % first)][:3]


def without_trend(rows: np.ndarray, degree: int = _TREND) -> np.ndarray:
    """Return rows ``(time, d)`` of order one without a polynomial of time."""
    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    if len(rows) <= degree + 1:
        return np.asarray(rows)
    basis, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, len(rows)), degree + 1))
    return np.asarray(rows - basis @ (basis.T @ rows))


#: Blocks of rows that a trajectory is cut into, at least, and rows of each.
_BLOCKS, _LEAST_ROWS = 6, 4

#: Trajectories that are looked at, at most, evenly chosen.
_MOST_LOOKED_AT = 1000

#: Ratio of the highest to the lowest level, the power of it that the spread grows by, and the
#: correlation of their logarithms, at least.
_LEVELS, _POWER, _CORRELATION = 1.5, 0.5, 0.6


def spread_grows(trajectories: Sequence[np.ndarray], period: int = 1) -> bool:
    """Whether the spread of every feature grows with its level, and no value is 0 or less.

    Level and spread are those of blocks of whole periods, each about its own line.

    Parameters
    ----------
    trajectories : sequence of array, each (time, d)
    period : int
        In rows.
    """
    if not all((rows > 0).all() for rows in trajectories):
        return False
    levels, spreads = [], []
    for rows in trajectories[:: -(-len(trajectories) // _MOST_LOOKED_AT)]:
        size = max(period, _LEAST_ROWS)
        size *= max(1, len(rows) // (2 * _BLOCKS) // size)
        n = len(rows) // size
        if n == 0:
            continue
        blocks = rows[: n * size].reshape(n, size, -1)
        t = np.linspace(-1, 1, size)
        centred = blocks - blocks.mean(axis=1, keepdims=True)
        slope = np.einsum("t,ntd->nd", t, centred) / np.square(t).sum()
        levels.append(blocks.mean(axis=1))
        spreads.append((centred - t[:, None] * slope[:, None]).std(axis=1))
    if sum(map(len, levels)) < _BLOCKS or not all((of > 0).all() for of in spreads):
        return False
    level, spread = np.log(np.concatenate(levels)), np.log(np.concatenate(spreads))
    level, spread = level - level.mean(axis=0), spread - spread.mean(axis=0)
    power = (level * spread).sum(axis=0) / np.maximum(np.square(level).sum(axis=0), 1e-300)
    size = np.sqrt(np.square(level).sum(axis=0) * np.square(spread).sum(axis=0))
    correlation = (level * spread).sum(axis=0) / np.maximum(size, 1e-300)
    wide = np.ptp(level, axis=0) > np.log(_LEVELS)
    return bool((wide & (power > _POWER) & (correlation > _CORRELATION)).all())
