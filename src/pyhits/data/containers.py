"""Forecasts in the form in which recordings came: DataFrames, Series and DataArrays with times."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyhits.data.labelled import is_labelled
from pyhits.data.pieces import is_of
from pyhits.data.relabelled import relabelled
from pyhits.data.tables.columns import distinct
from pyhits.data.tables.frames import is_frame, named_columns
from pyhits.data.tables.time_names import is_trajectory_name
from pyhits.data.times import TimeAxis
from pyhits.data.times.objects import as_objects, counted_on
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError


def as_trajectories(
    states: np.ndarray, dt: float, start_times: np.ndarray, **settings: Any
) -> tuple[Trajectories, np.ndarray]:
    """Return forecasts as trajectories, each cut where it diverged, and the rows that each keeps.

    Raises DataError: every forecast diverged at once.

    Parameters
    ----------
    states : array, shape (n, time, ...)
        Not finite from where a forecast diverged. One that keeps a single row is left out.
    start_times : array, shape (n,)
    **settings
        Of :class:`~pyhits.Trajectories`: ``feature_names``, ``grid``, ``axis``.
    """
    states = states.reshape(*states.shape[:2], -1)
    rows = np.isfinite(states).all(axis=2).sum(axis=1)
    kept = np.flatnonzero(rows >= 2)
    if len(kept) == 0:
        raise DataError("Every forecast diverged at once, so there is nothing to write.")
    is_whole = (rows == states.shape[1]).all()
    pieces = states if is_whole else [states[k, : rows[k]] for k in kept]
    return Trajectories(pieces, dt, start_times=start_times[kept], **settings), rows


def as_recording(
    states: np.ndarray,
    recording: Any,
    feature_names: Sequence[str],
    times: np.ndarray,
    axis: TimeAxis,
    begins: np.ndarray,
) -> Any:
    """Return a forecast as the recording that it goes on from came.

    Parameters
    ----------
    states : array, shape (m, d), or (n, m, d) of several recordings
    recording : any
        What was gone on from. A DataFrame, Series, DataArray, Dataset, or a list of these, gives
        another; for all else it is None.
    times : array, shape (m,)
        Of the rows since the recording's end.
    axis : TimeAxis
        Of the recording.
    begins : array, shape (n,)
        Times of the recordings' ends along the axis.
    """
    rows = _ForecastRows(states, tuple(feature_names), times, axis, begins)
    if isinstance(recording, (list, tuple)) and states.ndim == 3:
        made = [
            as_recording(rows, item, feature_names, times, axis, begins[k : k + 1])
            for k, (rows, item) in enumerate(zip(states, recording, strict=True))
        ]
        return None if any(item is None for item in made) else made
    if is_of(recording, "pandas", "Series") and states.shape[-1] == 1 and states.ndim == 2:
        frame = _as_frame(replace(rows, names=("0",)), recording.to_frame())
        return frame.iloc[:, 0].rename(recording.name)
    if is_of(recording, "pandas", "DataFrame") and states.ndim in (2, 3):
        return _as_frame(rows, recording)
    if is_of(recording, "polars", "Series") and states.shape[-1] == 1 and states.ndim == 2:
        return type(recording)(recording.name, states[:, 0])
    if is_frame(recording):
        return _as_table(rows, recording)
    if is_labelled(recording):
        shared = as_objects(rows.axis, rows.begins[0] + rows.times)
        return relabelled(states, rows.names, shared, recording)
    return None


@dataclass(frozen=True)
class _ForecastRows:
    """Rows of a forecast, and what their columns and times are."""

    states: np.ndarray  # (m, d), or (n, m, d) of several recordings
    names: tuple[str, ...]  # of the features
    times: np.ndarray  # (m,): since each recording's end
    axis: TimeAxis
    begins: np.ndarray  # (n,): the ends of the recordings along the axis

    @property
    def shape(self) -> tuple[int, int, int]:
        """Recordings, rows of each, features."""
        n, m, d = self.states.shape if self.states.ndim == 3 else (1, *self.states.shape)
        return n, m, d

    @property
    def stamps(self) -> Any:
        """The times of all rows, as what the recording's came as."""
        return as_objects(self.axis, (self.begins[:, None] + self.times).ravel())

    def columns(self) -> dict[str, np.ndarray]:
        """Return the features by their names, each of shape ``(n * m,)``."""
        rows = self.states.reshape(-1, self.states.shape[-1])
        return dict(zip(self.names, rows.T, strict=True))


