"""Machine code that is kept on disk, so that it is made once a machine and not once a process.

Code that is read is run: it is taken from files alone that belong to the user, that nobody else may
write to, and whose content is what was kept under the same name. What is not so is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pyhits._version import __version__

#: Bytes of the check sum that stands before the code.
_SUM = 32

#: Bytes of all entries, and of one of them, at most; what was used least lately goes first.
_MOST, _MOST_EACH = 64 << 20, 8 << 20

#: Neither links nor pipes are waited for; other systems than POSIX's have no such flags.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY, _NEW = getattr(os, "O_BINARY", 0), os.O_WRONLY | os.O_CREAT | os.O_EXCL


def read(key: str) -> bytes | None:
    """Return the code of a key; None where there is none, it is not whole, or another's."""
    with contextlib.suppress(OSError, RuntimeError):
        path = _path(key)
        if path is None or not _is_own(path.parent.lstat(), stat.S_ISDIR):
            return None
        content = _content(path)
        if content is not None and content[:_SUM] == _sum(key, content[_SUM:]):
            with contextlib.suppress(OSError):  # it may be read-only
                os.utime(path)
            return content[_SUM:]
    return None


def write(key: str, code: bytes) -> None:
    """Keep code, as far as there is a place for it."""
    with contextlib.suppress(OSError, RuntimeError):
        path = _path(key)
        if path is None or len(code) > _MOST_EACH:
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_own(path.parent.lstat(), stat.S_ISDIR):
            _make_room(path.parent, _MOST - _SUM - len(code))
            _put(path, _sum(key, code) + code)


def _content(path: Path) -> bytes | None:
    """Return what is in a file of the user's own."""
    with os.fdopen(os.open(path, _READ | _BINARY), "rb") as file:
        about = os.fstat(file.fileno())
        if not _is_own(about, stat.S_ISREG) or about.st_size > _SUM + _MOST_EACH:
            return None
        return file.read()


def _put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, whoever else writes it."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.o")
    try:
        with os.fdopen(os.open(temporary, _NEW | _BINARY, 0o600), "wb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _make_room(folder: Path, room: int) -> None:
    """Delete the entries used least lately, until the others take no more than ``room`` bytes."""
    known = []
    for path in folder.glob("*.o"):
        with contextlib.suppress(OSError):  # others delete, too
            about = path.lstat()
            known.append((about.st_mtime, about.st_size, path))
    in_all = sum(size for _, size, _ in known)
    for _, size, path in sorted(known):
        if in_all <= room:
            return
        path.unlink(missing_ok=True)
        in_all -= size


def _is_own(about: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    """Return whether it is of a kind, belongs to the user, and nobody else may write to it."""
    user = getattr(os, "geteuid", lambda: about.st_uid)()
    shared = os.name == "posix" and about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return is_kind(about.st_mode) and about.st_uid == user and not shared


def _path(key: str) -> Path | None:
    """Return the file of a key; None where there is no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    name = _sum(key, b"").hex()
    # Relative folders are others wherever a program begins.
    return folder / "pyhits" / f"{name[:32]}.o" if folder.is_absolute() else None


def _sum(key: str, code: bytes) -> bytes:
    """Return the check sum of code, of its key, and of the sources that make it as they are."""
    about = f"{__version__} {_sources()} {key}\0".encode()
    return hashlib.sha256(about + code).digest()


@cache
def _sources() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
