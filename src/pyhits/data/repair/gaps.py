"""Rows on one grid with holes: which are whole, which holes are filled, where to cut."""

from __future__ import annotations

import numpy as np

from pyhits.data.repair.grid import interpolate


def runs(mask: np.ndarray) -> np.ndarray:
    """Return first and one past last index of each run of True, shape ``(n_runs, 2)``."""
    edges = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    return np.column_stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)])


def longest_run(mask: np.ndarray) -> int:
    """Return the length of the longest run of True."""
    return int(np.diff(runs(mask), axis=1).max(initial=0))


def alike(missing: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Group the features that miss the same rows: the rows' mask and the features of each group.

    Parameters
    ----------
    missing : array of bool, shape (n_rows, n_features)
    """
    groups: dict[bytes, list[int]] = {}
    for column, packed in enumerate(np.packbits(missing.T, axis=1)):
        groups.setdefault(packed.tobytes(), []).append(column)
    return [(missing[:, columns[0]], np.array(columns)) for columns in groups.values()]


def fill(values: np.ndarray, longest: int, method: str) -> tuple[np.ndarray, int]:
    """Interpolate each feature across holes of up to ``longest`` rows.

    Holes that begin or end the recording stay, since nothing lies beyond them. No interpolation
    knows what lies behind a longer hole.

    Parameters
    ----------
    values : array, shape (n_rows, n_features)
        On one uniform grid, NaN where a value is missing.

    Returns
    -------
    values : array, shape (n_rows, n_features)
        A copy.
    n_filled : int
        Numbers that were filled in.
    """
    values = values.copy()
    if longest < 1:
        return values, 0
    missing = np.isnan(values)
    before = int(missing.sum())
    for hole, columns in alike(missing):
        if not hole.any() or hole.all():
            continue
        holes = runs(hole)
        long = holes[(holes[:, 1] - holes[:, 0]) > longest]
        known = ~hole
        for begin, end in _outside(long, len(hole)):
            inside = np.flatnonzero(known[begin:end]) + begin
            if len(inside) < 2:
                continue
            wanted = np.flatnonzero(hole[inside[0] : inside[-1]]) + inside[0]
            if len(wanted):
                values[np.ix_(wanted, columns)] = interpolate(
                    inside.astype(float),
                    values[np.ix_(inside, columns)],
                    wanted.astype(float),
                    method,
                )
    return values, before - int(np.isnan(values).sum())


def complete_stretches(values: np.ndarray, shortest: int) -> tuple[np.ndarray, int]:
    """Return the stretches without a hole, ``(n, 2)``, and how many rows lie in shorter ones."""
    found = runs(~np.isnan(values).any(axis=1))
    lengths = found[:, 1] - found[:, 0]
    long = lengths >= shortest
    return found[long], int(lengths[~long].sum())


def _outside(holes: np.ndarray, n: int) -> list[tuple[int, int]]:
    """Return the stretches of ``n`` rows that lie before, between and behind holes."""
    begin = [0, *holes[:, 1].tolist()]
    end = [*holes[:, 0].tolist(), n]
    return [(a, b) for a, b in zip(begin, end, strict=True) if b > a]
