"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from pyhits.errors import ArgumentError, FileFormatError, PyHiTSError

MayReplace = Callable[[Path], bool]


@contextlib.contextmanager
def replacing(path: Path, may_replace: MayReplace = lambda folder: False) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and move it there once it is written in full.

    A reader never sees half a file, and a failed write leaves the old file as it was. The new one
    has its mode; where ``path`` is a link, the file that it leads to is replaced.

    Parameters
    ----------
    may_replace : callable
        Of folders, as Zarr stores are: tells whether one that is there may be replaced.
    """
    target, mode = _target(path, may_replace)
    temporary = target.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        make_folder(target.parent)
        yield temporary
        if mode is not None:
            temporary.chmod(mode)
        if temporary.is_dir() and target.exists():
            old = temporary.with_name(f"{temporary.name}.old")
            target.replace(old)
            temporary.replace(target)
            _remove(old)
        else:
            temporary.replace(target)
    except PyHiTSError:
        raise
    except Exception as error:  # as in reading: h5py, scipy and others have their own errors
        raise FileFormatError(
            f"Cannot write {path}: {first_line(error)}. Check the folder, its permissions and "
            "the space left."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            _remove(temporary)


def make_folder(folder: Path) -> None:
    """Make a folder if it is missing and its own folder is there: a typo makes none.

    Raises FileFormatError: the folder that it would lie in is missing, or is the root of an
    absolute path.
    """
    above = folder.absolute().parent
    is_new_root = folder.is_absolute() and above == Path(folder.anchor)
    if folder.is_dir():
        return
    if is_new_root or not above.is_dir():
        missing = [one for one in (folder, *folder.parents) if not one.exists()][-1]
        raise FileFormatError(
            f"Cannot write into {folder}: there is no folder {missing}. Of a path only the last "
            "folder is made; make the others first, or look for a typing error."
        )
    folder.mkdir(exist_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _target(path: Path, may_replace: MayReplace) -> tuple[Path, int | None]:
    """Return the file that a path leads to, and its mode; None for a folder, or if none is there.

    Raises FileFormatError: it is a folder, a device or a pipe, or may not be written to.
    """
    try:
        target = path.resolve() if path.is_symlink() else path
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target, None
    except (OSError, RuntimeError) as error:  # a link that leads to itself, a name too long
        raise FileFormatError(f"Cannot write {path}: {first_line(error)}.") from None
    if stat.S_ISDIR(mode):
        if may_replace(target):
            return target, None
        raise FileFormatError(f"Cannot write {path}: it is a folder.")
    if not stat.S_ISREG(mode):
        raise FileFormatError(f"Cannot write {path}: it is a device or a pipe, not a file.")
    if not os.access(target, os.W_OK):
        raise FileFormatError(f"Cannot write {path}: it is there, and read-only.")
    return target, stat.S_IMODE(mode)


def check_not_read(path: Path, read: Path) -> None:
    """Raise an ArgumentError if a file that is to be written is one that is read before."""
    path, read = path.expanduser(), read.expanduser()
    if path.exists() and read.exists() and path.samefile(read):
        raise ArgumentError(
            f"{path} is read, and would be lost if it were written to; give another file."
        )


def check_target(
    path: str | Path, suffixes: Collection[str] = (), may_replace: MayReplace = lambda folder: False
) -> None:
    """Raise at once if a file could not be written to ``path`` after a long computation.

    Raises ArgumentError: the extension is not one of ``suffixes``.
    Raises FileFormatError: it is a folder, or its folder cannot be made or written to.

    Parameters
    ----------
    suffixes : collection of str
        Allowed extensions, with their dots; any if there are none.
    may_replace : callable
        As of :func:`replacing`.
    """
    path = Path(path).expanduser()
    if suffixes and path.suffix.lower() not in suffixes:
        known = ", ".join(sorted(set(suffixes)))
        raise ArgumentError(f"Expected {str(path)!r} to end in one of {known}.")
    with contextlib.suppress(_TriedError), replacing(path, may_replace) as temporary:
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
