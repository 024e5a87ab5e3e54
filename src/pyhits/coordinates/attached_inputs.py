"""Inputs of a fit: told from the states, or joined to the data whose states they act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyhits.data.convert import to_pieces
from pyhits.data.pieces import Pieces
from pyhits.data.tables.frames import is_frame
from pyhits.data.times.uniform import same_step
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import as_numeric


def attach(data: Trajectories, inputs: Any) -> tuple[Trajectories, tuple[str, ...]]:
    """Return trajectories whose last features are the inputs, and the inputs' names.

    Raises DataError: shapes or dates do not fit, a value is not finite, or no feature is left for
    the states.
    Raises ArgumentError: a name is unknown.

    Parameters
    ----------
    inputs : str or sequence of str; mapping of str to array; array; list of arrays; Trajectories;
             DataFrame or Series
        Names of features of ``data``; or values, row i of which acts from row i of the states to
        the next: ``(time, k)`` for one trajectory, ``(n, time, k)`` or a list of ``(time, k)`` for
        several, ``(n, k)`` for constants of each trajectory. The last row may be left out. Dates of
        tables are those of the states.
    """
    names = [inputs] if isinstance(inputs, str) else inputs
    if isinstance(names, (list, tuple)) and names and all(isinstance(n, str) for n in names):
        known, used = set(data.feature_names), set(names)
        missing = [name for name in names if name not in known]
        if missing:
            raise ArgumentError(
                f"There is no feature {missing[0]!r} to be an input; there are "
                f"{', '.join(data.feature_names)}."
            )
        states = [name for name in data.feature_names if name not in used]
        if not states or len(used) < len(names):
            raise DataError("Inputs must be different features, and leave some for the states.")
        return data.select([*states, *names]), tuple(names)
    found, pieces = _pieces(inputs, data)
    both = [name for name in found if name in data.feature_names]
    if both:
        raise DataError(f"{both[0]!r} is a feature of the data and an input; rename one of them.")
    joined = Trajectories(
        [np.concatenate(pair, axis=1) for pair in zip(data, pieces, strict=True)],
        data.dt if data.dt_known else None,
        feature_names=[*data.feature_names, *found],
        start_times=data.start_times,
        axis=data.axis,
    )
    return joined, found


def _pieces(inputs: Any, data: Trajectories) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Return names, and the inputs of every trajectory, as many rows as it has."""
    n = len(data)
    names: tuple[str, ...] | None = None
    if isinstance(inputs, Trajectories):
        names, listed = inputs.feature_names, list(inputs)
    elif is_frame(inputs) or (isinstance(inputs, list) and inputs and is_frame(inputs[0])):
        table = _table(inputs, data)
        listed = table.arrays if len(table.arrays) == n else _listed(table.arrays[0], data)
        own = table.feature_names
        names = None if own is None else tuple(own)
    elif isinstance(inputs, Mapping):
        names = tuple(str(name) for name in inputs)
        columns = [_listed(values, data) for values in inputs.values()]
        if not columns:
            raise ArgumentError("There is no input in inputs={}; leave it out.")
        if any(len(column) != n for column in columns):
            raise DataError(f"Expected inputs of {n} trajectories.")
        listed = [np.concatenate(parts, axis=1) for parts in zip(*columns, strict=True)]
    else:
        listed = _listed(inputs, data)
    if len(listed) != n:
        raise DataError(f"The data have {n} trajectories, the inputs {len(listed)}.")
    k = listed[0].shape[1]
    names = names or tuple(f"u{i}" for i in range(k))
    pieces = [
        _matched(values, int(length), len(names), f"trajectory {number}")
        for number, (values, length) in enumerate(zip(listed, data.lengths, strict=True))
    ]
    return names, pieces


def _matched(values: np.ndarray, length: int, k: int, which: str) -> np.ndarray:
    """Return inputs of one trajectory with as many rows as it has."""
    if values.shape[1] != k:
        raise DataError(f"The inputs of {which} have {values.shape[1]} columns, not {k}.")
    if len(values) == 1:
        return np.repeat(values, length, axis=0)
    if len(values) == length - 1:
        return np.concatenate([values, values[-1:]])
    if len(values) != length:
        raise DataError(f"The {which} has {length} rows, its inputs have {len(values)}.")
    return values


def _listed(inputs: Any, data: Trajectories) -> list[np.ndarray]:
    """Return inputs of every trajectory, each ``(rows, k)``; constants on every row."""
    n, lengths = len(data), data.lengths
    if is_frame(inputs):
        inputs = _table(inputs, data).arrays
        inputs = inputs if len(inputs) == n else inputs[0]
    if isinstance(inputs, (list, tuple)) and len(inputs) and np.ndim(inputs[0]) > 0:
        parts = [as_numeric(part, what="The inputs") for part in inputs]
        if len({part.shape for part in parts}) > 1 or parts[0].ndim > 1:
            return [part[:, None] if part.ndim == 1 else part for part in parts]
    values = as_numeric(inputs, what="The inputs")
    if values.ndim == 0:
        values = np.full((n, 1), values)
    in_time = n == 1 and values.ndim < 3 and len(values) in (lengths[0], lengths[0] - 1)
    if in_time:
        return [values[:, None] if values.ndim == 1 else values]
    if values.ndim == 1 and len(values) == n:
        values = values[:, None]
    if values.ndim == 2 and len(values) == n:
        if values.shape[1] in (*lengths, *(lengths - 1)):
            # One input in time: as many constants as steps nobody has.
            return list(values[:, :, None])
        rows = zip(values, lengths, strict=True)
        return [np.repeat(row[None], length, axis=0) for row, length in rows]
    if values.ndim == 3:
        return list(values)
    raise DataError(
        f"Expected inputs of shape (time, k), or (n, time, k) for {n} trajectories, or (n, k) of "
        f"constants, got {values.shape}."
    )


def _table(inputs: Any, data: Trajectories) -> Pieces:
    """Read tables of inputs: one row a time, or one a trajectory.

    Raises DataError: they have dates, and these are not those of the data.
    """
    table = to_pieces(inputs)
    starts = table.start_times
    if starts is None or not (table.axis.has_dates and data.axis.has_dates):
        return table
    steps_alike = table.dt is not None and same_step(table.dt, data.dt)
    if not steps_alike or not data.axis.same_moments(data.start_times, table.axis, starts):
        ours, theirs = data.axis.readable(data.start_times[:1]), table.axis.readable(starts[:1])
        raise DataError(
            f"The inputs have other times than the data: they begin at {theirs[0]}, the data at "
            f"{ours[0]}. Give them on the rows of the data."
        )
    return table
