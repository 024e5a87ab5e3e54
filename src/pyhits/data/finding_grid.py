"""Whether the columns of plain rows are the points of a field, and which edges are neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyhits.data.grid import Grid
from pyhits.data.local_map import LocalMap, Neighbours, Rows, rows_to_look_at
from pyhits.data.trajectories import Trajectories

#: Fewest columns of a field.
_FEWEST = 16

#: Reach of the maps that look for neighbours.
_REACH = 3

#: Error of a shared map, at most, as a share of that in other orders of the columns, of that of
#: maps of single columns, and of the increments themselves.
_OF_OTHER_ORDERS, _OF_SINGLE_COLUMNS, _OF_INCREMENTS = 0.5, 2.0, 0.5

#: Or of that in other orders, however well single columns do.
_EXACT = 0.2

#: Other orders that are tried, and columns that have a map of their own.
_ORDERS, _COLUMNS = 3, 12

#: Mean square of fourth differences, as a part of that of white noise, below which columns are
#: points of a smooth field, whatever other orders tell.
_SMOOTH = 1e-5

#: The same by differences of columns beside each other, as a part of those of unrelated ones, and
#: by how many times those two apart must exceed them: 4 of what is smooth, 2 of what wanders, 1 of
#: columns that share what they have in common.
_NEAR, _GROWS = 0.05, 3.0

#: Ratio of the spreads of neighbouring columns, for most of them at most.
_ALIKE = 2.0

#: Points, of which windows are drawn, at most.
_MOST_POINTS = 20_000

#: A seam that is none shows by errors that are this many times larger, or nothing is told.
_TOLD = 4.0

#: Rows whose differences are looked at.
_ROWS = 200

#: By how many times two columns differ more than those on both sides of them where something ends,
#: and so many such ends that the columns are no line.
_SEAM, _SEAMS = 10.0, 3


@dataclass(frozen=True)
class FoundGrid:
    """A grid that the data have shown."""

    grid: Grid
    #: error, other_orders: Of one map for all points, and of one for the same columns in other
    #: orders, as shares of the increments, mean squares.
    error: float
    other_orders: float


def find_grid(data: Trajectories) -> FoundGrid | None:
    """Tell whether the columns of rows are the points along one axis, by what neighbours tell.

    They are if one map of a few neighbours, the same at every point, predicts the increments of all
    points much better than such a map of the columns in any other order, and about as well as maps
    of single columns, or tells most of it where rows are smooth along their columns. Smooth fields
    pass as well as those whose neighbours hardly resemble each other (Lorenz-96). Takes a fraction
    of a second, whatever the size.

    Returns FoundGrid or None: of unknown edges; None where the columns are no axis.
    """
    n = data.n_features
    if n < _FEWEST or not _are_of_one_kind(data) or _has_seams(data):
        return None
    grid = Grid((n,))
    smooth = _is_smooth_along(data)
    for rows in rows_to_look_at(data):
        found = _looked_at(rows, grid, smooth=smooth)
        if found is not None:
            return found
    return None


def _are_of_one_kind(data: Trajectories) -> bool:
    """Tell whether neighbouring columns vary about as much as each other."""
    rng = np.random.default_rng(0)
    first = rng.integers(data.n_features - 1, size=200)
    rows = data.values[rng.integers(data.n_rows, size=500)]
    spread = np.stack([rows[:, first].std(axis=0), rows[:, first + 1].std(axis=0)])
    low, high = spread.min(axis=0), spread.max(axis=0)
    moves = high > 0
    return bool(moves.any() and (high[moves] <= _ALIKE * low[moves]).mean() > 0.75)


def _has_seams(data: Trajectories) -> bool:
    """Tell whether columns end and begin anew, as the lines of a plane do, or of one with land."""
    between = np.square(np.diff(_some_rows(data), axis=1)).mean(axis=0)
    beside = np.maximum(between[:-2], between[2:])
    return int((between[1:-1] > _SEAM * beside).sum()) >= _SEAMS


def _some_rows(data: Trajectories) -> np.ndarray:
    """Return rows evenly chosen, float64."""
    at = np.unique(np.linspace(0, data.n_rows - 1, _ROWS).astype(int))
    return np.asarray(data.values[at], dtype=np.float64)


def _is_smooth_along(data: Trajectories) -> bool:
    """Tell whether rows are smooth along their columns, as no other order of them is."""
    rows = _some_rows(data)
    variance = float(rows.var())
    near, apart = (np.square(rows[:, k:] - rows[:, :-k]).mean() for k in (1, 2))
    if near < _NEAR * 2 * variance and apart > _GROWS * near:
        return True
    noise = 70 * variance  # the coefficients of fourth differences, squared
    return bool(np.square(np.diff(rows, 4, axis=1)).mean() < _SMOOTH * noise)


def _looked_at(rows: Rows, grid: Grid, *, smooth: bool = False) -> FoundGrid | None:
    """Compare the error of one map with those of the columns in other orders, and by themselves."""
    rng = np.random.default_rng(0)
    near = Neighbours.within(grid, _REACH, rows)
    points = _points(grid, near.reach, rng)
    columns = near.columns(points)
    shared = LocalMap.fit(rows, columns, 1, rng)
    error = shared.error(columns, rng)
    if not error < _OF_INCREMENTS:
        return None
    others = []
    for _ in range(_ORDERS):
        other = rng.permutation(grid.n_points)[columns]
        others.append(LocalMap.fit(rows, other, 1, rng).error(other, rng))
        if not smooth and not error < _OF_OTHER_ORDERS * others[-1]:
            return None
    if smooth:
        return FoundGrid(grid, error, min(others))
    alone = together = whole = 0.0
    for k in rng.choice(len(columns), _COLUMNS):
        one = columns[[k]]
        alone += LocalMap.fit(rows, one, 1, rng).squares(one, rng)[0]
        missed, size = shared.squares(one, rng)
        together, whole = together + missed, whole + size
    # Single columns of few modes are exact linear maps of anything.
    if not together < _OF_SINGLE_COLUMNS * alone + _EXACT * min(others) * whole:
        return None
    return FoundGrid(grid, error, min(others))


def _points(grid: Grid, margin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return points no nearer to an edge than the margin along each axis, ``(m, n_axes)``."""
    some = min(_MOST_POINTS, grid.n_points)
    inner = zip(grid.shape, margin.tolist(), strict=True)
    return np.stack([rng.integers(m, n - m, size=some) for n, m in inner], axis=1)


