"""What the system allows a process."""

from __future__ import annotations

import math


def address_space() -> float:
    """Return the limit on address space in bytes, infinite without one."""
    try:
        import resource  # POSIX alone
    except ImportError:
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return math.inf if limit == resource.RLIM_INFINITY else float(limit)
