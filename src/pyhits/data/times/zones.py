"""The clock on the wall: between UTC and the time of a zone, changes of the clock included."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from pyhits.errors import ArgumentError

#: A zone for each way in which clocks are set.
_ZONES = (
    "Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "America/Chicago",
    "America/Denver", "America/Los_Angeles", "America/Halifax", "America/Anchorage",
    "Australia/Sydney", "Australia/Adelaide", "Pacific/Auckland", "America/Santiago",
    "Asia/Jerusalem", "America/St_Johns", "Atlantic/Azores", "Africa/Cairo", "Europe/Chisinau",
)  # fmt: skip

_EPOCH = datetime(1970, 1, 1)


def zone_named(name: str) -> tzinfo:
    """Return a zone by its name, ``"Europe/Berlin"``, ``"UTC"`` or ``"+01:00"``.

    Raises ArgumentError: there is no such zone.
    """
    if not isinstance(name, str):
        raise ArgumentError(f"Expected time_zone to be a name such as Europe/Berlin, got {name!r}.")
    found = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?", name)
    if found:
        ahead = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return timezone(-ahead if found[1] == "-" else ahead)
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ArgumentError(
            f"Unknown time zone {name!r}; expected a name such as Europe/Berlin, or UTC, +01:00."
        ) from None


def zone_of(ticks: np.ndarray, minutes: np.ndarray, second: int) -> str:
    """Return a zone whose clock is ahead as dates with changing offsets say, else ``"UTC"``.

    Parameters
    ----------
    ticks : array of int64, shape (n,)
        Of UTC.
    minutes : array, shape (n,)
        How far each date is ahead of UTC.
    """
    order = np.argsort(ticks, kind="stable")
    changes = np.flatnonzero(np.diff(minutes[order])) + 1
    if len(changes) > 2 * (1 + (ticks[order[-1]] - ticks[order[0]]) // (10**7 * second)):
        return "UTC"  # no clock is set so often
    evenly = np.linspace(0, len(ticks) - 1, 50).astype(np.int64)
    at = order[np.unique(np.concatenate([evenly, changes, changes - 1]))]
    for name in _ZONES:
        with contextlib.suppress(ArgumentError):  # not every system has all of them
            if (ahead_of_utc(ticks[at], name, second) == minutes[at]).all():
                return name
    return "UTC"


def check_zone(name: str) -> str:
    """Return the name of a zone that there is, of which :func:`zone_named` raises."""
    zone_named(name)
    return name


def ahead_of_utc(ticks: np.ndarray, zone: str, second: int) -> np.ndarray:
    """Return the minutes that a zone's clock is ahead at ticks of UTC."""
    of = zone_named(zone)
    hours, place = np.unique(ticks // (900 * second), return_inverse=True)
    minutes = [
        _minutes((_EPOCH + timedelta(minutes=15 * quarter)).replace(tzinfo=UTC).astimezone(of))
        for quarter in hours.tolist()
    ]
    return np.array(minutes, dtype=np.int64)[place.reshape(-1)]


def to_wall(ticks: np.ndarray, zone: str, second: int) -> np.ndarray:
    """Return ticks of the clock on the wall."""
    return np.asarray(ticks + 60 * second * ahead_of_utc(ticks, zone, second))


def to_utc(ticks: np.ndarray, zone: str, second: int) -> np.ndarray:
    """Return ticks of UTC, of a clock on the wall read row by row.

    Where the clock is set back an hour is there twice: it is the second one from the row on at
    which the clock jumps back.
    """
    of = zone_named(zone)
    quarters, place = np.unique(ticks // (900 * second), return_inverse=True)
    walls = [_EPOCH + timedelta(minutes=15 * quarter) for quarter in quarters.tolist()]
    first, second_time = (
        np.array([_minutes(wall.replace(tzinfo=of, fold=fold)) for wall in walls], dtype=np.int64)
        for fold in (0, 1)
    )
    place = place.reshape(-1)
    early = ticks - 60 * second * first[place]
    late = ticks - 60 * second * second_time[place]
    if (first <= second_time).all():  # also where the clock is set forward: nothing is there twice
        return early
    twice = first[place] > second_time[place]
    back = np.concatenate([[False], np.diff(ticks) < 0])
    # Within a repeated hour all rows behind the jump are later ones.
    group = np.cumsum(~twice | np.concatenate([[True], twice[1:] != twice[:-1]]))
    jumped = np.zeros(len(ticks), dtype=bool)
    for k in np.flatnonzero(back & twice):
        jumped[(group == group[k]) & (np.arange(len(ticks)) >= k)] = True
    # An hourly recording has the same hour once more: the second of two equal times.
    same = np.concatenate([[False], np.diff(ticks) == 0]) & twice
    return np.where(jumped | same, late, early)


def _minutes(moment: datetime) -> int:
    ahead = moment.utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds() // 60)
