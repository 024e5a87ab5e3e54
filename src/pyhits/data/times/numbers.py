"""Numbers that are dates: 20240131, seconds since 1970, days of a spreadsheet, units of CF."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from pyhits.data.times.calendars import STANDARD, calendar_named, day_number, year_month_day
from pyhits.data.times.texts import Unreadable, read_texts
from pyhits.data.times.writing import MICRO
from pyhits.errors import DataError

#: Units of times since 1970, in a second.
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

#: Days counted from elsewhere: the day number of their 0.
SERIAL = {"excel": -25569, "matlab": -719529, "julian": -2440587.5, "mjd": -40587}

#: Seconds since 1970 that recordings are dated by: from 1985 on, to 2100.
_EPOCH = (4.7e8, 4.2e9)

#: Days of a spreadsheet: 1954 to 2119. They are only looked for where a name says "date".
_EXCEL = (20_000, 80_000)

#: The same of other days that are counted, under names of that kind.
_SERIAL_DAYS = {"excel": _EXCEL, "matlab": (693_960, 780_000), "julian": (2.3e6, 2.6e6)}

#: Years whose days are pointed out under other names.
_RECENT = (2000, 2050)

#: Rows from which on numbers with decimals may be months of years.
_LEAST_ROWS = 12

#: Digits of dates written as one number, and the years looked for.
_DIGITS = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 10: "%Y%m%d%H", 8: "%Y%m%d", 7: "%Y%j", 6: "%Y%m"}
_YEARS = (1600, 2200)

#: Parts of a column's name that say it holds dates, not times of any kind.
_DATED = re.compile(r"date|datum|fecha|day|month|period|yyyy", re.IGNORECASE)


class Numbered(NamedTuple):
    """Dates behind numbers: texts to be read by a pattern, or ticks."""

    form: str
    detail: str = ""
    texts: list[str] | None = None
    pattern: str | None = None
    ticks: np.ndarray | None = None
    second: int = MICRO


def as_dates(values: np.ndarray, name: str | None, time_format: str | None) -> Numbered | None:
    """Return numbers as the dates that they are, None where they are none.

    Parameters
    ----------
    values : array, shape (n,)
        Finite.
    name : str or None
        Of the column: where it says "date", numbers are days of a spreadsheet.
    """
    if time_format in UNITS:
        return _since_1970(values, time_format)
    if time_format in SERIAL:
        return _serial(values, time_format)
    whole = bool((values == np.rint(values)).all())
    if time_format is not None and "%" in time_format:
        if not whole:
            return _decimals(values, time_format)
        width = len(re.sub(r"%Y", "2000", re.sub(r"%[mdHMSyIV]", "00", time_format)))
        return Numbered("digits", "", [f"{int(v):0{width}d}" for v in values], time_format)
    low, high = float(values.min()), float(values.max())
    if whole and low > 0:
        found = _digits(values, name)
        if found is not None:
            return found
    if not whole and len(values) > _LEAST_ROWS and not _is_even(values):
        for pattern, years in (("%Y.%m", np.floor(values)), ("%m.%Y", np.rint(values % 1 * 1e4))):
            likely = years.min() >= _YEARS[0] and years.max() <= _YEARS[1]
            found = _decimals(values, pattern) if likely else None
            if found is not None and _are_dates(found):
                return found
    for unit, per_second in UNITS.items() if whole or _is_of_microseconds(values) else ():
        if _EPOCH[0] * per_second <= low and high <= _EPOCH[1] * per_second:
            return _since_1970(values, unit)
    if name is not None and _DATED.search(name):
        for kind, (first, last) in _SERIAL_DAYS.items():
            if first <= low and high <= last:
                return _serial(values, kind)
    return None


def _decimals(values: np.ndarray, pattern: str) -> Numbered | None:
    """Return numbers such as 2000.01 as the texts that they were, None if they were none."""
    parts = [re.sub(r"%Y", "2000", re.sub(r"%[mdyV]", "00", p)) for p in pattern.split(".")]
    parts = [part.replace("%q", "0") for part in parts]
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    width, digits = len(parts[0]) + 1 + len(parts[1]), len(parts[1])
    scaled = values * 10.0**digits
    if (np.abs(scaled - np.rint(scaled)) > 1e-6 * np.abs(scaled).max()).any():
        return None
    return Numbered("digits", pattern, [f"{v:0{width}.{digits}f}" for v in values], pattern)


def _are_dates(found: Numbered) -> bool:
    """Tell whether texts are dates."""
    try:
        read_texts(found.texts or [], found.pattern, lambda ticks: 0)
    except Unreadable:
        return False
    except DataError:
        return True  # they may be read in several ways, which is asked about
    return True


def _is_even(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return bool((np.abs(steps - steps[0]) <= 1e-6 * np.abs(steps[0])).all())


def _is_of_microseconds(values: np.ndarray) -> bool:
    """Tell whether fractions are those of a clock that counts microseconds, not of any numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * MICRO
        off = np.abs(scaled - np.rint(scaled))
    return len(values) > 2 and bool((off <= np.spacing(scaled)).all())


