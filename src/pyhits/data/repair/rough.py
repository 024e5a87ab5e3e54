"""Whether holes in recordings are better filled than cut out: noise hides what filling errs."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from pyhits.data.repair.grid import places
from pyhits.data.repair.recording import Recording

#: Share of a feature's rows that may be missing.
_FEW = 0.1

#: Orders of the differences that are compared; what they say of noise agrees but for this ratio.
_ORDERS, _AGREES = (4, 6), 0.2

#: Part of the variance that straight lines between neighbours may miss.
_LINES = 0.5

#: Stretches of whole rows that differences are taken of, at least.
_LEAST = 20

#: Rows of a recording, and numbers of it and of all, that are looked at, about, at most.
_MOST, _MOST_NUMBERS = 100_000, 10_000_000


def better_filled(recordings: Sequence[Recording], step: float | None) -> bool:
    """Whether rows are so noisy, and so slow, that interpolated ones among them do no harm.

    Differences of rising order of a smooth motion vanish, those of noise do not: of rows of noise
    alone, ``mean(diff(x, k)**2) / comb(2 * k, k)`` is its variance for every k. Where two of them
    agree, an interpolated value is no more wrong than those around it, and cut pieces would lose
    seasons and long memory. Of rows that neighbours say nothing of, as those of maps, none is made
    up.

    Parameters
    ----------
    recordings : sequence of Recording
        In order; NaN where values are missing.
    step : float, optional
        Of the grid that the rows lie on; None where they lie on none.
    """
    if step is None:
        return False
    grids, room = [], _MOST_NUMBERS
    for one in recordings:
        grids.append(_on_grid(one, step))
        room -= grids[-1].size
        if room < 0:
            break
    missing = sum(np.isnan(rows).sum(axis=0) for rows in grids)
    n_rows = sum(map(len, grids))
    if not missing.any() or (missing > _FEW * n_rows).any():
        return False
    rough = slow = 0
    columns = np.flatnonzero(missing)
    for k in columns.tolist():
        own = [rows[:, k] for rows in grids]
        first, second = (_noise(own, order) for order in _ORDERS)
        variance = float(np.nanvar(np.concatenate(own)))
        rough += first > 0 and second > _AGREES * first
        slow += comb(4, 2) / 4 * _noise(own, 2) < _LINES * variance
    return 2 * min(rough, slow) > len(columns)


def _on_grid(recording: Recording, step: float) -> np.ndarray:
    """Return the last rows on the grid, NaN where there are none."""
    at, d = places(recording.times, step), recording.values.shape[1]
    kept = at > at[-1] - min(_MOST, max(1, _MOST_NUMBERS // d))
    rows = np.full((int(at[-1] - at[kept][0]) + 1, d), np.nan)
    rows[at[kept] - at[kept][0]] = recording.values[kept]
    return rows


def _noise(columns: Sequence[np.ndarray], order: int) -> float:
    """Return the variance of noise that differences of an order show; 0 of too few."""
    found = np.concatenate([np.diff(own, order) for own in columns if len(own) > order])
    found = found[np.isfinite(found)]
    return float(np.square(found).mean()) / comb(2 * order, order) if len(found) >= _LEAST else 0.0
