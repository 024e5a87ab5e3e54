"""Fields over time that were read as trajectories: neighbours along all three axes are alike."""

from __future__ import annotations

import numpy as np

from pyhits.data.diagnostics.finding import Finding
from pyhits.data.packing import default_names
from pyhits.data.trajectories import Trajectories

#: Fewer slabs than this do not show whether they follow each other.
_FEWEST = 20

#: Slabs looked at, evenly through the array, and points along each other axis, in its middle.
_MOST, _WINDOW = 100, 128

#: In a field, neighbours along the time differ by less than this share of any two's difference, and
#: those along the other axes by less than the second; mean squares.
_NEAR, _SMOOTH = 0.2, 0.3

#: Fewest points along each axis of a field that nobody has asked for.
_POINTS = 8

#: Trajectories are one recording, cut, if each goes on from where the last has ended: the mean
#: square of what is between, as a share of that between their first rows.
_GOES_ON = 0.25


def field_shape(data: Trajectories) -> tuple[int, int] | None:
    """Return ``(n_rows, n_features)`` if what was read as trajectories looks like snapshots.

    The snapshots of a field follow each other, so that neighbours along the first axis are nearer
    to each other than any two of them; trajectories come in no order. A guess, to be said: runs
    sorted by a parameter look the same.
    """
    if len(data) < _FEWEST or not data.is_even or data.snapshot is not None:
        return None
    at = _looked_at(len(data))
    slabs = _window(data, at)
    near, far = _mean_square(_window(data, at + 1) - slabs), 2 * float(slabs.var(axis=0).mean())
    return (int(data.lengths[0]), data.n_features) if near < _NEAR * far else None


def film(data: Trajectories) -> list[Finding]:
    """Look whether trajectories are a plane of points over time.

    Their rows and columns are smooth then, too, and they neither begin alike, as runs of another
    parameter do, nor go on from each other, as parts of a recording do.
    """
    n, d = len(data), data.n_features
    if min(int(data.lengths[0]), d) < _POINTS:
        return []
    shape = field_shape(data)
    if shape is None or data.feature_names != default_names(d) or not _is_plane(data):
        return []
    grid = f"{shape[0]}x{shape[1]}"
    return [
        Finding(
            "film",
            f"The array is read as {n} trajectories of {shape[0]} rows and {d} features, but "
            f"neighbours along all three axes are alike, as in {n} pictures of {grid} points.",
            f"If it is a field over time, say so: grid={shape} (--grid {grid}); if not, "
            "grid='none'.",
        )
    ]


def _is_plane(data: Trajectories) -> bool:
    """Tell whether slabs are smooth along both of their axes, and no trajectories."""
    at = _looked_at(len(data))
    slabs = _window(data, at)
    for axis in (1, 2):
        between = _mean_square(np.diff(slabs, axis=axis))
        if not between < _SMOOTH * 2 * float(slabs.var(axis=axis).mean()):
            return False
    array = data.to_array()
    begins, ends = array[at + 1, 0], array[at, -1]
    between = begins - array[at, 0]
    begin_alike = not between.any() and bool(np.ptp(begins, axis=1).any())
    are_windows = np.array_equal(_window(data, at + 1)[:, :-1], slabs[:, 1:])
    goes_on = _mean_square(begins - ends) < _GOES_ON * _mean_square(between)
    return not (begin_alike or are_windows or goes_on)


def _looked_at(n: int) -> np.ndarray:
    """Return the numbers of some of ``n`` slabs, without the last."""
    return np.unique(np.linspace(0, n - 2, _MOST).astype(int))


def _window(data: Trajectories, at: np.ndarray) -> np.ndarray:
    """Return the middle of some slabs, float64."""
    array = data.to_array()
    rows, columns = (slice(m := max(0, (n - _WINDOW) // 2), m + _WINDOW) for n in array.shape[1:])
    return np.asarray(array[at, rows, columns], dtype=np.float64)


def _mean_square(x: np.ndarray) -> float:
    return float(np.square(x).mean())
