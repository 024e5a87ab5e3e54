"""An equation on another grid: in physical derivatives it is the same one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from pyhits.errors import ArgumentError
from pyhits.flowmaps.equations.edges import HALFWAY, Edges
from pyhits.flowmaps.equations.equation import Equation, Scheme
from pyhits.flowmaps.equations.terms import Terms
from pyhits.flowmaps.other_grid import OtherGrid
from pyhits.numerics.fourier import INVERSE, SHIFT, Operator

#: Most substeps, as a multiple of those learned; steps of a small disturbance, its size, and the
#: most by which it may grow in the last of them beyond what the linear part makes grow.
_MORE, _DISTURBED, _SMALL, _GROWTH = 64, 8, 1e-5, 1.5

#: What an equation learned of a place cannot be said of another.
_PLACES = (
    "A source of its own at each place drives these fields, and is known on the domain that it was "
    "learned on alone: give a grid of the same length along each axis."
)


class HasEquation(Protocol):
    """A flow map that integrates an equation, as far as it is looked at here."""

    terms: Terms
    weighted: bool
    sourced: bool
    weights: Tensor
    source: Tensor

    @property
    def edges(self) -> Edges:
        """How fields continue beyond the grid."""

    @property
    def scheme(self) -> Scheme:
        """How it is integrated."""

    @property
    def values(self) -> Tensor:
        """Coefficients of all terms, float64, ``(channels, n_linear + n_products)``."""

    @property
    def fastest(self) -> float:
        """Most by which the linear part makes any wave grow in a step, at least 1."""

    @classmethod
    def of(
        cls,
        edges: Edges,
        terms: Terms,
        scheme: Scheme,
        values: Tensor,
        weights: Tensor | None = None,
        source: Tensor | None = None,
    ) -> Self:
        """Return a map, float64."""

    def in_single(self, states: Tensor, error: float) -> Self:
        """Return the map that steps large fields in float32, where this hides in its error."""

    def __call__(self, states: Tensor) -> Tensor:
        """Step states forward."""


M = TypeVar("M", bound=HasEquation)


def carried(flow_map: M, to: OtherGrid, amplitude: float = 1.0) -> M:
    """Return the same equation on another grid, with as many substeps as are stable there.

    Raises ArgumentError: it is of neighbours and the spacing is another, or of places and the
    domain is another; or no substeps are stable.

    Parameters
    ----------
    amplitude : float
        Size of the fields there, over that of the same fields on the old grid.
    """
    old = flow_map.edges
    edges = Edges(to.shape, old.kinds, old.odd, amplitude * old.level.double())
    values = _values(flow_map, to, amplitude)
    source = _source(flow_map, edges, to, amplitude)
    scheme = _scheme(flow_map.scheme, to.ratios)
    weights = _weights(flow_map, edges, scheme, values, to)
    most = _MORE * scheme.substeps
    while scheme.substeps <= most:
        made = flow_map.of(edges, flow_map.terms, scheme, values, weights, source)
        if _is_stable(made, to.states):
            return made.in_single(to.states, to.error)
        # Weights were learned for one substep.
        scheme, weights = replace(scheme, substeps=2 * scheme.substeps), None
    raise ArgumentError(
        f"No {most} substeps or fewer of the equation are stable on {to.shape} points."
    )


def _values(flow_map: HasEquation, to: OtherGrid, amplitude: float) -> Tensor:
    """Return coefficients in the new grid's units of a derivative, and of the fields."""
    terms = flow_map.terms
    factors = [_unit(operator, to) for operator in terms.linear]
    for outer, numbers in terms.products:
        inner = math.prod(_unit(terms.features[f][1], to) for f in numbers)
        factors.append(_unit(outer, to) * inner * amplitude ** (1 - len(numbers)))
    return flow_map.values * torch.tensor(factors, dtype=torch.float64)


def _unit(operator: Operator, to: OtherGrid) -> float:
    """Return the unit of an operator on the old grid, over that on the new one."""
    kind, *orders = operator
    if kind == SHIFT:
        if any(orders):
            to.check_as_fine("neighbours")
        return 1.0
    found = math.prod(ratio**-order for ratio, order in zip(to.ratios, orders, strict=True))
    if kind != INVERSE:
        return found
    if to.is_stretched:
        raise ArgumentError(
            "An equation with a stream function keeps the shape of its cells: give a grid whose "
            "spacing differs by one factor along all axes."
        )
    return float(found * to.ratios[0] ** 2)


