"""Time axes: which column holds the time, whether it is uniform, and the step it gives."""

from __future__ import annotations

import contextlib
import re
from datetime import date, datetime
from typing import Any

import numpy as np

from pyhits.checks import BY_REPAIR, is_missing
from pyhits.errors import DataError

#: Dates as text, such as ``2020-01-31``, ``2020-01-31 12:00:00.5`` or ``2020-01-31T12:00Z``.
_DATE = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?)?$")

#: A time may be this far from the uniform grid, as a fraction of the step.
UNIFORM_TOLERANCE = 1e-2


def is_date(text: str) -> bool:
    """Tell whether a text is a date, with or without the time of day, in the ISO order."""
    return _DATE.match(text) is not None


def as_seconds(times: Any, *, missing: bool = False) -> np.ndarray:
    """Return times as float64; dates become seconds since the first of them.

    With ``missing`` a time that is not there becomes NaN instead of an error.

    Raises
    ------
    DataError
        A time is missing, or is neither a number nor a date; the row is named.
    """
    array = np.asarray(times)
    if array.dtype.kind in "OSU":
        if missing:
            return _where_known(array)
        array = _from_objects(array)
    if array.dtype.kind in "mM":
        if missing and np.isnat(array).any():
            return _where_known(array)
        if np.isnat(array).any():
            row = int(np.flatnonzero(np.isnat(array))[0])
            raise DataError(f"The time in row {row} is missing (NaT); give every row a time.")
        if array.dtype.kind == "M":
            if np.datetime_data(array.dtype)[0] in "YM":
                array = array.astype("M8[s]")  # months and years have no fixed number of seconds
            array = array - array.flat[0]
        return array / np.timedelta64(1, "s")
    if array.dtype.kind not in "fiub":
        raise DataError(f"Expected times as numbers or dates, got values of type {array.dtype}.")
    return np.asarray(array, dtype=np.float64)


def _where_known(array: np.ndarray) -> np.ndarray:
    """Return the times that are there as :func:`as_seconds` does, and NaN for the others."""
    flat = array.ravel()
    known = np.array([not is_missing(item) for item in flat.tolist()], dtype=bool)
    if flat.dtype.kind in "mM":
        known = ~np.isnat(flat)
    seconds = np.full(flat.shape, np.nan)
    if known.any():
        seconds[known] = as_seconds(flat[known])
    return seconds


def _from_objects(array: np.ndarray) -> np.ndarray:
    """Convert texts or Python objects to numbers or dates."""
    with contextlib.suppress(TypeError, ValueError):
        return array.astype(np.float64)
    items = [_moment(item, row) for row, item in enumerate(array.ravel().tolist())]
    try:
        return np.array([(item - items[0]).total_seconds() for item in items])
    except (TypeError, AttributeError):
        raise DataError("The times mix dates, dates with a time zone, or numbers.") from None


def _moment(item: Any, row: int) -> Any:
    """Return a date from a text; dates stay as they are."""
    if isinstance(item, bytes):
        item = item.decode(errors="replace")
    if isinstance(item, date):
        return item
    if isinstance(item, str) and is_date(item.strip()):
        text = item.strip()
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(text if len(text) > 7 else f"{text}-01")
    raise DataError(
        f"The time in row {row} is {item!r}; expected a number, or a date such as "
        "2020-01-31T12:00:00."
    )


def uniform_step(times: Any, *, where: str = "the time column") -> tuple[float, float]:
    """Check that times are uniform and return their step and their start.

    Parameters
    ----------
    times : array, shape (n_rows,)
        Increasing, uniform to :data:`UNIFORM_TOLERANCE` of a step. Dates count in seconds.
    where : str
        What holds them, for the error message.

    Returns
    -------
    dt, start : float
        The step and the first time, in the unit of ``times``.

    Raises
    ------
    DataError
        A time is missing, repeated, out of order, or off the uniform grid; the row is named.
    """
    t = as_seconds(times)
    if t.ndim != 1:
        raise DataError(f"Expected one time for every row in {where}, got shape {t.shape}.")
    if not np.isfinite(t).all():
        row = int(np.flatnonzero(~np.isfinite(t))[0])
        raise DataError(f"The time in row {row} of {where} is {t[row]}; give every row a time.")
    if len(t) < 2:
        raise DataError(f"Expected at least 2 rows in {where}, got {len(t)}.")
    steps = np.diff(t)
    if not (steps > 0).all():
        row = int(np.flatnonzero(steps <= 0)[0]) + 1
        kind = "repeats" if steps[row - 1] == 0 else "comes before"
        raise DataError(
            f"Times must increase, but row {row} of {where} ({t[row]:.10g}) {kind} "
            f"row {row - 1} ({t[row - 1]:.10g}). Sort the rows, drop the repeated ones, or name "
            "the column that numbers the trajectories 'trajectory'. "
            f"{BY_REPAIR} sorts rows and averages repeated ones."
        )
    dt = float(t[-1] - t[0]) / (len(t) - 1)
    resolution = 4 * float(np.finfo(np.float64).eps) * float(np.abs(t).max())
    if isinstance(times, np.ndarray) and times.dtype == np.float32:
        resolution = 2 * float(np.finfo(np.float32).eps) * float(np.abs(t).max())
    off = np.abs(t - (t[0] + dt * np.arange(len(t))))
    if (off > UNIFORM_TOLERANCE * dt + resolution).any():
        usual = float(np.median(steps))
        row = int(np.argmax(np.abs(steps - usual))) + 1
        raise DataError(
            f"Times are not uniform: between rows {row - 1} and {row} of {where} the step is "
            f"{steps[row - 1]:.10g}, elsewhere {usual:.10g}. {BY_REPAIR} resamples the recording "
            "to one step, and cuts it where the gaps are long."
        )
    return float(f"{dt:.10g}"), float(t[0])
