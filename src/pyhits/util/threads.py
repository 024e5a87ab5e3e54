"""How many threads linear algebra takes: one, for matrices that they would only wait over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

#: Numbers that a processor keeps near itself, 2 MB of them: threads gain nothing on fewer.
SMALL = 250_000

_lock = threading.Lock()

#: The limit that holds, and None for everybody else who wants it.
_limits: list[Any] = []


@contextmanager
def one_blas_thread(numbers: int = 0) -> Iterator[ExitStack]:
    """Let NumPy's and SciPy's linear algebra use one thread, until the block or the stack ends.

    Threads of BLAS wait for each other in busy loops: on small matrices that costs more than it
    gains, and where other programs want the same cores several times as much. It also makes
    results of small data independent of the number of cores. May be nested, and entered by
    several threads at once.

    Parameters
    ----------
    numbers : int
        Size of the data. Large data keep their threads.

    Yields
    ------
    ExitStack
        ``close()`` gives the threads back before the block ends, where data turn out large.
    """
    with ExitStack() as stack:
        if numbers <= SMALL:
            _limit()
            stack.callback(_release)
        yield stack


def _limit() -> None:
    from threadpoolctl import threadpool_limits  # imported when used, as all that only fits need

    with _lock:
        _limits.append(None if _limits else threadpool_limits(1, "blas"))


def _release() -> None:
    with _lock:
        if len(_limits) > 1:
            _limits.pop()
        else:
            _limits.pop().restore_original_limits()
