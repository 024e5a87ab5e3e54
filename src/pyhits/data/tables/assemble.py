"""Trajectories from named columns: times, trajectory numbers and features are recognised."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyhits.data.pieces import Pieces, set_times
from pyhits.data.tables.column_choice import ALL_COLUMNS, ColumnChoice, as_list, for_shell
from pyhits.data.tables.columns import Roles, assign_roles, trajectory_starts
from pyhits.data.tables.dateparts import with_joined_dates
from pyhits.data.tables.time_column import rise_of
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


#: Share of the pairs of a time and a group that are there.
_COMPLETE = 0.8

#: Rows of a group, at least.
_SHORTEST = 3

#: Columns that are looked at.
_MOST_EXAMINED = 64


def refuse_panel(names: Sequence[str], columns: Sequence[Any], time: int, where: str) -> None:
    """Raise a DataError if a column distinguishes rows of one time, and say what to do.

    Parameters
    ----------
    names, columns : sequence
        Of the whole table, columns of text included.
    time : int
        Number of the column of times.
    """
    at = _codes(columns[time])
    n_rows, n_times = len(at), int(at.max(initial=-1)) + 1
    if n_times == n_rows or n_rows < 2 * _SHORTEST:
        return
    for k in [k for k in range(len(columns)) if k != time][:_MOST_EXAMINED]:
        ids = _codes(columns[k])
        counts = np.bincount(ids)
        if len(counts) < 2 or counts.min() < _SHORTEST:
            continue
        if n_rows < _COMPLETE * len(counts) * n_times:
            continue
        if len(np.unique(ids.astype(np.int64) * n_times + at)) < n_rows:
            continue
        order = np.argsort(ids, kind="stable")
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).tolist()
        if rise_of(np.asarray(columns[time])[order], starts).share < 1:
            continue
        stand_together = np.count_nonzero(np.diff(ids)) == len(counts) - 1
        called = ["trajectory" if j == k else name for j, name in enumerate(names)]
        option = f"names={called!r} (--names {for_shell(as_list(called))})"
        sort = "" if stand_together else "sort the rows by it and "
        raise DataError(
            f"Each time of {where} stands in several rows, one for each value of {names[k]!r}: "
            f"{_shown(columns[k])}. If these are recordings of their own, {sort}call the column "
            f"'trajectory': {option}. If they are variables of one system, give each a column of "
            "its own, as pandas.DataFrame.pivot does."
        )


def panel_notes(names: Sequence[str], columns: Sequence[Any]) -> list[str]:
    """Point out a column that has one value for each stretch over which another counts evenly.

    Parameters
    ----------
    names, columns : sequence
        Of a table without a column of times, columns of text included.
    """
    examined = range(min(len(columns), _MOST_EXAMINED))
    for counter in examined:
        values = np.asarray(columns[counter])
        if values.dtype.kind not in "iuf" or len(values) < 2 * _SHORTEST:
            continue
        begins = np.flatnonzero(np.diff(values.astype(np.float64)) < 0) + 1
        starts = [0, *begins.tolist()]
        if len(starts) < 2 or np.diff([*starts, len(values)]).min() < _SHORTEST:
            continue
        if not rise_of(values, starts).is_even:
            continue
        for k in examined:
            ids = _codes(columns[k])
            if k == counter or ids.max(initial=0) + 1 != len(starts):
                continue
            if not np.array_equal(np.flatnonzero(np.diff(ids)) + 1, begins):
                continue
            called = ["trajectory" if j == k else name for j, name in enumerate(names)]
            return [
                f"{names[k]!r} has one value for each of {len(starts)} stretches over which "
                f"{names[counter]!r} counts anew, and all rows are read as one recording. If it "
                f"numbers recordings, names={called!r} (--names {for_shell(as_list(called))}) says "
                "so."
            ]
    return []


def _codes(column: Any) -> np.ndarray:
    """Return which value each row holds, as numbers from 0 on."""
    array = np.asarray(column)
    array = array.astype(str) if array.dtype.kind == "O" else array
    return np.asarray(np.unique(array, return_inverse=True)[1])


def _shown(column: Any) -> str:
    values = list(dict.fromkeys(np.asarray(column).tolist()))
    more = f" ... {len(values)} of them" if len(values) > 2 else ""
    return ", ".join(repr(value) for value in values[:2]) + more
