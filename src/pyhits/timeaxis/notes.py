"""What is said of dates that step with a calendar."""

from __future__ import annotations

import numpy as np

from pyhits.timeaxis.axis import TimeAxis
from pyhits.timeaxis.frequency import BusinessDays


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


def _one(unit: str) -> str:
    return f"span of {unit}" if unit[:1].isdigit() else unit
