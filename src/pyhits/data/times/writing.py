"""Ticks to dates as texts, by patterns in the manner of ``strftime``."""

from __future__ import annotations

import numpy as np

from pyhits.data.times.calendars import STANDARD, day_number, year_month_day
from pyhits.data.times.formats import DIRECTIVE
from pyhits.data.times.months import names_of

#: Ticks of a second: dates of texts count in microseconds.
MICRO = 10**6


def offset_name(minutes: int) -> str:
    """Return ``"UTC"`` or ``"+01:00"``."""
    if minutes == 0:
        return "UTC"
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def write_texts(
    ticks: np.ndarray, pattern: str, *, calendar: str = STANDARD, offsets: np.ndarray | None = None
) -> list[str]:
    """Write dates by a pattern.

    Parameters
    ----------
    ticks : array of int64, shape (n,)
        Microseconds since 1970 of the clock on the wall.
    offsets : array, shape (n,), optional
        Minutes that this clock is ahead of UTC, for ``%z``.
    """
    days, rest = np.divmod(np.asarray(ticks, dtype=np.int64), 86400 * MICRO)
    seconds, micro = np.divmod(rest, MICRO)
    month = year_month_day(days, calendar)[1]
    numbers = _numbers_of(days, seconds, calendar)
    n, at = len(days), 0
    columns: list[list[str]] = []
    for found in DIRECTIVE.finditer(pattern):
        columns.append([pattern[at : found.start()]] * n)
        at = found.end()
        key, mark, letter = found[2] or "", found[3] or "", found[4]
        if letter == "d" and key:
            columns.append([_ordinal(value, key) for value in numbers["d"][0].tolist()])
        elif letter in numbers:
            values, width = numbers[letter]
            width, fill = (1, "0") if mark == "-" else (width, " " if mark == "_" else "0")
            columns.append([f"{value:{fill}>{width}d}" for value in values.tolist()])
        elif letter == "f":
            digits = int(mark) if mark.isdigit() else 6
            columns.append([f"{value:06d}"[:digits].ljust(digits, "0") for value in micro.tolist()])
        elif letter in ("b", "B", "a", "A"):
            which = month - 1 if letter in "bB" else (days + 3) % 7
            names = names_of(letter, key, mark)
            columns.append([names[k] for k in which.tolist()])
        elif letter == "p":
            halves = ("am", "pm") if mark == "-" else ("AM", "PM")
            columns.append([halves[s >= 43200] for s in seconds.tolist()])
        elif letter in ("z", "Z"):
            columns.append(_signs(offsets, n, mark))
        else:
            columns.append(["%"] * n)
    columns.append([pattern[at:]] * n)
    return ["".join(row) for row in zip(*columns, strict=True)]


def _numbers_of(
    days: np.ndarray, seconds: np.ndarray, calendar: str
) -> dict[str, tuple[np.ndarray, int]]:
    """Return the numbers in dates and their digits, by directive."""
    year, month, day = year_month_day(days, calendar)
    one = np.ones_like(year)
    thursday = days + 3 - (days + 3) % 7
    iso_year = year_month_day(thursday, calendar)[0]
    january = day_number(iso_year, one, one, calendar)
    return {
        "Y": (year, 4),
        "y": (year % 100, 2),
        "m": (month, 2),
        "d": (day, 2),
        "q": ((month + 2) // 3, 1),
        "j": (days - day_number(year, one, one, calendar) + 1, 3),
        "G": (iso_year, 4),
        "V": ((thursday - january) // 7 + 1, 2),
        "u": ((days + 3) % 7 + 1, 1),
        "H": (seconds // 3600, 2),
        "I": ((seconds // 3600 + 11) % 12 + 1, 2),
        "M": (seconds // 60 % 60, 2),
        "S": (seconds % 60, 2),
    }


def _ordinal(day: int, language: str) -> str:
    """Return the number of a day as ``1st``, or ``1er`` in French, which counts the others."""
    if language == "fr":
        return "1er" if day == 1 else str(day)
    return f"{day}{'th' if 3 < day < 21 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def _signs(offsets: np.ndarray | None, n: int, mark: str) -> list[str]:
    """Return offsets from UTC: ``+01:00``, for ``-`` ``+0100``, for ``_`` ``+01``."""
    ahead = [0] * n if offsets is None else [int(k) for k in offsets]
    signs = ["+00:00" if k == 0 else offset_name(k) for k in ahead]
    if mark == "-":
        return [sign.replace(":", "") for sign in signs]
    return [sign[:3] for sign in signs] if mark == "_" else signs
