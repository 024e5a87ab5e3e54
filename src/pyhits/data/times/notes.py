"""What is said of dates that step with a calendar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyhits.data.times.axis import TimeAxis
from pyhits.data.times.frequency import BusinessDays
from pyhits.data.times.numbers import serial_kind
from pyhits.data.times.style import TimeStyle
from pyhits.data.times.timeofday import DAY, is_clock_pattern


def axis_notes(axis: TimeAxis) -> list[str]:
    """Return sentences on the steps of dates, where these are not all equally long."""
    step = axis.step
    if step is None:
        if axis.has_dates and axis.calendar == "noleap" and axis.form not in ("cf", "cftime"):
            return ["No row is dated 29 February: the days of a year are 365, one step each."]
        return []
    if not isinstance(step, BusinessDays):
        return [f"Rows are dated by a calendar: one step is one {_one(step.unit)}."]
    notes = [f"Rows are dated by a calendar: one step is one {_one(step.unit)}."]
    if step.holidays:
        days = np.array(step.holidays, dtype="M8[D]")
        which = "last days of leap years" if step.week == "1111111" else "such days"
        rows = f"{len(days)} {which} have no row" if len(days) > 1 else f"1 of {which} has no row"
        notes = [f"{notes[0][:-1]}; {rows}, as holidays ({days[0]} ...), and are no steps."]
    return notes


def midnight_note(axis: TimeAxis, times: Sequence[np.ndarray]) -> list[str]:
    """Return a sentence on times of a clock that pass midnight.

    Parameters
    ----------
    times : sequence of array, each shape (n_rows,)
        Along the axis, one vector a trajectory.
    """
    if axis.form not in ("elapsed", "texts") or not is_clock_pattern(axis.detail):
        return []
    if axis.has_dates:
        times = [axis.ticks(t) / axis.second for t in times if np.isfinite(t).all()]
    last = max((float(np.nanmax(t)) for t in times if np.isfinite(t).any()), default=0.0)
    if last < DAY:
        return []
    count = int(last // DAY)
    often = "once" if count == 1 else f"{count} times"
    return [f"The times of day pass midnight {often}, and go on to the next day there."]


def serial_note(axis: TimeAxis, times: Sequence[np.ndarray], style: TimeStyle) -> list[str]:
    """Return a sentence on numbers that may be days counted by a spreadsheet or such.

    Parameters
    ----------
    times : sequence of array, each shape (n_rows,)
        Along the axis, one vector a trajectory.
    style : TimeStyle
        How the user says that they are written.
    """
    known = np.concatenate([t[np.isfinite(t)] for t in times])
    found = None if axis.form != "numbers" or style != TimeStyle() else serial_kind(known)
    if found is None:
        return []
    kind, first = found
    return [
        f"Times such as {known[0]:.10g} may count days, this one {first}: time_format={kind!r} "
        f"(--time-format {kind}) makes them dates, time_format='numbers' says that they are none."
    ]


def _one(unit: str) -> str:
    return f"span of {unit}" if unit[:1].isdigit() else unit
