"""Times that stand in several columns: a year and a month or week, a date and a time of day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pyhits.data.tables.column_choice import ColumnChoice
from pyhits.data.tables.time_names import plain_name
from pyhits.data.times import is_clock, is_date
from pyhits.data.times.calendars import STANDARD, day_number, month_length
from pyhits.data.times.months import spelling_of
from pyhits.util.checks import is_missing

#: Names of the parts of a date, and the whole numbers that they may be.
_PARTS = {
    "year": ("year yr yyyy jahr annee ano anno", 1000, 3000),
    "quarter": ("quarter qtr q quartal", 1, 4),
    "month": ("month mon mo mm monat mois mes mese", 1, 12),
    "week": ("week wk ww isoweek epiweek weekofyear woche", 1, 53),
    "dayofyear": ("dayofyear doy yday day_of_year julianday", 1, 366),
    "day": ("day dom dd dayofmonth tag jour dia", 1, 31),
    "hour": ("hour hr hh h stunde", 0, 24),
    "minute": ("minute min mi", 0, 59),
    "second": ("second sec ss", 0, 60),
}

#: Rows of a table without a header whose first columns may be those of dates.
_LEAST_ROWS = 10

#: Values of a column that are looked at to see what it holds.
_LOOKED_AT = 20


def with_joined_dates(
    names: Sequence[str], columns: Sequence[Any], choice: ColumnChoice
) -> tuple[list[str], list[Any], ColumnChoice, list[str]]:
    """Put the parts of a date together, in the place of the first, where one does not do alone.

    Returns
    -------
    names, columns : list
        As given, but for the joined one.
    choice : ColumnChoice
        Which takes the joined column for the time, and leaves the other parts out.
    notes : list of str
        What was joined.
    """
    names, columns = list(names), list(columns)
    if choice.time_column is not None or len(columns) < 3 or not len(columns[0]):
        return names, columns, choice, []
    dated = any(np.asarray(c).dtype.kind == "M" or _all(c, is_date) for c in columns)
    found = None if dated else _of_year(_named(names, columns), columns)
    found = found or _of_clock(names, columns)
    if found is None:
        return names, columns, choice, []
    parts, times = found
    first = min(parts)
    listed = " and ".join(repr(names[k]) for k in parts)
    note = f"The columns {listed} together are the time; time_column (--time-column) names another."
    others = tuple(k for k in parts if k != first)
    names[first], columns[first] = " ".join(names[k] for k in parts), times
    choice = replace(choice, time_column=first, without_columns=(*choice.without_columns, *others))
    return names, columns, choice, [note]


def _named(names: list[str], columns: Sequence[Any]) -> list[str]:
    """Return names for the year, month, day ... that a table without a header begins with.

    These are whole numbers of their ranges whose dates rise from row to row.
    """
    if len(columns[0]) < _LEAST_ROWS or names[:3] != [f"column {k}" for k in range(3)]:
        return names
    found: dict[str, np.ndarray] = {}
    parts = ("year", "month", "day", "hour", "minute", "second")
    for part, column in zip(parts, columns, strict=False):
        value = _as_integers(column, part)
        if value is None:
            break
        found[part] = value
    if "day" not in found:
        return names
    while len(found) > 2:
        if (np.diff(_dates(found).astype(np.int64)) > 0).all():
            return [*found, *names[len(found) :]]
        found.popitem()
    return names


def _of_year(names: Sequence[str], columns: Sequence[Any]) -> tuple[list[int], np.ndarray] | None:
    """Return the columns of year, month ... that date the rows together, and the dates."""
    where: dict[str, int] = {}
    for k, name in enumerate(names):
        plain = plain_name(name).replace(" ", "").replace("_", "")
        for part, (known, _, _) in _PARTS.items():
            if plain in known.split():
                if part in where:
                    return None
                where[part] = k
    if "year" not in where:
        return None
    values = {part: _as_integers(columns[k], part) for part, k in where.items()}
    year = values["year"]
    if year is None or len(np.unique(year)) == len(year):
        return None
    lead = next((p for p in ("quarter", "month", "week", "dayofyear") if p in where), None)
    if "month" in where and values["month"] is not None:
        lead = "month"
    if lead is None or values[lead] is None:
        return None
    used = ["year", lead]
    for part in ("day", "hour", "minute", "second"):
        chosen = [v for p in used if (v := values[p]) is not None]
        if len(np.unique(np.stack(chosen), axis=1).T) == len(year):
            break
        value = values.get(part)
        if value is None or (part == "day" and lead != "month"):
            continue
        used.append(part)
    sound = {part: v for part in used if (v := values[part]) is not None}
    return [where[part] for part in used], _dates(sound)


def _dates(known: dict[str, np.ndarray]) -> np.ndarray:
    """Return the dates of parts that are whole numbers, datetime64."""
    year = known["year"]
    one = np.ones_like(year)
    month = known.get("month", 3 * known["quarter"] - 2 if "quarter" in known else one)
    day = np.minimum(known.get("day", one), month_length(year, month, STANDARD))
    days = day_number(year, month, day) + known.get("dayofyear", one) - 1
    if "week" in known:
        days = _mondays(year, known["week"])
    seconds = 86400 * days + 3600 * known.get("hour", 0) + 60 * known.get("minute", 0)
    return np.asarray((seconds + known.get("second", 0)).astype("M8[s]"))


def _mondays(year: np.ndarray, week: np.ndarray) -> np.ndarray:
    """Return the days on which weeks begin: of ISO, or counted on where every week is there.

    Not all agree which years have 53 weeks.
    """
    january = day_number(year, np.ones_like(year), np.full_like(year, 4))
    monday = january - (january + 3) % 7 + 7 * (week - 1)
    follows = (np.diff(week) == 1) & (np.diff(year) == 0)
    turns = (week[1:] == 1) & (week[:-1] >= 52) & (np.diff(year) == 1)
    if (follows | turns).all():
        return np.asarray(monday[0] + 7 * np.arange(len(week)))
    return np.asarray(monday)


def _as_integers(column: Any, part: str) -> np.ndarray | None:
    """Return a column as whole numbers that a part of a date may be, None if it is no such part."""
    array = np.asarray(column)
    _, low, high = _PARTS[part]
    if array.dtype.kind in "OUS":
        words = [str(item) for item in array.tolist()]
        if part != "month":
            return None
        spelling = spelling_of(tuple(sorted(set(words))))
        return None if spelling is None else np.array([spelling.numbers[word] for word in words])
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        return None
    if (array != np.rint(array)).any() or array.min() < low or array.max() > high:
        return None
    return array.astype(np.int64)


def _of_clock(names: Sequence[str], columns: Sequence[Any]) -> tuple[list[int], np.ndarray] | None:
    """Return a column of dates and one of times of day or hours, and both together as texts."""
    dates = [k for k, column in enumerate(columns) if _all(column, _is_day)]
    if len(dates) != 1:
        return None
    clocks = [k for k, column in enumerate(columns) if _all(column, is_clock)]
    day = [str(item).strip() for item in np.asarray(columns[dates[0]]).tolist()]
    if len(clocks) == 1:
        times = [str(item).strip() for item in np.asarray(columns[clocks[0]]).tolist()]
    else:
        known = ("time", "hhmm", *_PARTS["hour"][0].split())
        hours = [k for k, name in enumerate(names) if plain_name(name) in known and k != dates[0]]
        minutes = _minutes(columns[hours[0]]) if len(hours) == 1 else None
        if minutes is None or len(set(day)) == len(day):
            return None
        clocks, times = hours, [f"{k // 60:02d}:{k % 60:02d}" for k in minutes.tolist()]
    pairs = zip(day, times, strict=True)
    both = ["" if is_missing(d) or is_missing(t) else f"{d} {t}" for d, t in pairs]
    return [dates[0], clocks[0]], np.array(both)


def _minutes(column: Any) -> np.ndarray | None:
    """Return hours, or hours and minutes written as one number (1230), in minutes of the day."""
    hour = _as_integers(column, "hour")
    if hour is not None:
        return 60 * hour
    array = np.asarray(column)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        return None
    hours, minutes = np.divmod(array, 100)
    if (array != np.rint(array)).any() or array.min() < 0 or array.max() > 2400:
        return None
    return None if minutes.max() > 59 else (60 * hours + minutes).astype(np.int64)


def _is_day(text: str) -> bool:
    """Tell whether a text is a date without a time of day."""
    return is_date(text) and ":" not in text


def _all(column: Any, holds: Any) -> bool:
    array = np.asarray(column)
    if array.dtype.kind not in "OU":
        return False
    first = [item for item in array[:_LOOKED_AT].tolist() if not is_missing(item)]
    return bool(first) and all(isinstance(item, str) and holds(item.strip()) for item in first)
