"""A flow map of radial functions around recorded states, on top of a polynomial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from pyhits.flowmaps.base import (
    DIMENSION,
    MOST,
    OUTPUTS,
    FlowMap,
    StepInto,
    register,
)
from pyhits.flowmaps.polynomial import DEGREE, PolynomialMap
from pyhits.util.checks import as_choice, as_count
from pyhits.util.schema import Record, Schema, Text, Whole

#: Keeps the derivative of a distance finite at a centre.
_TINY = 1e-24


def _gaussian(squares: Tensor) -> Tensor:
    return torch.exp(-0.5 * squares)


def _matern(squares: Tensor) -> Tensor:
    distance = torch.sqrt(5.0 * squares + _TINY)
    return (1.0 + distance + distance.square() / 3.0) * torch.exp(-distance)


#: Radial functions of squared distances; they are 1 at distance 0.
RADIAL: dict[str, Callable[[Tensor], Tensor]] = {"gaussian": _gaussian, "matern": _matern}


def radial(kernel: str, states: Tensor, centres: Tensor) -> Tensor:
    """Return the radial functions; ``(n, d)`` and ``(m, d)``, both in their metric, to ``(n, m)``.

    Squared distances come from one product: nothing of shape ``(n, m, d)`` is made.
    """
    squares = torch.addmm(centres.square().sum(dim=1), states, centres.T, alpha=-2.0)
    squares = squares + states.square().sum(dim=1, keepdim=True)
    return RADIAL[kernel](squares.clamp(min=0.0))


@register("kernel")
class KernelMap(FlowMap):
    """``x + base(x) + sum_j weights_j k(|A (x - c_j)|)``: kernel ridge regression.

    For few points it generalises where a net would not, and follows kinks and sharp turns that no
    polynomial does. Far from all centres its increment is that of the polynomial base.

    Parameters
    ----------
    dimension : int
        Number of state variables d.
    n_centres : int
        Number of recorded states m that radial functions are centred on.
    kernel : {"gaussian", "matern"}
        The Matern function is that of smoothness 5/2.
    base_degree : int
        Degree of the polynomial below.
    outputs : int
        Number of states inside one step.

    Attributes
    ----------
    metric : Tensor, shape (d, d)
        Distances are those of ``x @ metric``: it holds lengths, directions and their weights.
    centres : Tensor, shape (m, d)
        In that metric.
    weights : Tensor, shape (m, outputs * d)
    base : PolynomialMap
    """

    schema: ClassVar[Schema] = Record(
        DIMENSION
        | {
            "n_centres": Whole(1, MOST),
            "kernel": Text(choices=tuple(RADIAL)),
            "base_degree": DEGREE,
        },
        OUTPUTS,
    )

    metric: Tensor
    centres: Tensor
    weights: Tensor

    def __init__(
        self, dimension: int, n_centres: int, kernel: str, base_degree: int = 1, outputs: int = 1
    ) -> None:
        super().__init__(dimension, outputs)
        self.n_centres = as_count(n_centres, "n_centres")
        self.kernel = as_choice(kernel, "kernel", RADIAL)
        self.base = PolynomialMap(dimension, base_degree, outputs)
        self.register_buffer("metric", torch.eye(dimension))
        self.register_buffer("centres", torch.zeros(self.n_centres, dimension))
        self.register_buffer("weights", torch.zeros(self.n_centres, self.outputs * dimension))

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping: its radial functions."""
        return max(self.n_centres, self.base.width)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation: distances, weights, and the base."""
        numbers = self.centres.numel() + self.weights.numel() + self.metric.numel()
        return int(numbers + self.base.multiply_adds)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"n_centres": self.n_centres, "kernel": self.kernel}
        return super().config() | own | {"base_degree": self.base.degree}

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many numbers it keeps: metric, centres, weights, and the base."""
        d, outputs = config["dimension"], config.get("outputs", 1)
        base = {"dimension": d, "degree": config["base_degree"], "outputs": outputs}
        own = d * d + config["n_centres"] * d * (1 + outputs)
        return int(own + PolynomialMap.n_stored(base))

    def increment(self, states: Tensor) -> Tensor:
        """Return the changes of state at all outputs; ``(n, d)`` to ``(n, outputs * d)``."""
        functions = radial(self.kernel, states @ self.metric, self.centres)
        return functions @ self.weights + self.base.increment(states)

    def stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function that adds the radial functions to the base's step."""
        base = self.base.stepper(max_rows)

        def step_into(states: Tensor, out: Tensor) -> None:
            base(states, out)
            out.addmm_(radial(self.kernel, states @ self.metric, self.centres), self.weights)

        return step_into
