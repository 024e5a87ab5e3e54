"""NumPy's own files: .npz archives of named arrays, and .npy with one array."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.convert import Pieces
from pyhits.errors import ArgumentError, DataError
from pyhits.io.choose import Wanted, choose
from pyhits.io.guard import NPY, NPZ, expect_kind, reading
from pyhits.io.layout import from_arrays, is_ours, to_arrays
from pyhits.trajectories import Trajectories


def read_npz(path: Path, wanted: Wanted) -> Pieces:
    """Read named arrays; Python objects in them are left out, never unpickled."""
    expect_kind(path, NPZ)
    arrays: dict[str, Any] = {}
    with reading(path, NPZ), np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except ValueError as error:
                if "allow_pickle" not in str(error):
                    raise
    # A zip may hold other files too (a spreadsheet does); np.load gives them as bytes.
    arrays = {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}
    if is_ours(arrays):
        return from_arrays(arrays, path)
    return choose(arrays, wanted)


def write_npz(trajectories: Trajectories, path: Path) -> None:
    """Write packed rows, lengths, step, names and start times."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **to_arrays(trajectories))


def read_npy(path: Path, wanted: Wanted) -> Pieces:
    """Read one array: ``(time,)``, ``(time, feature)`` or ``(trajectory, time, feature)``."""
    expect_kind(path, NPY)
    if isinstance(wanted.time_column, str) and wanted.time_column != "none":
        raise ArgumentError(
            f"A .npy file has no names, so there is no {wanted.time_column!r}; give the number of "
            "the column that holds the time."
        )
    with reading(path, NPY):
        try:
            array = np.load(path, allow_pickle=False)
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise DataError(
                "Expected an array of numbers, got pickled Python objects, which are never "
                "opened. Save trajectories of different lengths with pyhits.write to .npz."
            ) from None
    return choose({"the array": array}, replace(wanted, variable="the array"))


def write_npy(trajectories: Trajectories, path: Path) -> None:
    """Write the values alone, ``(time, feature)`` if there is one trajectory."""
    if not trajectories.is_even:
        raise DataError(
            "Trajectories of different lengths do not fit the one array of a .npy file; write "
            ".npz instead, which also keeps dt and the names."
        )
    array = trajectories[0] if len(trajectories) == 1 else trajectories.to_array()
    with path.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
