"""Threads that are kept: what they return, what they leave behind, and what forks have of them."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from typing import Any

import pytest

from pyhits.util.threads import side_by_side


def test_results_come_in_order_by_threads_that_stay() -> None:
    together = threading.Barrier(3)  # nobody passes unless three run at once

    def work(part: int) -> tuple[int, int]:
        together.wait(20)
        return part**2, threading.get_ident()

    first, second = side_by_side(work, [1, 2, 3]), side_by_side(work, [4, 5, 6])
    assert [value for value, _ in first + second] == [1, 4, 9, 16, 25, 36]
    assert {thread for _, thread in first} == {thread for _, thread in second}


def test_errors_are_raised_when_nothing_runs_any_more() -> None:
    ended = []

    def work(part: int) -> None:
        if part == 0:
            raise ValueError("the first")
        time.sleep(0.1)
        ended.append(part)

    with pytest.raises(ValueError, match="the first"):
        side_by_side(work, [0, 1])
    assert ended == [1]


def _negative(part: int) -> int:
    return -part


def _in_a_fork(results: Any) -> None:
    results.put(side_by_side(_negative, [1, 2]))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forks_start_their_own() -> None:
    side_by_side(_negative, [1, 2])
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=_in_a_fork, args=(results,), daemon=True)
    process.start()
    assert results.get(timeout=30) == [-1, -2]
    process.join()