def _scheme(scheme: Scheme, ratios: Sequence[float]) -> Scheme:
    """Return the scheme; waves that the data could not show do not grow by the linear part."""
    return replace(scheme, seen=min(1.0, scheme.seen * min(ratios)))


def _weights(
    flow_map: HasEquation, edges: Edges, scheme: Scheme, values: Tensor, to: OtherGrid
) -> Tensor | None:
    """Return learned weights, by how they differ from the scheme's at waves of equal length."""
    if not flow_map.weighted:
        return None
    learned = torch.view_as_complex(flow_map.weights.double())
    usual = _usual(flow_map.edges, flow_map.terms, flow_map.scheme, flow_map.values)
    moved = _along_waves(learned - usual, flow_map.edges.periodic, edges.periodic, to.ratios)
    return _usual(edges, flow_map.terms, scheme, values) + moved


def _usual(edges: Edges, terms: Terms, scheme: Scheme, values: Tensor) -> Tensor:
    """Return a scheme's own weights, ``(n_weights, channels, *transform)``."""
    linear = values[:, : len(terms.linear)]
    steps = Equation(edges.periodic, len(values), terms, scheme, linear).steps(linear)
    return torch.stack([w.expand(steps.outer[0].shape) for w in steps.outer])


def _source(flow_map: HasEquation, edges: Edges, to: OtherGrid, amplitude: float) -> Tensor | None:
    """Return what drives the fields, by place."""
    if not flow_map.sourced:
        return None
    old, new = flow_map.edges.periodic, edges.periodic
    lengths = zip(old, new, to.ratios, strict=True)
    same = all(math.isclose(n, m * ratio, rel_tol=1e-6) for n, m, ratio in lengths)
    if not same or HALFWAY in edges.kinds:
        raise ArgumentError(_PLACES)
    moved = _along_waves(torch.view_as_complex(flow_map.source.double()), old, new, to.ratios)
    return moved * (amplitude * math.prod(new) / math.prod(old))


def _along_waves(
    found: Tensor, old: Sequence[int], new: Sequence[int], ratios: Sequence[float]
) -> Tensor:
    """Return what stands for each wave, interpolated between waves, 0 of shorter ones.

    ``(..., *transform)`` of a grid of ``old`` points to that of ``new``, the same waves' where both
    have them.
    """
    n_axes = len(old)
    for axis, (n, m, ratio) in enumerate(zip(old, new, ratios, strict=True)):
        half = axis == n_axes - 1
        waves = (torch.fft.rfftfreq if half else torch.fft.fftfreq)(m, dtype=torch.float64)
        at = waves.abs() * (n / ratio)  # in waves of the old grid
        below = (at + 1e-6).floor()
        share = (at - below).clamp(min=0.0)
        matrix = torch.zeros(len(waves), n // 2 + 1 if half else n, dtype=torch.float64)
        rows = torch.arange(len(waves))
        for number, part in ((below, 1 - share), (below + 1, share)):
            known = number <= (n - 1) // 2
            column = (torch.where(waves < 0, -number, number) * known).long()
            matrix[rows, column % n] += part * known
        place = found.dim() - n_axes + axis
        found = torch.tensordot(matrix.to(found.dtype), found, dims=([1], [place]))
        found = found.movedim(0, place)
    return found


def _is_stable(flow_map: HasEquation, states: Tensor) -> bool:
    """Whether a disturbance of all waves grows by no more than the linear part makes it."""
    noise = torch.randn(states.shape, generator=torch.Generator().manual_seed(0)).to(states)
    noise = _SMALL * noise
    growth = 1.0
    with torch.no_grad():
        here = flow_map(states)
        for _ in range(_DISTURBED):
            after = flow_map(states + noise) - here
            growth = float(after.square().mean().sqrt() / noise.square().mean().sqrt())
            if not 0 < growth < 1e3:
                return growth == 0
            noise = after * (_SMALL / float(after.square().mean().sqrt()))
    return growth <= _GROWTH * flow_map.fastest
