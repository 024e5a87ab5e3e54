"""A flow map that integrates a vector field of few terms over its step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pyhits.errors import ArgumentError
from pyhits.flowmaps.base import DIMENSION, OUTPUTS, FlowMap, StepInto, register
from pyhits.flowmaps.odes.functions import KINDS, Function
from pyhits.flowmaps.odes.integration import FieldSteps, integrated, scheme
from pyhits.flowmaps.odes.terms import Terms
from pyhits.flowmaps.polynomial import DEGREE
from pyhits.integrators.tableaux import Tableau
from pyhits.numerics.basis import Monomials, n_monomials
from pyhits.numerics.fused.numbers import Numbers, spells_out
from pyhits.util.checks import as_count
from pyhits.util.schema import Many, Real, Record, Schema, Text, Whole

#: Functions of one vector field at most, and one of them in files.
_MOST_FUNCTIONS = 64
_FUNCTION = Record(
    {"kind": Text(choices=tuple(KINDS)), "column": Whole()}
    | {name: Real() for name in ("rate", "shift", "low", "high")}
)


@register("ode")
class ODEMap(FlowMap):
    """The solution over one step of ``dx/dt = C^T phi(x)``, whose terms ``phi`` are few.

    These are monomials, and functions of one column with their products with all columns. Where
    states follow such a differential equation it has as few numbers as that, and is right at all
    steps that the integrator resolves, however far these are from a polynomial. Outside ``bounds``
    the vector field is that of the nearest point of the box.

    Parameters
    ----------
    dimension, degree : int
        Number of state variables and total degree.
    substeps : int
        Runge-Kutta steps within one step, or up to one output.
    outputs : int
        Number of states inside one step, equally spaced.
    functions : sequence of Function, optional
        As such, or as the fields of one.

    Attributes
    ----------
    coefficients : Tensor, shape (d, n_terms)
        Of the derivatives in a unit of time that is one step, or up to one output.
    low, high : Tensor, shape (d,)
    """

    schema: ClassVar[Schema] = Record(
        DIMENSION | {"degree": DEGREE, "substeps": Whole(1, 1_000_000)},
        OUTPUTS | {"functions": Many(_FUNCTION, 0, _MOST_FUNCTIONS)},
    )

    coefficients: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        dimension: int,
        degree: int,
        substeps: int = 1,
        outputs: int = 1,
        functions: Sequence[Function | Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(dimension, outputs)
        self.degree = as_count(degree, "degree", least=0)
        self.substeps = as_count(substeps, "substeps")
        own = (f if isinstance(f, Function) else Function(**f) for f in functions)
        self.terms = Terms(dimension, self.degree, tuple(own))
        if any(one.column >= dimension for one in self.functions):
            raise ArgumentError(f"Functions are of one of {dimension} columns, counted from 0.")
        if not all(one.is_sound for one in self.functions):
            raise ArgumentError("Functions are from their low to a higher high, beyond any pole.")
        self.register_buffer("coefficients", torch.zeros(dimension, self.terms.size))
        self.register_buffer("low", torch.full((dimension,), -torch.inf))
        self.register_buffer("high", torch.full((dimension,), torch.inf))

    @property
    def basis(self) -> Monomials:
        """The monomials among its terms."""
        return self.terms.monomials

    @property
    def functions(self) -> tuple[Function, ...]:
        """The functions among its terms."""
        return self.terms.functions

    @property
    def scheme(self) -> Tableau:
        """The Runge-Kutta method of all steps."""
        return scheme()

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping: monomials, and the slopes of all stages."""
        return int(max(64, self.terms.size + scheme().b.size * self.dimension))

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation: making monomials, and their coefficients, at stages."""
        return int(self.stages * (self.coefficients.numel() + self.terms.size))

    @property
    def stages(self) -> int:
        """Evaluations of the vector field, each of which waits for the one before."""
        return int(self.outputs * self.substeps * scheme().b.size)

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        kinds = ", ".join(dict.fromkeys(one.kind for one in self.functions))
        own = f"polynomial ODE with {kinds}" if kinds else "polynomial ODE"
        return f"{own} (degree {self.degree}, {self.substeps} substeps)"

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, functions as their fields."""
        found = super().config()
        functions = [one._asdict() for one in found.pop("functions")]
        return found | ({"functions": functions} if functions else {})

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many numbers it keeps: coefficients, and the box."""
        d = config["dimension"]
        kinds = (KINDS[one["kind"]] for one in config.get("functions", ()))
        more = (1 + d) * sum(kind.n_values for kind in kinds)
        return int(d * (n_monomials(d, config["degree"]) + more) + 2 * d)

    def slopes(self, states: Tensor) -> Tensor:
        """Return the derivatives in a step; ``(d, n)`` to ``(d, n)``."""
        inside = torch.clamp(states, self.low[:, None], self.high[:, None])
        return self.coefficients @ self.terms.of_tensor(inside)

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
        method, h = scheme(), 1.0 / self.substeps
        sizes = [float(self.substeps), float(method.b.size)]
        of_scheme = np.concatenate([sizes, h * method.A.ravel(), h * method.b])
        own = torch.cat([self.low, self.high, self.coefficients.flatten()]).detach().numpy()
        functions = [number for f in self.functions for number in (f.rate, f.shift, f.low, f.high)]
        parts = of_scheme, own, np.array(functions)
        array = np.concatenate([part.astype(own.dtype) for part in parts])
        kinds = [(function.kind, function.column) for function in self.functions]
        return Numbers.unbounded("ode", self.dimension, self.degree, [array], kinds)

    def stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function that reuses blocks of terms and of slopes."""
        steps = FieldSteps(self.terms, self.coefficients[None], self.low, self.high, self.substeps)

        def step_into(states: Tensor, out: Tensor) -> None:
            steps.into(states[None], out.view(1, len(states), self.outputs, self.dimension))

        return step_into
