"""A flow map that integrates a law of differences, between walls or with coefficients by place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from pyhits.errors import ArgumentError
from pyhits.flowmaps.base import MOST, register
from pyhits.flowmaps.other_grid import OtherGrid
from pyhits.flowmaps.prepared import PreparedMap
from pyhits.flowmaps.stencils.differences import SIDES, points_of
from pyhits.flowmaps.stencils.law import Law, Products
from pyhits.flowmaps.stencils.walls import Walls
from pyhits.util.schema import Flag, Many, Record, Schema, Text, Whole


@register("stencil")
class StencilMap(PreparedMap):
    """``x`` one step later by a law of differences and their products at each point of a grid.

    Differences are of high order, one-sided at walls, each of which may hold a value of its own or
    have no slope; points that never move stay to the last bit. Runge-Kutta substeps of order 4.

    Parameters
    ----------
    dimension : int
        Numbers in a row: points times channels, the channel last.
    shape : sequence of int
        Points along each axis, one to three.
    channels : int
    features, factors : sequences
        As :class:`~pyhits.flowmaps.stencils.law.Products` has them.
    width, substeps : int
        Points of a difference, and steps in one.
    sides : sequence
        As :class:`~pyhits.flowmaps.stencils.walls.Walls` has them.
    by_place : bool
        Whether coefficients differ from point to point.
    """

    schema: ClassVar[Schema] = Record(
        {
            "dimension": Whole(1, MOST),
            "shape": Many(Whole(1, 100_000), 1, 3),
            "channels": Whole(1, 1000),
            "features": Many(Many(Whole(0, 1000), 2, 4), 0, 1000),
            "factors": Many(Many(Whole(0, 1000), 0, 8), 0, 10_000),
            "width": Whole(3, 99),
            "substeps": Whole(1, 1024),
            "sides": Many(Many(Many(Text(choices=SIDES), 2, 2), 1, 3), 1, 1000),
            "by_place": Flag(),
        }
    )

    values: Tensor
    levels: Tensor

    def __init__(
        self,
        dimension: int,
        shape: Sequence[int],
        channels: int,
        features: Sequence[Sequence[int]],
        factors: Sequence[Sequence[int]],
        width: int,
        substeps: int,
        sides: Sequence[Sequence[Sequence[str]]],
        by_place: bool = False,
    ) -> None:
        super().__init__(dimension)
        self.shape, self.channels = tuple(shape), channels
        self.products = Products(tuple(map(tuple, features)), tuple(map(tuple, factors)))
        self.width_of_stencils, self.substeps, self.by_place = width, substeps, by_place
        self.sides = tuple(tuple((a, b) for a, b in own) for own in sides)
        self._check()
        points = self.shape if by_place else ()
        self.register_buffer("values", torch.zeros(channels, len(factors), *points))
        self.register_buffer("levels", torch.zeros(channels, len(shape), 2))
        self._ready: Law | None = None

    @classmethod
    def of(
        cls, walls: Walls, products: Products, values: Tensor, width: int, substeps: int
    ) -> StencilMap:
        """Return a map, float64.

        Parameters
        ----------
        walls, products
        values : Tensor, shape (channels, n_products), or (channels, n_products, ...) by place
        width, substeps : int
        """
        channels = len(walls.sides)
        made = cls(
            math.prod(walls.shape) * channels, walls.shape, channels, products.features,
            products.factors, width, substeps, walls.sides, by_place=values.dim() > 2,
        ).double()  # fmt: skip
        made.values.copy_(values)
        made.levels.copy_(walls.levels)
        return made

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "dimension": self.dimension,
            "shape": list(self.shape),
            "channels": self.channels,
            "features": [list(own) for own in self.products.features],
            "factors": [list(own) for own in self.products.factors],
            "width": self.width_of_stencils,
            "substeps": self.substeps,
            "sides": [[list(both) for both in own] for own in self.sides],
            "by_place": self.by_place,
        }

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many coefficients and levels there are."""
        points = math.prod(config["shape"]) if config["by_place"] else 1
        each = len(config["factors"]) * points + 2 * len(config["shape"])
        return int(config["channels"] * each)

    def _check(self) -> None:
        """Raise a ValueError where parts do not fit together."""
        n_axes, features = len(self.shape), self.products.features
        if math.prod(self.shape) * self.channels != self.dimension:
            raise ValueError(f"a grid of {self.shape} does not have {self.dimension} numbers")
        if any(len(own) != n_axes + 1 or own[0] >= self.channels for own in features):
            raise ValueError("a feature is of a channel or an axis that is not there")
        if any(f >= len(features) for own in self.products.factors for f in own):
            raise ValueError("a product is of a feature that is not there")
        if len(self.sides) != self.channels or any(len(own) != n_axes for own in self.sides):
            raise ValueError("its walls are not those of its axes and channels")
        orders = {order for own in features for order in own[1:]}
        if any(order >= points_of(order, self.width_of_stencils) for order in orders):
            raise ValueError("a derivative is of more points than a difference has")

    @property
    def walls(self) -> Walls:
        """How the axes of the grid end."""
        return Walls(self.shape, self.sides, self.levels.double())

    def forward(self, states: Tensor) -> Tensor:
        """Return the states one step later; ``(n, d)`` to ``(n, d)``."""
        if self._ready is None:
            self._ready = Law(self.walls, self.products, self.width_of_stencils, self.values)
        fields = states.view(len(states), *self.shape, self.channels).movedim(-1, 1)
        after = self._ready.step(fields, self.values, self.substeps)
        return after.movedim(1, -1).reshape(len(states), -1)

    def on_grid(self, to: OtherGrid) -> StencilMap:
        """Return the same law on more or fewer points of the same spacing.

        Raises
        ------
        ArgumentError
            Points lie nearer or farther apart, or coefficients differ from place to place.
        """
        to.check_as_fine("differences")
        if self.by_place:
            raise ArgumentError(
                "Its coefficients differ from place to place, and are known on the grid that they "
                "were learned on alone."
            )
        walls = replace(self.walls, shape=to.shape)
        return self.of(walls, self.products, self.values, self.width_of_stencils, self.substeps).to(
            self.values.dtype
        )

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping."""
        each = len(self.products.features) + 2 * len(self.products.factors) + 4 * self.channels
        return max(64, math.prod(self.shape) * each)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation, about."""
        orders: Mapping[int, int] = {
            k: sum(order > 0 for order in own[1:]) for k, own in enumerate(self.products.features)
        }
        points = math.prod(self.shape)
        each = sum(orders.values()) * max(self.shape) + len(self.products.factors) * self.channels
        return int(4 * self.substeps * points * max(1, each))

    @property
    def n_parameters(self) -> int:
        """Number of coefficients."""
        return self.values.numel()

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        place = ", coefficients by place" if self.by_place else ""
        return f"differences of {len(self.products.factors)} terms{place}"
