"""A flow map that integrates a polynomial vector field over its step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps.base import DIMENSION, OUTPUTS, FlowMap, StepInto, register
from pyhits.flowmaps.polynomial import DEGREE
from pyhits.integrators.tableaux import EXPLICIT, Tableau
from pyhits.numerics.basis import MonomialBuffer, Monomials, n_monomials
from pyhits.numerics.fused.numbers import Numbers, spells_out
from pyhits.util.checks import as_count
from pyhits.util.schema import Record, Schema, Whole

#: The Runge-Kutta method of all steps: of few stages for its order.
SCHEME = "tsit5"


@register("ode")
class ODEMap(FlowMap):
    """The solution over one step of ``dx/dt = C^T phi(x)``, whose terms ``phi`` are monomials.

    Where states follow a polynomial differential equation it has as few numbers as that, and is
    right at all steps that the integrator resolves, however far these are from a polynomial.
    Outside ``bounds`` the vector field is that of the nearest point of the box.

    Parameters
    ----------
    dimension, degree : int
        Number of state variables and total degree.
    substeps : int
        Runge-Kutta steps within one step, or up to one output.
    outputs : int
        Number of states inside one step, equally spaced.

    Attributes
    ----------
    coefficients : Tensor, shape (d, n_monomials)
        Of the derivatives in a unit of time that is one step, or up to one output.
    low, high : Tensor, shape (d,)
    """

    schema: ClassVar[Schema] = Record(
        DIMENSION | {"degree": DEGREE, "substeps": Whole(1, 1_000_000)}, OUTPUTS
    )

    coefficients: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, dimension: int, degree: int, substeps: int = 1, outputs: int = 1) -> None:
        super().__init__(dimension, outputs)
        self.degree = as_count(degree, "degree", least=0)
        self.substeps = as_count(substeps, "substeps")
        self.basis = Monomials(dimension, self.degree)
        self.register_buffer("coefficients", torch.zeros(dimension, self.basis.size))
        self.register_buffer("low", torch.full((dimension,), -torch.inf))
        self.register_buffer("high", torch.full((dimension,), torch.inf))

    @property
    def scheme(self) -> Tableau:
        """The Runge-Kutta method of all steps."""
        return _scheme()

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping: monomials, and the slopes of all stages."""
        return int(max(64, self.basis.size + _scheme().b.size * self.dimension))

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation: making monomials, and their coefficients, at stages."""
        return int(self.stages * (self.coefficients.numel() + self.basis.size))

    @property
    def stages(self) -> int:
        """Evaluations of the vector field, each of which waits for the one before."""
        return int(self.outputs * self.substeps * _scheme().b.size)

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        return f"polynomial ODE (degree {self.degree}, {self.substeps} substeps)"

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many numbers it keeps: coefficients, and the box."""
        d = config["dimension"]
        return int(d * n_monomials(d, config["degree"]) + 2 * d)

    def slopes(self, states: Tensor) -> Tensor:
        """Return the derivatives in a step; ``(d, n)`` to ``(d, n)``."""
        inside = torch.clamp(states, self.low[:, None], self.high[:, None])
        return self.coefficients @ self.basis.of_tensor(inside)

    def within(self, states: Tensor) -> Tensor:
        """Return the states at all outputs; ``(n, d)`` to ``(n, outputs, d)``."""
        found, now = [], states.T
        for _ in range(self.outputs):
            now = integrated(self.slopes, now, self.substeps)
            found.append(now.T)
        return torch.stack(found, dim=1)

    def increment(self, states: Tensor) -> Tensor:
        """Return the changes at all outputs; ``(n, d)`` to ``(n, outputs * d)``."""
        return (self.within(states) - states[:, None]).flatten(1)

    def forward(self, states: Tensor) -> Tensor:
        """Return the states one step later; ``(n, d)`` to ``(n, d)``."""
        return integrated(self.slopes, states.T, self.substeps, self.outputs).T

    def numbers(self) -> Numbers | None:
        """Return the scheme, bounds and coefficients, of few variables."""
        if not spells_out(self.dimension, self.degree):
            return None
        scheme, h = _scheme(), 1.0 / self.substeps
        sizes = [float(self.substeps), float(scheme.b.size)]
        of_scheme = np.concatenate([sizes, h * scheme.A.ravel(), h * scheme.b])
        own = torch.cat([self.low, self.high, self.coefficients.flatten()]).detach().numpy()
        array = np.concatenate([of_scheme.astype(own.dtype), own])
        return Numbers.unbounded("ode", self.dimension, self.degree, [array])

    def stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function that reuses one block of monomials and of slopes."""
        n_terms, d, scheme = self.basis.size, self.dimension, _scheme()
        terms = self.coefficients.new_empty(n_terms * max_rows)
        room = self.coefficients.new_empty((scheme.b.size + 2) * d * max_rows)
        low, high, h = self.low[:, None], self.high[:, None], 1.0 / self.substeps
        weights = [*(h * scheme.A).tolist(), (h * scheme.b).tolist()]

        @lru_cache(maxsize=64)  # few numbers of rows occur
        def blocks(n: int) -> tuple[MonomialBuffer, Tensor]:
            own = self.basis.within(terms[: n * n_terms].view(n_terms, n))
            return own, room[: (scheme.b.size + 2) * d * n].view(-1, d, n)

        def step_into(states: Tensor, out: Tensor) -> None:
            n = len(states)
            monomials, (now, at, *slopes) = blocks(n)
            now.copy_(states.T)
            written = out.view(n, self.outputs, d)
            for output in range(self.outputs):
                for _ in range(self.substeps):
                    for row, slope in zip(weights, slopes, strict=False):
                        _add(now, row, slopes, at)
                        torch.clamp(at, low, high, out=monomials.variables)
                        torch.mm(self.coefficients, monomials.fill(), out=slope)
                    _add(now, weights[-1], slopes, now)
                written[:, output].copy_(now.T)

        return step_into


def _add(states: Tensor, weights: Sequence[float], slopes: Sequence[Tensor], out: Tensor) -> None:
    """Write states and weighted slopes into ``out``."""
    if out is not states:
        out.copy_(states)
    for weight, slope in zip(weights, slopes, strict=False):
        if weight:
            out.add_(slope, alpha=weight)


def integrated(
    slopes: Callable[[Tensor], Tensor], states: Tensor, substeps: int, units: int = 1
) -> Tensor:
    """Return the states some units of time later, by so many equal steps in each; any shape.

    Parameters
    ----------
    slopes : callable
        From states to their derivatives, of the same shape.
    states : Tensor
    substeps, units : int
    """
    scheme, h = _scheme(), 1.0 / substeps
    weights = (h * scheme.A).tolist()
    last = (h * scheme.b).tolist()
    for _ in range(units * substeps):
        found: list[Tensor] = []
        for row in weights:
            at = states
            for weight, slope in zip(row, found, strict=False):
                if weight:
                    at = torch.add(at, slope, alpha=weight)
            found.append(slopes(at))
        for weight, slope in zip(last, found, strict=True):
            states = torch.add(states, slope, alpha=weight)
    return states


@cache
def _scheme() -> Tableau:
    return EXPLICIT[SCHEME]()
