"""Named arrays of files that are too large to be read: stretches of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyhits.data.files.axes import grid_of
from pyhits.data.files.reading import Reading
from pyhits.data.pieces import Pieces
from pyhits.data.sampling import Parts, parts_of_array
from pyhits.util.checks import as_numeric


def in_parts(
    arrays: Mapping[str, Any], names: Sequence[str], time: str | None, wanted: Reading
) -> tuple[Pieces, Parts] | None:
    """Return stretches of the array that is the data, without their times.

    Returns tuple or None: None of data that may be read whole, or cannot be read in parts.

    Parameters
    ----------
    arrays, names
        As of :func:`~pyhits.data.files.axes.grid_of`.
    time : str, optional
        Of the vector of times.
    """
    name = names[0]
    array = arrays[name]
    if len(names) > 1 or not hasattr(array, "__getitem__") or len(array.shape) < 2:
        return None
    at, run = _leading_axes(arrays, name, time, wanted)
    if at is None:
        return None
    parts = parts_of_array(array, at, run, wanted.sampling)
    if parts is None:
        return None
    what = f"Array {name!r}"
    rows = [as_numeric(item, what=what, missing=wanted.raw) for item in parts.items]
    lengths = [n for k, n in enumerate(array.shape) if k not in (at, run)]
    grid = grid_of(arrays, names, lengths, reverse=run is None and at > 0)
    return Pieces(rows, grid=grid), parts


def _leading_axes(
    arrays: Mapping[str, Any], name: str, time: str | None, wanted: Reading
) -> tuple[int | None, int | None]:
    """Return the axes of times and of trajectories; None where there are none."""
    shape = tuple(arrays[name].shape)
    if time is not None:
        n = int(np.prod(arrays[time].shape))
        if n != max(arrays[time].shape):
            return None, None
        if len(shape) > 2 and shape[1] == n:
            return 1, 0
        return (shape.index(n), None) if n in shape else (None, None)
    own = wanted.grid.n_row_axes(shape)
    lead = len(shape) - own
    if own == 1:
        with_points = [k for k in (1, 2) if grid_of(arrays, [name], shape[k:]) is not None]
        lead = next(iter(with_points), lead)
    return {1: (0, None), 2: (1, 0)}.get(lead, (None, None))
