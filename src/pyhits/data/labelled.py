"""DataArrays and Datasets of xarray as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pyhits.data.pieces import Pieces, from_array, is_of, set_times
from pyhits.data.tables.time_names import is_trajectory_name, time_name
from pyhits.data.times import SHOWN, TimeStyle
from pyhits.errors import DataError
from pyhits.util.checks import as_numeric


def is_labelled(data: Any) -> bool:
    """Tell whether data are of a class that :func:`from_xarray` reads."""
    return is_of(data, "xarray", "Dataset") or is_of(data, "xarray", "DataArray")


def from_xarray(data: Any, *, raw: bool = False, style: TimeStyle = SHOWN) -> Pieces:
    """Read a DataArray, or the variables of a Dataset.

    The time dimension goes by its name, ``trajectory`` before it; all others are features.
    """
    array = _stacked(data) if is_of(data, "xarray", "Dataset") else data
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
    pieces = from_array(values)
    if len(rest) == 1 and rest[0] in array.coords:
        pieces.feature_names = [str(v) for v in array.coords[rest[0]].values]
    elif not rest and array.name is not None:
        pieces.feature_names = [str(array.name)]
    if time[0] in array.coords:
        axis = array.coords[time[0]]
        units = {name: axis.attrs.get(name) for name in ("units", "calendar")}
        label = [f"coordinate {time[0]!r}"]
        set_times(
            pieces, [axis.values], label, raw=raw, name=time[0], style=replace(style, **units)
        )
    return pieces


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
