"""Datasets of xarray, as NetCDF files and Zarr stores hold them: what of them is the data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.convert import to_pieces
from pyhits.data.files.choose import listing, named
from pyhits.data.files.layout import axis_text, from_arrays, grid_text, is_ours, to_arrays
from pyhits.data.files.netcdf_values import cleaned
from pyhits.data.files.reading import Reading
from pyhits.data.files.steps import set_step
from pyhits.data.pieces import Pieces
from pyhits.data.sampling import parts_of_labelled
from pyhits.data.tables.time_column import holds_dates
from pyhits.data.tables.time_names import is_time_name
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError

#: Returns where variables of these names were never written, by their names.
GapsOf = Callable[[list[str]], dict[str, np.ndarray]]


def from_dataset(
    dataset: Any, path: Path, wanted: Reading, gaps_of: GapsOf | None = None
) -> Pieces:
    """Return one variable, or all those of the same dimensions, as pieces.

    Parameters
    ----------
    dataset : xarray Dataset
        With numbers as they are stored, not loaded.
    """
    if is_ours(dataset.attrs):
        return from_arrays(_own_arrays(dataset), path, wanted.time_column)
    chosen = labelled(dataset, wanted)
    parts = parts_of_labelled(chosen, wanted.sampling)
    if parts is None:
        whole = hasattr(chosen, "data_vars")
        names = [str(n) for n in (chosen.data_vars if whole else [chosen.name])]
        gaps = {} if gaps_of is None else gaps_of(names)
        pieces = to_pieces(cleaned(chosen, gaps), raw=wanted.raw, choice=wanted.choice)
    else:
        items = [cleaned(item, {}) for item in parts.items]
        pieces = to_pieces(items, raw=wanted.raw, choice=wanted.choice)
        pieces.notes.append(parts.note)
    if pieces.dt is None and pieces.times is None and wanted.time_column != "none":
        set_step(pieces, _facts(dataset, chosen), given=wanted.dt)
        if parts is not None:
            pieces.start_times = parts.begins * (pieces.dt or wanted.dt or 1.0)
    return pieces


def labelled(dataset: Any, wanted: Reading) -> Any:
    """Return the DataArray or the Dataset that is the data, with numbers as they are stored."""
    return _timed(_with_dates(_chosen(dataset, wanted), dataset), wanted)


def as_dataset(xarray: Any, trajectories: Trajectories) -> Any:
    """Return ``values`` with dimensions (trajectory, time, feature), or packed rows if ragged."""
    arrays = to_arrays(trajectories)
    names = arrays["feature_names"].astype(object)
    coordinates = {"feature": ("feature", names)}
    variables: dict[str, Any] = {"start_times": ("trajectory", arrays["start_times"])}
    if trajectories.is_even:
        variables["values"] = (("trajectory", "time", "feature"), trajectories.to_array())
        # Each trajectory's own times are start_times plus these.
        coordinates["time"] = ("time", trajectories.dt * np.arange(trajectories.lengths[0]))
    else:
        variables["values"] = (("row", "feature"), arrays["values"])
        variables["lengths"] = ("trajectory", arrays["lengths"])
    attributes: dict[str, Any] = {"pyhits": int(arrays["pyhits"]), "dt": trajectories.dt}
    texts = {"grid": grid_text(trajectories), "time_axis": axis_text(trajectories)}
    attributes |= {name: text for name, text in texts.items() if text is not None}
    return xarray.Dataset(variables, coordinates, attributes)


def _own_arrays(dataset: Any) -> dict[str, Any]:
    arrays = {"pyhits": dataset.attrs["pyhits"]}
    for name in ("dt", "snapshot", "grid", "time_axis"):
        if name in dataset.attrs:
            arrays[name] = dataset.attrs[name]
    if "feature" in dataset.coords:
        arrays["feature_names"] = dataset["feature"].values
    for name in ("values", "lengths", "start_times"):
        if name in dataset:
            arrays[name] = dataset[name].values
    values = arrays.get("values")
    if values is not None and values.ndim == 3:
        arrays["lengths"] = np.full(values.shape[0], values.shape[1])
        arrays["values"] = values.reshape(-1, values.shape[2])
    return arrays


def _chosen(dataset: Any, wanted: Reading) -> Any:
    """Return the variable asked for, or the dataset cut down to what belongs together."""
    if wanted.variable is not None:
        return dataset[named(dataset.variables, wanted.variable, "variable")]
    found = {
        str(name): dataset[name]
        for name in dataset.data_vars
        if dataset[name].dtype.kind in "fiu"
        and dataset[name].ndim
        and not _is_of_time(dataset, name)
    }
    timed = {name: array for name, array in found.items() if any(map(_is_time, array.dims))}
    candidates = timed or found
    if not candidates:
        raise DataError(f"Expected a numeric variable, found {listing(dataset.variables)}.")
    if len({array.dims for array in candidates.values()}) > 1:
        raise DataError(
            f"Several variables could be the data: {listing(candidates)}. Choose one with "
            'variable="name" (on the command line: --variable name).'
        )
    return dataset[list(candidates)]


def _timed(data: Any, wanted: Reading) -> Any:
    """Give the dimension of ``time_column`` the name ``time``; for ``"none"`` drop the times."""
    column = wanted.time_column
    if column is None:
        return data
    if isinstance(column, int):
        raise ArgumentError(
            f"time_column={column} is a number; a .nc file needs the name of its time dimension."
        )
    if column == "none":
        return data.drop_vars([name for name in data.coords if _is_time(name)])
    dimensions = [str(d) for d in data.dims]
    if column not in dimensions:
        raise ArgumentError(f"No dimension {column!r} for time_column; there are {dimensions}.")
    others = {d: f"{d}_" for d in dimensions if _is_time(d) and d != column}
    return data.rename({**others, column: "time"})


def _with_dates(data: Any, dataset: Any) -> Any:
    """Give a dimension without coordinates the times that a variable of its own holds."""
    own = [data.name] if hasattr(data, "name") else list(data.data_vars)
    for dim in map(str, data.dims):
        if dim in data.coords:
            continue
        for name in map(str, dataset.variables):
            times = dataset[name]
            if times.dims != (dim,) or name in own:
                continue
            if (_is_time(name) and times.dtype.kind in "fiu") or holds_dates(times.values):
                values = (dim, times.values, times.attrs)
                return data.drop_vars(name, errors="ignore").assign_coords({dim: values})
    return data


def _facts(dataset: Any, chosen: Any) -> dict[str, Any]:
    """Return attributes, and variables of one number, by their names."""
    single = {
        str(name): dataset[name].values for name in dataset.variables if dataset[name].size == 1
    }
    return {**dataset.attrs, **chosen.attrs, **single}


def _is_time(name: Any) -> bool:
    return is_time_name(str(name))


def _is_of_time(dataset: Any, name: Any) -> bool:
    """Tell whether a variable holds dates, such as the bounds of the intervals of means."""
    bounds = {str(dataset[c].attrs.get("bounds", "")) for c in dataset.coords}
    return " since " in str(dataset[name].attrs.get("units", "")) or str(name) in bounds
