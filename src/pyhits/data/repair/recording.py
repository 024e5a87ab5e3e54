"""One recording on its way to be mended: its rows as they came, and what was said about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyhits.data.convert import to_pieces
from pyhits.data.pieces import Pieces, set_times, with_features
from pyhits.data.tables.column_choice import ALL_COLUMNS, ColumnChoice
from pyhits.data.tables.frames import from_frame, is_frame
from pyhits.data.times import NUMBERS, SHOWN, TimeAxis, TimeStyle
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import as_numeric
from pyhits.util.printable import listing


@dataclass(frozen=True)
class Recording:
    """Rows of one trajectory, with their times and their numbers in what the user gave."""

    number: int  # of the trajectory, from 0
    times: np.ndarray  # (n_rows,): in the unit of the data; NaN where one is missing
    values: np.ndarray  # (n_rows, n_features): NaN where one is missing
    rows: np.ndarray  # int, (n_rows,): which of the trajectory's rows each was, from 0
    axis: TimeAxis = NUMBERS  # what the times mean

    def at(self, time: float) -> str:
        """Return how a time is said: as a date where it is one."""
        return self.axis.readable([time])[0]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, chosen: Any) -> Recording:
        """Return the chosen rows, in the order of their numbers or where a mask is true."""
        return replace(
            self, times=self.times[chosen], values=self.values[chosen], rows=self.rows[chosen]
        )


def recordings(pieces: Pieces) -> list[Recording]:
    """Return the trajectories of raw pieces, one by one.

    Raises DataError: the times are not one a row, or the trajectories have different features.

    Parameters
    ----------
    pieces : Pieces
        As ``to_pieces(data, raw=True)`` returns them.
    """
    arrays = list(pieces.even) if pieces.even is not None else pieces.arrays
    for k, array in enumerate(arrays):
        if array.ndim != 2 or array.shape[1] != arrays[0].shape[1]:
            raise DataError(
                f"Trajectory {k} has shape {array.shape}, trajectory 0 has {arrays[0].shape}; "
                "expected (time, feature), with the same features."
            )
    known = pieces.times
    if known is None:
        dt = pieces.dt if pieces.dt is not None else 1.0
        starts = pieces.start_times if pieces.start_times is not None else np.zeros(len(arrays))
        known = [start + dt * np.arange(len(a)) for start, a in zip(starts, arrays, strict=True)]
    found = []
    for k, (t, array) in enumerate(zip(known, arrays, strict=True)):
        if t.shape != (len(array),):
            raise DataError(
                f"Trajectory {k} has {len(array)} rows, but times of shape {t.shape}; expected "
                "one a row."
            )
        found.append(Recording(k, t, array, np.arange(len(array)), pieces.axis))
    return found


def raw_pieces(data: Any, dt: float | None, choice: ColumnChoice = ALL_COLUMNS) -> Pieces:
    """Return what data in memory hold, gaps and uneven times included."""
    if choice.time_column is not None and not hasattr(data, "columns"):
        raise ArgumentError(
            f"time_column={choice.time_column!r} is for files and DataFrames; give other data "
            "times=..."
        )
    if is_frame(data) and hasattr(data, "columns"):
        pieces = from_frame(data, choice=choice, raw=True)
        pieces.dt = dt if pieces.times is None else None
        return pieces
    if isinstance(data, Trajectories):
        pieces = data.as_pieces()
        return to_pieces(with_features(pieces, choice) if choice else pieces, dt)
    pieces = to_pieces(data, dt, raw=True)
    return with_features(pieces, choice) if choice else pieces


def with_times(pieces: Pieces, times: Any, style: TimeStyle = SHOWN) -> Pieces:
    """Return raw pieces whose rows have these times, numbers or dates.

    Raises DataError, ArgumentError: they are no times, or given though the data carry their own.

    Parameters
    ----------
    times : array, shape (n_rows,), or list of such
        One vector for all trajectories or one each.
    """
    if pieces.times is not None or pieces.dt is not None:
        raise ArgumentError("times were given, but the data carry their own.")
    n = len(pieces.arrays) if pieces.even is None else len(pieces.even)
    several = isinstance(times, (list, tuple)) and len(times) and np.ndim(times[0]) > 0
    given: Sequence[Any] = times if several else [times] * n
    if isinstance(times, np.ndarray) and times.ndim == 2:
        given = list(times)
    if len(given) != n:
        raise ArgumentError(f"Expected times for {n} trajectories, got {len(given)} vectors.")
    set_times(pieces, [_plain(t) for t in given], ["times"], raw=True, style=style)
    return pieces


def _plain(times: Any) -> Any:
    """Return times that are numbers of any kind, torch's included, as an array."""
    if hasattr(times, "detach") or isinstance(times, np.ma.MaskedArray):
        return as_numeric(times, what="times", missing=True)
    if type(getattr(times, "dtype", None)).__name__ in ("PeriodDtype", "DatetimeTZDtype"):
        return times
    return np.asarray(times)


def listed(rows: np.ndarray) -> str:
    """Return ``"row 17"`` or ``"rows 17, 18 and 3 more"``."""
    return f"row{'' if len(rows) == 1 else 's'} {listing(rows)}"


def counted(n: int, what: str) -> str:
    """Return ``"1 row"`` or ``"3 rows"``."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def named_of(number: int, n: int) -> str:
    """Return ``"trajectory 2: "`` where there are several trajectories."""
    return f"Trajectory {number}: " if n > 1 else ""
