"""Dates as texts to ticks, by patterns that a whole column agrees on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pyhits.data.times.calendars import STANDARD, day_number, month_length
from pyhits.data.times.formats import (
    DAYFIRST,
    MONTHFIRST,
    ORDINAL,
    YEARFIRST,
    Pattern,
    compiled,
    patterns_of,
)
from pyhits.data.times.months import Spelling, spelling_of
from pyhits.data.times.writing import MICRO, offset_name, write_texts
from pyhits.data.times.zones import zone_of
from pyhits.errors import DataError
from pyhits.util.checks import shown

#: Years of two digits from this one on are of the century before.
_CENTURY = 40

_DIGITS = re.compile(r"\d")

ORDERS = (DAYFIRST, MONTHFIRST, YEARFIRST)


class Dated(NamedTuple):
    """Dates that were read from texts."""

    ticks: np.ndarray  # int64, (n,): microseconds since 1970; of UTC where ``zone`` is known
    #: ``"UTC"``, an offset such as ``"+01:00"``, or a zone whose offsets change as those of the
    #: texts do; None where no text has one.
    zone: str | None
    pattern: str  # to write others by


class Unreadable(DataError):
    """A text is no date, or not of the pattern; ``row`` is its place."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(why)
        self.row = row


def read_texts(
    texts: Sequence[str],
    time_format: str | None,
    is_regular: Callable[[np.ndarray], int],
    calendar: str = STANDARD,
) -> Dated:
    """Read dates that are all there.

    Day and month are distinguished over the whole column: by numbers above 12, and else by which
    reading makes regular steps.

    Raises Unreadable: a text is no date.
    Raises DataError: they may be read in several ways, or mix dates with and without a time zone.

    Parameters
    ----------
    time_format : str or None
        A pattern, or one of :data:`ORDERS`.
    is_regular : callable
        Rates ticks: the more, the more regular.
    """
    stripped = [unicodedata.normalize("NFC", text.strip()) for text in texts]
    groups = _of_one_shape(stripped, time_format)
    readings = {}
    first_fault: Unreadable | None = None
    for order in ORDERS:
        if time_format in ORDERS and order != time_format:
            continue
        chosen = [(rows, _of_order(given, order)) for rows, given in groups]
        if any(pattern is None for _, pattern in chosen):
            continue
        try:
            found = _read(stripped, [(r, p.text) for r, p in chosen if p is not None], calendar)
        except Unreadable as error:
            first_fault = first_fault or error
            continue
        readings[order] = found
    if not readings:
        raise first_fault or Unreadable(0, f"{shown(stripped[0])}; {_expected(time_format)}")
    return _decided(readings, stripped, is_regular)


def _of_one_shape(
    texts: list[str], time_format: str | None
) -> list[tuple[np.ndarray, list[Pattern]]]:
    """Return rows whose texts are alike but for their digits, and the patterns of each group."""
    shapes: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        shapes.setdefault(_DIGITS.sub("0", text), []).append(row)
    groups = []
    for rows in shapes.values():
        sample = texts[rows[0]]
        given = _given(sample, time_format)
        if not given:
            raise Unreadable(rows[0], f"{shown(sample)}; {_expected(time_format)}")
        groups.append((np.array(rows), given))
    return groups


def _given(sample: str, time_format: str | None) -> list[Pattern]:
    if time_format is None or time_format in ORDERS:
        given = patterns_of(sample)
        return [pattern for pattern in given if compiled(pattern.text).fullmatch(sample)]
    return [Pattern(time_format, YEARFIRST)] if compiled(time_format).fullmatch(sample) else []


def _expected(time_format: str | None) -> str:
    if time_format is not None and time_format not in ORDERS:
        return f"which is not written as time_format={time_format!r} (--time-format) says."
    return (
        "expected a number, or a date such as 2020-01-31T12:00:00. Say how it is written with "
        "time_format, such as '%d.%m.%Y %H:%M' (--time-format)."
    )


def _of_order(given: list[Pattern], order: str) -> Pattern | None:
    if len(given) == 1:
        return given[0]
    return next((pattern for pattern in given if pattern.order == order), None)


