"""The layout in which PyHiTS writes archives (.npz, .mat, .h5 and ragged .nc): packed rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.declared_grid import DeclaredGrid
from pyhits.data.files.conventions import text_of
from pyhits.data.grid import WITH_COORDINATES, Grid
from pyhits.data.pieces import Pieces
from pyhits.data.times import NUMBERS, TimeAxis
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, FileFormatError

#: Raised whenever an older PyHiTS could not read what is written.
FORMAT_VERSION = 1


def to_arrays(trajectories: Trajectories) -> dict[str, np.ndarray]:
    """Return trajectories as named arrays.

    ``values`` ``(n_rows, n_features)``, ``lengths`` and ``start_times`` ``(n_trajectories,)``,
    ``feature_names`` ``(n_features,)``, the scalars ``dt`` and ``pyhits`` (the format's version);
    ``grid``, where the numbers of a row lie, where that is known, and ``time_axis``, what the
    times mean, where they are dates or have a name.
    """
    grid = grid_text(trajectories)
    axis = axis_text(trajectories)
    return {
        "pyhits": np.array(FORMAT_VERSION),
        "values": trajectories.values,
        "lengths": trajectories.lengths,
        "dt": np.array(trajectories.dt),
        "start_times": trajectories.start_times,
        "feature_names": np.array(trajectories.feature_names, dtype=np.str_),
        **({} if grid is None else {"grid": np.array([grid], dtype=np.str_)}),
        **({} if axis is None else {"time_axis": np.array([axis], dtype=np.str_)}),
    }


def is_ours(names: Any) -> bool:
    """Tell whether a file with these names was written by PyHiTS."""
    return "pyhits" in names


def from_arrays(
    arrays: Mapping[str, Any], path: Path, time_column: str | int | None = None
) -> Pieces:
    """Return what :func:`to_arrays` wrote; without its times for a ``time_column`` of ``"none"``.

    Raises FileFormatError: an array is missing, they contradict each other, or a newer PyHiTS wrote
    them.
    Raises ArgumentError: other times are asked for than those in the file.
    """
    if time_column not in (None, "none"):
        raise ArgumentError(
            f"time_column={time_column!r} was given, but PyHiTS wrote this file with its own "
            'times; time_column="none" leaves them aside.'
        )
    try:
        _check_version(arrays, path)
        values = np.asarray(arrays["values"])
        lengths = np.asarray(arrays["lengths"]).ravel().astype(np.int64)
        pieces = Pieces(
            dt=float(np.asarray(arrays["dt"]).item()),
            feature_names=[text_of(name) for name in np.asarray(arrays["feature_names"]).ravel()],
            start_times=np.asarray(arrays["start_times"]).ravel().astype(np.float64),
            axis=as_axis(arrays.get("time_axis")),
        )
        pieces.grid = as_grid(arrays.get("grid"), arrays.get("snapshot", ()))
    except KeyError as error:
        missing = error.args[0]
        raise FileFormatError(
            f"{path} says that PyHiTS wrote it, but it holds no {missing!r}; write it again."
        ) from None
    except (TypeError, ValueError) as error:
        raise FileFormatError(
            f"{path} says that PyHiTS wrote it, but its arrays are damaged: {error}."
        ) from None
    _check_consistent(values, lengths, pieces, path)
    if len(lengths) and (lengths == lengths[0]).all():
        pieces.even = values.reshape(len(lengths), -1, values.shape[1])
    else:
        pieces.arrays = np.split(values, np.cumsum(lengths)[:-1])
    if time_column == "none":
        pieces.dt, pieces.start_times, pieces.axis = None, None, NUMBERS
    return pieces


def _check_version(arrays: Mapping[str, Any], path: Path) -> None:
    version = int(np.asarray(arrays["pyhits"]).item())
    if version > FORMAT_VERSION:
        raise FileFormatError(
            f"{path} has format version {version}, but this PyHiTS reads up to "
            f"{FORMAT_VERSION}: pip install --upgrade pyhits"
        )


def _check_consistent(values: np.ndarray, lengths: np.ndarray, pieces: Pieces, path: Path) -> None:
    """Raise a FileFormatError if arrays contradict each other."""
    starts, names, dt = pieces.start_times, pieces.feature_names or [], pieces.dt or 0.0
    assert starts is not None, "they were read"
    consistent = (
        values.ndim == 2
        and values.dtype.kind == "f"
        and (lengths >= 0).all()
        and lengths.sum() == len(values)
        and len(starts) == len(lengths)
        and len(names) == values.shape[1]
        and 0 < dt < np.inf
        and (pieces.grid is None or pieces.grid.n_features == values.shape[1])
    )
    if not consistent:
        raise FileFormatError(
            f"{path} says that PyHiTS wrote it, but its arrays contradict each other: values "
            f"{values.shape}, {lengths.sum()} rows in {len(lengths)} trajectories, "
            f"{len(starts)} start times, {len(names)} feature names, dt {dt:g}. Write it again."
        )


def axis_text(trajectories: Trajectories) -> str | None:
    """Return what the times mean as a text for files; None for plain numbers without a name."""
    plain = trajectories.axis.as_dict()
    return json.dumps(plain) if plain else None


def grid_text(trajectories: Trajectories) -> str | None:
    """Return the grid as a text for files; None where none is known."""
    grid = trajectories.grid
    if grid is None:
        return None
    points = [None if own is None else own.tolist() for own in grid.coordinates]
    return json.dumps({**grid.plain(), "coordinates": points})


def as_grid(stored: Any, snapshot: Any = ()) -> Grid | None:
    """Return what :func:`grid_text` wrote, or the grid of the shape that older files hold.

    Raises ValueError: it is damaged.
    """
    text, shape = _the_text(stored), [int(n) for n in np.asarray(snapshot).ravel()]
    try:
        if text is not None:
            return Grid(**WITH_COORDINATES.read(json.loads(text), "grid"))
        return DeclaredGrid.of(shape).of_rows(math.prod(shape), None) if shape else None
    except ArgumentError as error:
        raise ValueError(str(error)) from None


def _the_text(stored: Any) -> str | None:
    items = [] if stored is None else np.asarray(stored).ravel().tolist()
    return text_of(items[0]) if items else None


def as_axis(stored: Any) -> TimeAxis:
    """Return what :func:`axis_text` wrote.

    Raises ValueError: it is damaged.
    """
    text = _the_text(stored)
    if text is None:
        return NUMBERS
    plain = json.loads(text)
    if not isinstance(plain, dict):
        raise ValueError("its times are damaged")
    return TimeAxis.from_dict(plain)
