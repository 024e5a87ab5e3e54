"""What is looked at first of a model file: that it is one, and how long its header is."""

from __future__ import annotations

import stat
from pathlib import Path

from pyhits.errors import FileFormatError

#: Bytes of a file's header: so many, and so many for each byte of the tensors behind it, of which a
#: model has eight or more for every name in the header. The format itself ends at 100 MB.
_MOST_HEADER, _PER_BYTE, _MOST_EVER = 8_000_000, 16, 100_000_000


def check_file(path: Path, what: str) -> None:
    """Raise a FileFormatError unless there is a file whose header has a believable length."""
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise FileFormatError(f"{path} is a folder; expected {what}.")
        if not stat.S_ISREG(about.st_mode):
            raise FileFormatError(f"{path} is a pipe or a device; expected {what}.")
        with path.open("rb") as file:
            head = file.read(9)
    except FileNotFoundError:
        raise FileFormatError(f"There is no file {path}.") from None
    except OSError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"Cannot read {path}: {error.strerror or error}.") from None
    length = int.from_bytes(head[:8], "little")
    if len(head) < 9 or head[8:] != b"{" or length > about.st_size - 8:
        raise FileFormatError(f"{path} is not {what}: it is truncated or of another kind.")
    if length > header_room(about.st_size - 8 - length):
        raise FileFormatError(
            f"{path} is not {what}: a header of {length / 1e6:.0f} MB is too long for its tensors."
        )


def header_room(n_bytes: int) -> int:
    """Return how long the header of a file with ``n_bytes`` of tensors may be."""
    return min(_MOST_HEADER + _PER_BYTE * n_bytes, _MOST_EVER)
