"""Whether holes in recordings are better filled than cut out, and why."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from pyhits.data.repair.gaps import runs
from pyhits.data.repair.grid import places
from pyhits.data.repair.recording import Recording

#: Share of a feature's rows, outside of long holes, that may be missing.
_FEW = 0.5

#: Orders of the differences that are compared; what they say of noise agrees but for this ratio.
_ORDERS, _AGREES = (4, 6), 0.2

#: Part of the variance that straight lines between neighbours may miss.
_LINES = 0.5

#: Rows between holes, on average over the rows, below which one variable alone shows too little.
_SHORT = 25

#: Stretches of whole rows that differences are taken of, at least.
_LEAST = 20

#: Rows of a recording, and numbers of it and of all, that are looked at, about, at most.
_MOST, _MOST_NUMBERS = 100_000, 10_000_000


def why_filled(recordings: Sequence[Recording], step: float | None, longest: int) -> str:
    """Return why interpolated rows do less harm than cuts; empty if they do more.

    Rows are noisy: differences of rising order of a smooth motion vanish, those of noise do not; of
    rows of noise alone, ``mean(diff(x, k)**2) / comb(2 * k, k)`` is its variance for every k. Where
    two of them agree, an interpolated value is no more wrong than those around it, and cut pieces
    would lose seasons and long memory. Or they are of one variable, whose next row mostly depends
    on more past rows than lie between holes. Of rows that neighbours say nothing of, as those of
    maps, none is made up.

    Parameters
    ----------
    recordings : sequence of Recording
        In order; NaN where values are missing.
    step : float, optional
        Of the grid that the rows lie on; None where they lie on none.
    longest : int
        Rows of the longest hole that would be filled; longer ones are cut out in either way.
    """
    if step is None:
        return ""
    grids, room = [], _MOST_NUMBERS
    for one in recordings:
        grids.append(_on_grid(one, step))
        room -= grids[-1].size
        if room < 0:
            break
    missing, cut = np.sum([_holes(rows, longest) for rows in grids], axis=0)
    n_rows = sum(map(len, grids))
    if not missing.any() or (missing > _FEW * (n_rows - cut)).any():
        return ""
    rough = slow = 0
    columns = np.flatnonzero(missing)
    for k in columns.tolist():
        own = [rows[:, k] for rows in grids]
        first, second = (_noise(own, order) for order in _ORDERS)
        variance = float(np.nanvar(np.concatenate(own)))
        rough += first > 0 and second > _AGREES * first
        slow += comb(4, 2) / 4 * _noise(own, 2) < _LINES * variance
    if 2 * slow <= len(columns):
        return ""
    if 2 * rough > len(columns):
        return "Rows are noisy"
    if grids[0].shape[1] == 1 and _between_holes(grids) < _SHORT:
        return "Few rows of one variable lie between gaps"
    return ""


def _between_holes(grids: Sequence[np.ndarray]) -> float:
    """Return how many rows the whole stretch has that a row lies in, on average over the rows."""
    lengths = np.concatenate([np.diff(runs(~np.isnan(rows).any(axis=1)), axis=1) for rows in grids])
    return float(np.square(lengths).sum() / max(1, lengths.sum()))


def _on_grid(recording: Recording, step: float) -> np.ndarray:
    """Return the last rows on the grid, NaN where there are none."""
    at, d = places(recording.times, step), recording.values.shape[1]
    kept = at > at[-1] - min(_MOST, max(1, _MOST_NUMBERS // d))
    rows = np.full((int(at[-1] - at[kept][0]) + 1, d), np.nan)
    rows[at[kept] - at[kept][0]] = recording.values[kept]
    return rows


def _holes(rows: np.ndarray, longest: int) -> np.ndarray:
    """Return how many values each feature misses in short holes, and in long ones: ``(2, d)``."""
    counts = np.zeros((2, rows.shape[1]), dtype=np.int64)
    for k in np.flatnonzero(np.isnan(rows).any(axis=0)).tolist():
        lengths = np.diff(runs(np.isnan(rows[:, k])), axis=1)
        counts[:, k] = lengths[lengths <= longest].sum(), lengths[lengths > longest].sum()
    return counts


def _noise(columns: Sequence[np.ndarray], order: int) -> float:
    """Return the variance of noise that differences of an order show; 0 of too few."""
    found = np.concatenate([np.diff(own, order) for own in columns if len(own) > order])
    found = found[np.isfinite(found)]
    return float(np.square(found).mean()) / comb(2 * order, order) if len(found) >= _LEAST else 0.0
