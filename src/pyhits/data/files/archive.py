"""NumPy's own files: .npz archives of named arrays, and .npy with one array."""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from pyhits.data.files.choose import choose
from pyhits.data.files.conventions import sound_texts
from pyhits.data.files.guard import NPY, NPZ, expect_kind, parsing
from pyhits.data.files.layout import from_arrays, is_ours, to_arrays
from pyhits.data.files.reading import Reading
from pyhits.data.limits import array_bytes, expect_to_fit
from pyhits.data.pieces import Pieces
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError

_PICKLED = (
    "Expected an array of numbers, got pickled Python objects, which are never opened. Save "
    "trajectories of different lengths with pyhits.write to .npz."
)

#: Deflate, which .npz files use, packs no bytes smaller than to this share.
_DENSEST = 1100


def read_npz(path: Path, wanted: Reading) -> Pieces:
    """Read named arrays; only those that are used are unpacked, and no Python objects."""
    expect_kind(path, NPZ)
    with parsing(path, NPZ), np.load(path, allow_pickle=False) as archive:
        members = [_Member(archive, info) for info in archive.zip.infolist() if _is_array(info)]
        arrays = {member.name: member for member in members}
        if is_ours(arrays):
            return from_arrays(arrays, path, wanted.time_column)
        return choose(arrays, wanted)


def write_npz(trajectories: Trajectories, path: Path) -> None:
    """Write packed rows, lengths, step, names and start times."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **to_arrays(trajectories))


def read_npy(path: Path, wanted: Reading) -> Pieces:
    """Read one array: ``(time,)``, ``(time, feature)`` or ``(trajectory, time, feature)``."""
    expect_kind(path, NPY)
    if isinstance(wanted.time_column, str) and wanted.time_column != "none":
        raise ArgumentError(
            f"A .npy file has no names, so there is no {wanted.time_column!r}; give the number of "
            "the column that holds the time."
        )
    with parsing(path, NPY):
        with path.open("rb") as stream:
            shape, dtype = _header(stream)
            there = path.stat().st_size - stream.tell()
        is_large = array_bytes(shape, dtype) > wanted.sampling.max_bytes
        _check_array("the array", shape, dtype, there, fits=not is_large)
        array = np.load(path, allow_pickle=False, mmap_mode="r" if is_large else None)
        return choose({"the array": sound_texts(array)}, replace(wanted, variable="the array"))


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


class _Member:
    """An array in a .npz file, unpacked when NumPy converts it; its header says what it is."""

    def __init__(self, archive: Any, info: zipfile.ZipInfo) -> None:
        self.name = info.filename.removesuffix(".npy")
        self._archive = archive
        self._info = info
        with archive.zip.open(info) as stream:
            self.shape, self.dtype = _header(stream)
            self._there = info.file_size - stream.tell()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        _check_array(f"array {self.name!r}", self.shape, self.dtype, self._there)
        if self._info.file_size > _DENSEST * max(1, self._info.compress_size):
            raise ValueError(
                f"array {self.name!r} is said to take {self._info.file_size} bytes, which cannot "
                f"come of {self._info.compress_size} packed ones"
            )
        return np.asarray(sound_texts(self._archive[self._info.filename]), dtype=dtype)


def _is_array(info: zipfile.ZipInfo) -> bool:
    """Tell whether a member is an array; a zip may hold other files too, as a spreadsheet does."""
    return info.filename.endswith(".npy")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the array that begins here, and leave the stream at its values."""
    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0  # the third version differs in field names alone
    )
    try:
        shape, _, dtype = read(stream)
    except (MemoryError, RecursionError):
        raise ValueError("its header is nested too deeply") from None
    if any(n < 0 for n in shape):
        raise ValueError(f"its header says the shape {shape}")
    return shape, dtype


def _check_array(
    name: str, shape: tuple[int, ...], dtype: np.dtype[Any], there: int, *, fits: bool = True
) -> None:
    """Raise an error if the values are no numbers, are not all there, or do not fit.

    Parameters
    ----------
    there : int
        Bytes that follow the header.
    fits : bool
        Whether it is to be read whole.
    """
    if dtype.hasobject:
        raise DataError(_PICKLED)
    if math.prod(shape) * dtype.itemsize > there:
        raise ValueError(
            f"the header of {name} says the shape {shape}, {math.prod(shape) * dtype.itemsize} "
            f"bytes, but only {there} follow"
        )
    if fits:
        expect_to_fit(array_bytes(shape, dtype), f"{name[0].upper()}{name[1:]} {shape}")
