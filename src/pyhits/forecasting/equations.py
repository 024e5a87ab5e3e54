"""The equations that a model has learned, as text, where its flow maps say any."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pyhits.data.grid import Grid
from pyhits.errors import ArgumentError
from pyhits.flowmaps import (
    BoundedMap,
    EquationMap,
    FlowMap,
    ODEMap,
    PolynomialMap,
    StencilMap,
    VelocityMap,
)
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.state_equations import Equation, of_states, written
from pyhits.numerics.fourier import DERIVATIVE, INVERSE, Operator

#: Means of fields that are rounding, in standard deviations.
_ROUNDING = 1e-8

#: Derivatives of an equation are in this unit, in points.
_PER_POINT = 2 / math.pi


def equations(model: FittedModel, step_size: int | None = None) -> str:
    """Return the equations of one scale; see :meth:`pyhits.TimeStepper.equations`."""
    size = min(model.selection.step_sizes) if step_size is None else step_size
    if size not in model.flow_maps:
        known = ", ".join(map(str, model.flow_maps))
        raise ArgumentError(f"There is no scale {size}; there are {known}.")
    flow_map = model.flow_maps[size]
    while isinstance(flow_map, BoundedMap):
        flow_map = flow_map.inner
    if isinstance(flow_map, EquationMap | StencilMap) and flow_map.channels == _n_channels(model):
        return _of_field(model, flow_map, size)
    if isinstance(flow_map, VelocityMap):
        return _of_velocities(model, flow_map, size)
    if model.inputs is not None:
        raise ArgumentError("Equations of models with inputs are not written.")
    if isinstance(flow_map, PolynomialMap | ODEMap):
        return of_states(model, flow_map, size)
    raise ArgumentError(
        f"The flow map of step size {size} is a {_kind(flow_map)}, which says no equation. Maps "
        "that are polynomials or polynomial ODEs, and equations and laws of fields, do."
    )


def _kind(flow_map: FlowMap) -> str:
    return str(getattr(flow_map, "parts", flow_map.kind))


def _n_channels(model: FittedModel) -> int:
    grid = model.coordinates.grid
    return 0 if grid is None else grid.n_channels


# Equations of fields


def _of_field(model: FittedModel, flow_map: EquationMap | StencilMap, size: int) -> str:
    grid = model.coordinates.grid
    assert grid is not None
    names = ["u"] if grid.channels == ("value",) else list(grid.channels)
    every = model.scaling.mean_, model.scaling.scale_
    mean, scale = (values[: grid.n_channels] for values in every)
    step = size * model.dt
    if isinstance(flow_map, StencilMap):
        text = _Field(grid, names, mean, scale, 1.0)
        lines = [written(f"d{n}/dt", text.law(flow_map, c, step)) for c, n in enumerate(names)]
        return _noted(model, lines, _notes_of_law(flow_map))
    mean = mean + scale * flow_map.edges.level.numpy()  # what fields between walls turn around
    text = _Field(grid, names, mean, scale)
    lines = [written(f"d{n}/dt", text.terms(flow_map, c, step)) for c, n in enumerate(names)]
    notes = []
    if flow_map.weighted:
        notes.append("the scheme was fitted as well, so that coefficients are near, not exact")
    if flow_map.sourced:
        lines = [f"{line} + s_{name}(place)" for line, name in zip(lines, names, strict=True)]
        notes.append("s stands for what drives the fields at all times, a field of its own")
    return _noted(model, lines, notes)


def _notes_of_law(flow_map: StencilMap) -> list[str]:
    """Return what is to be said of a law of differences."""
    if not flow_map.by_place:
        return []
    return ["coefficients differ from place to place: their means are written"]


def _of_velocities(model: FittedModel, flow_map: VelocityMap, size: int) -> str:
    """Return the equation of the vorticity w."""
    grid = model.coordinates.grid
    assert grid is not None
    (first, second), (own, other) = grid.channels, grid.axes[:: -1 if flow_map.crossed else 1]
    spacing = 1.0 if grid.spacing[0] is None else grid.spacing[0]
    scale = model.scaling.scale_[:1] / (_PER_POINT * spacing)
    text = _Field(replace(grid, channels=("w",)), ["w"], np.zeros(1), scale)
    line = written("dw/dt", text.terms(flow_map.inner, 0, size * model.dt))
    means = "the means of both stay"
    return _noted(model, [line], [f"w is {second}_{own} - {first}_{other}", means])


def _noted(model: FittedModel, lines: Sequence[str], notes: Sequence[str]) -> str:
    """Return lines with their units, and notes, below them."""
    grid = model.coordinates.grid
    assert grid is not None
    unknown = [a for a, h in zip(grid.axes, grid.spacing, strict=True) if h is None]
    said = [f"t counts {model.axis.unit or 'the unit of dt'}"]
    said += [f"{', '.join(unknown)} counts points, as no spacing is known"] * bool(unknown)
    return "\n".join([*lines, f"({'; '.join([*said, *notes])})"])


class _Field:
    """Terms of equations on a grid in the user's units."""

    def __init__(
        self,
        grid: Grid,
        names: Sequence[str],
        mean: np.ndarray,
        scale: np.ndarray,
        per_point: float = _PER_POINT,
    ) -> None:
        self.per_point = per_point
        self.axes, self.names, self.scale = grid.axes, names, scale
        self.mean = np.where(np.abs(mean) < _ROUNDING * scale, 0.0, mean)
        self.spacing = [1.0 if h is None else h for h in grid.spacing]

    def terms(self, flow_map: EquationMap, channel: int, step: float) -> Equation:
        """Return the right-hand side of one channel, a step lasting so long."""
        found: dict[str, float] = {}
        own = flow_map.terms
        for operator, value in zip(
            own.linear, flow_map.linear_coefficients[channel].tolist(), strict=True
        ):
            self._add(found, value / self.scale[channel], operator_of=None,
                      factors=[(channel, operator)])  # fmt: skip
        for (outer, numbers), value in zip(
            own.products, flow_map.coefficients[channel].tolist(), strict=True
        ):
            factors = [own.features[f] for f in numbers]
            size = value / math.prod(self.scale[c] for c, _ in factors)
            self._add(found, size, operator_of=outer, factors=factors)
        unit = self.scale[channel] / step
        return {name: unit * value for name, value in found.items() if value != 0}

    def law(self, flow_map: StencilMap, channel: int, step: float) -> Equation:
        """Return the right-hand side of one channel of a law of differences, means by place."""
        found: dict[str, float] = {}
        products, moving = flow_map.products, flow_map.walls.moving[channel] > 0
        values = flow_map.values.double()[channel]
        each = values[:, moving].mean(1) if flow_map.by_place else values
        for numbers, value in zip(products.factors, each.tolist(), strict=True):
            every = [products.features[f] for f in numbers]
            factors = [(c, (DERIVATIVE, *orders)) for c, *orders in every]
            size = value / math.prod(self.scale[c] for c, _ in factors)
            self._add(found, size, operator_of=None, factors=factors)
        unit = self.scale[channel] / step
        return {name: unit * value for name, value in found.items() if value != 0}

    def _add(
        self,
        found: dict[str, float],
        value: float,
        *,
        operator_of: Operator | None,
        factors: Sequence[tuple[int, Operator]],
    ) -> None:
        """Add a product of factors less their means, multiplied out."""
        outer = 1.0 if operator_of is None else self._unit(operator_of)
        bare = [k for k, (_, op) in enumerate(factors) if _is_none(op)]
        for n in range(len(bare) + 1):
            for left_out in itertools.combinations(bare, n):
                kept = [f for k, f in enumerate(factors) if k not in left_out]
                size = value * outer
                for k in left_out:
                    size *= -self.mean[factors[k][0]]
                if operator_of is not None and not kept and not _is_none(operator_of):
                    continue  # a derivative of a constant
                for _, op in kept:
                    size *= self._unit(op)
                name = self._name(operator_of, kept)
                found[name] = found.get(name, 0.0) + size

    def _unit(self, operator: Operator) -> float:
        """Return the size of an operator in the user's units of space."""
        kind, *orders = operator
        if kind not in (DERIVATIVE, INVERSE):
            return 1.0
        units = [self.per_point * h for h in self.spacing]
        size = math.prod(unit**order for unit, order in zip(units, orders, strict=True))
        return size / units[0] ** 2 if kind == INVERSE else size

    def _name(self, outer: Operator | None, factors: Sequence[tuple[int, Operator]]) -> str:
        powers: dict[str, int] = {}
        for c, op in factors:
            name = self._derived(self.names[c], op)
            powers[name] = powers.get(name, 0) + 1
        product = " ".join(name if n == 1 else f"{name}^{n}" for name, n in powers.items())
        if outer is None or _is_none(outer):
            return product
        several = len(factors) > 1 or any(not _is_none(op) for _, op in factors)
        return self._derived(f"({product})" if several else product, outer)

    def _derived(self, name: str, operator: Operator) -> str:
        kind, *orders = operator
        if _is_none(operator):
            return name
        if kind in (DERIVATIVE, INVERSE):
            base = f"lap^-1({name})" if kind == INVERSE else name
            along = "".join(axis * k for axis, k in zip(self.axes, orders, strict=True))
            return f"{base}_{along}" if along else base
        moved = zip(self.axes, orders, strict=True)
        return f"{name}({', '.join(f'{axis}{k:+d}' if k else axis for axis, k in moved)})"


def _is_none(operator: Operator) -> bool:
    return operator[0] != INVERSE and not any(operator[1:])
