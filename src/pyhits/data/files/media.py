"""What sounds and films share: which files they are, and the options that read them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.choose import Wanted
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import as_count

#: Extensions of sounds and of films.
SOUNDS = (".wav",)
FILMS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".gif")

#: Which files each option of :func:`pyhits.read` is for.
_OPTIONS = {
    "rate": SOUNDS,
    "mono": SOUNDS,
    "height": FILMS,
    "grey": FILMS,
    "stretch": (*SOUNDS, *FILMS),
}


def checked(wanted: Wanted, file: Path) -> Wanted:
    """Return what was asked for, with numbers checked, if it goes with the kind of file.

    Raises
    ------
    ArgumentError
        It does not, or a value is of the wrong kind.
    """
    extension = file.suffix.lower()
    for option, extensions in _OPTIONS.items():
        if getattr(wanted, option) not in (None, False) and extension not in extensions:
            raise ArgumentError(
                f"{option} is for {', '.join(extensions)} files, and {file} is none of them."
            )
    if extension not in (*SOUNDS, *FILMS):
        return wanted
    if wanted.time_column not in (None, "none"):
        raise ArgumentError(
            f"There are no columns in {file}, so time_column={wanted.time_column!r} is not there; "
            'only time_column="none" makes sense, which leaves its rate aside.'
        )
    return replace(
        wanted,
        rate=None if wanted.rate is None else as_count(wanted.rate, "rate"),
        mono=_as_switch(wanted.mono, "mono"),
        height=None if wanted.height is None else as_count(wanted.height, "height"),
        grey=_as_switch(wanted.grey, "grey"),
        stretch=None if wanted.stretch is None else _as_stretch(wanted.stretch),
    )


def stretch_of(wanted: Wanted, n: int, rate: float) -> tuple[int, int]:
    """Return the first row that was asked for, and the one after the last.

    Raises
    ------
    ArgumentError
        The recording ends before.
    """
    if wanted.stretch is None:
        return 0, n
    first, last = (round(seconds * rate) for seconds in wanted.stretch)
    # The last second of a recording is rarely whole.
    if not first < n or last > n + rate:
        raise beyond(n / rate, wanted.stretch)
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

    Raises
    ------
    DataError
        There are several.
    """
    if len(trajectories) > 1:
        raise DataError(
            f"{what} holds one recording, but there are {len(trajectories)} trajectories; write "
            "them one by one: pyhits.write(data[[0]], path)."
        )
    return trajectories[0]


def _as_switch(value: Any, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"Expected {name} to be True or False, got {value!r}.")
    return bool(value)


def _as_stretch(value: Any) -> tuple[float, float]:
    """Return ``(from, to)`` in seconds."""
    pair = tuple(value) if isinstance(value, (Sequence, np.ndarray)) else ()
    if len(pair) != 2 or not all(isinstance(x, numbers.Real) for x in pair):
        raise ArgumentError(f"Expected stretch as two times in seconds, (2, 4.5), got {value!r}.")
    first, last = float(pair[0]), float(pair[1])
    if not (0 <= first < last and math.isfinite(last)):
        raise ArgumentError(
            f"Expected a stretch from an earlier to a later time of 0 or more, got {value!r}."
        )
    return first, last
