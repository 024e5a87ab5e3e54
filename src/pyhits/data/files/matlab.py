"""MATLAB .mat files: v4 through scipy, v5 to v7 by :mod:`.mat5`, v7.3 through h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files import mat5, mat73
from pyhits.data.files.guard import (
    BINARY,
    HDF5,
    MATLAB5,
    MATLAB73,
    expect_kind,
    parsing,
)
from pyhits.data.files.hdf5 import check_links
from pyhits.data.files.heaps import check_heaps
from pyhits.data.files.layout import from_arrays, is_ours, to_arrays
from pyhits.data.files.nested import Flat, pieces
from pyhits.data.files.reading import Reading
from pyhits.data.pieces import Pieces
from pyhits.data.trajectories import Trajectories
from pyhits.util.extras import need


def read(path: Path, wanted: Reading) -> Pieces:
    """Read MATLAB variables; structs and cells by their fields, ``run/x``."""
    # v4 has no signature.
    kind = expect_kind(path, MATLAB5, MATLAB73, HDF5, BINARY)
    if kind in (HDF5, MATLAB73):
        h5py = need("h5py", action="Reading MATLAB v7.3 .mat files", extra="hdf5")
        with parsing(path, MATLAB73):
            check_heaps(path)
        with parsing(path, MATLAB73), h5py.File(path, "r") as file:
            found = mat73.variables(file, raw=wanted.raw)
            said = check_links(file, found, wanted)
            made = _pieces(found, path, wanted)
        made.notes += said
        return made
    with parsing(path, MATLAB5):
        if kind is MATLAB5 or not _may_be_v4(path):
            # Nested values are small; arrays of numbers are loaded once they are chosen.
            known = mat5.variables(path)
            found = {v.name: v if v.has_numbers else v.load() for v in known}
            return _pieces(found, path, wanted)
        from scipy.io import loadmat  # takes a third of a second to import

        loaded = loadmat(path, appendmat=False)
        arrays = {n: a for n, a in loaded.items() if isinstance(a, np.ndarray)}
        return _pieces(arrays, path, wanted)


def _may_be_v4(path: Path) -> bool:
    """Tell whether a file may be v4, by the rule of SciPy: its first number is below 2**24.

    On damaged files of v5 SciPy ends the process.
    """
    with path.open("rb") as stream:
        return 0 in stream.read(4)


def write(trajectories: Trajectories, path: Path) -> None:
    """Write packed rows, lengths, step, names (a cell) and start times as v5."""
    from scipy.io import savemat

    arrays = to_arrays(trajectories)
    arrays["feature_names"] = arrays["feature_names"].astype(object)
    savemat(path, arrays, appendmat=False)


def _pieces(variables: dict[str, Any], path: Path, wanted: Reading) -> Pieces:
    if is_ours(variables):
        names = variables.get("feature_names")
        if isinstance(names, list):  # a cell
            cell = np.empty(len(names), dtype=object)
            cell[:] = names
            variables = {**variables, "feature_names": cell}
        return from_arrays(variables, path, wanted.time_column)
    flat = Flat()
    for name, value in variables.items():
        flat.add(name, [value])
    return pieces(flat, wanted)
