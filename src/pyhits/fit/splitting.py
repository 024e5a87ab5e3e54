"""How data are split into a part to train on and a part to validate on, and what is said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pyhits.data.matching import as_trajectories, in_same_steps, matched
from pyhits.data.stubs import without_stubs
from pyhits.data.trajectories import Trajectories
from pyhits.training.recipe import FEW_TRAJECTORIES

#: Rows of a recording whose end can be held out.
_LEAST_ROWS = 20


@dataclass(frozen=True)
class Split:
    """The data of a fit, and how they were split."""

    #: All that was given to train on, what is held out included; without stubs of pieces.
    whole: Trajectories
    train: Trajectories  # what is left to train on
    validation: Trajectories  # what chooses; ``train`` itself if nothing was held out
    #: Some of the recordings were held out; or the last part of each; or nothing; or validation
    #: data were given.
    how: Literal["recordings", "time", "none", "given"]
    note: str = ""  # what was held out, for people; empty if validation data were given


def split_data(
    data: Trajectories,
    validation: Any,
    dt: float | None,
    *,
    fraction: float,
    seed: int,
    reproduce: bool = False,
) -> Split:
    """Return the data of a fit, checked to match, and split.

    Nothing is held out where the training data themselves are to be met (``reproduce``).

    Raises DataError, ArgumentError: data that cannot be used.
    """
    data = without_stubs(data)
    if validation is not None:
        given = as_trajectories(validation, dt, default_dt=data.dt)
        given = in_same_steps(given, data.axis, "validation")
        given = matched(given, data.dt, data.feature_names, "validation")
        return Split(data, data, given, "given")
    if reproduce:
        note = "Validation: on the training data, which are to be met from their first rows."
        return Split(data, data, data, "none", note)
    return hold_out(data, fraction, seed)


def hold_out(data: Trajectories, fraction: float, seed: int) -> Split:
    """Hold out some of many recordings, the last part by time of few, or nothing of too little."""
    numbers = data.recordings
    n = int(numbers[-1]) + 1
    if n >= FEW_TRAJECTORIES:
        count = min(max(round(fraction * n), 1), n - 1)
        chosen = np.random.default_rng(seed).permutation(n)[:count]
        held = np.isin(numbers, chosen)
        what = "trajectories" if n == len(data) else f"recordings, cut into {len(data)} pieces"
        note = f"Validation: {count} of {n} {what}."
        return Split(data, data[~held], data[held], "recordings", note)
    if int(np.bincount(numbers, data.lengths).min()) >= _LEAST_ROWS:
        train, rest = by_time(data, fraction)
        note = f"Validation: {last_part(data, rest, fraction)}."
        return Split(data, train, rest, "time", note)
    note = (
        "Validation: on the training data itself, as there are too few to hold some out; "
        "errors will look better than they are."
    )
    return Split(data, data, data, "none", note)


def by_time(
    data: Trajectories, fraction: float, *, overlap: int = 1
) -> tuple[Trajectories, Trajectories]:
    """Split as :meth:`Trajectories.split_time` does, without stubs of pieces."""
    first, rest = data.split_time(fraction, overlap=overlap)
    return without_stubs(first), without_stubs(rest)


def last_part(data: Trajectories, rest: Trajectories, last: float, *, overlap: int = 1) -> str:
    """Return what :meth:`Trajectories.split_time` has split off, and from when to when, in words.

    Parameters
    ----------
    data : Trajectories
        The whole.
    rest : Trajectories
        Its last part.
    last : float or int
        A share of the rows, or how many.
    overlap : int
        Rows that it begins with and that belong to what is before, where a trajectory was cut.
    """
    n = int(data.recordings[-1]) + 1
    size = f"{last:.0%}" if last < 1 else f"{last} rows"
    what = "the recording" if n == 1 else "each trajectory"
    if n < len(data):
        what = f"{what if n == 1 else f'each of {n} recordings'} in {len(data)} pieces"
    begins, ends = rest.start_times, rest.start_times + rest.dt * (rest.lengths - 1)
    begins = begins + rest.dt * overlap * ~np.isin(begins, data.start_times)
    alike = n == 1 or (np.ptp(begins) == 0 and np.ptp(ends) == 0)
    # Digits as far as the step goes, which a clock's many others would hide.
    digits = max(0, 1 - math.floor(math.log10(rest.dt)))
    limits = np.round([begins[0], ends[-1]], digits)
    dates = data.axis.readable(limits)
    times = f", {'' if data.axis.has_dates else 't = '}{' to '.join(dates)}" if alike else ""
    return f"the last {size} of {what}{times}"


def before_last(data: Trajectories, last: float) -> Trajectories:
    """Return what each recording ends with before its last part: of several pieces the last."""
    numbers = data.recordings
    own = [data[np.flatnonzero(numbers == n)].split_time(last)[0] for n in range(numbers[-1] + 1)]
    pieces = np.cumsum([len(part) for part in own]) - 1
    return data.split_time(last)[0][pieces]
