"""Recordings in pieces: which trajectories belong together, and where the last part begins."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pyhits.data.packing import as_fraction
from pyhits.errors import DataError
from pyhits.util.checks import as_count, as_generator

#: Fewest rows of a recording that can be split by time.
_SHORTEST = 3


def recording_numbers(start_times: np.ndarray, lengths: np.ndarray, dt: float) -> np.ndarray:
    """Return the number of the recording that each trajectory is a piece of, shape ``(n,)``.

    A trajectory that begins after the one before it has ended goes on with the same recording, as
    the pieces do that gaps have left. One that begins earlier, or when the other did, is another.

    Parameters
    ----------
    start_times : array, shape (n,)
    lengths : array of int, shape (n,)
        Rows of each trajectory.
    """
    ends = start_times + dt * (lengths - 1)
    # Half a row, and what float64 cannot tell apart in times of this size: only differences count.
    room = 0.5 * dt + 2 * np.spacing(np.maximum(np.abs(start_times), np.abs(ends)).max())
    goes_on = (start_times[1:] >= ends[:-1] - room) & (start_times[1:] > start_times[:-1])
    return np.concatenate([[0], np.cumsum(~goes_on)])


def split_numbers(
    n: int, fraction: float, random_state: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of most of ``n`` trajectories, and a random fraction of them.

    Raises DataError: there is one alone.
    """
    count = min(max(round(as_fraction(fraction) * n), 1), n - 1)
    if count < 1:
        raise DataError("One trajectory cannot be split by trajectory; use split_time.")
    order = as_generator(random_state).permutation(n)
    return np.sort(order[count:]), np.sort(order[:count])


class RowsOf(NamedTuple):
    """Rows of several trajectories that make a part of the data."""

    #: trajectories, begins, counts: int, (n,); which trajectories, the first row of each, and how
    #: many.
    trajectories: np.ndarray
    begins: np.ndarray
    counts: np.ndarray


def parts_by_time(
    lengths: np.ndarray, numbers: np.ndarray, last: float | np.integer[Any], overlap: int
) -> tuple[RowsOf, RowsOf]:
    """Return the rows of the beginnings, and of the last part of each recording.

    Parameters are those of :func:`rows_before`.

    Raises DataError: a recording is too short, or the last part is.
    """
    head = rows_before(lengths, numbers, last, overlap)
    begins = np.where(head > 0, head - overlap, 0)
    rest = np.where(head < lengths, lengths - begins, 0)
    rest[(head == 0) & (lengths <= overlap)] = 0
    if not rest.any():
        raise DataError(
            f"The last part has no trajectory of more than {overlap} rows, which a forecast "
            "starts from; take a larger part."
        )
    first, second = np.flatnonzero(head), np.flatnonzero(rest)
    return (
        RowsOf(first, np.zeros(len(first), dtype=np.int64), head[first]),
        RowsOf(second, begins[second], rest[second]),
    )


def rows_before(
    lengths: np.ndarray, numbers: np.ndarray, last: float | np.integer[Any], overlap: int
) -> np.ndarray:
    """Return how many rows of each trajectory lie before the last part of its recording.

    Returns array of int, shape (n,): all or none of a trajectory, or what comes before the cut. A
    trajectory of which too little would stay before the cut belongs to the last part as a whole.
    Raises DataError: a recording is too short; its first trajectory is named.

    Parameters
    ----------
    lengths : array of int, shape (n,)
        Rows of each trajectory.
    numbers : array of int, shape (n,)
        Its recording, from 0 on.
    last : float or int
        Share of each recording's rows that the last part takes, or how many rows.
    overlap : int
        Rows before the last part that it needs of a trajectory that is cut.
    """
    firsts = np.flatnonzero(np.diff(numbers, prepend=-1))
    head = _of_recordings(np.add.reduceat(lengths, firsts), firsts, last)
    begins = np.cumsum(lengths) - lengths
    before = np.clip(head[numbers] - (begins - begins[firsts][numbers]), 0, lengths)
    least = max(2, overlap)
    before[(before < least) & (before < lengths)] = 0
    if (before[firsts] == 0).any():
        short = int(np.flatnonzero(before[firsts] == 0)[0])
        raise DataError(
            f"Trajectory {firsts[short]} has {lengths[firsts[short]]} rows, of which "
            f"{np.clip(head[short], 0, lengths[firsts[short]])} lie before the last part; it takes "
            f"{least} or more."
        )
    return np.asarray(before)


def _of_recordings(
    total: np.ndarray, firsts: np.ndarray, last: float | np.integer[Any]
) -> np.ndarray:
    """Return how many rows of each recording lie before its last part.

    Parameters
    ----------
    total, firsts : array of int, shape (n_recordings,)
        Its rows, and the number of its first trajectory.
    """
    if (total < _SHORTEST).any():
        short = int(np.flatnonzero(total < _SHORTEST)[0])
        raise DataError(
            f"Trajectory {firsts[short]} has {total[short]} rows; a split by time takes "
            f"{_SHORTEST} or more."
        )
    if isinstance(last, (int, np.integer)) and last >= 1:
        return np.asarray(total - as_count(int(last), "last", most=2 * int(total.max())))
    head = np.round((1 - as_fraction(last)) * total).astype(int)
    return np.asarray(np.clip(head, 2, total - 1))
