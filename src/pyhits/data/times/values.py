"""What users hold as times, numbers, texts and objects of several kinds, as numbers or ticks."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from pyhits.data.times.calendars import STANDARD, calendar_named, day_number
from pyhits.data.times.formats import expanded
from pyhits.data.times.numbers import SERIAL, UNITS, as_dates
from pyhits.data.times.texts import ORDERS, Unreadable, read_texts
from pyhits.data.times.timeofday import read_clock
from pyhits.data.times.writing import MICRO
from pyhits.data.times.zones import zone_of
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import is_missing, shown

#: Ticks where there is no time.
NOTHING = np.iinfo(np.int64).min

#: What time_format may be besides a pattern of strptime.
WORDS = (*ORDERS, *UNITS, *SERIAL, "numbers")


@dataclass
class Moments:
    """Times of rows, as numbers or as ticks."""

    #: (n,), or None: where they are no dates; NaN where one is missing.
    numbers: np.ndarray | None = None
    #: Int64, (n,), or None: since 1970, of UTC if there is a zone; :data:`NOTHING` where one is
    #: missing.
    ticks: np.ndarray | None = None
    second: int = MICRO  # ticks of a second
    calendar: str = STANDARD
    zone: str | None = None
    #: form, detail: What they came as; see :class:`~pyhits.data.times.TimeAxis`.
    form: str = "numbers"
    detail: str = ""


def check_format(time_format: str | None) -> str | None:
    """Return a time format that may be one.

    Raises ArgumentError: it is neither a word that is known nor a pattern.
    """
    if time_format is None:
        return None
    if not isinstance(time_format, str) or not (time_format in WORDS or "%" in time_format):
        raise ArgumentError(
            f"Expected time_format as a pattern such as '%d.%m.%Y %H:%M', or one of "
            f"{', '.join(WORDS)}, got {time_format!r}."
        )
    return expanded(time_format)


def moments_of(
    values: Any,
    name: str | None,
    time_format: str | None,
    is_regular: Callable[[np.ndarray, int], int],
    where: str,
) -> Moments:
    """Return times as they are; those that are missing as such.

    Raises DataError: a time is neither a number nor a date; the row is named.

    Parameters
    ----------
    name, time_format, where : str
        As of :func:`~pyhits.data.times.read_times`.
    is_regular : callable
        Rates ticks of so many a second: the more, the more regular.
    """
    own = _of_pandas(values)
    if own is not None:
        return own
    written = _Written(name, time_format, is_regular, where)
    array = np.asarray(values)
    if array.dtype.kind in "OSU":
        return written.objects(array.ravel())
    if array.dtype.kind == "m":
        return Moments(numbers=_seconds(array), form="timedelta")
    if array.dtype.kind == "M":
        return _of_datetime64(array)
    if array.dtype.kind not in "fiub":
        raise DataError(f"Expected times as numbers or dates, got values of type {array.dtype}.")
    return written.numbers(array)


@dataclass(frozen=True)
class _Written:
    """How the times of one column are written, as far as it is known."""

    name: str | None
    time_format: str | None
    is_regular: Callable[[np.ndarray, int], int]
    where: str

    def numbers(self, array: np.ndarray) -> Moments:
        numbers = np.asarray(array, dtype=np.float64)
        known = np.isfinite(numbers)
        if not known.any() or self.time_format == "numbers":
            return Moments(numbers=numbers)
        found = as_dates(array[known], self.name, self.time_format)
        if found is None:
            detail = "integers" if (numbers[known] == np.rint(numbers[known])).all() else ""
            return Moments(numbers=numbers, detail=detail)
        ticks = np.full(len(numbers), NOTHING)
        if found.texts is not None:
            try:
                read = read_texts(found.texts, found.pattern, lambda t: self.is_regular(t, MICRO))
            except Unreadable as error:
                row = int(np.flatnonzero(known)[error.row])
                raise DataError(f"The time in row {row} of {self.where} is {error}") from None
            ticks[known] = read.ticks
            return Moments(ticks=ticks, zone=read.zone, form="digits", detail=read.pattern)
        assert found.ticks is not None, "dates are texts or ticks"
        ticks[known] = found.ticks
        plain = numbers if found.form == "epoch" and found.detail.startswith("s") else None
        return Moments(plain, ticks, found.second, form=found.form, detail=found.detail)

    def objects(self, array: np.ndarray) -> Moments:
        items = array.tolist()
        known = np.array([not is_missing(item) for item in items], dtype=bool)
        if not known.any():
            return Moments(numbers=np.full(len(items), np.nan))
        there = [item for item, is_there in zip(items, known, strict=True) if is_there]
        rows = np.flatnonzero(known)
        may_be_numbers = self.time_format is None or (
            self.time_format not in ORDERS and "%" not in self.time_format
        )
        # NumPy takes 2021_03_04 for a number, as Python does.
        if may_be_numbers and not any("_" in item for item in there if isinstance(item, str)):
            with contextlib.suppress(TypeError, ValueError):
                numbers = np.full(len(items), np.nan)
                numbers[known] = np.array(there).astype(np.float64)
                return self.numbers(numbers)
        there = [
            item.decode(errors="replace") if isinstance(item, bytes) else item for item in there
        ]
        if all(isinstance(item, str) for item in there):
            found = self._texts(there, rows)
        elif all(hasattr(item, "calendar") and hasattr(item, "dayofyr") for item in there):
            found = _of_cftime(there)
        elif all(type(item).__name__ == "Period" for item in there):
            with periods_of_days_at_work():
                stamps = np.array([item.to_timestamp().to_datetime64() for item in there])
            found = _of_datetime64(stamps, "period")
            found.detail = str(there[0].freqstr)
        elif all(isinstance(item, date) for item in there):
            found = _of_datetimes(there)
        elif all(hasattr(item, "total_seconds") for item in there):
            found = Moments(
                numbers=np.array([item.total_seconds() for item in there]), form="timedelta"
            )
        else:
            kinds = (str, date)
            odd = next((k for k, item in enumerate(there) if not isinstance(item, kinds)), None)
            if odd is None or isinstance(there[odd], (int, float)):
                raise DataError("The times mix dates, dates with a time zone, or numbers.")
            raise DataError(
                f"The time in row {rows[odd]} is {shown(there[odd])}; expected a number, or a date "
                "such as 2020-01-31T12:00:00."
            )
        return _spread(found, known)

    def _texts(self, texts: list[str], rows: np.ndarray) -> Moments:
        if self.time_format is None:
            clock = read_clock(texts)
            if clock is not None:
                return Moments(numbers=clock[0], form="elapsed", detail=clock[1])
        try:
            read = read_texts(texts, self.time_format, lambda ticks: self.is_regular(ticks, MICRO))
        except Unreadable as error:
            raise DataError(
                f"The time in row {rows[error.row]} of {self.where} is {error}"
            ) from None
        except DataError as error:
            raise DataError(f"{error} ({self.where})") from None
        return Moments(ticks=read.ticks, zone=read.zone, form="texts", detail=read.pattern)


def _of_datetime64(array: np.ndarray, form: str = "datetime64") -> Moments:
    unit = np.datetime_data(array.dtype)[0]
    missing = np.isnat(array)
    second = MICRO
    if unit in ("ns", "ps", "fs", "as"):
        fine = array.astype("M8[ns]")
        if (fine.astype(np.int64)[~missing] % 1000).any():
            second = 10**9
    ticks = array.astype("M8[ns]" if second > MICRO else "M8[us]").astype(np.int64)
    return Moments(ticks=np.where(missing, NOTHING, ticks), second=second, form=form, detail=unit)


def _of_pandas(values: Any) -> Moments | None:
    """Return the times of an index or a column of pandas, None if it is none of dates."""
    dtype = getattr(values, "dtype", None)
    kind = type(dtype).__name__
    if kind == "PeriodDtype":
        import pandas as pd  # the user's objects are of it

        with periods_of_days_at_work():
            start = np.asarray(pd.PeriodIndex(values).to_timestamp())
        found = _of_datetime64(start, "period")
        found.detail = re.sub(r"period\[(.*)\]", r"\1", str(dtype))
        return found
    if kind == "DatetimeTZDtype":
        zone = str(dtype.tz) if dtype is not None else "UTC"
        import pandas as pd  # the user's objects are of it

        utc = pd.DatetimeIndex(values).tz_convert("UTC").tz_localize(None)
        found = _of_datetime64(np.asarray(utc))
        found.zone = zone
        return found
    return None


@contextlib.contextmanager
def periods_of_days_at_work() -> Iterator[None]:
    """Let pandas not warn of periods of business days, which are the user's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Period.*is deprecated", FutureWarning)
        yield


