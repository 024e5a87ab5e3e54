"""Recordings of a single row: all that a forecast goes on from, though no step shows in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyhits.data.convert import to_pieces
from pyhits.data.labelled import Layout, is_labelled
from pyhits.data.pieces import Pieces
from pyhits.data.tables.frames import is_frame
from pyhits.data.times import TimeAxis
from pyhits.data.times.reading import again
from pyhits.data.trajectories import Trajectories


def n_rows(recording: Any) -> int:
    """Return the rows of an array, a table or an xarray object; 0 of all else."""
    if is_labelled(recording):
        return int(recording.sizes.get(Layout.of(recording).time, 1))
    if is_frame(recording):
        return len(recording)
    is_array = isinstance(recording, np.ndarray) and recording.ndim in (2, 3)
    return int(recording.shape[-2]) if is_array else 0


def twice(recording: Any, dt: float, axis: TimeAxis) -> Any:
    """Return a recording of one row as one of two alike, so that it has a step.

    Parameters
    ----------
    recording : array, table or xarray object
    dt : float
        Time from the first to the second, which keeps its time.
    axis : TimeAxis
        The steps that dates are to go on in.
    """
    if isinstance(recording, np.ndarray):
        return np.repeat(recording, 2, axis=-2)
    pieces = to_pieces(recording, raw=True)
    arrays = pieces.arrays if pieces.even is None else list(pieces.even)
    own, start = pieces.axis, 0.0
    if pieces.times is not None:
        own, times = again(own, pieces.times[0], axis) or (own, pieces.times[0])
        start = float(times[0])
    two = Pieces([np.repeat(rows, 2, axis=0) for rows in arrays], dt=dt)
    two.feature_names, two.grid, two.axis = pieces.feature_names, pieces.grid, own
    two.start_times = np.full(len(arrays), start - dt)
    return Trajectories(two)
