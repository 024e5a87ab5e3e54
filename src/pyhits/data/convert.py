"""From what users hold (arrays, lists, DataFrames, xarray, tensors) to plain arrays and times."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pyhits.data.tables.column_choice import ALL_COLUMNS, ColumnChoice
from pyhits.data.tables.columns import Roles, assign_roles, chosen_features, trajectory_starts
from pyhits.data.tables.dateparts import with_joined_dates
from pyhits.data.tables.panels import refuse_panel
from pyhits.data.tables.time_names import is_trajectory_name, time_name
from pyhits.data.times import NUMBERS, TimeAxis, read_times
from pyhits.data.times.notes import midnight_note
from pyhits.data.times.reading import joined_axes
from pyhits.data.times.uniform import same_step, step_error, uniform_step
from pyhits.errors import ArgumentError, DataError, warn
from pyhits.util.checks import as_numeric, as_positive


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
    snapshot: tuple[int, ...] | None = None
    #: Every row's time, one vector a trajectory: in raw pieces, whose times nobody has checked.
    times: list[np.ndarray] | None = None
    #: Whether they hold the features that were chosen, under the names that were given.
    are_chosen: bool = False
    #: What a user should know of how the data were read.
    notes: list[str] = field(default_factory=list)
    #: What ``start_times``, ``dt`` and ``times`` mean.
    axis: TimeAxis = NUMBERS


def to_pieces(
    data: Any,
    dt: float | None = None,
    *,
    raw: bool = False,
    choice: ColumnChoice = ALL_COLUMNS,
) -> Pieces:
    """Return the arrays that ``data`` holds, with its step, names and start times.

    Pieces come back as they are, with ``dt`` if they have none. Raw ones may hold NaN where a value
    or a time is missing, and have ``times`` as they came, instead of ``dt`` and ``start_times``.

    Raises
    ------
    DataError
        The data do not hold numbers in one of the accepted shapes.
    ArgumentError
        ``dt`` contradicts the times that the data carry.
    """
    if dt is not None:
        dt = as_positive(dt, "dt")
    if data is None or isinstance(data, (dict, set)):
        raise DataError(f"Expected trajectories, got {type(data).__name__}.")
    if isinstance(data, (str, bytes, os.PathLike)):
        text = f"the text {data!r}" if isinstance(data, str) else repr(data)
        raise DataError(f"Expected trajectories, got {text}; read files with pyhits.read")
    if isinstance(data, np.ndarray) and data.dtype == object and data.ndim == 1 and len(data):
        # The usual way to keep arrays of different lengths in one NumPy array.
        data = list(data) if all(hasattr(item, "shape") for item in data) else data
    from pyhits.data.tables.frames import from_frame, is_frame  # which builds on this module

    if isinstance(data, Pieces):
        pieces = data
    elif is_frame(data):
        pieces = from_frame(data, choice=choice, raw=raw)
    elif is_of(data, "xarray", "Dataset"):
        pieces = _from_xarray(_stacked(data), raw=raw, reading=choice.reading)
    elif is_of(data, "xarray", "DataArray"):
        pieces = _from_xarray(data, raw=raw, reading=choice.reading)
    elif isinstance(data, (list, tuple)) and data and _is_trajectory(data[0]):
        pieces = _from_list(data, raw=raw, choice=choice)
    else:
        pieces = _from_array(as_numeric(data, what="The data", missing=raw))
    check_step(dt, pieces.dt, step_rounding(pieces))
    pieces.dt = pieces.dt if pieces.dt is not None else dt
    return pieces


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


def _is_trajectory(item: Any) -> bool:
    """Tell whether an entry of a list is a trajectory, not a plain list of numbers."""
    return bool(getattr(item, "shape", ())) or is_of(item, "xarray", "Dataset")


def is_of(data: Any, package: str, name: str) -> bool:
    """Tell whether ``data`` is of a class of an optional package, without importing it."""
    return any(
        c.__name__ == name and c.__module__.split(".")[0] == package for c in type(data).__mro__
    )


def _from_array(array: np.ndarray) -> Pieces:
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
        "Flatten fields to one row of features per snapshot."
    )


def _from_list(items: Any, *, raw: bool = False, choice: ColumnChoice = ALL_COLUMNS) -> Pieces:
    """A list of trajectories, each an array, a tensor, a DataFrame or an xarray object."""
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
    dt = _common_step([p.dt for p in parts], max(step_rounding(part) for part in parts))
    starts = [float(p.start_times[0]) if p.start_times is not None else 0.0 for p in parts]
    axis, moved = joined_axes([p.axis for p in parts], starts)
    if times and axis.has_dates:
        firsts = joined_axes([p.axis for p in parts], [0.0] * len(parts))[1]
        times = [t + first for t, first in zip(times, firsts, strict=True)]
    names = parts[0].feature_names
    return Pieces(arrays, None, dt, names, moved, times=times or None, axis=axis)


def _common_step(steps: list[float | None], error: float) -> float | None:
    for k, step in enumerate(steps):
        first = steps[0]
        if (step is None) != (first is None) or (
            step is not None and first is not None and not same_step(step, first, 2 * error)
        ):
            raise DataError(
                f"Trajectory {k} steps by {step}, trajectory 0 by {first}; all need one dt."
            )
    return steps[0]


def from_columns(
    names: list[str],
    columns: list[np.ndarray],
    *,
    where: str = "the table",
    choice: ColumnChoice = ALL_COLUMNS,
    raw: bool = False,
    check: Callable[[Roles], None] | None = None,
) -> Pieces:
    """Build trajectories from named columns, recognising time and trajectory columns.

    Parameters
    ----------
    names : list of str
        One a column. A name such as ``t``, ``time [s]`` or ``Year`` marks the times, ``trajectory``
        or ``run`` the column that numbers the trajectories.
    columns : list of array, each shape (n_rows,)
    choice : ColumnChoice
        Which columns are read, what they are called, and which holds the times.
    raw : bool
        As of :func:`to_pieces`.
    check : callable, optional
        Called with what each column is, before any is taken for numbers.
    """
    names, columns, choice, joined = with_joined_dates(names, columns, choice)
    roles = assign_roles(names, columns, where, choice)
    if check is not None:
        check(roles)
    names, kept = roles.names, roles.features
    n_rows = len(columns[0])
    if n_rows == 0:
        raise DataError(f"There are no rows in {where}.")
    if roles.time is not None and roles.trajectory is None:
        refuse_panel(names, columns, roles.time, where)
    parts = [
        as_numeric(columns[k], what=f"Column {names[k]!r} of {where}", missing=raw) for k in kept
    ]
    values = np.column_stack(parts)
    bounds = [0, n_rows]
    if roles.trajectory is not None:
        ids = _trajectory_ids(columns[roles.trajectory], names[roles.trajectory], where)
        bounds = [*trajectory_starts(ids), n_rows]
        if len(bounds) - 1 != len(np.unique(ids)):
            again = next(k for k in bounds[1:-1] if ids[k] in ids[:k])
            raise DataError(
                f"The rows of each trajectory must stand together in {where}, but trajectory "
                f"{ids[again]!s} begins again in row {again}. Sort the rows by trajectory."
            )
    pairs = list(itertools.pairwise(bounds))
    pieces = Pieces([values[a:b] for a, b in pairs], feature_names=[names[k] for k in kept])
    pieces.notes, pieces.are_chosen = [*joined, *roles.notes], True
    if roles.time is not None:
        times = columns[roles.time]
        name = names[roles.time]
        several = len(pairs) > 1
        labels = [
            f"column {name!r} of {where}" + (f", trajectory {k}" if several else "")
            for k in range(len(pairs))
        ]
        parts = [times[a:b] for a, b in pairs]
        set_times(pieces, parts, labels, raw=raw, name=name, **choice.reading)
    return pieces


def with_features(pieces: Pieces, choice: ColumnChoice) -> Pieces:
    """Return pieces of an array with the features that were chosen, under their names.

    Raises
    ------
    ArgumentError
        A feature that was chosen is not there.
    """
    first = pieces.even if pieces.even is not None else pieces.arrays[0]
    own = pieces.feature_names or [f"x{k}" for k in range(first.shape[-1])]
    kept, names = chosen_features(choice, own, "the data")
    return replace(
        pieces,
        arrays=[np.ascontiguousarray(a[:, kept]) for a in pieces.arrays],
        even=None if pieces.even is None else np.ascontiguousarray(pieces.even[..., kept]),
        feature_names=names,
        snapshot=pieces.snapshot if len(kept) == first.shape[-1] else None,
    )


def set_times(
    pieces: Pieces,
    times: list[Any],
    labels: list[str],
    *,
    raw: bool,
    name: str | None = None,
    **reading: str | None,
) -> None:
    """Give pieces the step and the starts that their times show, or raw ones the times.

    Rows that come newest first are turned, and a warning says so.

    Parameters
    ----------
    times : list of array, Series or index, each shape (n_rows,)
        Of each trajectory, or one vector for all.
    labels : list of str
        What holds them, for messages.
    name : str, optional
        Of the column or index that holds them.
    **reading
        ``time_format``, ``time_zone``, ``units`` and ``calendar`` of
        :func:`~pyhits.data.times.read_times`.

    Raises
    ------
    DataError
        Times are missing, not uniform, or step differently; none of it in raw pieces.
    """
    every = times[0] if len(times) == 1 else np.concatenate([np.asarray(t) for t in times])
    where = labels[0].partition(", trajectory")[0] if labels else "the times"
    lengths = [len(t) for t in times]
    axis, found = read_times(every, lengths, where=where, name=name, **reading)
    pieces.axis = axis
    pieces.notes += midnight_note(axis, found)
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
    pieces.dt = _common_step([dt for dt, _ in steps], 2 * error)


def _turn(pieces: Pieces) -> None:
    """Put the last row first."""
    pieces.arrays = [np.ascontiguousarray(array[::-1]) for array in pieces.arrays]
    if pieces.even is not None:
        pieces.even = np.ascontiguousarray(pieces.even[:, ::-1])


def _trajectory_ids(column: Any, name: str, where: str) -> np.ndarray:
    """Return what numbers or names the trajectories, as numbers or texts that compare."""
    ids = np.asarray(column)
    if ids.dtype.kind == "f" and np.isnan(ids).any():
        row = int(np.flatnonzero(np.isnan(ids))[0])
        raise DataError(f"Column {name!r} of {where} is empty in row {row}.")
    return ids.astype(str) if ids.dtype.kind == "O" else ids


def _stacked(dataset: Any) -> Any:
    """Return a Dataset's variables as one DataArray, the variables along a last axis."""
    keep = [n for n in dataset.data_vars if dataset[n].dtype.kind in "fiu" and dataset[n].ndim]
    if not keep:
        raise DataError("The xarray Dataset holds no numeric variable with a dimension.")
    dims = [str(d) for d in dataset[keep].dims]
    time = sorted((d for d in dims if not is_trajectory_name(d)), key=time_name, reverse=True)[:1]
    moving = [n for n in keep if not time or time[0] in dataset[n].dims]
    keep = moving or keep  # a mask or an area is no state
    if len(keep) == 1:
        return dataset[keep[0]]
    if len({frozenset(dataset[n].dims) for n in keep}) > 1:
        return _side_by_side(dataset, keep, time[0])
    taken = {str(d) for d in dataset[keep].dims}
    dim = next(name for name in ("feature", "variable", "pyhits_variable") if name not in taken)
    return dataset[keep].to_dataarray(dim=dim)