def _digits(values: np.ndarray, name: str | None) -> Numbered | None:
    """Return numbers such as 20240131 as texts, if each of them is a date."""
    length = len(str(int(values.max())))
    pattern = _DIGITS.get(length)
    if pattern is None or len(str(int(values.min()))) < length - 1:
        return None
    years = values // 10.0 ** (length - 4)
    if years.min() < _YEARS[0] or years.max() > _YEARS[1]:
        if length != 8 or len(values) < _LEAST_ROWS:
            return None
        texts = [f"{int(value):08d}" for value in values]  # 31012020: the year comes last
        found = Numbered("digits", "", texts, None)
        years = values % 10_000
        sound = years.min() >= _YEARS[0] and years.max() <= _YEARS[1]
        return found if sound and _are_dates(found) else None
    steps = np.diff(values)
    is_uniform = len(values) < 3 or bool((steps == steps[0]).all())
    if length < 8 and is_uniform and not (name is not None and _DATED.search(name)):
        return None
    texts = [str(int(value)) for value in values]
    try:
        read_texts(texts, pattern, lambda ticks: 0)
    except DataError:
        return None
    return Numbered("digits", pattern, texts, pattern)


def _since_1970(values: np.ndarray, unit: str) -> Numbered:
    per_second = UNITS[unit]
    second = 10**9 if unit == "ns" else MICRO
    if values.dtype.kind in "iu" or (values == np.rint(values)).all():
        whole = values.astype(np.int64)
        ticks = whole * (second // per_second) if second >= per_second else whole
    else:
        ticks = np.rint(values * (second / per_second)).astype(np.int64)
    if second > MICRO and not (ticks % 1000).any():
        ticks, second = ticks // 1000, MICRO
    detail = unit if (values == np.rint(values)).all() else f"{unit} fractions"
    return Numbered("epoch", detail, ticks=ticks, second=second)


def _serial(values: np.ndarray, kind: str) -> Numbered:
    seconds = np.rint(np.asarray(values, dtype=np.float64) * 86400 * 1e3) / 1e3
    ticks = np.rint((seconds + SERIAL[kind] * 86400) * MICRO).astype(np.int64)
    return Numbered("serial", kind, ticks=ticks)


def serial_kind(values: np.ndarray) -> tuple[str, str] | None:
    """Return which days of recent years numbers may count, and the date of the first one.

    None where they may not: :data:`SERIAL` lists the kinds.
    """
    for kind in _SERIAL_DAYS if len(values) else ():
        ticks = _serial(values, kind).ticks
        assert ticks is not None, "days are ticks"
        year, month, day = year_month_day(ticks // (86400 * MICRO))
        if year.min() >= _RECENT[0] and year.max() < _RECENT[1]:
            return kind, f"{year[0]}-{month[0]:02d}-{day[0]:02d}"
    return None


_CF_UNITS = {
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "msec": 1e-3,
    "ms": 1e-3,
    "second": 1.0,
    "sec": 1.0,
    "s": 1.0,
    "minute": 60.0,
    "min": 60.0,
    "hour": 3600.0,
    "hr": 3600.0,
    "h": 3600.0,
    "day": 86400.0,
    "d": 86400.0,
    "week": 604800.0,
}


def cf_ticks(values: np.ndarray, units: str, calendar: str) -> np.ndarray | None:
    """Return the ticks of numbers such as "days since 1850-01-01"; None for other units.

    Months and years are those of the calendar, as people mean them, not twelfths of 365.2425 days.

    Raises DataError: the date that they count from cannot be read.
    """
    found = re.fullmatch(r"\s*([a-zA-Z]+?)s?\s+since\s+(.+?)\s*", units)
    if found is None:
        return None
    unit, since = found[1].lower(), found[2]
    calendar = calendar_named(calendar or STANDARD)
    origin = _cf_origin(since, calendar)
    numbers = np.asarray(values, dtype=np.float64)
    if unit in ("month", "mon", "year", "yr", "common_year"):
        months = numbers * (12 if unit.startswith(("y", "c")) else 1)
        return _months_after(origin, months, calendar)
    if unit not in _CF_UNITS:
        return None
    # Days of double precision are exact to microseconds only when rounded.
    return np.asarray(origin + np.rint(numbers * _CF_UNITS[unit] * 1e3).astype(np.int64) * 1000)


def _cf_origin(since: str, calendar: str) -> int:
    """Return the ticks of the date that numbers count from; an offset such as ``+01:00`` counts."""
    found = re.match(
        r"(\d{1,4})-(\d{1,2})(?:-(\d{1,2}))?"
        r"(?:[T ]+(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2}(?:\.\d*)?))?)?"
        r"\s*(?:Z|UTC|GMT|([+-]\d{1,2}):?(\d{2})?)?$",
        since.strip(),
    )
    if found is None:
        raise DataError(f"The times count from {since!r}, which is no date such as 1850-01-01.")
    year, month, day = (np.array([int(part or 1)]) for part in found.groups()[:3])
    days = int(day_number(np.maximum(year, 1), month, day, calendar)[0])
    hour, minute, second = (float(part or 0) for part in found.groups()[3:6])
    ahead = 60 * int(found[7] or 0) + int(found[8] or 0) * (
        -1 if (found[7] or "")[:1] == "-" else 1
    )
    seconds = 86400 * days + 3600 * hour + 60 * (minute - ahead) + second
    return round(seconds * MICRO)


def _months_after(origin: int, months: np.ndarray, calendar: str) -> np.ndarray:
    """Return the ticks so many months, whole or not, after the origin."""
    days, rest = divmod(origin, 86400 * MICRO)
    year, month, day = (int(part) for part in year_month_day(np.array(days), calendar))
    whole = np.floor(months).astype(np.int64)
    ends = []
    for shift in (0, 1):
        index = 12 * year + month - 1 + whole + shift
        ends.append(
            day_number(index // 12, index % 12 + 1, np.ones_like(index), calendar) + day - 1
        )
    between = ends[0] + (months - whole) * (ends[1] - ends[0])
    return np.asarray(np.rint(between * 86400).astype(np.int64) * MICRO + rest)
