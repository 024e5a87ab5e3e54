"""Trajectories from named columns: times, trajectory numbers and features are recognised."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from pyhits.data.pieces import Pieces, set_times
from pyhits.data.tables.column_choice import ALL_COLUMNS, ColumnChoice
from pyhits.data.tables.columns import Roles, assign_roles, trajectory_starts
from pyhits.data.tables.dateparts import with_joined_dates
from pyhits.data.tables.panels import panel_notes, refuse_panel
from pyhits.errors import DataError
from pyhits.util.checks import as_numeric


def from_columns(
    names: list[str],
    columns: list[np.ndarray],
    *,
    where: str = "the table",
    choice: ColumnChoice = ALL_COLUMNS,
    raw: bool = False,
    check: Callable[[Roles], None] | None = None,
) -> Pieces:
    """Build trajectories from named columns, recognising time and trajectory columns.

    Parameters
    ----------
    names : list of str
        One a column; what they say is listed in :func:`pyhits.read`.
    columns : list of array, each shape (n_rows,)
    choice : ColumnChoice
        Which columns are read, what they are called, and which holds the times.
    raw : bool
        Take missing values as NaN, and times as they are.
    check : callable, optional
        Called with what each column is, before it is read.
    """
    if not columns:
        raise DataError(f"There are no columns in {where}.")
    names, columns, choice, joined = with_joined_dates(names, columns, choice)
    roles = assign_roles(names, columns, where, choice)
    if check is not None:
        check(roles)
    names, features = roles.names, roles.features
    n_rows = len(columns[0])
    if n_rows == 0:
        raise DataError(f"There are no rows in {where}.")
    if roles.time is not None and roles.trajectory is None:
        refuse_panel(names, columns, roles.time, where)
    elif roles.time is None and roles.trajectory is None and choice.time_column is None:
        joined = [*joined, *panel_notes(names, columns)]
    parts = [
        as_numeric(columns[k], what=f"Column {names[k]!r} of {where}", missing=raw)
        for k in features
    ]
    values = np.column_stack(parts)
    bounds = _bounds(columns, roles, n_rows, where)
    pairs = list(itertools.pairwise(bounds))
    pieces = Pieces([values[a:b] for a, b in pairs], feature_names=[names[k] for k in features])
    pieces.notes, pieces.are_chosen = [*joined, *roles.notes], True
    if roles.trajectory is not None:
        held = np.asarray(columns[roles.trajectory])
        pieces.runs = names[roles.trajectory], held[bounds[:-1]]
    if roles.time is not None:
        name, times = names[roles.time], columns[roles.time]
        label = f"column {name!r} of {where}"
        several = len(pairs) > 1
        labels = [f"{label}, trajectory {k}" if several else label for k in range(len(pairs))]
        parts = [times[a:b] for a, b in pairs]
        set_times(pieces, parts, labels, raw=raw, name=name, style=choice.style)
    return pieces


def _bounds(columns: list[np.ndarray], roles: Roles, n_rows: int, where: str) -> list[int]:
    """Return where each trajectory begins, and where the last one ends."""
    if roles.trajectory is None:
        return [0, n_rows]
    ids = _trajectory_ids(columns[roles.trajectory], roles.names[roles.trajectory], where)
    bounds = [*trajectory_starts(ids), n_rows]
    if len(bounds) - 1 != len(np.unique(ids)):
        again = next(k for k in bounds[1:-1] if ids[k] in ids[:k])
        raise DataError(
            f"The rows of each trajectory must stand together in {where}, but trajectory "
            f"{ids[again]!s} begins again in row {again}. Sort the rows by trajectory."
        )
    return bounds


def _trajectory_ids(column: Any, name: str, where: str) -> np.ndarray:
    """Return what numbers or names the trajectories, as numbers or texts that compare."""
    ids = np.asarray(column)
    if ids.dtype.kind == "f" and np.isnan(ids).any():
        row = int(np.flatnonzero(np.isnan(ids))[0])
        raise DataError(f"Column {name!r} of {where} is empty in row {row}.")
    return ids.astype(str) if ids.dtype.kind == "O" else ids
