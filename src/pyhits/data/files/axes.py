"""The grid of an array that lies in a file beside coordinates of its axes: ``x``, ``lat`` ..."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyhits.data.grid import MOST_AXES, Grid
from pyhits.data.labelled import FEWEST_POINTS, is_axis_name, rising_or_falling

#: A last axis of so few numbers, without coordinates, is of channels.
_MOST_CHANNELS = 4

#: How axes of equal lengths follow each other where the time is the first: z, y, x.
_ORDER = ("z|lev|depth|height|r", "y|lat|theta|row", "x|lon|phi|col|s|width")


def grid_of(
    arrays: Mapping[str, Any],
    names: Sequence[str],
    lengths: Sequence[int],
    *,
    reverse: bool = False,
) -> Grid | None:
    """Return the grid of the axes of an array that have coordinates by name and length.

    Parameters
    ----------
    arrays : mapping
        Of the file, by name.
    names : sequence of str
        Of the data, or of several arrays that are its last axis; coordinates are of their group.
    lengths : sequence of int
        Of its axes but for trajectories and time.
    reverse : bool
        Whether the time came last; the others then follow each other as x, y, z.
    """
    group = names[0].rpartition("/")[0]
    near = {n: a for n, a in arrays.items() if n not in names and n.rpartition("/")[0] == group}
    named = [n for n in near if is_axis_name(_base(n)) and _is_vector(near[n])]
    named.sort(key=lambda n: (_place(_base(n)), n), reverse=reverse)
    several = len(names) > 1
    own = lengths[:-1] if several else lengths
    axes, points = [], []
    for length in own:
        found = [n for n in named if max(near[n].shape) == length]
        values = rising_or_falling(np.asarray(near[found[0]]).ravel()) if found else None
        if values is None:
            break
        named.remove(found[0])
        axes.append(_base(found[0]))
        points.append(values)
    rest = tuple(own[len(axes) :])
    is_field = 1 <= len(axes) <= MOST_AXES and (len(axes) > 1 or own[0] >= FEWEST_POINTS)
    if not is_field or len(rest) > (0 if several else 1) or any(n > _MOST_CHANNELS for n in rest):
        return None
    channels: Any = rest[0] if rest and rest[0] > 1 else list(map(_base, names))
    return Grid(own[: len(axes)], channels, axes=axes, coordinates=points)


def _base(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _place(name: str) -> int:
    return next((k for k, own in enumerate(_ORDER) if re.match(own, name, re.IGNORECASE)), 3)


def _is_vector(array: Any) -> bool:
    return array.dtype.kind in "fiu" and len([n for n in array.shape if n > 1]) == 1
