"""Where each axis of a grid ends, each side and channel by itself, as the data show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyhits.flowmaps.stencils.differences import (
    FREE,
    POSITION,
    RING,
    SLOPE,
    SLOPE_HALFWAY,
    STILL,
    weights,
)

#: Points that extrapolate to a side, and the part of a field's usual slope, or of its last point's
#: variation, that is none.
_POINTS, _NONE = 6, 0.1

#: Changes of points that never move, as a part of those of all, and fields that are looked at.
_STILL, _FIELDS = 1e-6, 200


@dataclass(frozen=True)
class Walls:
    """How the axes of a grid end."""

    shape: tuple[int, ...]
    #: By channel and axis: what its first and its last side are.
    sides: tuple[tuple[tuple[str, str], ...], ...]
    #: (channels, n_axes, 2): values that are held beyond the points; 0 of other sides.
    levels: Tensor

    @property
    def are_rings(self) -> bool:
        """Whether no axis of any channel has walls."""
        return all(both == (RING, RING) for own in self.sides for both in own)

    @property
    def moving(self) -> Tensor:
        """1 at points that may move, 0 at sides that never do; ``(channels, *shape)``."""
        found = torch.ones(len(self.sides), *self.shape, dtype=torch.float64)
        for own, sides in zip(found, self.sides, strict=True):
            for axis, (first, last) in enumerate(sides):
                if first == STILL:
                    own.select(axis, 0).zero_()
                if last == STILL:
                    own.select(axis, -1).zero_()
        return found


def find_walls(fields: Tensor, changes: Tensor, periodic: Sequence[bool | None]) -> Walls:
    """Return how axes end.

    Parameters
    ----------
    fields, changes : Tensor, shape (n, channels, *shape)
    periodic : sequence of bool or None
        Whether each axis is known to be a ring.
    """
    every = max(1, len(fields) // _FIELDS)
    fields, changes = fields[::every], changes[::every]
    channels, n_axes = fields.shape[1], fields.dim() - 2
    levels = torch.zeros(channels, n_axes, 2, dtype=torch.float64)
    sides = []
    for c in range(channels):
        still = _STILL * float(changes[:, c].square().mean().sqrt())
        own: list[tuple[str, str]] = []
        for axis, ring in enumerate(periodic):
            if ring or fields.shape[2 + axis] < _POINTS:
                own.append((RING, RING))
                continue
            both = []
            for side in (0, 1):
                along = fields[:, c].movedim(1 + axis, -1)
                moved = changes[:, c].movedim(1 + axis, -1)
                along, moved = (x.flip(-1) if side else x for x in (along, moved))
                kind, level = _side(along, moved, still)
                both.append(kind)
                levels[c, axis, side] = level
            own.append((both[0], both[1]))
        sides.append(tuple(own))
    return Walls(tuple(fields.shape[2:]), tuple(sides), levels)


def _side(fields: Tensor, changes: Tensor, still: float) -> tuple[str, float]:
    """Return what the side before the first point of the last axis is, and the value it holds."""
    if float(changes[..., 0].abs().max()) <= still:
        return STILL, 0.0
    near = fields[..., :_POINTS]
    points = torch.arange(_POINTS, dtype=torch.float64)
    usual = fields.diff(dim=-1).square().mean().sqrt().clamp(min=1e-300)
    varies = near[..., 0].std(unbiased=False).clamp(min=1e-300)
    best = (_NONE, FREE, 0.0)
    for kind, position in POSITION.items():
        slope = kind in (SLOPE, SLOPE_HALFWAY)
        there = near @ weights(position, points, 1 if slope else 0)
        level = 0.0 if slope else float(there.mean())
        left = float(((there - level).square().mean().sqrt()) / (usual if slope else varies))
        best = min(best, (left, kind, level))
    return best[1], best[2]
