"""How many threads linear algebra takes, and how blocks of states are shared among them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

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


Part = TypeVar("Part")
Made = TypeVar("Made")

#: By how many threads they have, started when first needed.
_pools: dict[int, ThreadPoolExecutor] = {}

# The threads of a process do not follow it into its forks.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)


def side_by_side(work: Callable[[Part], Made], parts: Sequence[Part]) -> list[Made]:
    """Return what ``work`` makes of each part, all of them at once.

    Torch computes in one thread inside. Calls from several threads share the kept ones, so
    ``work`` must not call this again. Interrupted, it waits for what runs: nobody writes into
    arrays afterwards.

    Parameters
    ----------
    work : callable
        Releases the lock of the interpreter for most of its time.
    parts : sequence
        As many as threads are to be used.
    """
    pool = _pools.get(len(parts))
    if pool is None:
        pool = _pools.setdefault(
            len(parts), ThreadPoolExecutor(len(parts), "pyhits", initializer=_one_thread)
        )
    futures = [pool.submit(work, part) for part in parts]
    try:
        return [future.result() for future in futures]
    except BaseException:
        wait(futures)
        raise


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