def _decided(
    readings: dict[str, Dated], texts: list[str], is_regular: Callable[[np.ndarray], int]
) -> Dated:
    """Return the one reading that makes sense of a column.

    Raises DataError: several do.
    """
    different: dict[str, Dated] = {}
    for order, found in readings.items():
        if not any(np.array_equal(found.ticks, other.ticks) for other in different.values()):
            different[order] = found
    if len(different) == 1:
        return next(iter(different.values()))
    if DAYFIRST in different and re.match(r"\d{1,2}\. ?\d{1,2}\.", texts[0]):
        return different[DAYFIRST]  # nobody writes the month first with dots
    if re.match(r"\d{8}", texts[0]) and YEARFIRST in different:
        return different[YEARFIRST]
    rates = {order: is_regular(found.ticks) for order, found in different.items()}
    best = [order for order, rate in rates.items() if rate == max(rates.values())]
    if len(best) == 1:
        return different[best[0]]
    # The first row may be the same date in all of them: 1/1/2020.
    differ = np.any([different[k].ticks != different[best[0]].ticks for k in best[1:]], axis=0)
    row = int(np.flatnonzero(differ)[0])
    both = " or ".join(
        f"{write_texts(different[order].ticks[row : row + 1], '%-d %B %Y')[0]} "
        f'(time_format="{order}", --time-format {order})'
        for order in best
    )
    raise DataError(f"The date {texts[row]!r} may be {both}. Say which.")


def _read(texts: list[str], groups: list[tuple[np.ndarray, str]], calendar: str) -> Dated:
    ticks = np.empty(len(texts), dtype=np.int64)
    offsets = np.full(len(texts), np.nan)
    short: set[str] = set()
    padded: set[str] = set()
    written = ""
    names = _Names.of(texts, groups)
    for rows, read_by in groups:
        match = compiled(read_by).fullmatch(texts[rows[0]])
        assert match is not None, "candidates match their sample"
        pattern = names.written(read_by, match)
        points = _points([texts[row] for row in rows])
        fields: dict[str, np.ndarray] = {}
        for letter, text in match.groupdict().items():
            a, b = match.span(letter)
            if b - a == 1:
                short.add(letter)
            elif (points[:, a] == ord("0")).any():
                padded.add(letter)
            if letter == "Z":
                pattern = pattern.replace("%Z", text)
            elif letter == "z" and text[0] in "+-" and ":" not in text:
                pattern = pattern.replace("%z", "%-z" if len(text) > 3 else "%_z")
            elif letter == "p" and text.islower():
                pattern = pattern.replace("%p", "%-p")
            if letter == "z" and text[0] in "+-":
                fields["z"] = _offset(points[:, a:b], text)
            elif letter in "zZ":
                fields["z"] = np.zeros(len(rows))
            elif letter in "bBaAp":
                fields[letter] = np.full(len(rows), names.number(letter, text, match.string, rows))
            else:
                fields[letter] = _number(points[:, a:b])
            if letter == "f":
                fields["f"] = fields["f"] * 10.0 ** (6 - (b - a))
        bad, ticks[rows] = _ticks(fields, calendar)
        if bad.any():
            row = int(rows[np.flatnonzero(bad)[0]])
            raise Unreadable(row, f"{shown(texts[row])}, which is no date of the calendar.")
        if "z" in fields:
            offsets[rows] = fields["z"]
        written = max(written, pattern, key=len)
    ticks, zone = _in_zone(ticks, offsets)
    if short & {"m", "d"}:
        short |= {"m", "d"} - padded  # 10.3.2021 may go on with 1.4.2021
    written = re.sub("%([mdHIV])", lambda found: f"%{'-' * (found[1] in short)}{found[1]}", written)
    return Dated(ticks, zone, written)


