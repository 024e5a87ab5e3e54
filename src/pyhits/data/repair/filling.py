"""Whether holes in recordings are better filled than cut out, and why."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from pyhits.data.repair.gaps import runs
from pyhits.data.repair.grid import places
from pyhits.data.repair.pieces import SHORTEST
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
    would lose seasons and long memory. Or most rows lack something, as of fields some points. Or
    they are of one variable, whose next row mostly depends on more past rows than lie between
    holes. Of rows that neighbours say nothing of, as those of maps, none is made up.

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
    holes = [np.isnan(rows) for rows in grids]
    long = [_long(hole, longest) for hole in holes]
    missing = sum((hole & ~cut).sum(axis=0) for hole, cut in zip(holes, long, strict=True))
    n_rows = sum(len(cut) - cut.sum(axis=0) for cut in long)
    if not np.any(missing) or np.any(missing > _FEW * n_rows):
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
    stretches = _stretches(holes)
    if 2 * _kept(stretches) < _kept(_stretches(long)):
        return "Cuts would lose most rows"
    if holes[0].shape[1] == 1 and np.square(stretches).sum() < _SHORT * stretches.sum():
        return "Few rows of one variable lie between gaps"
    return ""


def _long(holes: np.ndarray, longest: int) -> np.ndarray:
    """Return where holes ``(n_rows, d)`` of each feature have more rows than ``longest``."""
    long = np.zeros_like(holes)
    for k in np.flatnonzero(holes.any(axis=0)).tolist():
        found = runs(holes[:, k])
        for begin, end in found[np.diff(found, axis=1)[:, 0] > longest].tolist():
            long[begin:end, k] = True
    return long


def _stretches(holes: Sequence[np.ndarray]) -> np.ndarray:
    """Return how many rows each stretch has between those where any feature has a hole."""
    whole = [np.logical_not(hole.any(axis=1)) for hole in holes]
    return np.concatenate([np.diff(runs(rows), axis=1)[:, 0] for rows in whole])


def _kept(stretches: np.ndarray) -> int:
    """Return how many rows lie in stretches that are long enough to be kept."""
    return int(stretches[stretches >= SHORTEST].sum())


def _on_grid(recording: Recording, step: float) -> np.ndarray:
    """Return the last rows on the grid, NaN where there are none."""
    at, d = places(recording.times, step), recording.values.shape[1]
    kept = at > at[-1] - min(_MOST, max(1, _MOST_NUMBERS // d))
    rows = np.full((int(at[-1] - at[kept][0]) + 1, d), np.nan)
    rows[at[kept] - at[kept][0]] = recording.values[kept]
    return rows


def _noise(columns: Sequence[np.ndarray], order: int) -> float:
    """Return the variance of noise that differences of an order show; 0 of too few."""
    found = np.concatenate([np.zeros(0), *(np.diff(own, order) for own in columns)])
    found = found[np.isfinite(found)]
    return float(np.square(found).mean()) / comb(2 * order, order) if len(found) >= _LEAST else 0.0
