"""Machine code that is kept on disk, so that it is made once a machine and not once a process."""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import cache
from pathlib import Path

from pyhits.util.atomic import write_bytes

#: Bytes of the check sum that stands before the code.
_SUM = 32


def read(key: str) -> bytes | None:
    """Return the code of a key; None where there is none, or it is not whole."""
    try:
        content = _path(key).read_bytes()
    except (OSError, RuntimeError):  # there need not be a home
        return None
    code = content[_SUM:]
    return code if hashlib.sha256(code).digest() == content[:_SUM] else None


def write(key: str, code: bytes) -> None:
    """Keep code, as far as there is a place for it."""
    with contextlib.suppress(OSError, RuntimeError):
        path = _path(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(path, hashlib.sha256(code).digest() + code)


def _path(key: str) -> Path:
    """Return the file of a key, of the sources that make the code as they are."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256(f"{key} {_sources()}".encode()).hexdigest()
    return Path(folder) / "pyhits" / f"{name[:32]}.o"


@cache
def _sources() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