def _in_zone(ticks: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Return ticks in UTC where offsets in minutes are known, and the zone; else as they are."""
    known = np.isfinite(offsets)
    if not known.any():
        return ticks, None
    if not known.all():
        raise DataError("The times mix dates, dates with a time zone, or numbers.")
    ticks = ticks - (offsets * 60 * MICRO).astype(np.int64)
    is_one = (offsets == offsets[0]).all()
    return ticks, offset_name(int(offsets[0])) if is_one else zone_of(ticks, offsets, MICRO)


def _points(texts: list[str]) -> np.ndarray:
    """Return texts of one length as code points, shape ``(n, length)``."""
    array = np.array(texts)
    return array.view(np.uint32).reshape(len(texts), -1)


def _number(points: np.ndarray) -> np.ndarray:
    digits = points.astype(np.int64) - ord("0")
    return np.asarray(digits @ 10 ** np.arange(digits.shape[1])[::-1])


def _offset(points: np.ndarray, text: str) -> np.ndarray:
    """Return offsets from UTC in minutes."""
    minutes = _number(points[:, 1:3]) * 60
    if len(text) > 3:
        minutes = minutes + _number(points[:, -2:])
    return np.asarray(minutes * (-1.0 if text[0] == "-" else 1.0))


@dataclass(frozen=True)
class _Names:
    """The names of months, and of days of the week, in a column; None where they are unknown."""

    months: Spelling | None
    days: Spelling | None

    @classmethod
    def of(cls, texts: list[str], groups: list[tuple[np.ndarray, str]]) -> _Names:
        """Return those of texts that are alike in each group, with its pattern."""
        found: dict[str, set[str]] = {"b": set(), "a": set()}
        for rows, pattern in groups:
            match = compiled(pattern).fullmatch(texts[rows[0]])
            for letter, text in match.groupdict().items() if match else ():
                if letter in "bBaA":
                    found[letter.lower()].add(text)
        return cls(
            spelling_of(tuple(sorted(found["b"]))), spelling_of(tuple(sorted(found["a"])), "Aa")
        )

    def number(self, letter: str, text: str, whole: str, rows: np.ndarray) -> int:
        """Return the number of a month; 1 for the afternoon; 0 for a day of the week."""
        if letter == "p":
            return int(text[0] in "pP")
        if letter in "aA":
            return 0
        if self.months is None:
            raise Unreadable(
                int(rows[0]),
                f"{shown(whole)}; {shown(text)} is no month that is known, or one in another "
                "language than the others: write 01 to 12.",
            )
        return self.months.numbers[text]

    def written(self, pattern: str, match: re.Match[str]) -> str:
        """Return a pattern with the names and ordinals that a text has."""
        for letters, spelling in (("bB", self.months), ("aA", self.days)):
            if spelling is not None:
                pattern = re.sub(rf"%[-^]?[{letters}]", spelling.directive, pattern)
        behind = match.string[match.end("d") :][:2].lower() if "%d" in pattern else ""
        if not behind or not re.fullmatch(ORDINAL, behind):
            return pattern
        return pattern.replace("%d", "%[fr]d" if behind == "er" else "%[en]d")


def _ticks(fields: dict[str, np.ndarray], calendar: str) -> tuple[np.ndarray, np.ndarray]:
    """Return which dates there are not, and the ticks of all."""
    one = np.ones(len(next(iter(fields.values()))), dtype=np.int64)
    year = fields.get("Y", 1970 * one)
    if "y" in fields:
        year = fields["y"] + np.where(fields["y"] < _CENTURY, 2000, 1900)
    month = next((fields[k] for k in "mbB" if k in fields), one)
    if "q" in fields:
        month = 3 * fields["q"] - 2
    day = fields.get("d", one)
    bad = (month < 1) | (month > 12)
    month = np.where(bad, 1, month)
    bad |= (day < 1) | (day > month_length(year, month, calendar))
    days = day_number(year, month, day, calendar)
    if "j" in fields:
        bad |= (fields["j"] < 1) | (fields["j"] > 366)
        days = days + fields["j"] - 1
    if "V" in fields:
        week, year = fields["V"], fields.get("G", year)
        january = day_number(year, one, 4 * one, calendar)
        monday = january - (january + 3) % 7
        bad |= (week < 1) | (week > 53)
        days = monday + 7 * (week - 1) + fields.get("u", one) - 1
    hour = fields.get("H", 0 * one)
    if "I" in fields:
        bad |= (fields["I"] < 1) | (fields["I"] > 12)
        hour = fields["I"] % 12 + 12 * fields.get("p", 0)
    elif "p" in fields:
        hour = hour % 12 + 12 * fields["p"]
    minute, second = fields.get("M", 0 * one), fields.get("S", 0 * one)
    # 24:00 is the end of a day, a second of 60 a leap second.
    bad |= (hour > 24) | (minute > 59) | (second > 60)
    seconds = 86400 * days + 3600 * hour + 60 * minute + second
    return bad, seconds * MICRO + np.rint(fields.get("f", 0 * one)).astype(np.int64)
