"""Plain arrays and their times: what every kind of data becomes before it is trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pyhits.data.grid import Grid
from pyhits.data.tables.column_choice import ColumnChoice
from pyhits.data.tables.columns import chosen_features
from pyhits.data.times import NUMBERS, SHOWN, TimeAxis, TimeStyle, read_times
from pyhits.data.times.notes import midnight_note, serial_note
from pyhits.data.times.uniform import same_step, step_error, uniform_step
from pyhits.errors import ArgumentError, DataError, warn
from pyhits.util.printable import listing


@dataclass
class Pieces:
    """Arrays ``(time, feature)`` and what the data said of them.

    ``even`` holds all of them as ``(trajectory, time, feature)`` when they came so; ``arrays`` is
    then empty.
    """

    arrays: list[np.ndarray] = field(default_factory=list)
    even: np.ndarray | None = None
    dt: float | None = None
    feature_names: list[str] | None = None
    start_times: np.ndarray | None = None
    grid: Grid | None = None
    #: Every row's time, one vector a trajectory: in raw pieces, whose times nobody has checked.
    times: list[np.ndarray] | None = None
    #: Whether they hold the features that were chosen, under the names that were given.
    are_chosen: bool = False
    #: What a user should know of how the data were read.
    notes: list[str] = field(default_factory=list)
    #: What numbers the trajectories: the column's name, and what it holds for each, ``(n,)``.
    runs: tuple[str, np.ndarray] | None = None
    #: What ``start_times``, ``dt`` and ``times`` mean.
    axis: TimeAxis = NUMBERS


def from_array(array: np.ndarray) -> Pieces:
    """Return ``(time,)``, ``(time, feature)`` or ``(trajectory, time, feature)`` as pieces."""
    if array.size == 0:
        raise DataError(f"Expected at least one trajectory, got an empty array {array.shape}.")
    if array.ndim == 1:
        return Pieces(arrays=[array[:, None]])
    if array.ndim == 2:
        return Pieces(arrays=[array])
    if array.ndim == 3:
        return Pieces(even=array)
    raise DataError(
        f"Expected (time, feature) or (trajectory, time, feature), got shape {array.shape}. "
        "Of fields say the shape of the grid: grid=(64, 64)."
    )


def is_of(data: Any, package: str, name: str) -> bool:
    """Tell whether ``data`` is of a class of an optional package, without importing it."""
    return any(
        c.__name__ == name and c.__module__.split(".")[0] == package for c in type(data).__mro__
    )


def check_is_one(data: Any) -> None:
    """Refuse a collection of arrays under names, and a dataset whose file is closed.

    Raises DataError: it names what the collection holds.
    """
    if is_of(data, "h5py", "Dataset") and not data:
        raise DataError(
            "The file of this HDF5 dataset is closed; fit while it is open, or give dataset[...]."
        )
    is_named = isinstance(data, Mapping) and not is_of(data, "xarray", "Dataset")
    if not (is_named or is_of(data, "zarr", "Group")):
        return
    names = list(map(str, data.keys()))
    kind = "dict" if isinstance(data, dict) else type(data).__name__
    if not names:
        raise DataError(f"Expected trajectories, got a {kind} that holds nothing.")
    ways = "pandas.DataFrame(data) if these are features, list(data.values()) if trajectories"
    if not isinstance(data, dict):
        ways = "or read the file with pyhits.read(path, variable=...)"
    raise DataError(
        f"Expected trajectories, got a {kind} that holds {listing(names, quoted=True)}: give one "
        f"of them, as in data[{names[0]!r}]; {ways}."
    )


def step_rounding(pieces: Pieces) -> float:
    """Return how far off the step may be that the times of pieces have shown."""
    if pieces.start_times is None:
        return 0.0
    lengths = [len(a) for a in pieces.arrays] if pieces.even is None else [pieces.even.shape[1]]
    return step_error(pieces.start_times, np.array(lengths), pieces.axis)


def check_step(given: float | None, own: float | None, error: float = 0.0) -> None:
    """Raise an ArgumentError if the ``dt`` given is not the one that the data carry."""
    if given is not None and own is not None and not same_step(given, own, error):
        raise ArgumentError(f"dt={given:g} was given, but the data's own times step by {own:g}.")


def common_step(steps: list[float | None], error: float) -> float | None:
    """Return the one step of all trajectories, None if none has one.

    Raises DataError: they differ.
    """
    for k, step in enumerate(steps):
        first = steps[0]
        if (step is None) != (first is None) or (
            step is not None and first is not None and not same_step(step, first, 2 * error)
        ):
            raise DataError(
                f"Trajectory {k} steps by {step}, trajectory 0 by {first}; all need one dt."
            )
    return steps[0]


def with_features(pieces: Pieces, choice: ColumnChoice) -> Pieces:
    """Return pieces of an array with the features that were chosen, under their names.

    Raises ArgumentError: a feature that was chosen is not there.
    """
    first = pieces.even if pieces.even is not None else pieces.arrays[0]
    own = pieces.feature_names or [f"x{k}" for k in range(first.shape[-1])]
    chosen, names = chosen_features(choice, own, "the data")
    return replace(
        pieces,
        arrays=[np.ascontiguousarray(a[:, chosen]) for a in pieces.arrays],
        even=None if pieces.even is None else np.ascontiguousarray(pieces.even[..., chosen]),
        feature_names=names,
        grid=pieces.grid if len(chosen) == first.shape[-1] else None,
    )


def set_times(
    pieces: Pieces,
    times: list[Any],
    labels: list[str],
    *,
    raw: bool,
    name: str | None = None,
    style: TimeStyle = SHOWN,
) -> None:
    """Give pieces the step and the starts that their times show, or raw ones the times.

    Rows that come newest first are turned, and a warning says so.

    Raises DataError: times are missing, not uniform, or step differently; none of it in raw pieces.

    Parameters
    ----------
    times : list of array, Series or index, each shape (n_rows,)
        Of each trajectory, or one vector for all.
    labels, name : list of str and str
        What holds them, for messages; the name of the column or index.
    style : TimeStyle
        How they are written.
    """
    every = times[0] if len(times) == 1 else np.concatenate([np.asarray(t) for t in times])
    where = labels[0].partition(", trajectory")[0] if labels else "the times"
    lengths = [len(t) for t in times]
    axis, found = read_times(every, lengths, where=where, name=name, style=style)
    pieces.axis = axis
    pieces.notes += [*midnight_note(axis, found), *serial_note(axis, found, style)]
    n = len(pieces.arrays) if pieces.even is None else len(pieces.even)
    common = n if len(found) == 1 else 1
    if raw:
        pieces.times = found * common
        return
    if axis.has_dates and all(len(t) > 1 and (np.diff(t) < 0).all() for t in found):
        _turn(pieces)
        found = [t[::-1] for t in found]
        warn(f"The rows of {where} come newest first; they are read in the order of time.")
    if not axis.has_dates and isinstance(every, np.ndarray) and every.dtype == np.float32:
        found = times  # the resolution of their numbers counts
    steps = [
        uniform_step(t, where=label, axis=axis) for t, label in zip(found, labels, strict=True)
    ]
    pieces.start_times = np.repeat([start for _, start in steps], common)
    error = step_error(pieces.start_times, np.array(lengths * common), axis)
    pieces.dt = common_step([dt for dt, _ in steps], 2 * error)


def _turn(pieces: Pieces) -> None:
    """Put the last row first."""
    pieces.arrays = [np.ascontiguousarray(array[::-1]) for array in pieces.arrays]
    if pieces.even is not None:
        pieces.even = np.ascontiguousarray(pieces.even[:, ::-1])