def find_edges(data: Trajectories, grid: Grid) -> tuple[bool | None, ...]:
    """Tell whether the last point along each axis is the first one's neighbour.

    A map that was fitted to inner points is tried across each seam, and across one that is none, in
    the middle of the field. Where a map of neighbours tells too little, second differences are
    compared instead.

    Returns tuple of bool or None: one an axis; None where the data do not tell.
    """
    found: list[bool | None] = [None] * grid.n_axes
    for rows in rows_to_look_at(data):
        rng = np.random.default_rng(0)
        near = Neighbours.within(grid, _REACH if grid.n_axes == 1 else _REACH - 1, rows)
        inner = near.columns(_points(grid, near.reach, rng))
        fitted = LocalMap.fit(rows, inner, grid.n_channels, rng)
        error = fitted.squares(inner, rng)[0]
        for axis in range(grid.n_axes):
            if found[axis] is None and near.reach[axis] > 0:
                found[axis] = _is_ring(fitted, near, axis, error, rng)
    every = zip(found, range(grid.n_axes), strict=True)
    return tuple(_is_smooth(data, grid, axis) if ring is None else ring for ring, axis in every)


def _is_ring(
    fitted: LocalMap, near: Neighbours, axis: int, error: float, rng: np.random.Generator
) -> bool | None:
    """Compare squares of errors across a seam with those inside, and across one that is none."""
    half = near.grid.shape[axis] // 2
    lengths = list(near.grid.shape)
    across = _points(near.grid, near.reach, rng)
    reach = int(near.reach[axis])
    offset = rng.integers(-reach, reach, size=len(across))
    across[:, axis] = offset % lengths[axis]
    seam, _ = fitted.squares(near.columns(across), rng)
    lengths[axis] = half
    across[:, axis] = offset % half
    false, _ = fitted.squares(near.columns(across, lengths), rng)
    if not false > _TOLD * error:
        return None
    return bool(seam < np.sqrt(error * false))


def _is_smooth(data: Trajectories, grid: Grid, axis: int) -> bool | None:
    """Compare second differences across the seam with those inside, and across one that is none."""
    length = grid.shape[axis]
    if length < 8:
        return None
    field = np.moveaxis(grid.array(_some_rows(data)), axis + 1, 0)

    def size(*points: int) -> float:
        before, here, after = field[list(points)]
        return float(np.square(before - 2 * here + after).mean())

    inside = np.median([size(k - 1, k, k + 1) for k in range(1, length - 1)])
    half = length // 2
    false = max(size(half - 1, half, 0), size(half, 0, 1))
    if not false > _TOLD * inside:
        return None
    return bool(max(size(-2, -1, 0), size(-1, 0, 1)) < np.sqrt(inside * false))
