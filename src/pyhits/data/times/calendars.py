"""Days and dates of the calendars of climate models, besides the usual one."""

from __future__ import annotations

import numpy as np

from pyhits.errors import DataError

STANDARD = "standard"

#: All of them.
CALENDARS = (STANDARD, "noleap", "all_leap", "360_day", "julian")

#: The names of the CF conventions, section 4.4.1. What is called "standard" there becomes Julian
#: before October 1582; here it stays Gregorian.
_NAMES = {
    "standard": STANDARD,
    "gregorian": STANDARD,
    "proleptic_gregorian": STANDARD,
    "noleap": "noleap",
    "365_day": "noleap",
    "all_leap": "all_leap",
    "366_day": "all_leap",
    "360_day": "360_day",
    "julian": "julian",
}

#: Days of four years.
_FOUR_YEARS = {"noleap": 1460, "all_leap": 1464, "360_day": 1440, "julian": 1461}

_LENGTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def calendar_named(name: str) -> str:
    """Return the calendar of a CF name, such as ``"365_day"``.

    Raises DataError: there is no such calendar.
    """
    known = _NAMES.get(name.strip().lower())
    if known is None:
        raise DataError(f"Unknown calendar {name!r}; known: {', '.join(_NAMES)}.")
    return known


def month_length(year: np.ndarray, month: np.ndarray, calendar: str) -> np.ndarray:
    """Return the days of months, of one shape; months count from 1."""
    if calendar == "360_day":
        return np.full(np.shape(month), 30)
    return np.asarray(_LENGTHS[np.asarray(month) - 1] + ((month == 2) & _is_leap(year, calendar)))


def day_number(
    year: np.ndarray, month: np.ndarray, day: np.ndarray, calendar: str = STANDARD
) -> np.ndarray:
    """Return days since 1970-01-01 of the same calendar, int64."""
    year, month, day = (np.asarray(part, dtype=np.int64) for part in (year, month, day))
    if calendar == STANDARD:
        months = (12 * (year - 1970) + month - 1).astype("M8[M]")
        return np.asarray(months.astype("M8[D]").astype(np.int64) + day - 1)
    before = np.concatenate([[0], np.cumsum(_LENGTHS)])[month - 1]
    before = before + ((month > 2) & _is_leap(year, calendar))
    if calendar == "360_day":
        before = 30 * (month - 1)
    return np.asarray(_year_start(year, calendar) + before + day - 1)


def year_month_day(
    number: np.ndarray, calendar: str = STANDARD
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the dates of day numbers, the inverse of :func:`day_number`."""
    number = np.asarray(number, dtype=np.int64)
    if calendar == STANDARD:
        days = number.astype("M8[D]")
        months = days.astype("M8[M]")
        index = months.astype(np.int64)
        day = (days - months.astype("M8[D]")).astype(np.int64) + 1
        return index // 12 + 1970, index % 12 + 1, day
    year = 1970 + 4 * number // _FOUR_YEARS[calendar]
    # Where the leap day of a Julian year lies, the mean is a day off.
    year = year - (number < _year_start(year, calendar))
    year = year + (number >= _year_start(year + 1, calendar))
    within = number - _year_start(year, calendar)
    if calendar == "360_day":
        return year, within // 30 + 1, within % 30 + 1
    month = np.ones_like(year)
    for _ in range(11):
        length = month_length(year, month, calendar)
        over = (within >= length) & (month < 12)
        within, month = within - np.where(over, length, 0), month + over
    return year, month, within + 1


def _is_leap(year: np.ndarray, calendar: str) -> np.ndarray:
    if calendar == STANDARD:
        return np.asarray((year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0)))
    if calendar == "julian":
        return np.asarray(year % 4 == 0)
    return np.full(np.shape(year), calendar == "all_leap")


def _year_start(year: np.ndarray, calendar: str) -> np.ndarray:
    """Return the day number of the first of January."""
    past = year - 1970
    if calendar == "julian":
        return np.asarray(365 * past + (year - 1) // 4 - 1969 // 4)
    return np.asarray(past * (_FOUR_YEARS[calendar] // 4))
