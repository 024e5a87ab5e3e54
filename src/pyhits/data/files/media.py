"""What sounds and films share: which files they are, and parts of them."""

from __future__ import annotations

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError

#: Extensions of sounds and of films.
SOUNDS = (".wav",)
FILMS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".gif")


def stretch_of(stretch: tuple[float, float] | None, n: int, rate: float) -> tuple[int, int]:
    """Return the first row that was asked for, and the one after the last.

    Raises ArgumentError: the recording ends before.
    """
    if stretch is None:
        return 0, n
    first, last = (round(seconds * rate) for seconds in stretch)
    # The last second of a recording is rarely whole.
    if not first < n or last > n + rate:
        raise beyond(n / rate, stretch)
    return first, min(last, n)


def beyond(seconds: float, stretch: tuple[float, float]) -> ArgumentError:
    """Return the error for a stretch that a recording does not have."""
    first, last = stretch
    return ArgumentError(
        f"Expected a stretch within the {seconds:g} seconds that there are, got {first:g} to "
        f"{last:g}."
    )


def the_only_one(trajectories: Trajectories, what: str) -> np.ndarray:
    """Return the rows of a single trajectory, for a file that holds no more.

    Raises DataError: there are several.
    """
    if len(trajectories) > 1:
        raise DataError(
            f"{what} holds one recording, but there are {len(trajectories)} trajectories; write "
            "them one by one: pyhits.write(data[[0]], path)."
        )
    return trajectories[0]
