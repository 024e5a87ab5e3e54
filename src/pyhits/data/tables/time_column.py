"""Which column of a table holds the time: its name and its values decide together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.data.tables.column_choice import as_list, for_shell
from pyhits.data.tables.time_names import TimeName, is_count_name, is_trajectory_name, time_name
from pyhits.data.times import is_clock, is_date, read_times
from pyhits.data.times.uniform import lies_on_grid, rounding_of
from pyhits.errors import DataError, PyHiTSError
from pyhits.util.checks import BY_REPAIR, is_missing

#: Rows over which a column rises by chance no more.
LEAST_ROWS = 10

#: Share of the steps of times that rise, where a few are wrong.
_MOSTLY = 0.9

#: Columns whose values are looked at though their names say nothing.
_MOST_EXAMINED = 64

#: Seconds that a recording takes, at most, whose times are pointed out by their size alone.
_TEN_YEARS = 3.2e8

#: How likely a column holds the time that rises and is named as a count or a unit.
_RANK_OF_COUNTS = 2


@dataclass(frozen=True)
class TimeColumn:
    """What :func:`find_time` found."""

    number: int | None  # of the column of times, from 0
    row_numbers: tuple[int, ...] = ()  # columns that number the rows and say nothing else
    notes: tuple[str, ...] = ()  # what a user should know


@dataclass(frozen=True)
class Rise:
    """How the values of a column follow each other within the trajectories.

    ``stamps`` says that they count from 1970 on, and never fall.
    """

    n_rows: int = 0
    share: float = 0.0
    is_even: bool = False
    counts_rows: bool = False
    is_date: bool = False
    step: float = 0.0
    stamps: bool = False

    @property
    def is_strict(self) -> bool:
        """Whether every value is above the one before, evenly or for long enough."""
        return self.share == 1 and (self.is_even or self.n_rows >= LEAST_ROWS)


def rise_of(column: Any, starts: Sequence[int] = (0,)) -> Rise:
    """Tell how a column rises; ``starts`` are the first rows of the trajectories."""
    array = np.asarray(column)
    if array.dtype.kind == "f" and array.dtype.itemsize == 2:
        array = array.astype(np.float64)
    dated = holds_dates(array)
    if array.dtype.kind in "OSU" and not dated:
        return Rise()
    if array.dtype.kind not in "fiubmMOSU" or array.ndim != 1:
        return Rise()
    try:
        axis, parts = read_times(array, np.diff([*starts, len(array)]).tolist())
        t = np.concatenate(parts)
    except PyHiTSError:
        return Rise(is_date=dated)
    pieces = [piece[np.isfinite(piece)] for piece in np.split(t, list(starts)[1:])]
    steps = np.concatenate([np.diff(piece) for piece in pieces]) if pieces else np.empty(0)
    if not len(steps):
        return Rise(len(t), is_date=dated)
    share = float((steps > 0).mean())
    first = t[0] if len(t) else np.nan
    is_even = share == 1 and _even(pieces)
    # Numbers such as 20240131 are dates by themselves.
    dated = dated or (
        axis.has_dates
        and len(t) >= LEAST_ROWS
        and bool((steps > 0).all() or (steps < 0).all())
        and axis.form == "digits"
    )
    counts = len(pieces) == 1 and first in (0, 1) and bool((steps == 1).all())
    step = float(f"{np.mean(steps):.10g}")
    # Those of a clock that ticks more slowly than rows come: some are there twice.
    stamps = axis.form == "epoch" and len(t) >= LEAST_ROWS and bool((steps >= 0).all())
    return Rise(len(t), share, is_even, counts and not axis.has_dates, dated, step, stamps)


def _even(pieces: list[np.ndarray]) -> bool:
    """Tell whether strictly rising values have one step."""
    usual = float(np.median(np.concatenate([np.diff(piece) for piece in pieces])))
    for t in pieces:
        if len(t) < 2:
            continue
        dt = float(t[-1] - t[0]) / (len(t) - 1)
        if not lies_on_grid(t, dt) or abs(dt - usual) > 1e-3 * usual + rounding_of(t):
            return False
    return True


def holds_dates(column: np.ndarray) -> bool:
    """Tell whether a column holds dates, as such or as text; the first values decide."""
    if column.dtype.kind == "M":
        return True
    if column.dtype.kind not in "OSU":
        return False
    known = [item for item in column[:100].tolist() if not is_missing(item)][:5]
    known = [item.decode(errors="replace") if isinstance(item, bytes) else item for item in known]
    return bool(known) and all(
        hasattr(item, "isoformat")
        or hasattr(item, "to_timestamp")
        or (isinstance(item, str) and (is_date(item.strip()) or is_clock(item.strip())))
        for item in known
    )


def find_time(
    names: Sequence[str], columns: Sequence[Any], starts: Sequence[int], where: str
) -> TimeColumn:
    """Find the column of times.

    A name that says time and nothing else decides. Other names for times, units and counts do so if
    the values rise, and dates do without a name. What rises evenly without such a name is pointed
    out.

    Raises DataError: several columns are as likely.
    """
    naming = {k: time_name(name) for k, name in enumerate(names)}
    examined = [k for k, name in naming.items() if name or k < _MOST_EXAMINED]
    rises = {k: rise_of(columns[k], starts) for k in examined}
    row_numbers = tuple(
        k
        for k, rise in rises.items()
        if rise.counts_rows and (is_count_name(names[k]) or (k == 0 and not names[0]))
    )
    # A lone column is a state, unless its name leaves no doubt.
    least = 0 if len(names) > 1 else TimeName.SURE
    rank = {
        k: _rank(naming[k], rise)
        for k, rise in rises.items()
        if k not in row_numbers and naming[k] >= least
    }
    best = max(rank.values(), default=0)
    sure = [k for k in rank if naming[k] is TimeName.SURE]
    dated = [k for k in sure if rises[k].is_date]
    if len(dated) == 1:
        sure = dated  # the year beside it is a feature
    if not best:
        notes = _pointed_out(names, rises, naming, row_numbers) if len(names) > 1 else ()
        return TimeColumn(None, row_numbers, notes)
    found = sure if len(sure) > 1 or dated else [k for k, value in rank.items() if value == best]
    if len(found) > 1 and best != _RANK_OF_COUNTS:
        listed = ", ".join(names[k] for k in found)
        raise DataError(
            f"Several columns of {where} look like the time: {listed}. Choose one with "
            f"time_column={names[found[0]]!r} (--time-column {for_shell(names[found[0]])}); the "
            "others are then features."
        )
    return TimeColumn(found[0], row_numbers, _second_clocks(names, rises, found[0], row_numbers))


def _rank(name: TimeName, rise: Rise) -> int:
    """Return how likely a column holds the time; 0 is not at all."""
    if name is TimeName.SURE:
        return 5 if rise.share >= _MOSTLY or rise.is_date else 1
    if rise.is_date:
        return 4 if name else 3
    if name and rise.stamps and rise.share > 0:
        return 4
    if name is TimeName.LIKELY:
        return 4 if rise.share >= _MOSTLY else 0
    return _RANK_OF_COUNTS if name is TimeName.COUNT and rise.is_strict else 0


def _pointed_out(
    names: Sequence[str],
    rises: dict[int, Rise],
    naming: dict[int, TimeName],
    row_numbers: tuple[int, ...],
) -> tuple[str, ...]:
    """Return notes on columns that may be the time, though none was taken for it."""
    notes = []
    for k, rise in rises.items():
        if k in row_numbers:
            continue
        name = names[k] or f"column {k}"
        option = f"time_column={names[k] or k!r} (--time-column {for_shell(names[k] or str(k))})"
        if naming[k] is TimeName.LIKELY and rise.n_rows > 1:
            notes.append(
                f"{name!r} is named like a time, but does not rise from row to row: it is read as "
                f"a feature. If it is the time, {option} takes it."
            )
            continue
        stamps = rise.stamps and rise.step * rise.n_rows < _TEN_YEARS
        if stamps or (rise.is_strict and rise.is_even and rise.n_rows >= LEAST_ROWS):
            how = "as times since 1970 do" if stamps else "evenly from row to row as times do"
            notes.append(
                f"{name!r} rises {how}, and is read as a feature. If it is the time, {option} "
                "takes it; otherwise time_column='none' says so."
            )
    return tuple(notes[:1])


def _second_clocks(
    names: Sequence[str], rises: dict[int, Rise], time: int, row_numbers: tuple[int, ...]
) -> tuple[str, ...]:
    """Return a note on columns that rise evenly beside the time."""
    others = [
        names[k]
        for k, rise in rises.items()
        if k != time
        and k not in row_numbers
        and rise.is_even
        and not rise.is_date
        and rise.n_rows >= LEAST_ROWS
        and time_name(names[k])
    ]
    if not others:
        return ()
    return (
        f"{names[time]!r} is the time; {', '.join(map(repr, others))} counts on with it and is "
        f"read as a feature. without_columns={others!r} "
        f"(--without-columns {for_shell(as_list(others))}) leaves it out.",
    )


def is_index_of_times(name: str, values: np.ndarray, n_levels: int) -> bool:
    """Tell whether a level of a DataFrame's index holds the times.

    One of dates does, and one of a time's name; without levels beside it, also one that rises and
    has a name, or holds floats that are not just 0, 1, 2 ...
    """
    rise = rise_of(values)
    if values.dtype.kind in "mM" or rise.is_date or time_name(name) is TimeName.SURE:
        return True
    if n_levels > 1:
        return time_name(name) is TimeName.LIKELY
    if len(values) > 1 and (not rise.is_strict or rise.counts_rows):
        return False
    return bool(name) or values.dtype.kind == "f"


def index_levels(
    levels: Sequence[tuple[str, np.ndarray]], notes: list[str]
) -> list[tuple[str, np.ndarray]]:
    """Return the levels of an index, the one that numbers trajectories under a name that says so.

    It does if another level rises from row to row wherever this one stays as it is, and each of its
    values stands together. What was found is added to ``notes``.
    """
    if any(is_trajectory_name(name) for name, _ in levels) or len(levels) != 2:
        return list(levels)
    for k, (name, values) in enumerate(levels):
        other, times = levels[1 - k]
        ids = np.unique(values.astype(str), return_inverse=True)[1]
        starts = np.flatnonzero(np.diff(ids, prepend=-1) != 0)
        counts = np.diff([*starts, len(ids)])
        if len(starts) < 2 or len(starts) != len(np.unique(ids)) or counts.min() < 2:
            continue
        if {time_name(name), time_name(other)} <= {TimeName.COUNT, TimeName.LIKELY, TimeName.SURE}:
            continue  # a year and a month number no trajectories
        rise = rise_of(times, starts.tolist())
        if rise.share == 1 and (rise.is_even or rise.is_date):
            shown = [repr(text) if text else f"level {at}" for at, (text, _) in enumerate(levels)]
            notes.append(
                f"Of the index, {shown[k]} numbers the trajectories, {shown[1 - k]} is the time."
            )
            made = [("trajectory", values), (other or "time", times)]
            return made if k == 0 else made[::-1]
    return list(levels)


def index_note(name: str, values: np.ndarray) -> list[str]:
    """Return what to say of an index of whole numbers that are not one a row, or of floats."""
    rise = rise_of(values)
    ways = "frame.reset_index(drop=True) says that it is none."
    if values.dtype.kind == "f" and not (name or rise.is_strict) and (values != values[:1]).any():
        return [
            "The index of the DataFrame holds floats that do not rise from row to row, and is not "
            f"used. frame.rename_axis('t') makes it the time, which {BY_REPAIR} mends; {ways}"
        ]
    if name or values.dtype.kind not in "iu" or not rise.is_strict:
        return []
    steps = np.diff(values)
    if (steps == 1).all():
        return []
    kind = f"steps by {steps[0]}" if rise.is_even else "skips numbers, as if rows had been left out"
    return [
        f"The index of the DataFrame {kind}, and is not used. frame.rename_axis('t') makes it the "
        f"time, {ways}"
    ]
