"""HDF5 files through h5py: every dataset, at the top level or in groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyhits.convert import Pieces
from pyhits.io.choose import Wanted, choose
from pyhits.io.guard import HDF5, MATLAB73, expect_kind, need, reading
from pyhits.io.layout import from_arrays, is_ours, to_arrays
from pyhits.trajectories import Trajectories


def read(path: Path, wanted: Wanted) -> Pieces:
    """Read one dataset and its times; only these are loaded."""
    expect_kind(path, HDF5, MATLAB73)
    h5py = need("h5py", action=f"Reading {path.suffix} files", extra="hdf5")
    with reading(path, HDF5), h5py.File(path, "r") as file:
        found = datasets(file)
        if is_ours(found):
            return from_arrays({name: dataset[()] for name, dataset in found.items()}, path)
        return choose(found, wanted)


def write(trajectories: Trajectories, path: Path) -> None:
    """Write packed rows, lengths, step, names and start times as top-level datasets."""
    h5py = need("h5py", action=f"Writing {path.suffix} files", extra="hdf5")
    arrays: dict[str, Any] = to_arrays(trajectories)
    arrays["feature_names"] = arrays["feature_names"].astype(h5py.string_dtype())
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)


def datasets(file: Any) -> dict[str, Any]:
    """Return every dataset by its name in the file; links to other files are not followed."""
    found: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        # Groups, named types and empty datasets have no shape.
        if getattr(item, "shape", None) is not None:
            found[name] = item

    file.visititems(keep)
    return found
