"""A right-hand side of differences and their products at each point, and how it is stepped."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyhits.flowmaps.stencils.differences import differences
from pyhits.flowmaps.stencils.walls import Walls
from pyhits.numerics.fourier import derivatives

#: A channel and the order of its derivative along each axis.
Feature = tuple[int, ...]

#: Fractions of a step at which the slopes of a Runge-Kutta step of order 4 lie.
_STAGES = (0.5, 0.5, 1.0)

#: Numbers in the products of the fields that are stepped at once, about: as caches hold.
_AT_ONCE = 1 << 19


@dataclass(frozen=True)
class Products:
    """What the right-hand side is a weighted sum of."""

    features: tuple[Feature, ...]  # channels and orders of their derivatives
    #: Features that are multiplied, by number; of none it is 1.
    factors: tuple[tuple[int, ...], ...]

    @classmethod
    def up_to(cls, n_axes: int, channels: int, degree: int, reach: int) -> Products:
        """Return all products of so many factors at most, of so many derivatives in all."""
        orders = [operator[1:] for operator in derivatives(n_axes, reach)]
        features = tuple((c, *own) for c in range(channels) for own in orders)
        size = [sum(own[1:]) for own in features]
        factors: list[tuple[int, ...]] = [()]
        for k in range(1, degree + 1):
            most = reach if k == 1 else min(reach, 2)
            every = itertools.combinations_with_replacement(range(len(features)), k)
            factors += [own for own in every if sum(size[f] for f in own) <= most]
        return cls(features, tuple(factors))

    def kept(self, which: Sequence[int]) -> Products:
        """Return some of them, without the features that they do not need."""
        chosen = [self.factors[j] for j in which]
        used = sorted({f for own in chosen for f in own})
        number = {f: k for k, f in enumerate(used)}
        features = tuple(self.features[f] for f in used)
        return Products(features, tuple(tuple(number[f] for f in own) for own in chosen))

    @property
    def linear(self) -> list[int]:
        """Products of one factor, or of none."""
        return [j for j, own in enumerate(self.factors) if len(own) < 2]


class Law:
    """``u_t = sum_j c_j f_1 f_2 ...`` at each point that moves: set up once for a grid.

    Parameters
    ----------
    width : int
        Points of a difference.
    like : Tensor
        Of the device and arithmetic to compute in.
    """

    def __init__(self, walls: Walls, products: Products, width: int, like: Tensor) -> None:
        self.products, self.shape = products, walls.shape
        self.moving = walls.moving.to(like)
        self._features: list[tuple[int, list[tuple[int, Tensor, Tensor]]]] = []
        for channel, *orders in products.features:
            along: list[tuple[int, Tensor, Tensor]] = []
            for axis, order in enumerate(orders):
                if order:
                    sides, levels = walls.sides[channel][axis], walls.levels[channel, axis]
                    ends = float(levels[0]), float(levels[1])
                    made = differences(walls.shape[axis], order, width, sides, ends)
                    along.append((axis, made[0].to(like), made[1].to(like)))
            self._features.append((channel, along))

    def products_of(self, u: Tensor) -> Tensor:
        """Return all products of fields ``(n, channels, *shape)``; ``(n_products, n, *shape)``."""
        features = []
        for channel, along in self._features:
            own = u[:, channel]
            for axis, matrix, constant in along:
                own = (own.movedim(1 + axis, -1) @ matrix.T + constant).movedim(-1, 1 + axis)
            features.append(own)
        found = u.new_ones(len(self.products.factors), *u[:, 0].shape)
        for product, factors in zip(found, self.products.factors, strict=True):
            if len(factors) > 1:
                torch.mul(features[factors[0]], features[factors[1]], out=product)
            elif factors:
                product.copy_(features[factors[0]])
            for f in factors[2:]:
                product.mul_(features[f])
        return found

    def rate(self, u: Tensor, values: Tensor) -> Tensor:
        """Return the slopes of fields, of their shape, for values ``(channels, n_products, ...)``.

        Values are the same at all points, or fields of the grid's shape.
        """
        made = self.products_of(u)
        if values.dim() == 2:
            found = (values @ made.flatten(1)).view(len(values), *made.shape[1:]).transpose(0, 1)
        else:
            found = torch.stack([(made * own[:, None]).sum(0) for own in values], dim=1)
        slopes: Tensor = found * self.moving
        return slopes

    def step(self, u: Tensor, values: Tensor, substeps: int) -> Tensor:
        """Return fields one step later, by substeps of Runge-Kutta's scheme of order 4."""
        numbers = max(1, len(self.products.factors)) * math.prod(self.shape)
        parts = torch.split(u, max(1, _AT_ONCE // numbers))
        return torch.cat([self._stepped(part, values, substeps) for part in parts])

    def _stepped(self, u: Tensor, values: Tensor, substeps: int) -> Tensor:
        h = 1 / substeps
        for _ in range(substeps):
            slope = self.rate(u, values)
            total = slope
            for part in _STAGES:
                slope = self.rate(u + part * h * slope, values)
                weight = 1.0 if part == 1.0 else 2.0
                total = total + weight * slope
            u = u + h / 6 * total
        return u
