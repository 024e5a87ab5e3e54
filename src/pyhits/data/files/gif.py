"""What the pictures of a GIF can fill, told from its blocks before a frame is made."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from pyhits.errors import FileFormatError

#: First bytes of blocks.
_EXTENSION, _PICTURE = 0x21, 0x2C

#: Codes that a dictionary has, of which each stands for one pixel more than the one before, and
#: bits of the shortest.
_CODES, _LEAST_BITS = 4096, 3

#: Times the area of its pictures that a screen may have: few leave a margin free for good.
_MARGIN = 4


def check_gif(path: Path) -> None:
    """Raise a FileFormatError where a screen is far larger than what the pictures can fill.

    Every frame is a whole screen, however small the picture that it changes.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if len(data) < 13:
            return
        width, height = struct.unpack_from("<HH", data, 6)
        right = below = 0
        for left, top, across, down, n_bytes in _pictures(data):
            if across * down <= _most_pixels(n_bytes):
                right, below = max(right, left + across), max(below, top + down)
    if width * height > _MARGIN * max(1, right * below):
        raise FileFormatError(
            f"{path} says that its frames are {width} x {height}, but its pictures can fill "
            f"{right} x {below}; it is damaged: write or copy it again."
        )


def _most_pixels(n_bytes: int) -> int:
    """Return how many pixels so many bytes of codes stand for, at most."""
    codes = 8 * n_bytes // _LEAST_BITS
    return codes * min(codes, _CODES)


def _pictures(data: mmap.mmap) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield left, top, width, height and bytes of codes of each picture, as far as it goes."""
    place = 13 + _colours(data[10])
    try:
        while True:
            if data[place] == _EXTENSION:
                place = _end(data, place + 2)[0]
            elif data[place] == _PICTURE:
                where = struct.unpack_from("<HHHH", data, place + 1)
                begin = place + 11 + _colours(data[place + 9])
                place, n_bytes = _end(data, begin)
                yield *where, n_bytes
            else:
                return
    except (IndexError, struct.error):  # it ends before
        return


def _colours(flags: int) -> int:
    """Return the bytes of a table of colours, if there is one."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _end(data: mmap.mmap, place: int) -> tuple[int, int]:
    """Return where a chain of blocks ends, and how many bytes they hold."""
    n_bytes = 0
    while size := data[place]:
        place, n_bytes = place + 1 + size, n_bytes + size
    return place + 1, n_bytes
