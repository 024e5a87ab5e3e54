"""What the surroundings of a process may lack: memory, and a folder to work in."""

from __future__ import annotations

import os
from pathlib import Path

from pyhits.errors import FileFormatError, PyHiTSError
from pyhits.util.surroundings import address_space

#: What the libraries that PyHiTS computes with take the number of their threads from.
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

#: Address space, in bytes, below which libraries begin no threads of their own.
_SCARCE = 8 << 30

#: Address space, in bytes, that PyTorch takes with one thread.
_TORCH = 1.2e9


def check_memory() -> None:
    """Raise a PyHiTSError where PyTorch could not be loaded: it would end the process."""
    limit = address_space()
    if limit < _TORCH:
        raise PyHiTSError(
            f"There is not enough memory: its limit is {limit / 1e9:.1f} GB (ulimit -v), and what "
            f"trains and steps takes {_TORCH / 1e9:.1f} GB of address space to load. Raise it."
        )


def spare_threads() -> None:
    """Let libraries compute in one thread where memory is limited, before they are imported.

    OpenBLAS reserves tens of MB for each core as soon as it is loaded, and ends the process, or
    waits for ever, where that fails. Numbers of threads that the user has set stay, unless nothing
    could be trained anyway: what is left to do then is to say so.
    """
    limit = address_space()
    if limit > _SCARCE:
        return
    for name in _THREADS:
        if limit < _TORCH:
            os.environ[name] = "1"
        else:
            os.environ.setdefault(name, "1")


def check_folder() -> None:
    """Raise a FileFormatError where the working folder has been deleted: MKL would not load."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise FileFormatError(
            "The folder that this was started in has been deleted; change to another one (cd)."
        ) from None
