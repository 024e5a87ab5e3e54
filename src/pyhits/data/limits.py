"""What fits into memory: arrays of files, forecasts; asked before anything of that size is made."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError, DataError
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


#: Part of the memory that a result and what it is made of may take.
_PART = 0.5

#: Bytes that any process has that could load PyTorch: the system is not asked about so few.
_ALWAYS_THERE = 1 << 26

#: Bytes that are only too many, however many more there would be.
_MOST = 10**300

#: Bytes of a number while it is worked on.
_FLOAT64 = 8

_ADVICE = (
    "Ask for fewer steps or trajectories, or for a part at a time, each from the last state of the "
    "one before"
)


def check_size(
    n: int,
    n_steps: int,
    d: int,
    *,
    n_times: int | None = None,
    to_file: bool = False,
    itemsize: int = _FLOAT64,
    what: str = "A forecast",
) -> None:
    """Raise an ArgumentError where states do not fit into memory; it says how large they are.

    Parameters
    ----------
    n, n_steps, d : int
        Trajectories, steps of each, and features.
    n_times : int, optional
        States kept of each trajectory; by default one a step, and the initial one.
    to_file : bool
        The result goes to a file: one trajectory after another must fit.
    itemsize : int
        Bytes of a number of the result.
    what : str
        What it is, as the beginning of a sentence.
    """
    result = n * (n_steps + 1 if n_times is None else n_times) * d * itemsize
    work = (n_steps + 1) * d * _FLOAT64
    needed = float(min(work + (0 if to_file else result), _MOST))
    if needed <= _ALWAYS_THERE:
        return
    available = memory()
    if needed <= _PART * available:
        return
    times = "" if n_times is None else f" at {n_times} time(s)"
    file = "" if to_file or n == 1 else ", or write them to a file (out=... or -o forecast.npy)"
    raise ArgumentError(
        f"{what} of {n} trajectories over {_count(n_steps)} steps{times} takes "
        f"{in_words(needed)}; this process may use {in_words(available)} of memory. "
        f"{_ADVICE}{file}."
    )


def _count(n: int) -> str:
    return str(n) if n < 10**12 else f"{min(n, _MOST):.3g}"
