"""The residual network of the paper (equations 7 and 8), scaled so that it learns O(1) targets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pyhits.flowmaps.base import DIMENSION, MOST, OUTPUTS, StepInto, register, spread_into
from pyhits.flowmaps.polynomial import DEGREE, PolynomialMap
from pyhits.flowmaps.scaled import ScaledNet
from pyhits.util.checks import as_choice, as_count
from pyhits.util.schema import Many, Maybe, Record, Schema, Text, Whole

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": nn.functional.gelu,
    "silu": nn.functional.silu,
    "tanh": torch.tanh,
    "relu": torch.relu,
}
_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": torch.ops.aten.gelu_,
    "silu": torch.ops.aten.silu_,
    "tanh": torch.tanh_,
    "relu": torch.relu_,
}


@register("residual")
class ResidualNet(ScaledNet):
    """``x + base(x) + scale * net(x)`` with a fully connected net.

    Parameters
    ----------
    dimension : int
        Number of state variables d.
    hidden_sizes : sequence of int
        Widths of the hidden layers.
    activation : {"gelu", "silu", "tanh", "relu"}
        The paper uses ``"relu"``; smooth ones fit smooth flow maps far better.
    base_degree : int, optional
        Degree of a polynomial first stage, of which the net learns the rescaled remainder.
    outputs : int
        Number of states inside one step; the last layer has ``outputs * dimension`` units.
    """

    schema: ClassVar[Schema] = Record(
        DIMENSION
        | {
            "hidden_sizes": Many(Whole(1, MOST), 0, 1000),
            "activation": Text(choices=tuple(ACTIVATIONS)),
            "base_degree": Maybe(DEGREE),
        },
        OUTPUTS,
    )

    settings: ClassVar[tuple[str, ...]] = ("hidden_sizes", "activation")

    layers: nn.ModuleList

    def __init__(
        self,
        dimension: int,
        hidden_sizes: Sequence[int] = (64, 64, 64),
        activation: str = "gelu",
        base_degree: int | None = None,
        outputs: int = 1,
    ) -> None:
        super().__init__(dimension, base_degree, outputs)
        self.hidden_sizes = tuple(as_count(w, "a hidden size") for w in hidden_sizes)
        self.activation = as_choice(activation, "activation", ACTIVATIONS)
        sizes = [dimension, *self.hidden_sizes, outputs * dimension]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))

    @property
    def linear(self) -> list[nn.Linear]:
        """The layers, each an affine map."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping: the widest layer, or the base's monomials."""
        base = 0 if self.base is None else self.base.width
        return max(*self.hidden_sizes, self.outputs * self.dimension, base)

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many numbers it keeps: weights, biases, the scale, and the base."""
        d, outputs = config["dimension"], config.get("outputs", 1)
        sizes = [d, *config["hidden_sizes"], outputs * d]
        own = sum((a + 1) * b for a, b in itertools.pairwise(sizes)) + outputs * d
        if config["base_degree"] is None:
            return int(own)
        base = {"dimension": d, "degree": config["base_degree"], "outputs": outputs}
        return int(own + PolynomialMap.n_stored(base))

    def net(self, states: Tensor) -> Tensor:
        """Return the net's O(1) output; ``(n, d)`` to ``(n, outputs * d)``."""
        activate = ACTIVATIONS[self.activation]
        last = len(self.layers) - 1
        for k, layer in enumerate(self.layers):
            states = layer(states) if k == last else activate(layer(states))
        return states

    def stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function that works in two activation buffers."""
        linear = [m for m in self.layers if isinstance(m, nn.Linear)]
        *hidden, last = [(m.weight.detach().T, m.bias.detach()) for m in linear]
        last = ((last[0] * self.scale).contiguous(), last[1] * self.scale)
        widest = max([1, *self.hidden_sizes])
        buffers = [last[0].new_empty(max_rows * widest) for _ in range(2)]
        activate = _IN_PLACE[self.activation]
        base = None if self.base is None else self.base.stepper(max_rows)

        @lru_cache(maxsize=64)  # few numbers of rows occur
        def activations(n: int) -> list[Tensor]:
            widths = [weight.shape[1] for weight, _ in hidden]
            return [buffers[k % 2][: n * w].view(n, w) for k, w in enumerate(widths)]

        def step_into(states: Tensor, out: Tensor) -> None:
            h = states
            for (weight, bias), target in zip(hidden, activations(len(states)), strict=True):
                activate(torch.addmm(bias, h, weight, out=target))
                h = target
            if base is not None:
                base(states, out)
                out.addmm_(h, last[0])
            elif self.outputs == 1:
                torch.addmm(states, h, last[0], out=out)
            else:
                spread_into(states, self.outputs, out)
                out.addmm_(h, last[0])
            out += last[1]

        return step_into
