"""The header of classic NetCDF files, walked through before SciPy believes its counts.

The format: https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO

from pyhits.errors import FileFormatError

#: Bytes a value of each type.
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8}

_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12


def check_header(path: Path) -> None:
    """Raise an error if the header promises more than the file holds.

    Raises
    ------
    FileFormatError
        It is of the variant CDF-5, which SciPy does not read.
    ValueError
        It is damaged.
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
