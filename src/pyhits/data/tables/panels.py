"""Tables in which every time stands several times: once for each station, patient or variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.data.tables.column_choice import as_list, for_shell
from pyhits.data.tables.time_column import rise_of
from pyhits.errors import DataError

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
