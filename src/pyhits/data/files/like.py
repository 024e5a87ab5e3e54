"""Files with the dimensions, coordinates, times and attributes of another: NetCDF, HDF5, Zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyhits.data.files import netcdf, zarrs
from pyhits.data.files.conventions import CODING
from pyhits.data.files.layout import is_ours
from pyhits.data.relabelled import relabelled
from pyhits.data.times.objects import as_objects
from pyhits.data.trajectories import Trajectories
from pyhits.util.extras import need

#: Extensions of what is written so, and of what it may be like.
WRITTEN = (".zarr", ".nc", ".h5", ".hdf5")
MODELS = (".zarr", ".nc")


def write_like(trajectories: Trajectories, path: Path, model: Path) -> bool:
    """Write trajectories as variables of the dimensions and coordinates of another file's.

    Returns bool: whether that was done; not where they are no rows of such variables.

    Parameters
    ----------
    path : Path
        Of one of :data:`WRITTEN`.
    model : Path
        A Zarr store or a NetCDF file that is there.
    """
    made = _as_dataset(trajectories, model)
    if made is None:
        return False
    if path.suffix.lower() == ".zarr":
        zarrs.write_dataset(made, path)
    else:
        need("h5netcdf", "h5py", action=f"Writing such {path.suffix} files", extra="netcdf")
        made.to_netcdf(path, engine="h5netcdf")
    return True


def _as_dataset(trajectories: Trajectories, model: Path) -> Any:
    """Return trajectories as a Dataset of xarray; None where they are no rows of the model's."""
    starts = trajectories.start_times
    if not trajectories.is_even or (starts != starts[0]).any():
        return None
    is_store = model.suffix.lower() == ".zarr"
    if is_store and not zarrs.has_dimensions(model):
        return None
    with zarrs.opened(model) if is_store else netcdf.opened(model) as dataset:
        found = None if is_ours(dataset.attrs) else _variables(dataset, trajectories)
        if found is None:
            return None
        states = trajectories.to_array()
        stamps = as_objects(trajectories.axis, trajectories.times())
        for rows in (states, states[0])[: 2 if len(states) == 1 else 1]:
            made = relabelled(rows, trajectories.feature_names, stamps, found)
            if made is not None:
                return made.load()
    return None


def _variables(dataset: Any, trajectories: Trajectories) -> Any:
    """Return the variables that trajectories are of, without what says how numbers are stored."""
    grid = trajectories.grid
    names = list(trajectories.feature_names if grid is None else grid.channels)
    if not set(names) <= set(map(str, dataset.data_vars)):
        names = [n for n in dataset.data_vars if dataset[n].ndim > 1]
    if not names or len({dataset[n].dims for n in names}) > 1:
        return None
    found = dataset[names].drop_encoding()
    for array in found.data_vars.values():
        array.attrs = {name: value for name, value in array.attrs.items() if name not in CODING}
    return found
