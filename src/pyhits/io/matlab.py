"""MATLAB .mat files: v4 to v7 through scipy, v7.3 (which is HDF5) through h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyhits.convert import Pieces
from pyhits.io.choose import Wanted, choose
from pyhits.io.guard import BINARY, HDF5, MATLAB5, MATLAB73, expect_kind, need, reading
from pyhits.io.hdf5 import datasets
from pyhits.io.layout import from_arrays, is_ours, to_arrays
from pyhits.trajectories import Trajectories


def read(path: Path, wanted: Wanted) -> Pieces:
    """Read MATLAB variables; vectors, which MATLAB keeps as ``(1, n)``, count as 1-D."""
    # v4 has no signature, so scipy decides on files of unknown kind.
    kind = expect_kind(path, MATLAB5, MATLAB73, HDF5, BINARY)
    if kind in (HDF5, MATLAB73):
        h5py = need("h5py", action="Reading MATLAB v7.3 .mat files", extra="hdf5")
        with reading(path, MATLAB73), h5py.File(path, "r") as file:
            return _pieces(
                {n: _Reversed(d) for n, d in _variables(file, wanted).items()}, path, wanted
            )
    from scipy.io import loadmat  # takes a third of a second to import

    with reading(path, MATLAB5):
        loaded = loadmat(path, appendmat=False)
    return _pieces({n: a for n, a in loaded.items() if isinstance(a, np.ndarray)}, path, wanted)


def write(trajectories: Trajectories, path: Path) -> None:
    """Write packed rows, lengths, step, names (a cell) and start times as v5."""
    from scipy.io import savemat

    arrays = to_arrays(trajectories)
    arrays["feature_names"] = arrays["feature_names"].astype(object)
    savemat(path, arrays, appendmat=False)


def _pieces(arrays: dict[str, Any], path: Path, wanted: Wanted) -> Pieces:
    if is_ours(arrays):
        return from_arrays(arrays, path)
    return choose({name: _flat_vector(array) for name, array in arrays.items()}, wanted)


def _flat_vector(array: Any) -> Any:
    is_vector = len(array.shape) == 2 and min(array.shape) == 1 and max(array.shape) > 1
    return np.asarray(array).ravel() if is_vector else array


def _variables(file: Any, wanted: Wanted) -> dict[str, Any]:
    """Return the numeric variables of a v7.3 file; ``#refs#`` holds the contents of cells."""
    return {
        name: dataset
        for name, dataset in datasets(file, raw=wanted.raw).items()
        if not name.startswith("#")
        and dataset.attributes.get("MATLAB_class", b"double") not in (b"char", b"cell")
    }


class _Reversed:
    """A dataset with its axes in MATLAB's order; HDF5 holds them the other way round."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.shape = tuple(reversed(dataset.shape))
        self.dtype = dataset.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._dataset, dtype=dtype).T
