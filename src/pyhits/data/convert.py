"""From what users hold (arrays, lists, DataFrames, xarray, tensors) to plain arrays and times."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from pyhits.data.labelled import from_xarray, is_labelled
from pyhits.data.pieces import (
    Pieces,
    check_is_one,
    check_step,
    common_step,
    from_array,
    is_of,
    step_rounding,
)
from pyhits.data.sampling import Sampling, parts_of_labelled
from pyhits.data.tables import records
from pyhits.data.tables.assemble import from_columns
from pyhits.data.tables.column_choice import ALL_COLUMNS, ColumnChoice
from pyhits.data.tables.frames import from_frame, is_frame
from pyhits.data.times.reading import joined_axes
from pyhits.errors import DataError
from pyhits.util.checks import as_numeric, as_positive


def to_pieces(
    data: Any, dt: float | None = None, *, raw: bool = False, choice: ColumnChoice = ALL_COLUMNS
) -> Pieces:
    """Return the arrays that ``data`` holds, with its step, names and start times.

    Pieces come back as they are, with ``dt`` if they have none. Raw ones may hold NaN where a value
    or a time is missing, and have ``times`` as they came, instead of ``dt`` and ``start_times``.

    Raises DataError: the data do not hold numbers in one of the accepted shapes.
    Raises ArgumentError: ``dt`` contradicts the times that the data carry.
    """
    if dt is not None:
        dt = as_positive(dt, "dt")
    check_is_one(data)
    if data is None or isinstance(data, set):
        raise DataError(f"Expected trajectories, got {type(data).__name__}.")
    if isinstance(data, (str, bytes, os.PathLike)):
        text = f"the text {data!r}" if isinstance(data, str) else repr(data)
        raise DataError(f"Expected trajectories, got {text}; read files with pyhits.read")
    _refuse_unread(data)
    if isinstance(data, np.ndarray) and data.dtype == object and data.ndim == 1 and len(data):
        # The usual way to keep arrays of different lengths in one NumPy array.
        data = list(data) if all(hasattr(item, "shape") for item in data) else data
    if isinstance(data, Pieces):
        pieces = data
    elif is_frame(data):
        pieces = from_frame(data, choice=choice, raw=raw)
    elif is_labelled(data):
        pieces = _from_labelled(data, raw=raw, choice=choice)
    elif isinstance(data, np.ndarray) and records.is_table(data):
        table = records.columns(data.ravel())
        pieces = from_columns(*table, where="the records", choice=choice, raw=raw)
    elif isinstance(data, (list, tuple)) and data and _is_trajectory(data[0]):
        pieces = from_list(data, raw=raw, choice=choice)
    else:
        pieces = from_array(as_numeric(data, what="The data", missing=raw))
    check_step(dt, pieces.dt, step_rounding(pieces))
    pieces.dt = pieces.dt if pieces.dt is not None else dt
    return pieces


def _refuse_unread(data: Any) -> None:
    """Refuse what has no rows yet, and say how they are had.

    Raises DataError.
    """
    name = type(data).__name__
    if isinstance(data, Iterator):
        raise DataError(f"Expected trajectories, got a {name}, which holds none yet: list(...).")
    if is_of(data, "pandas", "BaseGroupBy"):
        raise DataError(f"Expected trajectories, got a {name}: give [part for _, part in groups].")
    if hasattr(data, "toarray"):
        raise DataError(f"Expected trajectories, got a {name}: give its toarray().")


def _from_labelled(data: Any, *, raw: bool, choice: ColumnChoice) -> Pieces:
    """An xarray object, or stretches of one that is too large."""
    parts = parts_of_labelled(data, Sampling())
    if parts is None:
        return from_xarray(data, raw=raw, style=choice.style)
    pieces = from_list(parts.items, raw=raw, choice=choice)
    pieces.notes.append(parts.note)
    return pieces


def _is_trajectory(item: Any) -> bool:
    """Tell whether an entry of a list is a trajectory, not a plain list of numbers."""
    return bool(getattr(item, "shape", ())) or is_of(item, "xarray", "Dataset")


def from_list(items: Any, *, raw: bool = False, choice: ColumnChoice = ALL_COLUMNS) -> Pieces:
    """A list of trajectories, each an array, a tensor, a frame, an xarray object or pieces."""
    shapes = [tuple(getattr(item, "shape", ())) for item in items]
    if len(items) > 1 and len(shapes[0]) == 1 and len(set(shapes)) == 1:
        raise DataError(
            f"A list of {len(items)} arrays of shape {shapes[0]} can be read two ways. For one "
            "state a time, give numpy.stack(list); for trajectories of one feature, give "
            "[a[:, None] for a in list]."
        )
    parts = []
    for k, item in enumerate(items):
        try:
            parts.append(to_pieces(item, raw=raw, choice=choice))
        except DataError as error:
            raise DataError(f"Trajectory {k} of the list: {error}") from None
    arrays = []
    for k, part in enumerate(parts):
        if part.even is not None or len(part.arrays) != 1:
            raise DataError(f"Entry {k} of the list holds several trajectories; expected one.")
        arrays.append(part.arrays[0])
        if part.feature_names != parts[0].feature_names:
            raise DataError(
                f"Trajectory {k} has features {part.feature_names}, trajectory 0 has "
                f"{parts[0].feature_names}."
            )
    times = [p.times[0] for p in parts if p.times is not None]
    if times and len(times) < len(parts):
        raise DataError("Some trajectories of the list carry times, and others do not.")
    dt = common_step([p.dt for p in parts], max(step_rounding(part) for part in parts))
    starts = [float(p.start_times[0]) if p.start_times is not None else 0.0 for p in parts]
    axis, moved = joined_axes([p.axis for p in parts], starts)
    if times and axis.has_dates:
        firsts = joined_axes([p.axis for p in parts], [0.0] * len(parts))[1]
        times = [t + first for t, first in zip(times, firsts, strict=True)]
    names, grid = parts[0].feature_names, parts[0].grid
    grid = grid if all(part.grid == grid for part in parts) else None
    return Pieces(arrays, None, dt, names, moved, grid, times=times or None, axis=axis)
