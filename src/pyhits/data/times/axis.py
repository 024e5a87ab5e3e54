"""The times of rows as one small object: between numbers that models count in and users' dates."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pyhits.data.times.calendars import STANDARD, day_number, month_length, year_month_day
from pyhits.data.times.frequency import BusinessDays, CalendarStep, Months, step_from_dict
from pyhits.data.times.numbers import SERIAL, UNITS
from pyhits.data.times.timeofday import DAY, elapsed
from pyhits.data.times.writing import MICRO, write_texts
from pyhits.data.times.zones import to_utc, to_wall
from pyhits.errors import ArgumentError

#: The quarters of pandas that begin in January.
_QUARTERS = ("Q", "Q-DEC", "QE-DEC")

#: Lengths of steps that have a name of their own, in seconds.
_NAMED_STEPS = ((604800.0, "week"), (86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))

#: Digits that a user writes of a time, at most.
_SAID = 12

#: Numbers from which on ten digits do not say the time of a row.
_LARGE = 1e6


@dataclass(frozen=True)
class TimeAxis:
    """What times mean, which trajectories hold as numbers from ``start_times`` on in steps ``dt``.

    Numbers without dates stay as they are. Dates count in seconds, and those of a calendar step,
    such as months or business days, in steps, from the origin on.

    Attributes
    ----------
    step : Months, BusinessDays or None
        The step of a calendar; None for numbers, and dates that step by so many seconds.
    origin : int or None
        Ticks since 1970 where times are 0; None where they are no dates.
    second : int
        Ticks of a second.
    calendar : str
        ``"standard"``, or one of climate models.
    zone : str or None
        Time zone of the dates.
    is_wall : bool
        Whether dates step evenly on the clock on the wall, not in UTC.
    name : str or None
        Of the column or index that the times came in.
    form, detail : str
        What they came as: ``"texts"`` and their pattern, ``"datetime64"`` and its unit ...
    """

    step: CalendarStep | None = None
    origin: int | None = None
    second: int = MICRO
    calendar: str = STANDARD
    zone: str | None = None
    is_wall: bool = False
    name: str | None = field(default=None, compare=False)
    form: str = field(default="numbers", compare=False)
    detail: str = field(default="", compare=False)

    @property
    def has_dates(self) -> bool:
        """Whether the times are dates."""
        return self.origin is not None

    @property
    def is_plain(self) -> bool:
        """Whether times mean what their numbers say: no dates, or seconds since 1970."""
        return self.origin is None or (self.origin == 0 and self.form == "epoch")

    @property
    def unit(self) -> str:
        """What a time of 1 is called: ``"month"``, ``"business day"`` ...; ``"s"`` for seconds."""
        if self.step is not None:
            return self.step.unit
        return "s" if self.has_dates or self.form in ("timedelta", "elapsed") else ""

    def step_name(self, dt: float) -> str:
        """Return how a step is said: ``"1 month"``, ``"1 day"``, ``"0.5 s"``, ``"0.05"``."""
        if self.step is not None:
            lead = self.step.unit
            if lead[:1].isdigit():
                return lead if dt == 1 else f"{dt:g} x {lead}"
            return f"{dt:g} {lead}" if dt == 1 or " of " in lead else f"{dt:g} {lead}s"
        if not self.unit:
            return f"{dt:g}"
        for seconds, name in _NAMED_STEPS:
            count = dt / seconds
            if count >= 1 and abs(count - round(count, 2)) < 1e-9:
                return f"{count:g} {name}{'s' if count > 1 else ''}"
        return f"{dt:g} s"

    def seasons(self, dt: float) -> tuple[int, ...]:
        """Return the seasons of a calendar, a day, a week or a year, that whole rows make.

        Parameters
        ----------
        dt : float
            The step of the rows.
        """
        if isinstance(self.step, Months):
            rows = [12 / self.step.n / dt]
        elif isinstance(self.step, BusinessDays):
            rows = [self.step.week.count("1") / dt]
        elif self.has_dates:
            rows = [span / dt for span in (DAY, 7 * DAY)]
            rows += [52.0] if dt == 7 * DAY else []
        else:
            rows = []
        return tuple(round(n) for n in rows if n > 1 and abs(n - round(n)) < 1e-6)

    def row_numbers(self, times: Any, dt: float) -> np.ndarray:
        """Return how many rows since 1970 lie before each of some dates, int64.

        Equal phases of a season have numbers that differ by whole seasons, whatever the origin.

        Parameters
        ----------
        times : array, shape (n,)
        dt : float
            The step of the rows.
        """
        ticks = self.ticks(times)
        if self.step is None:
            steps = ticks / self.second
        else:
            steps = self.step.places(ticks, 0, self.second, self.calendar)
        return np.floor(steps / dt + 1e-6).astype(np.int64)

    def span_name(self, length: float) -> str:
        """Return how a span of time is said: ``"36 months"``, ``"2 days"``, ``"5 time units"``."""
        return self.step_name(length) if self.unit else f"{length:g} time units"

    def drawn_unit(self, dt: float) -> tuple[float, str]:
        """Return what times since a start are divided by to be drawn, and their unit then.

        Parameters
        ----------
        dt : float
            The step of the rows.
        """
        if self.step is not None:
            return 1.0, self.step.unit if self.step.unit[:1].isdigit() else f"{self.step.unit}s"
        named = ((s, f"{name}s") for s, name in _NAMED_STEPS if dt >= s)
        return next(named, (1.0, self.unit)) if self.unit else (1.0, "")

    def same_steps(self, other: TimeAxis) -> bool:
        """Whether a step of 1 is the same in both, holidays left aside."""
        own, theirs = _bare(self.step), _bare(other.step)
        return own == theirs or (own is not None and theirs is not None and own.unit == theirs.unit)

    def same_moments(self, starts: np.ndarray, other: TimeAxis, theirs: np.ndarray) -> bool:
        """Whether times along this axis are those along another, which steps alike."""
        if len(starts) != len(theirs) or not self.same_steps(other):
            return False
        if self.is_plain or other.is_plain:
            return self.is_plain and other.is_plain and np.array_equal(starts, theirs)
        return self.labels_utc(starts) == other.labels_utc(theirs)

    def without_holidays(self) -> TimeAxis:
        """Return it without the days of the recording that had no row."""
        return replace(self, step=_bare(self.step))

    def steps_alone(self) -> TimeAxis:
        """Return how dates step, without how they came: what a model keeps."""
        return replace(self, step=_bare(self.step), name=None, form="numbers", detail="")

    def at(self, times: Any) -> np.ndarray:
        """Return times as dates of the clock on the wall, datetime64; numbers as they are.

        A date that the usual calendar lacks, such as 30 February, becomes the last of its month.
        """
        if self.origin is None:
            return np.asarray(times, dtype=np.float64)
        ticks = self._wall(times)
        if self.calendar != STANDARD:
            days, rest = np.divmod(ticks, 86400 * self.second)
            year, month, day = year_month_day(days, self.calendar)
            day = np.minimum(day, month_length(year, month, STANDARD))
            ticks = day_number(year, month, day) * 86400 * self.second + rest
        return np.asarray(ticks.astype("M8[ns]" if self.second > MICRO else "M8[us]"))

    def labels(self, times: Any) -> list[str]:
        """Return times as texts, as they were written where they came as texts."""
        if self.origin is None:
            numbers = np.asarray(times, dtype=np.float64).tolist()
            if self.form == "elapsed" and "%" in self.detail:
                micro = np.rint(np.asarray(numbers) * MICRO).astype(np.int64) % (DAY * MICRO)
                return write_texts(micro, self.detail)
            if self.form == "elapsed":
                return [elapsed(value, self.detail) for value in numbers]
            return [self._number(value) for value in without_rounding(times).tolist()]
        if self.form in ("epoch", "serial"):
            return [_plain(value) for value in self._counted(times).tolist()]
        ticks = self._wall(times)
        micro = ticks // (self.second // MICRO)
        offsets = None
        if self.zone is not None:
            utc = self._utc(times)
            offsets = (ticks - utc) // (60 * self.second)
        pattern = self.detail if self.form in ("texts", "digits") else self._iso(micro)
        texts = write_texts(micro, pattern, calendar=self.calendar, offsets=offsets)
        if self.second > MICRO and self.form not in ("texts", "digits"):
            fine = write_texts(micro, "%Y-%m-%dT%H:%M:%S.%6f", calendar=self.calendar)
            nano = (ticks % 1000).tolist()
            texts = [f"{text}{k:03d}" for text, k in zip(fine, nano, strict=True)]
        return texts

    def readable(self, times: Any) -> list[str]:
        """Return times as texts for people: counts since an epoch as dates, numbers without noise.

        Parameters
        ----------
        times : array, shape (n,)
        """
        if self.origin is None and self.form != "elapsed":
            return [_digits(value) for value in np.asarray(times, dtype=np.float64).tolist()]
        if self.form in ("epoch", "serial"):
            return replace(self, form="datetime64", detail="").labels(times)
        return self.labels(times)

    def labels_utc(self, times: Any) -> list[str]:
        """Return dates of UTC as texts in one form, to be compared."""
        micro = self._utc(times) // (self.second // MICRO)
        return write_texts(micro, "%Y-%m-%dT%H:%M:%S.%6f", calendar=self.calendar)

    def ticks(self, times: Any) -> np.ndarray:
        """Return the ticks of times, of the clock that they step evenly on."""
        assert self.origin is not None, "numbers have no ticks"
        times = np.asarray(times, dtype=np.float64)
        if self.step is None:
            return np.asarray(self.origin + np.rint(times * self.second).astype(np.int64))
        # A span in numbers that rounding put just beside a step is that step.
        near = np.rint(times)
        times = np.where(np.abs(times - near) < 1e-6, near, times)
        below = np.floor(times).astype(np.int64)
        first = self.step.at(below, self.origin, self.second, self.calendar)
        if (below == times).all():
            return first
        then = self.step.at(below + 1, self.origin, self.second, self.calendar)
        return np.asarray(first + np.rint((times - below) * (then - first)).astype(np.int64))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for files; see :meth:`from_dict`."""
        plain: dict[str, Any] = {
            name: value
            for name, value in vars(self).items()
            if name != "step" and value != getattr(NUMBERS, name)
        }
        if self.step is not None:
            plain["step"] = self.step.as_dict()
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> TimeAxis:
        """Return what :meth:`as_dict` wrote.

        Raises
        ------
        ValueError
            The values are no such axis.
        """
        try:
            values = dict(plain)
            step = values.pop("step", None)
            made = cls(step=None if step is None else step_from_dict(step), **values)
            if made.origin is not None:
                made.labels([0.0])
        except (TypeError, KeyError, AttributeError, OverflowError, ArgumentError) as error:
            raise ValueError(f"its times are damaged: {error}") from None
        return made

    def _wall(self, times: Any) -> np.ndarray:
        ticks = self.ticks(times)
        if self.zone is None or self.is_wall:
            return ticks
        return to_wall(ticks, self.zone, self.second)

    def _utc(self, times: Any) -> np.ndarray:
        ticks = self.ticks(times)
        if self.zone is None or not self.is_wall:
            return ticks
        return to_utc(ticks, self.zone, self.second)

    def _counted(self, times: Any) -> np.ndarray:
        """Return times as counted since 1970, or in days of a spreadsheet."""
        ticks = self._utc(times)
        if self.form == "serial":
            return np.asarray(ticks / (86400 * self.second) - SERIAL[self.detail])
        unit = self.detail.split()[0]
        if self.detail == unit and self.second % UNITS[unit] == 0:
            size = self.second // UNITS[unit]
            return np.asarray((ticks + size // 2) // size)  # beyond what floats tell apart
        if self.detail == unit:
            return np.asarray(ticks * (UNITS[unit] // self.second))
        return np.asarray(ticks / (self.second / UNITS[unit]))

    def _iso(self, micro: np.ndarray) -> str:
        """Return the pattern for dates that did not come as texts."""
        zone = "" if self.zone is None else "%z"
        if self.form == "period" and isinstance(self.step, Months) and self.step.anchor == "day":
            if self.step.n % 12 == 0:
                return "%Y"
            return "%YQ%q" if self.step.n == 3 and self.detail in _QUARTERS else "%Y-%m"
        if self.second > MICRO or (micro % MICRO).any():
            return f"%Y-%m-%dT%H:%M:%S.%6f{zone}"
        days_only = not (micro % (86400 * MICRO)).any() and (
            self.step is not None or self.detail in ("D", "W", "M", "Y", "date")
            or self.zone is None
        )  # fmt: skip
        return "%Y-%m-%d" if days_only else f"%Y-%m-%dT%H:%M:%S{zone}"

    def _number(self, value: float) -> str:
        if self.detail == "integers" and value == round(value):
            return str(round(value))
        return repr(value)


def without_rounding(times: Any) -> np.ndarray:
    """Return numbers without the last digits that steps added up have left: 19.9, not 19.90...02.

    Parameters
    ----------
    times : array, shape (n,)
    """
    given: np.ndarray = np.asarray(times, dtype=np.float64)
    largest = float(np.abs(given).max(initial=0))
    if not 1e-9 < largest < 1e12:
        return given
    near: np.ndarray = np.asarray(np.round(given, _SAID - 1 - math.floor(math.log10(largest))))
    are_near = np.abs(near - given) <= 4 * np.spacing(largest)
    return near if are_near.all() else given


def _digits(value: float) -> str:
    """Return a number without the last digits, which arithmetic on times of its size leaves."""
    return f"{value:.10g}" if abs(value) < _LARGE else f"{value:.15g}"


def _plain(value: float | int) -> str:
    return repr(value) if isinstance(value, int) or value != round(value) else str(round(value))


def _bare(step: CalendarStep | None) -> CalendarStep | None:
    return replace(step, holidays=()) if isinstance(step, BusinessDays) else step


#: Times that are plain numbers.
NUMBERS = TimeAxis()
