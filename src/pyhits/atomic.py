"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

from pyhits.errors import ArgumentError, FileFormatError, PyHiTSError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and move it there once it is written in full.

    A reader never sees half a file, and a failed write leaves the old file as it was.
    """
    if path.is_dir():
        raise FileFormatError(f"Cannot write {path}: it is a folder.")
    temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except PyHiTSError:
        raise
    except Exception as error:  # as in reading: h5py, scipy and others have their own errors
        raise FileFormatError(
            f"Cannot write {path}: {first_line(error)}. Check the folder, its permissions and "
            "the space left."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_target(path: str | Path, suffixes: Collection[str] = ()) -> None:
    """Raise at once if a file could not be written to ``path`` after a long computation.

    Parameters
    ----------
    suffixes : collection of str
        Allowed extensions, with their dots; any if there are none.

    Raises
    ------
    ArgumentError
        The extension is not one of ``suffixes``.
    FileFormatError
        It is a folder, or its folder cannot be made or written to.
    """
    path = Path(path).expanduser()
    if suffixes and path.suffix.lower() not in suffixes:
        known = ", ".join(sorted(suffixes))
        raise ArgumentError(f"Expected {str(path)!r} to end in one of {known}.")
    with contextlib.suppress(_TriedError), replacing(path) as temporary:
        temporary.touch()
        raise _TriedError


class _TriedError(PyHiTSError):
    """Ends a trial before it replaces the file."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole, and have it on the disk before it takes the place of an old one."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def first_line(error: Exception) -> str:
    """Return what an exception says, in one line without its full stop."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(". ") if lines else type(error).__name__
