"""The global heaps of HDF5 files, walked through before the HDF5 library does.

It goes round for ever where an entry of a damaged heap has no length, or so long a one that adding
to it begins anew at 0. The format:
https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, section III.E.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_MARK = b"GCOL\x01\0\0\0"

#: Bytes of a heap's head, of an entry's, and of a file up to which it is looked through.
_HEAD, _ENTRY, _LARGEST = 16, 16, 1 << 26


def check_heaps(path: Path) -> None:
    """Raise a ValueError if reading a heap of the file would not end.

    Parameters
    ----------
    path : Path
        An HDF5 file whose sizes take 8 bytes, as nearly all do.
    """
    size = path.stat().st_size
    if size > _LARGEST:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        begin = data.find(_MARK)
        while begin >= 0:
            _check_heap(data, begin, size)
            begin = data.find(_MARK, begin + 1)


def _check_heap(data: mmap.mmap, begin: int, size: int) -> None:
    if begin + _HEAD > size:
        return
    end = begin + struct.unpack_from("<Q", data, begin + 8)[0]
    at = begin + _HEAD
    while at + _ENTRY <= min(end, size):
        number, length = struct.unpack_from("<H6xQ", data, at)
        # The entry 0 is what is free, its own head included.
        step = length if number == 0 else _ENTRY + length + -length % 8
        if not 0 < step <= end - at:
            raise ValueError(f"the heap at byte {begin} has an entry of {length} bytes")
        at += step