def _as_table(rows: _ForecastRows, table: Any) -> Any:
    """Return rows as a DataFrame of polars, a Table or a RecordBatch of pyarrow."""
    is_polars = is_of(table, "polars", "DataFrame")
    values = rows.columns()
    made: dict[str, Any] = {}
    given, columns = named_columns(table)
    for own, name, column in zip(given, distinct(given)[0], columns, strict=True):
        if name in values:
            kind = column.dtype
            made[own] = np.array(values[name], dtype=kind if kind.kind == "f" else None)
        elif name == rows.axis.name:
            stamps = counted_on(rows.stamps, column)
            is_plain = isinstance(stamps, np.ndarray) and stamps.dtype.kind != "O"
            made[own] = stamps if is_plain else list(stamps)
            if not (is_plain or is_polars):
                made[own] = _in_unit_of(made[own], table.schema.field(own).type)
        elif is_trajectory_name(name):
            firsts = np.sort(np.unique(column, return_index=True)[1])
            made[own] = np.repeat(column[firsts], rows.shape[1])
    return type(table)(made) if is_polars else type(table).from_pydict(made)


def _in_unit_of(dates: list[Any], kind: Any) -> Any:
    """Return dates in the unit that those of a Table of pyarrow came in: lists have another."""
    import pyarrow as pa

    return pa.array(dates, kind) if pa.types.is_timestamp(kind) else dates


def _as_frame(rows: _ForecastRows, frame: Any) -> Any:
    """Return rows in the columns of a frame, with times in a column or its index."""
    import pandas as pd

    n, m, d = rows.shape
    axis = rows.axis
    names = distinct(["" if c is None or c != c else str(c) for c in frame.columns])[0]
    own = [name for name in names if name != axis.name and not is_trajectory_name(name)]
    if d == len(own) and not set(rows.names) <= set(own):
        rows = replace(rows, names=tuple(own))  # a model of arrays takes columns in their order
    values = rows.columns()
    made: dict[int, Any] = {}
    for k, (name, column) in enumerate(zip(names, frame.columns, strict=True)):
        if name in values:
            dtype = frame.dtypes.iloc[k]
            is_float = getattr(dtype, "kind", "") == "f"
            made[k] = pd.array(values[name], dtype=dtype) if is_float else values[name]
        elif is_trajectory_name(name):
            made[k] = frame[column].drop_duplicates().to_numpy()[np.repeat(np.arange(n), m)]
        elif name == axis.name:
            made[k] = counted_on(rows.stamps, frame.iloc[:, k])
    result = pd.DataFrame(made)
    result.columns = frame.columns[list(made)]  # names may be there twice, or have levels
    if axis.name is None or axis.name not in names:
        _set_index(result, rows, frame)
    return result


def _set_index(result: Any, rows: _ForecastRows, frame: Any) -> None:
    """Give a frame the index that goes on from that of another, where it says times."""
    import pandas as pd

    n, m, _ = rows.shape
    axis, names = rows.axis, list(frame.index.names)
    labels = [str(name) for name in names]
    if len(labels) > 1 or is_trajectory_name(labels[0]):
        every = [frame.index.get_level_values(k).unique() for k in range(len(labels))]
        numbering = _numbering(labels, every, rows)
        if len(labels) > 2 or any(len(every[k]) != n for k in numbering):
            return
        ids = np.repeat(np.arange(n), m)
        levels = [
            every[k][ids] if k in numbering else counted_on(rows.stamps, every[k])
            for k in range(len(labels))
        ]
        result.index = pd.MultiIndex.from_arrays(levels, names=names)
    elif (
        axis.has_dates
        or axis.form == "timedelta"
        or axis.name == labels[0]
        or (n == 1 and frame.index.dtype.kind == "f")
    ):
        stamps = counted_on(rows.stamps, frame.index)
        result.index = _of_unit(pd.Index(stamps, name=names[0]), frame.index)
        freq = getattr(frame.index, "freq", None)
        if freq is not None and hasattr(result.index, "to_period") and n == 1:
            with contextlib.suppress(ValueError):  # the dates are not of this frequency
                result.index.freq = freq
    elif n == 1 and frame.index.dtype.kind in "iu" and len(frame):
        last = int(frame.index[-1])
        result.index = pd.RangeIndex(last, last + m, name=names[0])


def _of_unit(index: Any, given: Any) -> Any:
    """Return dates in the unit of others, such as nanoseconds, where it holds them exactly."""
    unit = getattr(given, "unit", None)
    if unit is not None and hasattr(index, "as_unit"):
        with contextlib.suppress(ValueError, OverflowError):  # it does not reach so far
            same = index.as_unit(unit)
            return same if (same == index).all() else index
    return index


def _numbering(labels: list[str], every: list[Any], rows: _ForecastRows) -> list[int]:
    """Return the levels of an index that number the recordings."""
    found = [k for k, label in enumerate(labels) if is_trajectory_name(label)]
    n = rows.shape[0]
    if not found and len(labels) == 2 and n > 1:  # the level that is not the time
        found = [k for k, label in enumerate(labels) if label != rows.axis.name][:1]
        found = [0] if len(every[0]) == n and rows.axis.name is None else found
    return found
