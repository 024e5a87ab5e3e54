"""Velocities of a plane flow that nothing compresses: stepped as their vorticity.

Pressure acts at once from everywhere, so that no law of neighbours moves the velocities. Their
curl has one, and tells them but for their means, which are kept; no step makes any divergence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from pyhits.data.grid import Grid
from pyhits.flowmaps.base import MOST, FlowMap, register
from pyhits.flowmaps.equations.flowmap import EquationMap
from pyhits.flowmaps.equations.form import CURL, EquationForm
from pyhits.flowmaps.equations.other_grid import carried
from pyhits.flowmaps.form import Finer, Form, Increments, Steps, Trials, closed_form
from pyhits.flowmaps.other_grid import OtherGrid
from pyhits.flowmaps.prepared import PreparedMap
from pyhits.numerics.fourier import DERIVATIVE, low_pass, multiplier
from pyhits.util.schema import Flag, Many, Plain, Record, Schema, SchemaError, Whole

#: What the vorticity may leave of velocities, as a part of them, and means may move.
_LEFT, _MOVED = 1e-3, 1e-5

#: Fields that are looked at.
_FIELDS = 50


@dataclass(frozen=True)
class Curl:
    """The way from velocities to vorticities and back."""

    shape: tuple[int, int]
    #: Whether the first channel is along the last axis, as of ``(u, v)`` on ``(y, x)``.
    crossed: bool
    ratio: float  # unit of the second channel over that of the first
    means: Tensor  # (2,)

    def _slopes(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return multipliers of derivatives along each channel's own direction."""
        first, last = _slopes(self.shape, like.dtype, like.device)
        return (last, first) if self.crossed else (first, last)

    def vorticity(self, rows: Tensor) -> Tensor:
        """Return vorticities ``(..., points)`` of rows ``(..., 2 * points)``."""
        fields = rows.view(*rows.shape[:-1], *self.shape, 2)
        u, v = (torch.fft.rfft2(own) for own in fields.unbind(-1))
        own, other = self._slopes(rows)
        found: Tensor = torch.fft.irfft2(self.ratio * own * v - other * u, s=self.shape)
        return found.flatten(-2)

    def velocities(self, vorticity: Tensor) -> Tensor:
        """Return rows ``(..., 2 * points)`` of vorticities ``(..., points)``."""
        own, other = self._slopes(vorticity)
        square = own.square() + other.square()  # not positive
        inverse = torch.where(square.abs() > 0, 1 / square, 0.0)
        potential = torch.fft.rfft2(vorticity.view(*vorticity.shape[:-1], *self.shape)) * inverse
        waves = (-other * potential, own * potential / self.ratio)
        both = [torch.fft.irfft2(part, s=self.shape) for part in waves]
        found = torch.stack(both, dim=-1) + self.means.to(vorticity)
        return found.flatten(-3)


