"""A limit on memory, as ``ulimit -v`` sets it: threads take address space, each its share."""

from __future__ import annotations

import os

#: What the libraries that PyHiTS computes with take the number of their threads from.
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

#: Address space, in bytes, below which libraries begin no threads of their own.
_SCARCE = 8 << 30


def spare_threads() -> None:
    """Let libraries compute in one thread where memory is limited, before they are imported.

    OpenBLAS reserves tens of MB for each core as soon as it is loaded, and ends the process, or
    waits for ever, where that fails. Numbers of threads that the user has set stay.
    """
    try:
        import resource  # POSIX alone
    except ImportError:
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or limit > _SCARCE:
        return
    for name in _THREADS:
        os.environ.setdefault(name, "1")
