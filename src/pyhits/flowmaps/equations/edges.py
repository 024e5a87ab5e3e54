"""Fields between walls, continued beyond them to a periodic grid of twice the length.

A field whose slope is zero at a wall continues evenly beyond it, one of a fixed value there oddly
around that value. What is smooth then stays smooth, and equations on periodic grids step it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyhits.flowmaps.equations.terms import Terms
from pyhits.numerics.fourier import SHIFT, Operator

#: Where an axis ends: nowhere, on a ring, or on one whose last point repeats the first; at walls
#: half a spacing beyond the last points, at these points, or a whole spacing beyond them.
RING, REPEATED, HALFWAY, AT_POINTS, BEYOND = "ring", "repeated", "halfway", "at points", "beyond"
KINDS = (RING, REPEATED, HALFWAY, AT_POINTS, BEYOND)

#: What differs by no more, in deviations, is repeated.
_SAME = 1e-6

#: Fields that continuations are compared on, and numbers in them, at most; and the part of the
#: roughness of the usual one that another must leave.
_FIELDS, _NUMBERS, _SMOOTHER = 64, 1 << 18, 0.5

#: Order of the differences that tell whether a continuation is smooth.
_ORDER = 6

#: Part of the energy of fields that their rounding may have.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Edges:
    """How fields continue beyond the edges of their axes."""

    shape: tuple[int, ...]  # points along each axis
    kinds: tuple[str, ...]  # one an axis
    odd: tuple[tuple[bool, ...], ...]  # by axis and channel: whether fields continue oddly
    level: Tensor  # (channels,): values around which they do

    @classmethod
    def rings(cls, shape: Sequence[int], channels: int) -> Edges:
        """Return those of a periodic grid."""
        odd = ((False,) * channels,) * len(shape)
        return cls(tuple(shape), (RING,) * len(shape), odd, torch.zeros(channels).double())

    @property
    def are_rings(self) -> bool:
        """Whether no axis has walls."""
        return all(kind == RING for kind in self.kinds)

    @property
    def periodic(self) -> tuple[int, ...]:
        """Points along each axis of the continued fields."""
        return tuple(map(periodic_length, self.kinds, self.shape))

    def continued(self, fields: Tensor) -> Tensor:
        """Return fields ``(n, channels, *shape)`` on the periodic grid."""
        if self.are_rings:
            return fields
        fields = fields - self.level_like(fields)
        for axis, (kind, odd) in enumerate(zip(self.kinds, self.odd, strict=True)):
            fields = _along(fields, axis, kind, odd)
        return fields

    def between(self, fields: Tensor) -> Tensor:
        """Return what lies between the walls; the inverse of :meth:`continued`."""
        if self.are_rings:
            return fields
        for axis, (kind, n) in enumerate(zip(self.kinds, self.shape, strict=True)):
            if kind == REPEATED:
                fields = torch.cat([fields, fields.narrow(2 + axis, 0, 1)], dim=2 + axis)
            fields = fields.narrow(2 + axis, int(kind == BEYOND), n)
        return fields + self.level_like(fields)

    @property
    def inside(self) -> Tensor:
        """Places of the points that no other ones mirror, in continued fields, which are flat."""
        index = torch.arange(math.prod(self.periodic)).view(self.periodic)
        for axis, (kind, n) in enumerate(zip(self.kinds, self.shape, strict=True)):
            if kind not in (RING, REPEATED):
                index = index.narrow(axis, int(kind == BEYOND), n)
        return index.flatten()

    def level_like(self, fields: Tensor) -> Tensor:
        """Return the levels, to be added to fields."""
        level: Tensor = self.level.to(fields).view(-1, *[1] * len(self.shape))
        return level

    def allowed(self, terms: Terms) -> Terms:
        """Return the terms that lead to what continues as some channel does."""
        channels = range(len(self.level))
        linear = [a for a, o in enumerate(terms.linear) if not any(self._turned(o))]
        wanted = {tuple(of[c] for of in self.odd) for c in channels}
        products = []
        for j, (outer, factors) in enumerate(terms.products):
            found = self._turned(outer)
            for channel, operator in (terms.features[f] for f in factors):
                own = zip(found, self._turned(operator), self.odd, strict=True)
                found = tuple(a ^ b ^ odd[channel] for a, b, odd in own)
            if found in wanted:
                products.append(j)
        return terms.kept(linear, products)

    def _turned(self, operator: Operator) -> tuple[bool, ...]:
        """Return along which walled axes an operator makes odd of even."""
        kind, *orders = operator
        walls = (own not in (RING, REPEATED) and kind != SHIFT for own in self.kinds)
        return tuple(wall and order % 2 == 1 for wall, order in zip(walls, orders, strict=True))


def periodic_length(kind: str, n: int) -> int:
    """Return the points of the periodic continuation of an axis of ``n``."""
    length = {RING: n, REPEATED: n - 1, HALFWAY: 2 * n, AT_POINTS: 2 * n - 2, BEYOND: 2 * n + 2}
    return length[kind]


def _along(fields: Tensor, axis: int, kind: str, odd: Sequence[bool]) -> Tensor:
    """Return fields continued along one axis."""
    if kind == RING:
        return fields
    n = fields.shape[2 + axis]
    if kind == REPEATED:
        return fields.narrow(2 + axis, 0, n - 1)
    there = torch.arange(n, device=fields.device)
    back = there.flip(0)
    ones = torch.ones(n, dtype=fields.dtype, device=fields.device)
    index, here, mirrored = torch.cat([there, back]), ones, ones
    zero = ones[:1] * 0
    if kind == AT_POINTS:
        index, mirrored = torch.cat([there, back[1:-1]]), ones[1:-1]
    elif kind == BEYOND:
        end = there[:1]
        index, here = torch.cat([end, there, end, back]), torch.cat([zero, ones, zero])
    signs = []
    for is_odd in odd:
        own = here
        if kind == AT_POINTS and is_odd:
            own = torch.cat([zero, ones[1:-1], zero])
        signs.append(torch.cat([own, -mirrored if is_odd else mirrored]))
    view = [len(odd), *(len(index) if k == axis else 1 for k in range(fields.dim() - 2))]
    return fields.index_select(2 + axis, index) * torch.stack(signs).view(view)


def find_edges(fields: Tensor, periodic: Sequence[bool | None], zero: Tensor) -> Edges:
    """Return the edges beyond which fields continue most smoothly.

    Parameters
    ----------
    fields : Tensor, shape (n, channels, *shape)
    periodic : sequence of bool or None
        Whether each axis is known to be a ring.
    zero : Tensor, shape (channels,)
        The likeliest level, what was 0 in the user's units.
    """
    n_fields = max(1, min(_FIELDS, _NUMBERS // fields[0].numel()))
    some = fields[:: max(1, len(fields) // n_fields)]
    channels, shape = fields.shape[1], tuple(fields.shape[2:])
    kinds, odd, levels = [], [], torch.full((len(shape), channels), torch.nan).double()
    for axis, ring in enumerate(periodic):
        alone = shape[axis] == 1  # without neighbours, and edges
        if ring or alone or _repeats(some, axis):
            kinds.append(RING if ring or alone else REPEATED)
            odd.append((False,) * channels)
            continue
        kind, turned, level = _smoothest(some, axis, zero)
        kinds.append(kind)
        odd.append(tuple(turned))
        levels[axis] = torch.where(torch.tensor(turned), level, torch.nan)
    return Edges(shape, tuple(kinds), tuple(odd), levels.nanmean(0).nan_to_num(0.0))


def _repeats(fields: Tensor, axis: int) -> bool:
    """Tell whether the last point along an axis is always what the first one is, and varies."""
    first, last = (fields.select(2 + axis, k) for k in (0, -1))
    spread = float(first.std(dim=0, unbiased=False).max())
    return (
        fields.shape[2 + axis] > 2
        and spread > 0
        and float((first - last).abs().max()) <= _SAME * spread
    )


def _smoothest(fields: Tensor, axis: int, zero: Tensor) -> tuple[str, list[bool], Tensor]:
    """Return the kind of an axis with walls, which channels turn odd there, and their levels."""
    best: tuple[float, str, list[bool], Tensor] | None = None
    energy = fields.square().transpose(0, 1).flatten(1).mean(1)
    floor = (_ROUNDING * energy).clamp(min=1e-300)
    for kind in (HALFWAY, AT_POINTS, BEYOND):
        even, _ = _roughness(fields, axis, kind, zero, odd=False)
        uneven, level = _roughness(fields, axis, kind, zero, odd=True)
        turned = (uneven + floor < _SMOOTHER * even) | torch.tensor(kind == BEYOND)
        rough = torch.where(turned, uneven, even).maximum(floor).log().mean()
        if best is None or float(rough) < best[0] + math.log(_SMOOTHER):
            best = float(rough), kind, turned.tolist(), level
    assert best is not None
    return best[1:]


def _roughness(
    fields: Tensor, axis: int, kind: str, zero: Tensor, *, odd: bool
) -> tuple[Tensor, Tensor]:
    """Return how rough a continuation is at the walls, and the level around which it is least so.

    Mean squares of high differences by channel, ``(channels,)``, and levels, of the same shape.
    """
    channels = fields.shape[1]
    turned = [odd] * channels
    across = _across(_along(fields, axis, kind, turned), axis, kind)
    if not odd:
        return across.square().mean(1), across.new_zeros(channels)
    # Of a constant: its continuation jumps at the walls.
    ones = _across(_along(torch.ones_like(fields), axis, kind, turned), axis, kind)

    def rough(level: Tensor) -> Tensor:
        return (across - level[:, None] * ones).square().mean(1)

    level = (across * ones).sum(1) / ones.square().sum(1)
    if kind == AT_POINTS:
        ends = fields.index_select(2 + axis, torch.tensor([0, fields.shape[2 + axis] - 1]))
        level = ends.transpose(0, 1).flatten(1).mean(1)
    level = torch.where(_SMOOTHER * rough(zero) < rough(level), zero, level)
    return rough(level), level


def _across(fields: Tensor, axis: int, kind: str) -> Tensor:
    """Return differences along an axis whose points lie on both sides of a wall, by channel."""
    n = fields.shape[2 + axis]
    found = fields
    for _ in range(_ORDER // 2):
        found = found.roll(1, 2 + axis) - 2 * found + found.roll(-1, 2 + axis)
    first = -1 if kind == HALFWAY else 0  # the walls: behind it, or at it
    near = torch.arange(first - _ORDER // 2 + 1, first + _ORDER // 2)
    both = torch.cat([near, near + n // 2]) % n
    return found.index_select(2 + axis, both).transpose(0, 1).flatten(1)
