"""Forecasts in the form in which recordings came: DataFrames, Series and DataArrays with times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyhits.convert import is_of
from pyhits.time_names import is_trajectory_name

if TYPE_CHECKING:
    from pyhits.timeaxis import TimeAxis


def dates_of(times: np.ndarray, axis: TimeAxis, begins: np.ndarray) -> np.ndarray | None:
    """Return the dates of rows ``times`` after each start, shape ``(n, m)``; None for numbers."""
    if not axis.has_dates:
        return None
    return np.stack([axis.at(begin + times) for begin in begins])


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
        What was gone on from. A DataFrame, Series, DataArray, or a list of these, gives another;
        for all else the states are returned as they are.
    times : array, shape (m,)
        Of the rows since the recording's end.
    axis : TimeAxis
        Of the recording.
    begins : array, shape (n,)
        Times of the recordings' ends along the axis.
    """
    if isinstance(recording, (list, tuple)) and states.ndim == 3:
        made = [
            as_recording(rows, item, feature_names, times, axis, begins[k : k + 1])
            for k, (rows, item) in enumerate(zip(states, recording, strict=True))
        ]
        return states if all(isinstance(item, np.ndarray) for item in made) else made
    if is_of(recording, "pandas", "Series") and states.shape[-1] == 1 and states.ndim == 2:
        frame = _as_frame(states[None], recording.to_frame(), ["0"], times, axis, begins)
        return frame.iloc[:, 0].rename(recording.name)
    if is_of(recording, "pandas", "DataFrame") and states.ndim in (2, 3):
        whole = states if states.ndim == 3 else states[None]
        return _as_frame(whole, recording, feature_names, times, axis, begins)
    if is_of(recording, "xarray", "DataArray") and states.ndim == 2:
        return _as_data_array(states, recording, times, axis, begins)
    return states


def _as_frame(
    states: np.ndarray,
    frame: Any,
    feature_names: Sequence[str],
    times: np.ndarray,
    axis: TimeAxis,
    begins: np.ndarray,
) -> Any:
    """Return states (n, m, d) in the columns of a frame, with times in a column or its index."""
    import pandas as pd

    n, m, d = states.shape
    every = (begins[:, None] + times).ravel()
    named = {str(column): column for column in frame.columns}
    own = [name for name in named if name != axis.name and not is_trajectory_name(name)]
    if d == len(own) and not set(feature_names) <= set(own):
        feature_names = own  # a model of arrays takes columns in their order
    rows = states.reshape(n * m, d)
    values = dict(zip(feature_names, rows.T, strict=True))
    made = {}
    ids = np.repeat(np.arange(n), m)
    for name, column in named.items():
        if name in values:
            made[column] = (
                values[name].astype(frame[column].dtype.name, copy=False)
                if (frame[column].dtype.kind == "f")
                else values[name]
            )
        elif is_trajectory_name(name):
            made[column] = frame[column].drop_duplicates().to_numpy()[ids]
        elif name == axis.name:
            made[column] = axis.column(every)
    result = pd.DataFrame(made)
    names = list(frame.index.names)
    if axis.name is not None and axis.name in named:
        return result
    labels = [str(name) for name in names]
    if len(labels) > 1 or is_trajectory_name(labels[0]):
        levels = [
            frame.index.get_level_values(k).unique()[ids]
            if is_trajectory_name(label)
            else axis.column(every)
            for k, label in enumerate(labels)
        ]
        result.index = pd.MultiIndex.from_arrays(levels, names=names)
    elif axis.has_dates or axis.form == "timedelta" or axis.name == labels[0]:
        result.index = pd.Index(axis.column(every), name=names[0])
        freq = getattr(frame.index, "freq", None)
        if freq is not None and hasattr(result.index, "to_period") and n == 1:
            fits = pd.infer_freq(result.index) if m > 2 else None
            result.index.freq = freq if fits == frame.index.inferred_freq else None
    elif n == 1 and frame.index.dtype.kind in "iu" and len(frame):
        result.index = pd.RangeIndex(int(frame.index[-1]), int(frame.index[-1]) + m, name=names[0])
    return result


def _as_data_array(
    states: np.ndarray, array: Any, times: np.ndarray, axis: TimeAxis, begins: np.ndarray
) -> Any:
    """Return states (m, d) with the dimensions of a DataArray, its other coordinates kept."""
    import xarray as xr

    dims = [str(name) for name in array.dims]
    name = axis.name if axis.name in dims else None
    if name is None:
        return states
    rest = [dim for dim in dims if dim != name]
    if int(np.prod([array.sizes[dim] for dim in rest])) != states.shape[1]:
        return states
    shaped = states.reshape(len(states), *(array.sizes[dim] for dim in rest))
    kept = {
        key: coordinate for key, coordinate in array.coords.items() if name not in coordinate.dims
    }
    own = array.coords[name]
    stamps = axis.column(begins[0] + times)
    coords = {**kept, name: (name, stamps, own.attrs)}
    result = xr.DataArray(
        shaped, dims=[name, *rest], coords=coords, name=array.name, attrs=array.attrs
    )
    return result.transpose(*array.dims)