def _side_by_side(dataset: Any, keep: Sequence[Any], time: str) -> Any:
    """Return variables of different dimensions as one DataArray, each value of each a feature."""
    import xarray as xr  # the user's object is of it

    runs = [d for d in dataset[keep].dims if is_trajectory_name(str(d))][:1]
    lead = [*runs, time]
    parts: list[np.ndarray] = []
    names: list[str] = []
    for name in keep:
        array = dataset[name]
        if any(d not in array.dims for d in runs):
            array = array.expand_dims({d: dataset.sizes[d] for d in runs})
        rows = array.transpose(*lead, ...).values
        rows = rows.reshape(*rows.shape[: len(lead)], -1)
        width = rows.shape[-1]
        parts.append(rows)
        one = width == 1 and array.ndim == len(lead)
        names += [str(name)] if one else [f"{name}.{k}" for k in range(width)]
    coords = {d: dataset.coords[d] for d in lead if d in dataset.coords}
    coords["pyhits_variable"] = ("pyhits_variable", names)
    return xr.DataArray(
        np.concatenate(parts, axis=-1), dims=[*lead, "pyhits_variable"], coords=coords
    )


def _from_xarray(
    array: Any, *, raw: bool = False, reading: dict[str, str | None] | None = None
) -> Pieces:
    """A DataArray: the time dimension by name, ``trajectory`` before it, the rest are features."""
    dims = [str(d) for d in array.dims]
    runs = [d for d in dims if is_trajectory_name(d)][:1]
    others = [d for d in dims if d not in runs]
    time = sorted(others, key=time_name, reverse=True)[:1]
    if not time:
        raise DataError(f"Expected an xarray object with a time dimension, got dimensions {dims}.")
    rest = [d for d in dims if d not in time + runs]
    ordered = array.transpose(*runs, *time, *rest)
    values = as_numeric(ordered.values, what="The xarray object", missing=raw)
    lead = len(runs) + 1
    values = values.reshape(*values.shape[:lead], -1)
    pieces = _from_array(values)
    if len(rest) == 1 and rest[0] in array.coords:
        pieces.feature_names = [str(v) for v in array.coords[rest[0]].values]
    elif not rest and array.name is not None:
        pieces.feature_names = [str(array.name)]
    if time[0] in array.coords:
        axis = array.coords[time[0]]
        units = {name: axis.attrs.get(name) for name in ("units", "calendar")}
        label = [f"coordinate {time[0]!r}"]
        set_times(pieces, [axis.values], label, raw=raw, name=time[0], **units, **(reading or {}))
    return pieces
