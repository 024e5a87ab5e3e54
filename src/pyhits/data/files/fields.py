"""Whether an array of three axes holds a field over time, not trajectories."""

from __future__ import annotations

import numpy as np

from pyhits.data.trajectories import Trajectories

#: Stands for the shape of snapshots that is found out.
AUTO = "auto"

#: Fewer slabs than this do not show whether they follow each other.
_FEWEST = 20

#: Slabs looked at, evenly through the array.
_MOST = 200

#: In a field, neighbours along the time differ by less than this share of any two's difference.
_NEAR = 0.2


def field_shape(data: Trajectories) -> tuple[int, int] | None:
    """Return ``(n_rows, n_features)`` if what was read as trajectories looks like snapshots.

    The snapshots of a field follow each other, so that neighbours along the first axis are nearer
    to each other than any two of them; trajectories come in no order. A guess, to be said: runs
    sorted by a parameter look the same.
    """
    if len(data) < _FEWEST or not data.is_even or data.snapshot is not None:
        return None
    array = data.to_array()
    at = np.unique(np.linspace(0, len(data) - 2, _MOST).astype(int))
    # A step of about half the array reaches other weather at the same time of day.
    other = (at + len(data) // 2) % len(data)
    slabs = array[at].astype(np.float64)
    near = np.square(array[at + 1] - slabs).mean()
    far = np.square(array[other] - slabs).mean()
    return (int(array.shape[1]), int(array.shape[2])) if near < _NEAR * far else None
