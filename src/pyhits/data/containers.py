"""Forecasts in the form in which recordings came: DataFrames, Series and DataArrays with times."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyhits.data.pieces import is_of
from pyhits.data.tables.time_names import is_trajectory_name

if TYPE_CHECKING:
    from pyhits.data.times import TimeAxis


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
    if is_of(recording, "polars", "DataFrame") or is_of(recording, "pyarrow", "Table"):
        whole = states if states.ndim == 3 else states[None]
        return _as_table(whole, recording, feature_names, times, axis, begins)
    if is_of(recording, "xarray", "DataArray"):
        return _as_data_array(states, recording, times, axis, begins)
    if is_of(recording, "xarray", "Dataset"):
        return _as_dataset(states, recording, feature_names, times, axis, begins)
    return states


def _as_table(
    states: np.ndarray,
    table: Any,
    feature_names: Sequence[str],
    times: np.ndarray,
    axis: TimeAxis,
    begins: np.ndarray,
) -> Any:
    """Return states (n, m, d) as a DataFrame of polars or a Table of pyarrow."""
    names = list(table.columns) if is_of(table, "polars", "DataFrame") else table.column_names
    n, m, d = states.shape
    values = dict(zip(feature_names, states.reshape(n * m, d).T, strict=True))
    made: dict[str, Any] = {}
    for name in names:
        if name in values:
            made[name] = np.ascontiguousarray(values[name])
        elif name == axis.name:
            made[name] = list(axis.column((begins[:, None] + times).ravel()))
        elif is_trajectory_name(name):
            own = np.asarray(table[name].to_numpy())
            firsts = np.sort(np.unique(own, return_index=True)[1])
            made[name] = np.repeat(own[firsts], m)
    if is_of(table, "polars", "DataFrame"):
        return type(table)(made)
    return type(table).from_pydict(made)


def _as_dataset(
    states: np.ndarray,
    dataset: Any,
    feature_names: Sequence[str],
    times: np.ndarray,
    axis: TimeAxis,
    begins: np.ndarray,
) -> Any:
    """Return states (m, d) as the variables of a Dataset, if each is one feature over time."""
    import xarray as xr

    dim = axis.name
    if states.ndim != 2 or dim not in dataset.dims:
        return states
    if any(k not in dataset or dataset[k].dims != (dim,) for k in feature_names):
        return states
    stamps = axis.column(begins[0] + times)
    own = dataset.coords[dim].attrs if dim in dataset.coords else {}
    variables = {
        name: (dim, column, dataset[name].attrs)
        for name, column in zip(feature_names, states.T, strict=True)
    }
    return xr.Dataset(variables, coords={dim: (dim, stamps, own)}, attrs=dataset.attrs)


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
            dtype = frame[column].dtype
            is_float = getattr(dtype, "kind", "") == "f"
            made[column] = pd.array(values[name], dtype=dtype) if is_float else values[name]
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
        every_level = [frame.index.get_level_values(k).unique() for k in range(len(labels))]
        numbering = [k for k, label in enumerate(labels) if is_trajectory_name(label)]
        if not numbering and len(labels) == 2 and n > 1:  # the level that is not the time
            numbering = [k for k, label in enumerate(labels) if label != axis.name][:1]
            numbering = [0] if len(every_level[0]) == n and axis.name is None else numbering
        if len(labels) > 2 or any(len(every_level[k]) != n for k in numbering):
            return result
        levels = [
            every_level[k][ids] if k in numbering else axis.column(every)
            for k in range(len(labels))
        ]
        result.index = pd.MultiIndex.from_arrays(levels, names=names)
    elif axis.has_dates or axis.form == "timedelta" or axis.name == labels[0]:
        result.index = pd.Index(axis.column(every), name=names[0])
        freq = getattr(frame.index, "freq", None)
        if freq is not None and hasattr(result.index, "to_period") and n == 1:
            with contextlib.suppress(ValueError):  # the dates are not of this frequency
                result.index.freq = freq
    elif n == 1 and frame.index.dtype.kind in "iu" and len(frame):
        result.index = pd.RangeIndex(int(frame.index[-1]), int(frame.index[-1]) + m, name=names[0])
    return result


def _as_data_array(
    states: np.ndarray, array: Any, times: np.ndarray, axis: TimeAxis, begins: np.ndarray
) -> Any:
    """Return states (m, d) or (n, m, d) with the dimensions of a DataArray, its other coordinates
    kept."""
    import xarray as xr

    dims = [str(name) for name in array.dims]
    name = axis.name if axis.name in dims else None
    if name is None:
        return states
    runs = [dim for dim in dims if is_trajectory_name(dim)][:1]
    rest = [dim for dim in dims if dim not in (name, *runs)]
    sizes = [array.sizes[dim] for dim in rest]
    if states.ndim != 2 + len(runs) or int(np.prod(sizes)) != states.shape[-1]:
        return states
    shaped = states.reshape(*states.shape[:-1], *sizes)
    kept = {
        key: coordinate for key, coordinate in array.coords.items() if name not in coordinate.dims
    }
    own = array.coords[name]
    stamps = axis.column(begins[0] + times)
    coords = {**kept, name: (name, stamps, own.attrs)}
    result = xr.DataArray(
        shaped, dims=[*runs, name, *rest], coords=coords, name=array.name, attrs=array.attrs
    )
    return result.transpose(*array.dims)
