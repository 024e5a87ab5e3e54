"""Inputs of a forecast that have dates: they are taken from the moment on at which it starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.data.convert import to_pieces
from pyhits.data.pieces import Pieces
from pyhits.data.tables.column_choice import ColumnChoice
from pyhits.data.tables.frames import is_frame
from pyhits.data.times.uniform import same_step
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError


def from_start(
    inputs: Any,
    names: Sequence[str],
    data: Trajectories,
    times: np.ndarray,
    last: Any,
    n_steps: int | None,
) -> Any:
    """Return the rows of dated inputs from the start of each forecast on.

    Returns array, shape (n, rows, k), or the inputs.
    Raises DataError: they step otherwise, or do not hold the moment of a start.

    Parameters
    ----------
    inputs : any
        As users give them; what has no dates comes back as it is.
    names : sequence of str
        Of the model's inputs.
    data : Trajectories
        What forecasts go on from.
    times : array, shape (n,)
        Of the initial states, along its axis.
    last : array, shape (n, k), or None
        The inputs recorded then, which lead where those given begin one step later.
    n_steps : int, optional
        Of the forecast.
    """
    table = _dated(inputs, names)
    if table is None or not data.axis.has_dates or len(table.arrays) not in (1, len(times)):
        return inputs
    assert table.dt is not None
    if not (data.axis.same_steps(table.axis) and same_step(table.dt, data.dt)):
        raise DataError(
            f"The inputs step by {table.axis.step_name(table.dt)}, the model by "
            f"{data.axis.step_name(data.dt)}; resample one of them."
        )
    found = [_from_moment(table, k, data, time, last) for k, time in enumerate(times)]
    length = min(map(len, found))
    if length == 1 and n_steps != 1:
        raise DataError(_apart(table, 0, data, times[0]))
    return np.stack([rows[:length] for rows in found])


def up_to_start(past: Any, names: Sequence[str], data: Trajectories, times: np.ndarray) -> Any:
    """Return the rows of dated inputs before the start of each forecast.

    Returns array, shape (n, rows, k), or the inputs.
    Raises DataError: they do not lead up to a start.

    Parameters
    ----------
    past, names, data, times
        As of :func:`from_start`.
    """
    table = _dated(past, names)
    if table is None or not data.axis.has_dates or len(table.arrays) not in (1, len(times)):
        return past
    found = []
    for k, time in enumerate(times):
        number = k if len(table.arrays) > 1 else 0
        known = table.axis.labels_utc(_moments(table, number))
        (before,) = data.axis.labels_utc([time - data.dt])
        if before not in known:
            raise DataError(_apart(table, number, data, time))
        found.append(table.arrays[number][: known.index(before) + 1])
    length = min(map(len, found))
    return np.stack([rows[-length:] for rows in found])


def _from_moment(table: Pieces, k: int, data: Trajectories, time: float, last: Any) -> np.ndarray:
    """Return the inputs of forecast ``k``, which starts at ``time``, ``(rows, k)``."""
    number = k if len(table.arrays) > 1 else 0
    rows = table.arrays[number]
    known = table.axis.labels_utc(_moments(table, number))
    now, then = data.axis.labels_utc([time, time + data.dt])
    if now in known:
        return rows[known.index(now) :]
    if known[0] == then and last is not None:
        return np.concatenate([last[k : k + 1], rows])
    raise DataError(_apart(table, number, data, time))


def _moments(table: Pieces, number: int) -> np.ndarray:
    assert table.start_times is not None
    assert table.dt is not None
    rows = np.arange(len(table.arrays[number]))
    return np.asarray(table.start_times[number] + table.dt * rows)


def _apart(table: Pieces, number: int, data: Trajectories, time: float) -> str:
    first, final = table.axis.readable(_moments(table, number)[[0, -1]])
    return (
        f"The inputs are those from {first} to {final}, but the forecast starts at "
        f"{data.axis.readable([time])[0]}: give them from there on, past ones up to there, a row "
        "a step."
    )


def _dated(inputs: Any, names: Sequence[str]) -> Pieces | None:
    """Return these columns of a table with dates, or of trajectories; None of all else."""
    if isinstance(inputs, Trajectories):
        if not (inputs.axis.has_dates and set(names) <= set(inputs.feature_names)):
            return None
        return inputs.select(names).as_pieces()
    if not is_frame(inputs) or len(inputs) < 2:
        return None
    known = getattr(inputs, "column_names", None) or list(getattr(inputs, "columns", ()))
    if not set(names) <= set(known):
        return None
    table = to_pieces(inputs, choice=ColumnChoice.checked(columns=names))
    return table if table.axis.has_dates and table.dt is not None else None
