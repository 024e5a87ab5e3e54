"""Whether a forecast, or a simulation, fits into memory: asked before any of it is made."""

from __future__ import annotations

from pyhits.data.limits import in_words, memory
from pyhits.errors import ArgumentError

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
