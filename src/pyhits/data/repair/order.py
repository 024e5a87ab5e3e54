"""Times that are missing, out of order or repeated."""

from __future__ import annotations

import itertools

import numpy as np

from pyhits.data.repair.recording import Recording, counted, listed
from pyhits.data.times.uniform import clock_change
from pyhits.errors import DataError

#: Two times this near, as a share of the usual step, are the same one.
_SAME = 1e-6


def without_missing_times(recording: Recording) -> tuple[Recording, list[str]]:
    """Leave out the rows whose time is not there; say how many."""
    known = np.isfinite(recording.times)
    if known.all():
        return recording, []
    lost = recording.rows[~known]
    note = f"{counted(len(lost), 'row')} without a time left out ({listed(lost)})."
    return recording.take(known), [note]


def in_order(recording: Recording, disorder: str) -> tuple[list[Recording], list[str]]:
    """Return rows in the order of their times, and several recordings where the time starts anew.

    Raises DataError: times decrease, and are refused.

    Parameters
    ----------
    disorder : {"sort", "refuse"}
    """
    times = recording.times
    drops = np.flatnonzero(np.diff(times) < 0) + 1
    change = clock_change(recording.axis, times)
    if len(drops) == 0:
        return [recording], [] if change is None else [change]
    if change is not None:
        order = np.argsort(times, kind="stable")
        return [recording.take(order)], [change]
    first = int(drops[0])
    place = (
        f"row {recording.rows[first]} ({recording.at(times[first])}) comes before row "
        f"{recording.rows[first - 1]} ({recording.at(times[first - 1])})"
    )
    if disorder == "refuse":
        raise DataError(f'Times decrease: {place}. disorder="sort" sorts the rows.')
    bounds = np.concatenate([[0], drops, [len(times)]])
    begin, end = times[bounds[:-1]], times[bounds[1:] - 1]
    middle = (begin + end) / 2
    # A clock that starts again runs through times that were there before.
    again = (begin[1:] <= middle[:-1]) & (end[1:] > begin[:-1]) & (np.diff(bounds)[1:] > 1)
    if again.all():
        parts = [recording.take(slice(a, b)) for a, b in itertools.pairwise(bounds.tolist())]
        note = (
            f"The time starts anew {counted(len(drops), 'time')} ({listed(recording.rows[drops])})"
            f": the recording is cut there into {len(parts)}."
        )
        return parts, [note]
    if len(drops) == len(times) - 1:
        return [recording.take(slice(None, None, -1))], [
            "Times run backwards; the rows are turned."
        ]
    order = np.argsort(times, kind="stable")
    moved = int((order != np.arange(len(order))).sum())
    note = f"{moved} of {len(times)} rows were out of order ({place}); they are sorted by time."
    return [recording.take(order)], [note]


def merged(recording: Recording, repeated: str) -> tuple[Recording, list[str]]:
    """Average rows of equal times, which are in order.

    Raises DataError: times repeat, and are refused.

    Parameters
    ----------
    repeated : {"average", "refuse"}
    """
    steps = np.diff(recording.times)
    positive = steps[steps > 0]
    usual = float(np.median(positive)) if len(positive) else 0.0
    same = steps <= _SAME * usual
    if not same.any():
        return recording, []
    rows = recording.rows[1:][same]
    if repeated == "refuse":
        raise DataError(
            f"{counted(len(rows), 'time')} repeated ({listed(rows)}). "
            'repeated="average" averages such rows.'
        )
    begin = np.flatnonzero(np.concatenate([[True], ~same]))
    known = np.isfinite(recording.values)
    counts = np.add.reduceat(known.astype(np.int64), begin, axis=0)
    sums = np.add.reduceat(np.where(known, recording.values, 0), begin, axis=0)
    with np.errstate(invalid="ignore"):
        means = sums / counts
        high = np.fmax.reduceat(recording.values, begin, axis=0)
        low = np.fmin.reduceat(recording.values, begin, axis=0)
    difference = np.nan_to_num(high - low).max()
    new = Recording(
        recording.number,
        recording.times[begin],
        means.astype(recording.values.dtype),
        recording.rows[begin],
        recording.axis,
    )
    note = (
        f"{counted(len(rows), 'row')} with the time of the row before ({listed(rows)}): averaged "
        f"with it; they differ by up to {difference:.3g}."
    )
    return new, [note]
