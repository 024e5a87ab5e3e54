"""Threads that are kept from call to call: what takes milliseconds would wait for new ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

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
            len(parts),
            ThreadPoolExecutor(len(parts), "pyhits", initializer=_one_thread),
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
