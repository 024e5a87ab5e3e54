"""Laws of differences as closed forms: which of them are tried, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from pyhits.flowmaps.base import FlowMap
from pyhits.flowmaps.form import Form, Increments, Steps, Trials, closed_form
from pyhits.flowmaps.stencils.fit import Solution, StencilFit
from pyhits.flowmaps.stencils.flowmap import StencilMap
from pyhits.flowmaps.stencils.law import Products
from pyhits.flowmaps.stencils.walls import Walls, find_walls
from pyhits.util.schema import Real, Schema, Whole

#: Points along an axis, at most: differences are multiplied as matrices; and numbers of a field.
_MOST_POINTS, _MOST_NUMBERS = 1024, 1 << 17

#: Rollouts' error below which nothing else is tried; and of other families that do well: on rings,
#: where laws of differences have but coefficients by place to offer, and where the first law is far
#: behind them, no other is tried.
_ENOUGH, _WELL = 1e-4, 1e-2

#: Widths of differences, the usual one first.
_WIDTHS = (7, 3, 5, 9)

#: Penalties of coefficients that differ by place.
_PENALTIES = (1e-8, 1e-5, 1e-3)

#: Error of one step, as a part of the changes, below which coefficients do not differ by place.
_SAME_EVERYWHERE = 0.01

#: Derivatives in a term with a coefficient by place, at most.
_REACH_BY_PLACE = 2

#: Rollouts' error that another law must leave of the best one's to be taken for it, and another
#: width where coefficients differ by place: what is smooth is stepped about as well by all.
_BETTER, _CLEARLY_BETTER = 0.9, 0.5

#: Fields for each coefficient by place, at least.
_FIELDS_EACH = 3


@closed_form("stencil")
@dataclass(frozen=True)
class StencilForm(Form):
    """A law of differences, all but its coefficients."""

    in_every_search: ClassVar[bool] = True

    limits: ClassVar[dict[str, Schema]] = Form.limits | {
        "degree": Whole(0, 3),
        "reach": Whole(0, 4),
        "stencil": Whole(min(_WIDTHS), max(_WIDTHS)),
        "by_place": Whole(0, 2),
        "error": Real(0.0, finite=False),
    }

    reach: int = 2  # derivatives in a linear term
    stencil: int = 7  # points of a difference
    #: Degree up to which terms have coefficients by place: linear terms from 1 on, products of
    #: channels from 2 on; 0 if none has.
    by_place: int = 0
    error: float = field(default=0.0, compare=False)  # of one step, as a part of the changes

    @classmethod
    def work(cls, dimension: int) -> float:
        """Return a little more than equations have, which are tried first."""
        return float(dimension) + 1.0

    @classmethod
    def suits(cls, data: Increments) -> bool:
        """Whether states are fields, not too large, of one output."""
        grid = data.grid
        if grid is None or data.outputs != 1 or data.dimension > _MOST_NUMBERS:
            return False
        return max(grid.shape) <= _MOST_POINTS and min(grid.shape) >= max(_WIDTHS)

    @classmethod
    def search(cls, trials: Trials) -> None:
        """Try widths, degrees, then coefficients by place."""
        if not cls.suits(trials.data):
            return
        walls = _walls(trials.data)
        enough = _WELL if walls.are_rings else _ENOUGH
        if trials.score_of_any < enough:
            return
        finer = trials.data.finer
        if finer is not None:
            if trials.score_of_any == math.inf:  # it takes as many substeps as the finest scale
                trials(cls.from_dict(finer.form))
            return
        trials(cls(degree=3 if len(walls.shape) == len(walls.sides) == 1 else 2))
        if trials.is_far and trials.score_of_any < _WELL:
            return
        for change in _CHANGES:
            best = trials.best
            if trials.settled or not isinstance(best, StencilForm) or trials.score < _ENOUGH:
                return
            gain = _CLEARLY_BETTER if change is _widths_by_place else _BETTER
            for changed in change(best, trials.data):
                trials(changed, gain=gain)

    def candidates(self, data: Increments, *, near: bool) -> tuple[list[Form], Steps]:
        """Return the form, with several penalties where coefficients differ by place.

        Those of another width or degree have the penalty that was found.
        """
        with torch.inference_mode(False), torch.no_grad():
            is_open = self.by_place and not self.penalty
            penalties = _PENALTIES if is_open else (self.penalty,)
            each = [replace(self, penalty=penalty) for penalty in penalties]
            found = [form._solution(data) for form in each]
        forms: list[Form] = [
            replace(form, error=own.error) for form, own in zip(each, found, strict=True)
        ]
        maps = [self._map(data, own) for own in found]

        def steps(states: Tensor) -> Tensor:
            return torch.stack([one(x) for one, x in zip(maps, states, strict=True)])

        return forms, steps

    def solve(self, data: Increments) -> FlowMap:
        """Return the flow map, float64."""
        with torch.no_grad():
            return self._map(data, self._solution(data))

    def _map(self, data: Increments, found: Solution) -> StencilMap:
        return StencilMap.of(
            _walls(data), found.products, found.values, self.stencil, max(1, found.substeps)
        )

    def _solution(self, data: Increments) -> Solution:
        finer = data.finer
        if finer is not None and isinstance(finer.flow_map, StencilMap):
            own, steps = finer.flow_map, finer.steps
            return Solution(own.products, steps * own.values, steps * own.substeps)
        fit = self._fit(data)
        n_axes, channels = len(fit.walls.shape), fit.channels
        every = Products.up_to(n_axes, channels, self.degree, self.reach)

        def make() -> Solution:
            return fit.shared(every)

        shared: Solution = data.once(replace(self, by_place=0, penalty=0.0), make)
        if not self.by_place:
            return shared
        varying = _varying(n_axes, channels, self.by_place)
        return data.once(self, lambda: fit.by_place(shared, varying, self.penalty))

    def _fit(self, data: Increments) -> StencilFit:
        walls = _walls(data)
        fields = _fields(data.states, walls)
        later = fields + _fields(data.changes, walls)
        return StencilFit(walls, fields, later, self.stencil, data.clock)


def _varying(n_axes: int, channels: int, degree: int) -> Products:
    """Return what has coefficients by place: a source, channels, derivatives along one axis.

    And products of channels up to the degree.
    """
    every = Products.up_to(n_axes, channels, degree, _REACH_BY_PLACE)

    def varies(factors: tuple[int, ...]) -> bool:
        orders = [order for f in factors for order in every.features[f][1:] if order]
        return len(orders) < 2 if len(factors) < 2 else not orders

    return every.kept([j for j, own in enumerate(every.factors) if varies(own)])


def _walls(data: Increments) -> Walls:
    """Return how the axes of the grid end, as the data or the finest scale show it."""
    grid = data.grid
    assert grid is not None
    if data.finer is not None and isinstance(data.finer.flow_map, StencilMap):
        return data.finer.flow_map.walls
    shape = (len(data), *grid.shape, grid.n_channels)
    fields, changes = (x.view(shape).movedim(-1, 1) for x in (data.states, data.changes))
    return data.once("walls", lambda: find_walls(fields, changes, grid.periodic))


def _fields(rows: Tensor, walls: Walls) -> Tensor:
    return rows.view(len(rows), *walls.shape, len(walls.sides)).movedim(-1, 1).contiguous()


def _widths(best: StencilForm, data: Increments) -> list[StencilForm]:
    return [replace(best, stencil=width) for width in _WIDTHS if width != best.stencil]


def _may_vary(best: StencilForm, data: Increments, degree: int) -> bool:
    """Whether coefficients by place are missed, and there are fields enough to solve for them."""
    grid = data.grid
    assert grid is not None
    terms = len(_varying(grid.n_axes, grid.n_channels, degree).factors)
    return best.error >= _SAME_EVERYWHERE and len(data) >= _FIELDS_EACH * terms


def _by_place(best: StencilForm, data: Increments) -> list[StencilForm]:
    return [replace(best, by_place=degree) for degree in (1, 2) if _may_vary(best, data, degree)]


def _cubic_by_place(best: StencilForm, data: Increments) -> list[StencilForm]:
    """Return a law with both where neither was enough: alone, one may do no better than none."""
    if best.degree > 2 or not _may_vary(best, data, 1):
        return []
    return [replace(best, degree=3, by_place=best.by_place or 1, stencil=_WIDTHS[0])]


def _widths_by_place(best: StencilForm, data: Increments) -> list[StencilForm]:
    """Return other widths: of a law that is not the same everywhere, none tells before."""
    return _widths(best, data) if best.by_place else []


def _cubic(best: StencilForm, data: Increments) -> list[StencilForm]:
    return [replace(best, degree=3)] if best.degree < 3 else []


def _farther(best: StencilForm, data: Increments) -> list[StencilForm]:
    line = data.grid is not None and data.grid.n_axes == 1
    return [replace(best, reach=4)] if line and best.reach < 4 else []


#: Changes of the best form so far, in the order in which they are tried.
_CHANGES: tuple[Callable[[StencilForm, Increments], list[StencilForm]], ...] = (
    _widths, _by_place, _cubic_by_place, _widths_by_place, _cubic, _farther,
)  # fmt: skip
