"""What fits into memory: asked from a file's header, before anything of that size is made."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.errors import DataError
from pyhits.util.surroundings import address_space

#: Where Linux keeps the limit of a container's memory, by the version of its control groups.
_CONTAINER = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

#: What to do with arrays that are too large.
TOO_LARGE = "Cut out what you need in the program that wrote it, or use a machine with more memory."


def memory() -> float:
    """Return the bytes that this process may use, infinite where the system does not say."""
    limits = [math.inf]
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        limits.append(float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    for name in _CONTAINER:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            limits.append(float(Path(name).read_text()))
    return min([*limits, address_space()])


def expect_to_fit(n_bytes: float, what: str, advice: str = TOO_LARGE) -> None:
    """Raise a DataError if something of ``n_bytes`` does not fit into memory.

    Parameters
    ----------
    what : str
        What it is, as the beginning of a sentence: ``"Array 'x' (2000000, 512)"``.
    advice : str
        Sentences that say what to do.
    """
    available = memory()
    if n_bytes > available:
        raise DataError(
            f"{what} takes {in_words(n_bytes)} and this process may use {in_words(available)} of "
            f"memory. {advice}"
        )


def array_bytes(shape: tuple[int, ...], dtype: Any) -> int:
    """Return the bytes of an array as it is read: whole numbers become float64."""
    kind = np.dtype(dtype)
    return math.prod(shape) * (kind.itemsize if kind.kind not in "iub" else 8)


def in_words(n_bytes: float) -> str:
    """Return a number of bytes as people say it, ``1.5 GB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}" if n_bytes < 1e15 else f"{n_bytes:.0e} bytes"
    return f"{n_bytes:.0f} bytes"