def _seconds(array: np.ndarray) -> np.ndarray:
    seconds = array / np.timedelta64(1, "s")
    return np.asarray(np.where(np.isnat(array), np.nan, seconds))


def _spread(found: Moments, known: np.ndarray) -> Moments:
    """Put times in the rows where there are some."""
    if known.all():
        return found
    if found.numbers is not None:
        numbers = np.full(len(known), np.nan)
        numbers[known] = found.numbers
        found.numbers = numbers
    if found.ticks is not None:
        ticks = np.full(len(known), NOTHING)
        ticks[known] = found.ticks
        found.ticks = ticks
    return found


def _of_datetimes(items: list[Any]) -> Moments:
    """Return Python's dates and datetimes; pandas' Timestamps are some."""
    zones = [getattr(item, "tzinfo", None) for item in items]
    if any(zone is None for zone in zones) != all(zone is None for zone in zones):
        raise DataError("The times mix dates, dates with a time zone, or numbers.")
    if zones[0] is not None:
        utc = [item.astimezone(UTC).replace(tzinfo=None) for item in items]
        names = {str(getattr(zone, "key", zone)) for zone in zones}
        found = _of_datetime64(np.array([np.datetime64(item) for item in utc]), "objects")
        ahead = np.array([item.utcoffset().total_seconds() / 60 for item in items])
        assert found.ticks is not None, "dates are ticks"
        name = names.pop() if len(names) == 1 else zone_of(found.ticks, ahead, found.second)
        found.zone = name.removeprefix("UTC") if re.match(r"UTC[+-]", name) else name
        return found
    stamps = np.array([np.datetime64(item) for item in items]).astype("M8[us]")
    days_only = not any(isinstance(item, datetime) for item in items)
    found = _of_datetime64(stamps, "objects")
    found.detail = "date" if days_only else "datetime"
    return found


def _of_cftime(items: list[Any]) -> Moments:
    calendar = calendar_named(items[0].calendar or "standard")
    parts = [
        (
            item.year,
            item.month,
            item.day,
            (3600 * item.hour + 60 * item.minute + item.second) * MICRO + item.microsecond,
        )
        for item in items
    ]
    year, month, day, seconds = np.array(parts, dtype=np.int64).T
    ticks = day_number(year, month, day, calendar) * 86400 * MICRO + seconds
    return Moments(ticks=ticks, calendar=calendar, form="cftime", detail=items[0].calendar)
