"""NetCDF files through xarray: NetCDF4 with h5netcdf, classic NetCDF3 with scipy."""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pyhits.data.files.datasets import as_dataset, from_dataset
from pyhits.data.files.guard import HDF5, NETCDF3, FileKind, expect_kind, kind_of, parsing
from pyhits.data.files.heaps import check_heaps
from pyhits.data.files.netcdf_values import check_contents, gaps_of
from pyhits.data.files.reading import Reading
from pyhits.data.pieces import Pieces
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError, FileFormatError
from pyhits.util.extras import need

NETCDF4 = FileKind("a NetCDF file", ".nc")


def read(path: Path, wanted: Reading) -> Pieces:
    """Read one variable, or all those of the same dimensions as features.

    The dimension named ``time`` (or ``t`` ...) is the time, ``trajectory`` or ``run`` numbers the
    trajectories, all others are flattened into features.
    """
    with parsing(path, NETCDF4), opened(path) as dataset:
        is_hdf5 = kind_of(path) is HDF5

        def gaps(names: list[str]) -> dict[str, np.ndarray]:
            return gaps_of(path, names, raw=wanted.raw) if is_hdf5 else {}

        return from_dataset(dataset, path, wanted, gaps)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file as a Dataset of xarray with numbers as they are stored, none of them loaded.

    What they mean :mod:`.conventions` says.

    Raises DataError, FileFormatError, MissingExtraError.
    """
    kind = expect_kind(path, HDF5, NETCDF3)
    modules = ("xarray", "h5netcdf", "h5py") if kind is HDF5 else ("xarray",)
    xarray = need(*modules, action="Reading .nc files", extra="netcdf")
    if kind is HDF5:
        check_heaps(path)
    # xarray follows links, and h5netcdf prints what it cannot close in damaged files.
    grouped = check_contents(path) if kind is HDF5 else []
    if kind is NETCDF3:
        check_header(path)
    engine = "h5netcdf" if kind is HDF5 else "scipy"
    raw = {"decode_times": False, "mask_and_scale": False}
    with xarray.open_dataset(path, engine=engine, **raw) as dataset:
        if grouped and not dataset.data_vars:
            raise DataError(
                f"All variables lie in groups ({', '.join(grouped[:5])}), which are not read from "
                '.nc files. Copy the file to one that ends in .h5, and choose with variable="name" '
                "(on the command line: --variable name)."
            )
        yield dataset


def write(trajectories: Trajectories, path: Path) -> None:
    """Write ``values`` with dimensions (trajectory, time, feature), or packed rows if ragged."""
    modules = ("xarray", "h5netcdf", "h5py")
    xarray = need(*modules, action="Writing .nc files", extra="netcdf")
    dataset = as_dataset(xarray, trajectories)
    dataset.to_netcdf(path, engine="h5netcdf")


#: Bytes a value of each type.
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8}

_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12


def check_header(path: Path) -> None:
    """Raise an error if the header promises more than the file holds.

    Raises FileFormatError: it is of the variant CDF-5, which SciPy does not read.
    Raises ValueError: it is damaged.
    """
    with path.open("rb") as stream:
        version = stream.read(4)[3]
        if version == 5:
            raise FileFormatError(
                f"{path} is a NetCDF file of the kind CDF-5, which is not read. Convert it: "
                "nccopy -k nc4 in.nc out.nc"
            )
        _HeaderWalk(stream, path.stat().st_size, version).check()


class _HeaderWalk:
    def __init__(self, stream: BinaryIO, size: int, version: int) -> None:
        self._stream = stream
        self._size = size
        self._offset = ">q" if version == 2 else ">i"

    def check(self) -> None:
        records = self._number()
        lengths = []
        for _ in self._items(_DIMENSIONS):
            self._name()
            lengths.append(self._count())
        self._attributes()
        for _ in self._items(_VARIABLES):
            self._variable(lengths, records)

    def _variable(self, lengths: list[int], records: int) -> None:
        """Check that the values of a variable, but for those in records, are there."""
        name = self._name()
        axes = [self._count() for _ in range(self._bounded(self._count(), 4))]
        self._attributes()
        width = self._width()
        self._count()
        begin = struct.unpack(self._offset, self._take(struct.calcsize(self._offset)))[0]
        if any(axis >= len(lengths) for axis in axes):
            raise ValueError(f"variable {name!r} has a dimension that is not there")
        shape = [lengths[axis] for axis in axes]
        if shape[:1] == [0]:
            # A length of 0 stands for that of the records, of which one or all are there.
            shape = [min(1, max(0, records)), *shape[1:]]
        if begin < 0 or begin + math.prod(shape) * width > self._size:
            raise ValueError(f"the values of variable {name!r} are beyond the end of the file")

    def _attributes(self) -> None:
        for _ in self._items(_ATTRIBUTES):
            self._name()
            self._padded(self._width() * self._count())

    def _items(self, tag: int) -> range:
        found, count = self._number(), self._count()
        if found not in (0, tag) or (found == 0 and count):
            raise ValueError(f"a list of {count} things of the kind {found}")
        return range(self._bounded(count, 8))

    def _bounded(self, count: int, width: int) -> int:
        if count * width > self._size:
            raise ValueError(f"a list of {count} things in {self._size} bytes")
        return count

    def _name(self) -> str:
        return self._padded(self._count()).decode("utf-8", "replace")

    def _width(self) -> int:
        kind = self._number()
        if kind not in _WIDTHS:
            raise ValueError(f"values of the kind {kind}")
        return _WIDTHS[kind]

    def _count(self) -> int:
        found = self._number()
        if found < 0:
            raise ValueError(f"a count of {found}")
        return found

    def _number(self) -> int:
        return int(struct.unpack(">i", self._take(4))[0])

    def _padded(self, length: int) -> bytes:
        return self._take(length + -length % 4)[:length]

    def _take(self, length: int) -> bytes:
        if length > self._size:
            raise ValueError(f"{length} bytes expected, {self._size} in all")
        found = self._stream.read(length)
        if len(found) < length:
            raise ValueError("the file ends within its header")
        return found
