"""NetCDF files through xarray: NetCDF4 with h5netcdf, classic NetCDF3 with scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.convert import to_pieces
from pyhits.data.files.choose import listing, named
from pyhits.data.files.classic import check_header
from pyhits.data.files.guard import (
    HDF5,
    NETCDF3,
    FileKind,
    expect_kind,
    parsing,
)
from pyhits.data.files.heaps import check_heaps
from pyhits.data.files.layout import axis_text, from_arrays, grid_text, is_ours, to_arrays
from pyhits.data.files.netcdf_values import check_contents, cleaned, gaps_of
from pyhits.data.files.reading import Reading
from pyhits.data.files.steps import set_step
from pyhits.data.pieces import Pieces
from pyhits.data.tables.time_column import holds_dates
from pyhits.data.tables.time_names import is_time_name
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError
from pyhits.util.extras import need

NETCDF4 = FileKind("a NetCDF file", ".nc")


def read(path: Path, wanted: Reading) -> Pieces:
    """Read one variable, or all those of the same dimensions as features.

    The dimension named ``time`` (or ``t`` ...) is the time, ``trajectory`` or ``run`` numbers the
    trajectories, all others are flattened into features.
    """
    kind = expect_kind(path, HDF5, NETCDF3)
    modules = ("xarray", "h5netcdf", "h5py") if kind is HDF5 else ("xarray",)
    xarray = need(*modules, action="Reading .nc files", extra="netcdf")
    engine = "h5netcdf" if kind is HDF5 else "scipy"
    with parsing(path, NETCDF4):
        if kind is HDF5:
            check_heaps(path)
        # xarray follows links, and h5netcdf prints what it cannot close in damaged files.
        grouped = check_contents(path) if kind is HDF5 else []
        if kind is NETCDF3:
            check_header(path)
    with parsing(path, NETCDF4), _opened(xarray, path, engine) as dataset:
        if is_ours(dataset.attrs):
            return from_arrays(_own_arrays(dataset), path, wanted.time_column)
        if grouped and not dataset.data_vars:
            raise DataError(
                f"All variables lie in groups ({', '.join(grouped[:5])}), which are not read from "
                '.nc files. Copy the file to one that ends in .h5, and choose with variable="name" '
                "(on the command line: --variable name)."
            )
        chosen = _timed(_with_dates(_with_gaps(dataset, path, kind, wanted), dataset), wanted)
        pieces = to_pieces(chosen, raw=wanted.raw, choice=wanted.choice)
        if pieces.dt is None and pieces.times is None and wanted.time_column != "none":
            set_step(pieces, _facts(dataset, chosen), given=wanted.dt)
    return pieces


def write(trajectories: Trajectories, path: Path) -> None:
    """Write ``values`` with dimensions (trajectory, time, feature), or packed rows if ragged."""
    modules = ("xarray", "h5netcdf", "h5py")
    xarray = need(*modules, action="Writing .nc files", extra="netcdf")
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
    dataset = xarray.Dataset(variables, coordinates, attributes)
    dataset.to_netcdf(path, engine="h5netcdf")


def _opened(xarray: Any, path: Path, engine: str) -> Any:
    """Open with numbers as they are stored; :mod:`.conventions` says what they mean."""
    return xarray.open_dataset(path, engine=engine, decode_times=False, mask_and_scale=False)


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


def _with_gaps(dataset: Any, path: Path, kind: FileKind, wanted: Reading) -> Any:
    """Return what was chosen, with NaN for all that is missing."""
    chosen = _chosen(dataset, wanted)
    names = [str(n) for n in (chosen.data_vars if hasattr(chosen, "data_vars") else [chosen.name])]
    gaps = gaps_of(path, names, raw=wanted.raw) if kind is HDF5 else {}
    return cleaned(chosen, gaps)


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
