"""Time axes: which column holds the time, whether it is uniform, and the step it gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyhits.data.times import TimeAxis, read_times
from pyhits.data.times.calendars import STANDARD
from pyhits.errors import DataError
from pyhits.util.checks import BY_REPAIR

#: Whole numbers from this one on may be dates that are not recognised, such as 200131.
_LIKE_DATES = 10_000

#: Pauses from which on they may be a habit.
_MANY_PAUSES = 5

#: Share of rows with the time of the row before from which on the clock is too coarse for them.
_SHARED = 0.3

#: A time may be this far from the uniform grid, as a fraction of the step.
UNIFORM_TOLERANCE = 1e-2


def uniform_step(
    times: Any, *, where: str = "the time column", axis: TimeAxis | None = None
) -> tuple[float, float]:
    """Check that times are uniform and return their step and their start.

    Raises DataError: a time is missing, repeated, out of order, or off the uniform grid; the row is
    named.

    Parameters
    ----------
    times : array, shape (n_rows,)
        Increasing, uniform to :data:`UNIFORM_TOLERANCE` of a step; numbers, or dates of any kind
        that :func:`pyhits.data.times.read_times` reads.
    where : str
        What holds them, for the error message.
    axis : TimeAxis, optional
        What the numbers mean, for the error message.

    Returns
    -------
    dt, start : float
        The step and the first time, in the unit of ``times``; of dates in seconds, or in the steps
        of their calendar.
    """
    if axis is None and np.ndim(times) != 1:
        raise DataError(f"Expected one time for every row in {where}, got shape {np.shape(times)}.")
    if axis is None:
        axis, (t,) = read_times(times, where=where)
    else:
        t = np.asarray(times, dtype=np.float64)
    _check_order(t, axis, where)
    steps = np.diff(t)
    dt = float(t[-1] - t[0]) / (len(t) - 1)
    resolution = rounding_of(t)
    if isinstance(times, np.ndarray) and times.dtype == np.float32:
        resolution = 2 * float(np.finfo(np.float32).eps) * float(np.abs(t).max())
    resolution += 4 * clock_resolution(axis)
    if not lies_on_grid(t, dt, resolution=resolution):
        raise DataError(_not_uniform(t, steps, axis, where))
    return shortest_number(dt, resolution / (len(t) - 1)), float(t[0])


def rounding_of(times: np.ndarray) -> float:
    """Return how far off differences of times of this size may be in float64."""
    return 4 * float(np.finfo(np.float64).eps) * float(np.abs(times).max())


def lies_on_grid(
    times: np.ndarray, dt: float, places: np.ndarray | None = None, resolution: float | None = None
) -> bool:
    """Tell whether times lie on a grid that begins with the first of them.

    Parameters
    ----------
    places : array of int, shape (n_rows,), optional
        Steps of each behind the first; one a row by default.
    resolution : float, optional
        How far off times may be besides :data:`UNIFORM_TOLERANCE` of a step.
    """
    places = np.arange(len(times)) if places is None else places
    off = np.abs(times - (times[0] + dt * places))
    room = rounding_of(times) if resolution is None else resolution
    return bool((off <= UNIFORM_TOLERANCE * dt + room).all())


def _not_uniform(t: np.ndarray, steps: np.ndarray, axis: TimeAxis, where: str) -> str:
    """Say where times leave the uniform grid, and what to do."""
    usual = float(np.median(steps))
    row = int(np.argmax(np.abs(steps - usual))) + 1
    on_grid = np.abs(steps / usual - np.rint(steps / usual)).max() < UNIFORM_TOLERANCE
    hint = clock_change(axis, t) or (
        f"{BY_REPAIR} cuts the recording where rows are missing; gaps='fill' (--gaps fill) "
        "interpolates them."
        if on_grid and axis.has_dates
        else f"{BY_REPAIR} resamples the recording to one step, and cuts it where the gaps are "
        "long."
    )
    if on_grid and axis.has_dates and np.count_nonzero(steps > 1.5 * usual) >= _MANY_PAUSES:
        hint += (
            " If nothing moves in the pauses, as outside of opening hours, leave the times out: "
            "without_columns=[...] (--without-columns)."
        )
    if not axis.has_dates and axis.detail == "integers" and t.min() >= _LIKE_DATES:
        hint = f"If they are dates, time_format (--time-format) says how they are written. {hint}"
    place = f" ({axis.readable(t[row : row + 1])[0]})" if axis.has_dates else ""
    return (
        f"Times are not uniform: between rows {row - 1} and {row}{place} of {where} the step "
        f"is {_said(axis, steps[row - 1])}, elsewhere {_said(axis, usual)}. {hint}"
    )


def _check_order(t: np.ndarray, axis: TimeAxis, where: str) -> None:
    """Raise a DataError unless there are times for two rows or more, and they increase."""
    if not np.isfinite(t).all():
        row = int(np.flatnonzero(~np.isfinite(t))[0])
        what = "missing" if axis.has_dates else t[row]
        raise DataError(f"The time in row {row} of {where} is {what}; give every row a time.")
    if len(t) < 2:
        raise DataError(f"Expected at least 2 rows in {where}, got {len(t)}.")
    steps = np.diff(t)
    if (steps > 0).all():
        return
    row = int(np.flatnonzero(steps <= 0)[0]) + 1
    kind = "repeats" if steps[row - 1] == 0 else "comes before"
    before, here = axis.readable(t[[row - 1, row]])
    hint = clock_change(axis, t) or _coarse_clock(t, steps, axis)
    raise DataError(
        f"Times must increase, but row {row} of {where} ({here}) {kind} row {row - 1} ({before}). "
        + (f"{hint} " if hint else "")
        + "Sort the rows, drop the repeated ones, or name the column that numbers the trajectories "
        f"'trajectory'. {BY_REPAIR} sorts rows and averages repeated ones."
    )


def _coarse_clock(t: np.ndarray, steps: np.ndarray, axis: TimeAxis) -> str:
    """Return what to do where several rows share each time, as of a clock that ticks slowly."""
    shared = float((steps == 0).mean())
    if (steps < 0).any() or not _SHARED <= shared < 1 or axis.step is not None:
        return ""
    n_times = int((steps > 0).sum()) + 1
    dt = float(np.median(steps[steps > 0])) * n_times / len(t)
    name = "the times" if axis.name is None else repr(axis.name)
    return (
        f"{len(t) / n_times:.3g} rows share each time, as where they come faster than the clock "
        f"ticks: if they are evenly spaced, leave {name} out (--without-columns) and give the "
        f"step, about dt={dt:.3g} (--dt {dt:.3g})."
    )


def _said(axis: TimeAxis, step: float) -> str:
    return axis.step_name(step) if axis.has_dates else f"{step:.6g}"


def shortest_number(value: float, error: float) -> float:
    """Return the number of fewest digits that is no farther away than the error.

    The mean step of times that a clock shows, 1.7e9 s and the like, has digits that nobody wrote.
    """
    found = (float(f"{value:.{digits}g}") for digits in range(1, 13))
    near = (number for number in found if abs(number - value) <= error)
    return next(near, value)


def step_error(start_times: np.ndarray, lengths: np.ndarray, axis: TimeAxis) -> float:
    """Return how far off a step may be that is the mean of times of this size, in float64.

    Parameters
    ----------
    start_times : array, shape (n,)
    lengths : array of int, shape (n,)
        Rows of each trajectory.
    axis : TimeAxis
        What the numbers mean.
    """
    rounding = np.spacing(np.abs(np.asarray(start_times))) + clock_resolution(axis)
    return float((4 * rounding / np.maximum(lengths - 1, 1)).max(initial=0.0))


def clock_resolution(axis: TimeAxis) -> float:
    """Return what one digit is worth of numbers since 1970 as float64 holds them, in seconds."""
    if axis.form != "epoch" or axis.origin is None:
        return 0.0
    return float(max(np.spacing(abs(float(axis.origin))), 1.0)) / axis.second


def same_step(given: float, own: float, error: float = 0.0) -> bool:
    """Whether two steps are one, to 1e-6 of it and what rounding of their times has done."""
    return abs(given - own) <= 1e-6 * own + error


_HOUR = 3600.0

#: Days of a year on which clocks may be set, with room: in the north from March and from late
#: September on, in the south the other way round.
_MONTHS = (3, 4, 9, 10, 11)


def clock_change(axis: TimeAxis, times: np.ndarray) -> str | None:
    """Return what to do about an hour that is missing in spring, or twice there in autumn.

    Returns str or None: a sentence; None where no gap or step back is of that kind.

    Parameters
    ----------
    times : array, shape (n_rows,)
        Along the axis, in any order.
    """
    if not axis.has_dates or axis.step is not None or axis.zone is not None:
        return None
    if axis.calendar != STANDARD or len(times) < 3:
        return None
    known = times[np.isfinite(times)]
    steps = np.diff(known)
    rising = steps[steps > 0]
    if len(rising) == 0:
        return None
    usual = float(np.median(rising))
    if usual > _HOUR * 1.01:
        return None
    odd = np.flatnonzero(np.abs(steps - usual) > 0.01 * usual)
    forward = np.abs(steps[odd] - usual - _HOUR) <= 0.01 * usual
    back = np.abs(steps[odd] - usual + _HOUR) <= 0.01 * usual
    ends = axis.at(known[odd + 1])
    at_night = (ends - ends.astype("M8[D]")) <= np.timedelta64(4, "h")
    month = ends.astype("M8[M]").astype(np.int64) % 12 + 1
    sunday = (ends.astype("M8[D]").astype(np.int64) + 3) % 7 == 6
    set_then = at_night & np.isin(month, _MONTHS) & sunday
    there = np.flatnonzero((forward | back) & set_then)
    if len(there) == 0:
        return None
    first = there[0]
    what = "an hour is missing" if forward[first] else "an hour is there twice"
    return (
        f"Around {axis.labels(known[odd[first] + 1 : odd[first] + 2])[0]} {what}, as when clocks "
        'are set: give the zone of these local times, such as time_zone="Europe/Berlin" '
        "(--time-zone Europe/Berlin)."
    )
