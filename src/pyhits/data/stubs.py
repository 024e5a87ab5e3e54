"""Trajectories that are shorter than the others: the shortest would limit how far all look back."""

from __future__ import annotations

import numpy as np

from pyhits.data.trajectories import Trajectories

#: Share of all rows that pieces left out may hold together.
_SHARE = 0.05

#: Share of all rows that decides how long trajectories are.
_MOST = 0.9

#: Rows that no piece with as many is left out for, and its part of the longest one.
_ENOUGH, _PART = 200, 0.25


def without_stubs(data: Trajectories) -> Trajectories:
    """Return recordings in pieces without their shortest ones, as long as these hold little.

    Whole recordings are returned as they are, and so are pieces of which none is short.
    """
    lengths = data.lengths
    if int(data.recordings[-1]) + 1 == len(data):
        return data
    order = np.argsort(lengths, kind="stable")
    few = np.cumsum(lengths[order]) <= _SHARE * lengths.sum()
    short = lengths[order] < min(_ENOUGH, _PART * int(lengths.max()))
    kept = np.ones(len(data), dtype=bool)
    kept[order[few & short]] = False
    return data if kept.all() else data[np.flatnonzero(kept)]


def left_out(data: Trajectories, kept: Trajectories) -> str:
    """Return the sentence that says which pieces are not kept; empty if all are."""
    lost, rows = len(data) - len(kept), int(data.lengths.sum() - kept.lengths.sum())
    if lost == 0:
        return ""
    return f"Left out: {lost} of {len(data)} pieces, {rows} rows in all, too short beside the rest."


def rows_of_most(lengths: np.ndarray) -> int:
    """Return the rows that trajectories with nine tenths of all rows have, each at least."""
    ordered = np.sort(lengths)[::-1]
    reached = np.cumsum(ordered)
    return int(ordered[np.searchsorted(reached, _MOST * reached[-1])])


def long_enough(data: Trajectories, n_rows: int) -> Trajectories:
    """Return the trajectories of at least so many rows; all of them where none has."""
    kept = data.lengths >= n_rows
    return data if kept.all() or not kept.any() else data[np.flatnonzero(kept)]
