"""What the numbers of a row lie on and where that ends: found in data, or completed by them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyhits.data.finding_grid import find_edges, find_grid
from pyhits.data.grid import Grid
from pyhits.data.trajectories import Trajectories

#: The first and the last point of an axis are one if they differ by no more, in deviations.
_SAME = 1e-6

#: Rows that are looked at for that.
_MOST_ROWS = 200


class SettledGrid(NamedTuple):
    """A grid with its edges, and what is to be said of it."""

    grid: Grid | None
    notes: tuple[str, ...] = ()


def found_grid(data: Trajectories) -> SettledGrid:
    """Return the grid that the columns of plain rows show, if they show one."""
    found = find_grid(data)
    if found is None:
        return SettledGrid(None)
    note = (
        f"The {data.n_features} features are taken for points along a line: a map of neighbours, "
        f"the same for all, misses {found.error:.2g} of their increments, and "
        f"{found.other_orders:.2g} in another order. grid='none' says that they are none."
    )
    return SettledGrid(found.grid, (note,))


def with_edges(data: Trajectories, grid: Grid) -> SettledGrid:
    """Return a grid whose edges are known: as declared, or as the data show them."""
    if None not in grid.periodic:
        return SettledGrid(grid)
    shown = find_edges(data, grid)
    once = [repeats_first(data, grid, axis) for axis in range(grid.n_axes)]
    edges = [
        bool(ring) and not twice if own is None else own
        for own, ring, twice in zip(grid.periodic, shown, once, strict=True)
    ]
    settled = grid.with_edges(*edges)
    open_axes = [k for k, own in enumerate(grid.periodic) if own is None]
    notes = [_edges_note(settled, open_axes)]
    doubled = [grid.axes[k] for k in open_axes if once[k]]
    if doubled:
        notes.append(
            f"Along {', '.join(doubled)} the last point repeats the first: equations take it for "
            "one, on a ring."
        )
    return SettledGrid(settled, tuple(notes))


def _edges_note(grid: Grid, found: list[int]) -> str:
    """Say which edges were found to be periodic, and how to say otherwise."""
    rings = ", ".join(grid.axes[k] for k in found if grid.periodic[k])
    walls = ", ".join(grid.axes[k] for k in found if not grid.periodic[k])
    said = f"Periodic edges found along {rings}" if rings else "No periodic edges found"
    also = f", none along {walls}" if rings and walls else ""
    other = ("line" if edge else "ring" for edge in grid.periodic)
    return f"{said}{also}. grid='{','.join(other)}' says otherwise."


def repeats_first(data: Trajectories, grid: Grid, axis: int) -> bool:
    """Tell whether the last point along an axis is always what the first one is."""
    at = np.unique(np.linspace(0, data.n_rows - 1, _MOST_ROWS).astype(int))
    field = grid.array(data.values[at])
    ends = field.take([0, -1], axis=axis + 1).astype(np.float64)
    first, last = np.moveaxis(ends, axis + 1, 0)
    spread = float(first.std(axis=0).max())
    return (
        grid.shape[axis] > 2 and spread > 0 and float(np.abs(first - last).max()) <= _SAME * spread
    )
