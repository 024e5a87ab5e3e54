"""Differences of fields along an axis, as matrices: of high order, one-sided where a field ends."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

#: What a side is: none, on a ring; points that never move; a slope of zero at the last point, or
#: half a spacing beyond it; a value that is held half a spacing, or a whole one, beyond it; or
#: nothing of these.
RING, STILL, SLOPE, SLOPE_HALFWAY, HELD_HALFWAY, HELD_BEYOND, FREE = (
    "ring", "still", "slope", "slope halfway", "held halfway", "held beyond", "free",
)  # fmt: skip
SIDES = (RING, STILL, SLOPE, SLOPE_HALFWAY, HELD_HALFWAY, HELD_BEYOND, FREE)

#: Where a side's slope or value is known, in points from the last one.
POSITION = {SLOPE: 0.0, SLOPE_HALFWAY: -0.5, HELD_HALFWAY: -0.5, HELD_BEYOND: -1.0}


def weights(at: float, points: Tensor, order: int) -> Tensor:
    """Return what multiplies values at points to give their polynomial's derivative at a place.

    Parameters
    ----------
    points : Tensor, shape (n,)
        All different, not far from each other.
    order : int
        Of the derivative; 0 interpolates.
    """
    away = points - at
    size = away.abs().max().clamp(min=1.0)
    powers = torch.arange(len(points))
    matrix = (away / size)[None] ** powers[:, None]
    right = torch.zeros(len(points), dtype=torch.float64)
    right[order] = float(torch.lgamma(torch.tensor(order + 1.0)).exp()) / float(size) ** order
    found: Tensor = torch.linalg.solve(matrix, right)
    return found


def points_of(order: int, width: int) -> int:
    """Return the points of a difference of some order, where low orders take ``width``."""
    return width + 2 * (order > 2)


@lru_cache(maxsize=256)
def differences(
    n: int, order: int, width: int, sides: tuple[str, str], levels: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Return a derivative along an axis, at all of its points.

    Parameters
    ----------
    n : int
        Points.
    width : int
        Points of a difference, odd.
    sides : pair of str
        As :class:`~pyhits.flowmaps.stencils.walls.Walls` has them.
    levels : pair of float
        Values that are held beyond the points.

    Returns
    -------
    matrix : Tensor, shape (n, n)
        To be multiplied by fields from the left.
    constant : Tensor, shape (n,)
        What is added.
    """
    width = min(points_of(order, width), n if n % 2 else n - 1)
    half = width // 2
    before, after = _beyond(n, half, sides[0]), _beyond(n, half, sides[1])
    places = [-p for p, _, _ in reversed(before)], [n - 1 + p for p, _, _ in after]
    every = torch.tensor([*places[0], *range(n), *places[1]], dtype=torch.float64)
    matrix, constant = torch.zeros(n, n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    for i in range(n):
        begin = max(0, min(len(before) + i - half, len(every) - width))
        own = weights(float(i), every[begin : begin + width], order)
        for k, weight in enumerate(own.tolist(), begin - len(before)):
            if 0 <= k < n:
                matrix[i, k] += weight
                continue
            first = k < 0
            _, source, held = before[-k - 1] if first else after[k - n]
            if held:
                constant[i] += weight * levels[0 if first else 1]
            else:
                matrix[i, source if first else n - 1 - source] += weight
    return matrix, constant


def _beyond(n: int, half: int, side: str) -> list[tuple[float, int, bool]]:
    """Return the places beyond a side that are known, the nearest first.

    Of each how far beyond the last point it is, the point from that side whose value it has (of a
    ring from the other one), and whether it is a value that is held instead.
    """
    if side == RING:
        return [(k + 1.0, n - 1 - k, False) for k in range(half)]
    if side == SLOPE:
        return [(k + 1.0, k + 1, False) for k in range(half)]
    if side == SLOPE_HALFWAY:
        return [(k + 1.0, k, False) for k in range(half)]
    if side in (HELD_HALFWAY, HELD_BEYOND):
        return [(-POSITION[side], 0, True)]
    return []
