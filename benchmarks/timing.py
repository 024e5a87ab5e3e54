"""Wall times: repeated, told as median and quartiles, contestants taking turns."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from pyhits.training.parallel import n_cores

#: Threads that everything is given, unless its row says otherwise.
THREADS = min(2, n_cores())

_Key = TypeVar("_Key", bound=Hashable)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Timing:
    """Wall times of one thing, in seconds.

    Attributes
    ----------
    samples : tuple of float
        One a repeat, in the order measured.
    """

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """Middle of the samples."""
        return float(np.median(self.samples))

    @property
    def low(self) -> float:
        """Lower quartile."""
        return float(np.quantile(self.samples, 0.25))

    @property
    def high(self) -> float:
        """Upper quartile."""
        return float(np.quantile(self.samples, 0.75))

    def times(self, factor: float) -> Timing:
        """Return the times of something ``factor`` times as large."""
        return Timing(tuple(factor * s for s in self.samples))


def stopwatch(function: Callable[[], _Result]) -> tuple[float, _Result]:
    """Return the wall time of one call in seconds, and what it returned."""
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def repeat(
    function: Callable[[], Any], *, repeats: int = 5, warmups: int = 1, budget: float = 20.0
) -> Timing:
    """Return the wall times of a function; see :func:`compare`."""
    return compare({"": function}, repeats=repeats, warmups=warmups, budget=budget)[""]


def compare(
    functions: Mapping[_Key, Callable[[], Any]],
    *,
    repeats: int = 5,
    warmups: int = 1,
    budget: float = 20.0,
) -> dict[_Key, Timing]:
    """Return the wall times of several functions that take turns.

    Turns, rather than one function after another, because other programs' load comes and goes: it
    then falls on all of them alike.

    Parameters
    ----------
    repeats, warmups : int
        Rounds that count, and rounds before them that do not.
    budget : float
        Seconds; a function whose measurements have taken longer sits out the rest.
    """
    samples: dict[_Key, list[float]] = {name: [] for name in functions}
    spent = dict.fromkeys(functions, 0.0)
    for turn in range(warmups + repeats):
        for name, function in functions.items():
            if spent[name] > budget:
                continue
            seconds, result = stopwatch(function)
            del result
            if turn >= warmups:
                samples[name].append(seconds)
                spent[name] += seconds
    return {name: Timing(tuple(taken)) for name, taken in samples.items()}


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """Give torch ``n`` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def with_threads(n: int, function: Callable[[], _Result]) -> Callable[[], _Result]:
    """Return a function that runs another with ``n`` of torch's threads."""

    def run() -> _Result:
        with threads(n):
            return function()

    return run


def load() -> str:
    """Return the machine's average number of running programs over the last minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def processor() -> str:
    """Return the processor's name and its number of cores."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        name = next(
            (t.partition(":")[2].strip() for t in lines if t.startswith("model name")), name
        )
    return f"{name}, {os.cpu_count()} cores"
