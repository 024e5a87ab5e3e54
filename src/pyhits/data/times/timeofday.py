"""Times without a date: of a clock, which passes midnight, or since a start, which goes on."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

DAY = 86400

#: Times since a start whose hours go on beyond 24; with days; and those without seconds.
HOURS, DAYS, HOURS_AND_MINUTES = "hours", "days", "hours:minutes"

_TEXT = re.compile(
    r"(?:(?P<days>-?\d+) days? ?)?"
    r"(?:\+?(?P<H>\d{1,3}):(?P<M>[0-5]\d)(?::(?P<S>[0-5]\d(?:[.,](?P<f>\d+))?))?"
    r"(?P<space> ?)(?P<half>[AaPp][Mm])?)?"
)

#: How far past midnight the first time of a day may be, in usual steps: rows may be missing.
_LONGEST = 5


def read_clock(texts: Sequence[str]) -> tuple[np.ndarray, str] | None:
    """Return times such as ``23:59:59.5``, ``05:00 PM`` or ``2 days 03:00:00`` in seconds.

    Returns
    -------
    seconds : array, shape (n,)
        Since midnight, or since the start.
    detail : str
        How they are written: :data:`HOURS`, :data:`DAYS`, or a pattern such as ``"%H:%M"`` if they
        may be of a clock. None is returned in place of both where a text is no such time.
    """
    found = [_TEXT.fullmatch(text.strip()) for text in texts]
    parts = [match for match in found if match is not None and match.group(0)]
    if len(parts) < len(texts):
        return None
    if any(match["half"] and not 1 <= int(match["H"]) <= 12 for match in parts):
        return None
    seconds = np.array([_seconds(match) for match in parts])
    if any(match["days"] for match in parts):
        return seconds, DAYS
    halves = {match["half"] is not None for match in parts}
    is_clock = seconds.max() < DAY and all(match["H"] and len(match["H"]) < 3 for match in parts)
    with_seconds = any(match["S"] for match in parts)
    if len(halves) > 1 or not (is_clock and (halves == {True} or seconds[0] > 0)):
        return seconds, HOURS if with_seconds else HOURS_AND_MINUTES
    digits = max(len(match["f"] or "") for match in parts)
    short = any(len(match["H"]) == 1 for match in parts)
    hour = ("%-I" if short else "%I") if halves == {True} else ("%-H" if short else "%H")
    pattern = f"{hour}:%M" + (":%S" if with_seconds else "")
    pattern += f".%{min(digits, 9)}f" if digits else ""
    if halves == {True}:
        mark = "%-p" if (parts[0]["half"] or "").islower() else "%p"
        pattern += f"{parts[0]['space']}{mark}"
    return seconds, pattern


def _seconds(match: re.Match[str]) -> float:
    hour = int(match["H"] or 0)
    if match["half"]:
        hour = hour % 12 + 12 * (match["half"] in ("PM", "pm", "Pm", "pM"))
    second = float((match["S"] or "0").replace(",", "."))
    whole = float(DAY * int(match["days"] or 0) + 3600 * hour + 60 * int(match["M"] or 0))
    return whole + second


def is_clock_pattern(pattern: str) -> bool:
    """Tell whether a pattern says a time of day and no date."""
    return bool(re.search(r"%[-_^]?[HI]", pattern)) and not re.search(
        r"%[-_^]?[YymbBdjqGVusUcxD]", pattern
    )


def over_midnight(times: np.ndarray, day: int = DAY) -> np.ndarray:
    """Return times of a clock that goes on to the next day where it passes midnight.

    Times are given back as they are where they fall otherwise, as in rows that are not in order.

    Parameters
    ----------
    times : array, shape (n_rows,)
        Of one trajectory, between 0 and ``day``; NaN where there is none.
    """
    known = np.flatnonzero(np.isfinite(times))
    of_clock = times[known]
    steps = np.diff(of_clock)
    rises = steps[steps > 0]
    falls = steps < 0
    if not falls.any() or not len(rises) or of_clock.min() < 0 or of_clock.max() >= day:
        return times
    if (steps[falls] + day > _LONGEST * np.median(rises)).any():
        return times
    result = times.copy()
    result[known[1:]] += (day * np.cumsum(falls)).astype(times.dtype)
    return result


def elapsed(seconds: float, detail: str = DAYS) -> str:
    """Return a time since the start as ``"1 days 02:03:04"``, without days if there are none.

    ``"26:03:04"`` where ``detail`` is :data:`HOURS`.
    """
    whole, micro = divmod(round(seconds * 1e6), 10**6)
    days, rest = divmod(whole, DAY)
    if detail != DAYS:
        days, rest = 0, whole
    fraction = f".{micro:06d}".rstrip("0") if micro else ""
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}"
    if detail != HOURS_AND_MINUTES or rest % 60 or micro:
        clock += f":{rest % 60:02d}{fraction}"
    return f"{days} days {clock}" if days else clock
