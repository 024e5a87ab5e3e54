"""Dates that lie in several columns: a date and a time of day, or year, month, day ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.time_column import holds_dates
from pyhits.time_names import is_time_name, plain_name
from pyhits.timeaxis import is_clock

#: Columns of a date's parts, the longest first.
_PARTS = ("year", "month", "day", "hour", "minute", "second")


def joined_dates(
    names: Sequence[str], columns: Sequence[Any], candidates: Sequence[int]
) -> tuple[list[int], np.ndarray] | None:
    """Return the columns that make up dates together, and these as texts; None if there are none.

    Parameters
    ----------
    candidates : sequence of int
        Columns that may be used.
    """
    texts = [k for k in candidates if np.asarray(columns[k]).dtype.kind in "OUS"]
    clocks = [k for k in texts if _are_clocks(np.asarray(columns[k]))]
    dates = [k for k in texts if k not in clocks and holds_dates(np.asarray(columns[k]))]
    if len(clocks) == len(dates) == 1:
        pairs = zip(columns[dates[0]].tolist(), columns[clocks[0]].tolist(), strict=True)
        return [dates[0], clocks[0]], np.array([f"{day} {clock}" for day, clock in pairs])
    if dates or any(np.asarray(columns[k]).dtype.kind == "M" for k in candidates):
        return None
    where = {plain_name(names[k]): k for k in reversed(candidates)}
    there = []
    for part in _PARTS:
        if part not in where:
            break
        there.append(where[part])
    if len(there) < 2:
        return None
    if any(is_time_name(names[k]) for k in candidates if k not in there):
        return None
    values = [np.asarray(columns[k]) for k in there]
    if not all(_are_whole(column) for column in values):
        return None
    return there, np.array([_written(row) for row in zip(*values, strict=True)])


def _are_clocks(column: np.ndarray) -> bool:
    """Tell whether a column holds times of day; the first values decide."""
    known = [item for item in column[:50].tolist() if isinstance(item, str) and item.strip()]
    return bool(known) and all(is_clock(item.strip()) for item in known)


def _are_whole(column: np.ndarray) -> bool:
    if column.dtype.kind not in "iuf":
        return False
    return bool(np.isfinite(column).all() and (column == np.rint(column)).all())


def _written(parts: Sequence[float]) -> str:
    """Return year, month ... as one text."""
    year, month, *rest = (int(part) for part in parts)
    day, hour, minute, second = [*rest, *(1, 0, 0, 0)[len(rest) :]]
    if not rest:
        return f"{year:04d}-{month:02d}"
    date = f"{year:04d}-{month:02d}-{day:02d}"
    return date if len(rest) == 1 else f"{date} {hour:02d}:{minute:02d}:{second:02d}"
