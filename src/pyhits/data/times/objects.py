"""Times along an axis as the objects that users gave: of NumPy, pandas, cftime or Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyhits.data.times.axis import TimeAxis, without_rounding
from pyhits.data.times.calendars import calendar_named, day_number, year_month_day
from pyhits.data.times.numbers import cf_ticks
from pyhits.data.times.values import periods_of_days_at_work
from pyhits.data.times.writing import MICRO
from pyhits.data.times.zones import to_utc

#: How far from a whole number of steps a row may be, in steps.
_WHOLE = 1e-6


def as_objects(axis: TimeAxis, times: Any) -> Any:
    """Return times as what they came as: numbers, texts, or objects of NumPy, pandas, cftime.

    Dates of pandas come as an index of its own kind.
    """
    times = np.asarray(times, dtype=np.float64)
    if axis.form == "timedelta":
        return np.rint(times * 1e9).astype("m8[ns]")
    if axis.form == "elapsed":
        return np.array(axis.labels(times), dtype=object)
    if axis.origin is None:
        whole = np.rint(times)
        are_whole = axis.detail == "integers" and bool((np.abs(times - whole) < 1e-6).all())
        return whole.astype(np.int64) if are_whole else without_rounding(times)
    if axis.form == "texts":
        return np.array(axis.labels(times), dtype=object)
    if axis.form == "digits":
        return np.array([int(text) for text in axis.labels(times)])
    if axis.form in ("epoch", "serial"):
        return np.array([float(text) if "." in text else int(text) for text in axis.labels(times)])
    if axis.form == "cf":
        return _of_cf(axis, times)
    if axis.form == "cftime":
        return _of_cftime(axis, times)
    if axis.form == "period":
        import pandas as pd

        with periods_of_days_at_work():
            return pd.PeriodIndex(pd.DatetimeIndex(axis.at(times)), freq=axis.detail)
    if axis.zone is not None:
        import pandas as pd

        wall = axis.at(times)
        second = 10**9 if wall.dtype == np.dtype("M8[ns]") else MICRO
        ticks = axis.ticks(times)
        utc = to_utc(ticks, axis.zone, second) if axis.is_wall else ticks
        unit = axis.detail if axis.detail in ("s", "ms", "us", "ns") else "us"
        stamps = utc.astype(f"M8[{'ns' if second > MICRO else 'us'}]").astype(f"M8[{unit}]")
        return pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(axis.zone)
    if axis.form == "objects":
        moments = axis.at(times).astype("M8[us]").tolist()
        if axis.detail == "date":
            moments = [moment.date() for moment in moments]
        made = np.empty(len(moments), dtype=object)
        made[:] = moments
        return made
    dates = axis.at(times)
    return dates.astype(f"M8[{axis.detail}]") if axis.detail else dates


def _of_cf(axis: TimeAxis, times: np.ndarray) -> np.ndarray:
    """Return numbers in the units of a file, such as "days since 1850-01-01"."""
    units, _, calendar = axis.detail.partition("|")
    ticks = axis.ticks(times)
    ends = cf_ticks(np.array([0.0, 1.0]), units, calendar)
    assert ends is not None, "the units were read before"
    if not units.strip().lower().startswith(("mon", "y", "common")):
        return np.asarray((ticks - ends[0]) / (ends[1] - ends[0]))
    low, high = np.full(len(ticks), -120_000.0), np.full(len(ticks), 120_000.0)
    for _ in range(60):  # months are of different lengths: bisection
        middle = (low + high) / 2
        found = cf_ticks(middle, units, calendar)
        assert found is not None, "the units were read before"
        low, high = np.where(found <= ticks, middle, low), np.where(found <= ticks, high, middle)
    return np.asarray(np.round((low + high) / 2, 6))


def _of_cftime(axis: TimeAxis, times: np.ndarray) -> np.ndarray:
    import cftime

    days, rest = np.divmod(axis.ticks(times), 86400 * MICRO)
    year, month, day = year_month_day(days, axis.calendar)
    own = calendar_named(axis.detail)
    if own != axis.calendar:
        check = day_number(year, month, day, own)
        year, month, day = year_month_day(check, own)
    made = np.empty(len(times), dtype=object)
    parts = zip(year.tolist(), month.tolist(), day.tolist(), rest.tolist(), strict=True)
    made[:] = [
        cftime.datetime(
            y, m, d, r // (3600 * MICRO), r // (60 * MICRO) % 60, r // MICRO % 60, r % MICRO,
            calendar=axis.detail,
        )
        for y, m, d, r in parts
    ]  # fmt: skip
    return made


def counted_on(stamps: Any, known: Any) -> Any:
    """Return times in the arithmetic of recorded ones that are the first and so many steps.

    They meet those that are recorded later in all bits then: pandas and xarray align by equal
    times.
    """
    own, known = np.asarray(stamps), np.asarray(known)
    if known.dtype.kind != "f" or own.dtype.kind != "f":
        return stamps
    known = np.unique(known)
    if len(known) < 2:
        return stamps
    mean = float(known[-1] - known[0]) / (len(known) - 1)
    for step in (float(f"{mean:.12g}"), mean, float(known[1] - known[0])):
        if step and np.array_equal(known[0] + step * np.arange(len(known)), known):
            rows = (own - known[0]) / step
            whole = np.rint(rows)
            return np.where(np.abs(rows - whole) < _WHOLE, known[0] + step * whole, own)
    return stamps
