"""From the times of a recording's rows to a time axis, and to numbers that step evenly along it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pyhits.data.times.axis import TimeAxis
from pyhits.data.times.calendars import STANDARD, calendar_named, day_number, year_month_day
from pyhits.data.times.frequency import (
    BusinessDays,
    CalendarStep,
    months_of,
    without_leap_days,
    working_days_of,
)
from pyhits.data.times.numbers import cf_ticks
from pyhits.data.times.style import SHOWN, TimeStyle
from pyhits.data.times.timeofday import DAY, is_clock_pattern, over_midnight
from pyhits.data.times.values import NOTHING, Moments, moments_of
from pyhits.data.times.zones import to_utc, to_wall
from pyhits.errors import DataError

#: Steps of one length differ by less than this, as a share.
_UNIFORM = 1e-2


def read_times(
    values: Any,
    lengths: Sequence[int] | None = None,
    *,
    where: str = "the time column",
    name: str | None = None,
    style: TimeStyle = SHOWN,
) -> tuple[TimeAxis, list[np.ndarray]]:
    """Find out what the times of rows mean.

    Raises DataError: a time is neither a number nor a date, or may be read in several ways.

    Parameters
    ----------
    values : array, list, or a Series or index of pandas, shape (n_rows,)
        Numbers, texts, or dates of any kind, in any order, of all trajectories.
    lengths : sequence of int, optional
        Rows of each trajectory, if there are several.
    where, name : str
        What holds them, for messages; and the column's or index's name.

    Returns
    -------
    times : list of array, each shape (n_rows of a trajectory,)
        Numbers along the axis; NaN where a time is missing.
    """
    bounds = np.concatenate([[0], np.cumsum(lengths)]) if lengths is not None else None

    def is_regular(ticks: np.ndarray, second: int) -> int:
        parts = [ticks] if bounds is None or bounds[-1] != len(ticks) else _cut(ticks, bounds)
        return min(_regularity(part, second) for part in parts)

    # Some name a pattern in place of units: day as %Y%m%d.%f
    counted = None if re.search("%Y|yyyy", style.units or "", re.IGNORECASE) else style.units
    if counted is not None and style.time_format is None:
        found = _cf_moments(np.asarray(values, dtype=np.float64), counted, style.calendar)
    else:
        found = moments_of(values, name, style.time_format, is_regular, where)
    if found.numbers is not None and found.ticks is None:
        parts = _cut(found.numbers, bounds)
        if found.form == "elapsed" and is_clock_pattern(found.detail):
            parts = [over_midnight(part) for part in parts]
        return TimeAxis(name=name, form=found.form, detail=found.detail), parts
    axis, ticks = _along(_on_one_clock(found, bounds, style.time_zone), bounds, name)
    # Seconds since 1970 stay the numbers that they are, to the last digit.
    times = found.numbers if axis.is_plain and found.numbers is not None else _times(axis, ticks)
    return axis, _cut(times, bounds)


def _on_one_clock(found: Moments, bounds: np.ndarray | None, time_zone: str | None) -> Moments:
    """Return dates that go on over midnight, and lie in the zone that was given for them."""
    assert found.ticks is not None, "only ticks are of a clock"
    if found.form == "texts" and is_clock_pattern(found.detail) and (found.ticks != NOTHING).all():
        clocks = [over_midnight(t, DAY * found.second) for t in _cut(found.ticks, bounds)]
        found.ticks = np.concatenate(clocks)
    if time_zone is not None:
        for part in _cut(found.ticks, bounds) if found.zone is None else []:
            known = part != NOTHING
            part[known] = to_utc(part[known], time_zone, found.second)
        found.zone = time_zone
        found.detail = re.sub(r"(Z|UTC|GMT)$", "%z", found.detail)
    return found


def _cf_moments(numbers: np.ndarray, units: str, calendar: str | None) -> Moments:
    """Return numbers in the units of CF as dates, others as they are."""
    named = calendar or STANDARD
    ticks = cf_ticks(numbers, units, named)
    if ticks is None:
        return Moments(numbers)
    return Moments(
        ticks=ticks, calendar=calendar_named(named), form="cf", detail=f"{units}|{named}"
    )


def _cut(values: np.ndarray, bounds: np.ndarray | None) -> list[np.ndarray]:
    return [values] if bounds is None else np.split(values, bounds[1:-1])


def _along(
    found: Moments, bounds: np.ndarray | None, name: str | None
) -> tuple[TimeAxis, np.ndarray]:
    """Return the axis that ticks lie along, and the ticks of its clock and calendar."""
    assert found.ticks is not None, "only ticks lie along an axis"
    ticks, second = found.ticks, found.second
    known = ticks != NOTHING
    axis = TimeAxis(
        second=second, calendar=found.calendar, zone=found.zone, name=name,
        form=found.form, detail=found.detail,
    )  # fmt: skip
    if not known.any():
        return replace(axis, origin=0), ticks
    wall = ticks.copy()
    if found.zone is not None:
        wall[known] = to_wall(ticks[known], found.zone, second)
    once = np.unique(wall[known])
    step: CalendarStep | None = months_of(once, second, found.calendar)
    if step is None:
        uniform = [_usual(t[t != NOTHING]) for t in _cut(wall, bounds)]
        if all(usual is not None for usual in uniform):
            by_day = [usual % (86400 * second) == 0 for usual in uniform if usual is not None]
            if found.zone is not None and all(by_day):
                return replace(axis, origin=int(once[0]), is_wall=True), wall
        else:
            step = working_days_of(once, second) if found.calendar == STANDARD else None
    if step is not None:
        moved = replace(axis, step=step, is_wall=found.zone is not None, origin=int(once[0]))
        return moved, wall
    if found.calendar == STANDARD and without_leap_days(once, second):
        days, rest = np.divmod(wall, 86400 * second)
        shifted = day_number(*year_month_day(days), "noleap") * 86400 * second + rest
        shifted[~known] = NOTHING
        origin = int(shifted[known].min())
        is_wall = found.zone is not None
        return replace(axis, calendar="noleap", origin=origin, is_wall=is_wall), shifted
    origin = int(ticks[known].min())
    if found.form == "epoch" and found.detail.startswith("s"):
        origin = 0  # seconds since 1970 are what they were
    return replace(axis, origin=origin), ticks


def _times(axis: TimeAxis, ticks: np.ndarray) -> np.ndarray:
    assert axis.origin is not None, "dates have an origin"
    known = ticks != NOTHING
    times = np.full(len(ticks), np.nan)
    if axis.step is not None:
        times[known] = axis.step.places(ticks[known], axis.origin, axis.second, axis.calendar)
    else:
        times[known] = (ticks[known] - axis.origin) / axis.second
    return times


def _usual(ticks: np.ndarray) -> int | None:
    """Return the step of ticks that step evenly, forwards or backwards; None otherwise."""
    steps = np.diff(ticks)
    if len(steps) == 0:
        return 0
    mean = (ticks[-1] - ticks[0]) / len(steps)
    off = np.abs(ticks - ticks[0] - mean * np.arange(len(ticks)))
    return int(np.median(steps)) if mean != 0 and (off <= _UNIFORM * abs(mean)).all() else None


def _regularity(ticks: np.ndarray, second: int) -> int:
    """Rate dates: 0 for disorder, 1 for order, 2 for a step, 3 for one without a gap."""
    steps = np.diff(ticks)
    if len(steps) == 0 or not ((steps > 0).all() or (steps < 0).all()):
        return 0
    once = np.sort(ticks)
    if _usual(once) is not None:
        return 3
    months = months_of(once, second, STANDARD)
    if months is not None:
        places = months.places(once, int(once[0]), second, STANDARD)
        return 3 if (np.diff(places) == 1).all() else 2
    if working_days_of(once, second) is not None or without_leap_days(once, second):
        return 3
    return 1


def again(axis: TimeAxis, times: np.ndarray, like: TimeAxis) -> tuple[TimeAxis, np.ndarray] | None:
    """Return rows of dates in the steps of another axis, None if they do not follow these.

    A week of business days looks like days, and so do a few months of equal length.

    Parameters
    ----------
    times : array, shape (n_rows,)
        Along ``axis``, of one trajectory.
    """
    if not (axis.has_dates and like.has_dates) or axis.calendar != like.calendar:
        return None
    ticks = axis.ticks(times)
    if axis.zone is not None and not axis.is_wall:
        ticks = to_wall(ticks, axis.zone, axis.second)
    step = like.without_holidays().step
    if step is None:
        moved = replace(axis, step=None, origin=int(ticks[0]), is_wall=axis.zone is not None)
        return moved, (ticks - ticks[0]) / axis.second
    if isinstance(step, BusinessDays):
        days = ticks // (86400 * axis.second)
        if (np.diff(days) > 14).any():
            return None
        there = np.array([step.week[k] == "1" for k in ((days + 3) % 7).tolist()])
        between = np.arange(days[0], days[-1] + 1)
        on = np.array([step.week[k] == "1" for k in ((between + 3) % 7).tolist()])
        missing = between[on & ~np.isin(between, days)]
        if not there.all():
            return None
        step = replace(step, holidays=tuple(missing.tolist()))
    places = step.places(ticks, int(ticks[0]), axis.second, axis.calendar)
    if (np.diff(places) != 1).any():
        return None
    moved = replace(axis, step=step, origin=int(ticks[0]), is_wall=axis.zone is not None)
    if (moved.ticks(places) != ticks).any():
        return None
    return moved, places


def joined_axes(axes: Sequence[TimeAxis], starts: Sequence[float]) -> tuple[TimeAxis, np.ndarray]:
    """Return one axis for trajectories that came with one each, and their starts along it.

    Raises DataError: some have dates and others none, or their steps differ.
    """
    first = axes[0]
    for k, other in enumerate(axes):
        if other.has_dates != first.has_dates or not first.same_steps(other):
            raise DataError(
                f"Trajectory {k} steps by {other.unit or 'numbers'}, trajectory 0 by "
                f"{first.unit or 'numbers'}; all need times of one kind."
            )
        if (other.zone is None) != (first.zone is None):
            raise DataError(
                f"The dates of trajectory {k} are {other.zone or 'of no time zone'}, those of "
                f"trajectory 0 {first.zone or 'of no time zone'}; give all of them a zone, or none."
            )
    if not first.has_dates or all(axis == first for axis in axes):
        return first, np.array(starts, dtype=np.float64)
    if isinstance(first.step, BusinessDays):
        every: set[int] = set()
        for axis in axes:
            every |= set(axis.step.holidays) if isinstance(axis.step, BusinessDays) else set()
        first = replace(first, step=replace(first.step, holidays=tuple(sorted(every))))
    ticks = np.array([int(a.ticks([s])[0]) for a, s in zip(axes, starts, strict=True)])
    first = replace(first, origin=int(ticks.min()))
    return first, _times(first, ticks)