@lru_cache(maxsize=8)
def _slopes(
    shape: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return multipliers of derivatives along both axes, none of the shortest waves."""
    kept, arithmetic = low_pass(shape, 1.0), torch.complex(*torch.zeros(2, 1, dtype=dtype)).dtype
    both = (kept * multiplier((DERIVATIVE, *o), shape) for o in ((1, 0), (0, 1)))
    first, last = (slope.to(device, arithmetic) for slope in both)
    return first, last


def find_curl(rows: Tensor, grid: Grid) -> Curl | None:
    """Return the way to vorticities; None where rows ``(n, d)`` are no such velocities."""
    if grid.n_axes != 2 or grid.n_channels != 2 or grid.periodic != (True, True):
        return None
    if None not in grid.spacing and not math.isclose(*map(float, grid.spacing)):  # type: ignore[arg-type]
        return None
    rows = rows[:: max(1, len(rows) // _FIELDS)]
    fields = rows.view(len(rows), *grid.shape, 2)
    means, size = fields.mean((1, 2)), float(rows.std())
    if float((means - means.mean(0)).abs().max()) > _MOVED * size:
        return None
    shape = (grid.shape[0], grid.shape[1])
    for crossed in (True, False):
        plain = Curl(shape, crossed, 1.0, means.mean(0))
        u, v = (torch.fft.rfft2(own) for own in fields.unbind(-1))
        own, other = plain._slopes(rows)
        du, dv = own * u, other * v
        ratio = -float((du.conj() * dv).real.sum()) / max(float(dv.abs().square().sum()), 1e-300)
        if not ratio > 0:
            continue
        found = Curl(shape, crossed, ratio, means.mean(0))
        left = found.velocities(found.vorticity(rows)) - rows
        if float(left.square().mean().sqrt()) < _LEFT * size:
            return found
    return None


@register("velocities")
class VelocityMap(PreparedMap):
    """An equation of the vorticity, which steps velocities without divergence.

    Parameters
    ----------
    dimension : int
    shape : pair of int
    crossed : bool
        As :class:`Curl` has it.
    map : dict
        ``config`` of the vorticity's :class:`EquationMap`.
    """

    schema: ClassVar[Schema] = Record(
        {
            "dimension": Whole(1, MOST),
            "shape": Many(Whole(1, MOST), 2, 2),
            "crossed": Flag(),
            "map": Plain(),
        }
    )

    ratio: Tensor
    means: Tensor

    def __init__(
        self, dimension: int, shape: tuple[int, int], crossed: bool, map: Mapping[str, Any]
    ) -> None:
        super().__init__(dimension)
        self.shape, self.crossed = (shape[0], shape[1]), crossed
        self.inner = EquationMap(**EquationMap.schema.read(dict(map), "map"))
        if dimension != 2 * math.prod(shape) or self.inner.dimension != math.prod(shape):
            raise SchemaError(f"map: a grid of {shape} does not have {dimension} velocities")
        self.register_buffer("ratio", torch.ones(()))
        self.register_buffer("means", torch.zeros(2))

    @classmethod
    def of(cls, curl: Curl, inner: FlowMap) -> VelocityMap:
        """Return a map, float64."""
        assert isinstance(inner, EquationMap)
        made = cls(2 * math.prod(curl.shape), curl.shape, curl.crossed, inner.config()).double()
        made.inner = inner
        made.ratio.fill_(curl.ratio)
        made.means.copy_(curl.means)
        return made

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        shape = {"dimension": self.dimension, "shape": list(self.shape)}
        return {**shape, "crossed": self.crossed, "map": self.inner.config()}

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many numbers it keeps: those of the equation, a ratio and two means."""
        return EquationMap.n_stored(EquationMap.schema.read(config["map"], "map")) + 3

    def on_grid(self, to: OtherGrid) -> VelocityMap:
        """Return the same equation of the vorticity on another grid.

        Raises
        ------
        ArgumentError
            Points lie nearer or farther apart along one axis than along the other.
        """
        own = self.curl
        curl = replace(own, shape=(to.shape[0], to.shape[1]))
        states = curl.vorticity(to.states)
        error = to.error * float(states.std() / to.states.std().clamp(min=1e-300))
        # Derivatives count points, and so do vorticities.
        inner = carried(self.inner, replace(to, states=states, error=error), to.ratios[0])
        return self.of(curl, inner)

    @property
    def curl(self) -> Curl:
        """The way to vorticities and back."""
        return Curl(self.shape, self.crossed, float(self.ratio), self.means)

    def forward(self, states: Tensor) -> Tensor:
        """Return the states one step later; ``(n, d)`` to ``(n, d)``."""
        curl = self.curl
        return curl.velocities(self.inner(curl.vorticity(states)))

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping."""
        return self.inner.width + 4 * self.dimension

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation, about."""
        return self.inner.multiply_adds + 12 * self.dimension

    @property
    def n_parameters(self) -> int:
        """Number of coefficients."""
        return self.inner.n_parameters

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        return f"{self.inner.parts} of the vorticity"


@closed_form("velocities")
@dataclass(frozen=True)
class VelocityForm(EquationForm):
    """An equation of the vorticity of two velocities, all but its coefficients."""

    @classmethod
    def work(cls, dimension: int) -> float:
        """Return a little less than equations of the velocities take."""
        return float(dimension) - 0.5

    @classmethod
    def suits(cls, data: Increments) -> bool:
        """Whether states are velocities without divergence on a ring of rings."""
        return super().suits(data) and curl_of(data) is not None

    @classmethod
    def search(cls, trials: Trials) -> None:
        """Search as for an equation of one channel."""
        if cls.suits(trials.data):
            cls._searched(_OfVorticity(trials))

    def candidates(self, data: Increments, *, near: bool) -> tuple[list[Form], Steps]:
        """Return the forms, and how they step velocities."""
        curl = curl_of(data)
        assert curl is not None
        forms, inner = super().candidates(_of_vorticity(data), near=near)

        def steps(states: Tensor) -> Tensor:
            return curl.velocities(inner(curl.vorticity(states)))

        return forms, steps

    def solve(self, data: Increments) -> FlowMap:
        """Return the flow map, float64."""
        curl = curl_of(data)
        assert curl is not None
        return VelocityMap.of(curl, super().solve(_of_vorticity(data)))

    def solve_again(self, data: Increments, found: Callable[[], FlowMap]) -> FlowMap:
        """Return the flow map with the terms that were found, unless these do worse now."""
        curl = curl_of(data)

        def of_vorticity() -> FlowMap:
            before = found()
            assert isinstance(before, VelocityMap)
            return before.inner

        assert curl is not None
        return VelocityMap.of(curl, super().solve_again(_of_vorticity(data), of_vorticity))


def curl_of(data: Increments) -> Curl | None:
    """Return the way to the vorticities of data; None of other fields."""
    grid = data.grid
    if grid is None:
        return None
    found: Curl | None = data.once(CURL, lambda: find_curl(data.states, grid))
    return found


def _of_vorticity(data: Increments) -> Increments:
    """Return states and changes of the vorticity."""

    def make() -> Increments:
        curl, grid, finer = curl_of(data), data.grid, data.finer
        assert curl is not None
        assert grid is not None
        begin, end = curl.vorticity(data.states), curl.vorticity(data.states + data.changes)
        if finer is not None and isinstance(finer.flow_map, VelocityMap):
            finer = Finer(finer.flow_map.inner, *finer[1:])
        return Increments(
            begin.numpy(), (end - begin).numpy(), Grid(grid.shape, periodic=True),
            finer=finer, clock=data.clock,
        )  # fmt: skip

    made: Increments = data.once("vorticity", make)
    made.clock = data.clock
    return made


@dataclass(frozen=True)
class _OfVorticity:
    """Trials of forms whose data are those of the vorticity."""

    trials: Trials

    @property
    def data(self) -> Increments:
        return _of_vorticity(self.trials.data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trials, name)

    def __call__(self, form: Form, *, near: bool = True, gain: float = 1.0) -> bool:
        return self.trials(form, near=near, gain=gain)
