"""Clocks that are set forward in spring and back in autumn, as local times show them."""

from __future__ import annotations

import numpy as np

from pyhits.data.times.axis import TimeAxis
from pyhits.data.times.calendars import STANDARD

_HOUR = 3600.0

#: Days of a year on which clocks may be set, with room: in the north from March and from late
#: September on, in the south the other way round.
_MONTHS = (3, 4, 9, 10, 11)


def clock_change(axis: TimeAxis, times: np.ndarray) -> str | None:
    """Return what to do about an hour that is missing in spring, or twice there in autumn.

    Parameters
    ----------
    times : array, shape (n_rows,)
        Along the axis, in any order.

    Returns
    -------
    str or None
        A sentence; None where no gap or step back is of that kind.
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
