"""Initial states and times, as users give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pyhits.data.packing import default_names
from pyhits.data.pieces import is_of
from pyhits.data.tables.frames import is_frame
from pyhits.data.tables.time_names import is_trajectory_name
from pyhits.data.trajectories import Trajectories
from pyhits.encoders.base import several
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import MOST_COUNT, as_numeric


class Starts(NamedTuple):
    """What forecasts start from, and when."""

    states: np.ndarray  # (n, d) or (n, history, d)
    times: np.ndarray  # (n,): of each initial state
    #: (rows, d), or None: what is known of each up to its initial state, as recorded, where that
    #: is more.
    known: Sequence[np.ndarray] | None = None


class InitialStates(NamedTuple):
    """Initial states as users give them."""

    states: np.ndarray  # (n, d) or (n, history, d): in the user's units
    times: np.ndarray | None  # (n,), or None: of each, where they are known
    single: bool  # whether one was given, not several
    #: (rows, d): what is known of each up to its initial state.
    known: Sequence[np.ndarray] | np.ndarray


def as_states(
    initial_states: Any, feature_names: Sequence[str], history: int = 1
) -> tuple[np.ndarray, bool]:
    """Return initial states as ``(n, d)``, and whether a single one of shape ``(d,)`` was given.

    With a ``history`` of more rows they are ``(n, rows, d)`` or ``(rows, d)``, and the last rows of
    each are returned, ``(n, history, d)``.

    Raises DataError: the shape is another, or a value is not finite; its row and feature are named.
    """
    d = len(feature_names)
    if hasattr(initial_states, "columns"):
        named = {str(column): column for column in initial_states.columns}
        if set(named) == set(feature_names):
            initial_states = initial_states[[named[name] for name in feature_names]]
        elif default_names(d) != tuple(feature_names):
            raise DataError(
                f"Expected initial states with the columns {', '.join(feature_names)}, got "
                f"{', '.join(named)}."
            )
    states = as_numeric(initial_states, what="The initial states")
    axes = 1 if history == 1 else 2
    single = states.ndim == axes
    states = states[None] if single else states
    if history > 1:
        if states.ndim != 3 or states.shape[1] < history or states.shape[2] != d or not len(states):
            raise DataError(
                f"Expected histories of shape (n, rows, {d}), each of at least {history} rows that "
                f"end in the initial state, got {states.shape}."
            )
        states = states[:, -history:]
        if not np.isfinite(states).all():
            k, row, column = (int(k) for k in np.argwhere(~np.isfinite(states))[0])
            raise DataError(
                f"History {k} is {states[k, row, column]} in {feature_names[column]!r}, "
                f"{history - 1 - row} rows before its end."
            )
        return states, single
    if states.ndim != 2 or states.shape[1] != d or len(states) == 0:
        raise DataError(f"Expected initial states of shape (n, {d}), got {states.shape}.")
    if not np.isfinite(states).all():
        row, column = (int(k) for k in np.argwhere(~np.isfinite(states))[0])
        raise DataError(
            f"Initial state {row} is {states[row, column]} in {feature_names[column]!r}."
        )
    return states, single


def histories(data: Trajectories, history: int) -> tuple[np.ndarray, Trajectories]:
    """Return what forecasts of trajectories start from, and the rows from that state on.

    The starts are ``(n, d)``, or ``(n, history, d)`` for a ``history`` of more than one row.

    Raises DataError: a trajectory is too short; it is named.
    """
    if history == 1:
        return data.initial_states, data
    short = np.flatnonzero(data.lengths <= history)
    if len(short):
        raise DataError(
            f"Trajectory {short[0]} has {data.lengths[short[0]]} rows; the model's delays take "
            f"{history} to start from, and one to compare with."
        )
    rest = without_first(data, history - 1)
    return data.values[data.offsets[:-1, None] + np.arange(history)], rest


def without_first(data: Trajectories, n_rows: int) -> Trajectories:
    """Return trajectories without their first rows.

    Raises DataError: one has no more rows; it is named.
    """
    if n_rows == 0:
        return data
    short = np.flatnonzero(data.lengths <= n_rows)
    if len(short):
        raise DataError(
            f"Trajectory {short[0]} has {data.lengths[short[0]]} rows; what acts on it at its "
            f"first state takes {n_rows} before."
        )
    return Trajectories(
        [rows[n_rows:] for rows in data],
        data.dt,
        feature_names=data.feature_names,
        start_times=data.start_times + n_rows * data.dt,
        axis=data.axis,
    )


def endings(data: Trajectories, history: int) -> Starts:
    """Return the last ``history`` rows of each trajectory, which forecasts go on from.

    Raises DataError: a trajectory is too short; it is named.
    """
    short = np.flatnonzero(data.lengths < history)
    if len(short):
        raise DataError(
            f"Trajectory {short[0]} has {data.lengths[short[0]]} rows; the model's delays take "
            f"{history} to go on from."
        )
    times = data.start_times + data.dt * (data.lengths - 1)
    rows = data.offsets[1:, None] + np.arange(-history, 0)
    states = data.values[rows]
    return Starts(states[:, 0] if history == 1 else states, times)


def last_rows(rows: np.ndarray, least: int, wanted: int = 0) -> np.ndarray:
    """Return the last ``least`` rows of ``(..., rows, d)``, or up to ``wanted`` without gaps."""
    short = rows[..., -least:, :]
    if wanted <= least or rows.dtype.kind != "f":
        return rows[..., -max(least, wanted) :, :]
    known = np.isfinite(rows[..., -wanted:, :]).all(axis=-1)
    known = known.reshape(-1, known.shape[-1]).all(axis=0)
    whole = len(known) if known.all() else int(np.argmin(known[::-1]))
    return short if whole <= least else rows[..., -whole:, :]


def after_gaps(frame: Any, names: Sequence[str], least: int) -> Any:
    """Return the rows of a DataFrame or Series of pandas after the last with a missing value.

    It comes back as it is where none is missing, fewer than ``least`` rows are left, or it holds
    several trajectories; all else as well.

    Parameters
    ----------
    names : sequence of str
        Of the features that count; all columns where it has others.
    """
    holds_columns = is_of(frame, "pandas", "DataFrame")
    if not (holds_columns or is_of(frame, "pandas", "Series")) or frame.index.nlevels > 1:
        return frame
    columns = list(map(str, frame.columns)) if holds_columns else []
    if any(map(is_trajectory_name, (*columns, str(frame.index.name)))):
        return frame
    counted = [k for k, name in enumerate(columns) if name in names] or list(range(len(columns)))
    missing = np.asarray((frame.iloc[:, counted] if holds_columns else frame.to_frame()).isna())
    gaps = np.flatnonzero(missing.any(axis=1))
    if not len(gaps) or len(frame) - 1 - gaps[-1] < least:
        return frame
    return frame.iloc[gaps[-1] + 1 :]


def is_single(recording: Any) -> bool:
    """Whether a recording is one of shape ``(rows, d)``, not several, nor ``Trajectories``."""
    if isinstance(recording, Trajectories) or several(recording):
        return False
    if is_frame(recording):
        return True
    if hasattr(recording, "dims"):  # of xarray: all dimensions but the times are features
        return not any(is_trajectory_name(str(name)) for name in recording.dims)
    return np.ndim(recording) <= 2


def positions(t: Any, dt: float) -> np.ndarray:
    """Return times since the initial state in multiples of ``dt``, shape ``(m,)``."""
    given = np.atleast_1d(as_numeric(t, what="t").astype(np.float64))
    if given.ndim != 1 or len(given) == 0 or not (given >= 0).all():
        raise ArgumentError("Expected times t since the initial state, all 0 or later.")
    if (late := float(given.max()) / dt) > MOST_COUNT:
        raise ArgumentError(
            f"The time t = {given.max():g} is {late:.3g} steps of dt = {dt:g} from the initial "
            f"state; no forecast has more than {MOST_COUNT:.3g}."
        )
    at = given / dt
    # A multiple of dt that rounding put just beside a step is that step.
    near = np.round(at)
    rounding = np.maximum(1e-9, 8 * np.spacing(near))
    return np.asarray(np.where(np.abs(at - near) < rounding, near, at))
