"""Steps of a calendar, which are not all as long: months, and the days of a working week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.data.times.calendars import STANDARD, day_number, month_length, year_month_day

#: Share of neighbouring rows that are one step apart, at least, for dates to be of a calendar step.
_LEAST_NEIGHBOURS = 0.5

#: Days of the working week that have no row, at most, as a share, and at most one after another:
#: the exchanges of China close for 8 of them.
_MOST_HOLIDAYS, _LONGEST_HOLIDAY = 0.12, 10

#: Days a row above which dates keep no days of the week: those of damaged files lie ages apart.
_SPARSEST = 100

#: Days from which on other weeks than Monday to Friday are read off the dates.
_THREE_WEEKS = 21

#: A month's last row may lie so many days before its end, where that is a holiday.
_NEAR_THE_END = 5

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

#: The day of a month that the rows lie on: one number, its last day, its last or first day of work,
#: its middle, to the hour or the day, as means over a month are dated by climate models, or one
#: such as its third Friday.
ANCHORS = ("day", "end", "business end", "business start", "middle", "middle day", "weekday")

#: Months from which on a day such as the third Friday is read off the dates.
_SIX_MONTHS = 6


@dataclass(frozen=True)
class Months:
    """Steps of whole months; row k lies ``k * n`` months after the origin."""

    n: int = 1  # months in a step
    anchor: str = "day"  # one of :data:`ANCHORS`
    #: Of the month, for the anchor ``"day"``; shorter months end before it. For ``"weekday"`` that
    #: of a month that begins on a Monday.
    day: int = 1

    @property
    def unit(self) -> str:
        """What one step is called: ``"month"``, ``"quarter"``, ``"2 years"`` ..."""
        for months, name in ((12, "year"), (3, "quarter")):
            if self.n % months == 0:
                return name if self.n == months else f"{self.n // months} {name}s"
        return "month" if self.n == 1 else f"{self.n} months"

    @property
    def seconds(self) -> float:
        """Mean length of a step."""
        return self.n * 365.2425 / 12 * 86400

    def places(self, ticks: np.ndarray, origin: int, second: int, calendar: str) -> np.ndarray:
        """Return how many steps behind the origin each tick lies, float64."""
        months = _month_index(np.append(ticks, origin), second, calendar)
        return np.asarray((months[:-1] - months[-1]) / self.n)

    def at(self, places: np.ndarray, origin: int, second: int, calendar: str) -> np.ndarray:
        """Return the ticks of whole numbers of steps behind the origin."""
        ends = np.array([origin], dtype=np.int64)
        month = _month_index(ends, second, calendar)[0] + self.n * places
        time_of_day = origin % (86400 * second)
        year, number = month // 12, month % 12 + 1
        length = month_length(year, number, calendar)
        first = day_number(year, number, np.ones_like(number), calendar)
        if self.anchor == "middle":
            return np.asarray(first * 86400 * second + length * 43200 * second)
        day = np.minimum(self.day, length) if self.anchor == "day" else length
        if self.anchor == "middle day":
            day = length // 2 + 1
        if self.anchor == "weekday":
            nth, weekday = divmod(self.day - 1, 7)
            day = 7 * nth + 1 + (weekday - (first + 3)) % 7
        days = first + day - 1
        if self.anchor.startswith("business"):
            roll: Any = "backward" if self.anchor == "business end" else "forward"
            start = days if roll == "backward" else first
            days = np.busday_offset(start.astype("M8[D]"), 0, roll=roll).astype(np.int64)
        return np.asarray(days * 86400 * second + time_of_day)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"n": self.n, "anchor": self.anchor, "day": self.day}


@dataclass(frozen=True)
class BusinessDays:
    """Steps from one day of the working week to the next, holidays left out."""

    week: str = "1111100"  # ``"1111100"`` for Monday to Friday
    holidays: tuple[int, ...] = ()  # days since 1970-01-01 without a row, in order

    @property
    def unit(self) -> str:
        """What one step is called."""
        known = {"1111100": "business day", "1111111": "day"}
        if self.week in known:
            return known[self.week]
        days = [day for day, on in zip(_WEEKDAYS, self.week, strict=True) if on == "1"]
        return f"day of {', '.join(days)}"

    @property
    def seconds(self) -> float:
        """Mean length of a step."""
        return 7 / self.week.count("1") * 86400

    def places(self, ticks: np.ndarray, origin: int, second: int, calendar: str) -> np.ndarray:
        """Return how many steps behind the origin each tick lies, float64."""
        days = (ticks // (86400 * second)).astype("M8[D]")
        first = np.datetime64(origin // (86400 * second), "D")
        return np.busday_count(first, days, self.week, self._holidays).astype(np.float64)

    def at(self, places: np.ndarray, origin: int, second: int, calendar: str) -> np.ndarray:
        """Return the ticks of whole numbers of steps behind the origin."""
        first = np.datetime64(origin // (86400 * second), "D")
        days = np.busday_offset(
            first, places, roll="forward", weekmask=self.week, holidays=self._holidays
        )
        return np.asarray(days.astype(np.int64) * 86400 * second + origin % (86400 * second))

    @property
    def _holidays(self) -> np.ndarray:
        return np.array(self.holidays, dtype=np.int64).astype("M8[D]")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"week": self.week, "holidays": list(self.holidays)}


CalendarStep = Months | BusinessDays


def months_of(ticks: np.ndarray, second: int, calendar: str) -> Months | None:
    """Return the step of whole months that dates keep, with or without gaps; None if there is none.

    Parameters
    ----------
    ticks : array of int64, shape (n,)
        Since 1970, in order, each once.
    second : int
        Ticks of a second.
    """
    index = _month_index(ticks, second, calendar)
    steps = np.diff(index)
    if len(ticks) < 2 or not (steps > 0).all():
        return None
    n = int(np.gcd.reduce(steps))
    # Thirteen months are none: 2000-01, 2001-02 are seasons from one year to the next.
    is_said = 12 % n == 0 or n % 12 == 0
    if not is_said or (steps == n).mean() < _LEAST_NEIGHBOURS:
        return None
    days, rest = np.divmod(ticks, 86400 * second)
    year, month, day = year_month_day(days, calendar)
    length = month_length(year, month, calendar)
    middle = day_number(year, month, np.ones_like(month), calendar) * 86400 * second
    if (ticks == middle + length * 43200 * second).all():
        return Months(n, "middle")
    if (rest != rest[0]).any():
        return None
    latest = int(day.max())
    if latest > 28 and (day == length).all():
        return Months(n, "end")
    if (day == np.minimum(latest, length)).all():
        return Months(n, "day", latest)
    if (day == length // 2 + 1).all():
        return Months(n, "middle day")
    if calendar != STANDARD:
        return None
    weekday = (days + 3) % 7
    nth = (day - 1) // 7
    if len(days) >= _SIX_MONTHS and not (np.ptp(nth) or np.ptp(weekday)):
        return Months(n, "weekday", int(7 * nth[0] + weekday[0] + 1))
    works = weekday < 5
    if works.all() and (length - day < _NEAR_THE_END).all():
        return Months(n, "business end")
    if works.all() and (day <= _NEAR_THE_END).all():
        return Months(n, "business start")
    return None


#: Share of the rows that the next such day follows.
_LEAST_NEIGHBOURS = 0.5


def working_days_of(ticks: np.ndarray, second: int) -> BusinessDays | None:
    """Return the days of the week that dates keep, with what is missing as holidays, or None.

    All days of the week are kept by years of 365 days that lack the last day of a leap year.

    Parameters
    ----------
    ticks : array of int64, shape (n,)
        Since 1970, in order, each once.
    """
    days, rest = np.divmod(ticks, 86400 * second)
    steps = np.diff(days)
    if len(ticks) < 5 or (rest != rest[0]).any() or (steps == steps[0]).all():
        return None
    if days[-1] - days[0] > _SPARSEST * len(days):  # every day between is looked at
        return None
    on = np.isin(np.arange(7), (days + 3) % 7)
    if days[-1] - days[0] < _THREE_WEEKS and not on[5:].any():
        on = np.arange(7) < 5
    if on.all():
        return _years_of_365_days(days)
    if on.sum() < 2:
        return None
    week = "".join("1" if there else "0" for there in on)
    every = np.arange(days[0], days[-1] + 1)
    every = every[on[(every + 3) % 7]]
    is_there = np.isin(every, days)
    number = np.flatnonzero(is_there)
    skipped = np.diff(number) - 1
    if (skipped == 0).mean() < _LEAST_NEIGHBOURS:
        return None  # such as one row a month
    behind = np.searchsorted(number, np.arange(len(every)), side="right") - 1
    missing = ~is_there
    # A gap of weeks is no holiday: rows are missing there.
    missing[missing] = skipped[behind[missing]] <= _LONGEST_HOLIDAY
    if missing.sum() > _MOST_HOLIDAYS * len(every):
        return None
    return BusinessDays(week, tuple(every[missing].tolist()))


def _years_of_365_days(days: np.ndarray) -> BusinessDays | None:
    """Return daily steps that leave the last day of every leap year out, None if others are."""
    missing = np.setdiff1d(np.arange(days[0], days[-1] + 1), days)
    year, month, day = year_month_day(missing)
    last = (month == 12) & (day == 31) & (month_length(year, np.full_like(year, 2), STANDARD) == 29)
    if len(missing) == 0 or not last.all():
        return None
    return BusinessDays("1111111", tuple(missing.tolist()))


def without_leap_days(ticks: np.ndarray, second: int) -> bool:
    """Tell whether dates in order pass over the 29th of February, and over no other day."""
    days = np.unique(ticks // (86400 * second))
    steps = np.diff(days)
    behind = np.flatnonzero(steps != 1)
    if len(behind) == 0 or len(behind) > len(days) // 300 + 1:
        return False
    _, month, day = year_month_day(days[behind] + 1)
    return bool((steps[behind] == 2).all() and (month == 2).all() and (day == 29).all())


def step_from_dict(plain: dict[str, Any]) -> CalendarStep:
    """Return what ``as_dict`` wrote."""
    if "week" in plain:
        return BusinessDays(str(plain["week"]), tuple(int(d) for d in plain["holidays"]))
    return Months(int(plain["n"]), str(plain["anchor"]), int(plain["day"]))


def _month_index(ticks: np.ndarray, second: int, calendar: str) -> np.ndarray:
    year, month, _ = year_month_day(ticks // (86400 * second), calendar)
    return np.asarray(12 * year + month - 1)
