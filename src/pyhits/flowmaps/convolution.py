"""A convolutional residual net: the same map of its neighbourhood at every point of a grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pyhits.errors import ArgumentError
from pyhits.flowmaps.base import MOST, OUTPUTS, FlowMap, StepInto, register
from pyhits.flowmaps.other_grid import OtherGrid
from pyhits.flowmaps.residual import ACTIVATIONS
from pyhits.util.checks import as_choice, as_count
from pyhits.util.schema import Flag, Many, Record, Schema, Text, Whole

#: Convolutions by the number of axes, and points that a layer sees along each.
_CONVOLUTIONS: tuple[Callable[..., nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_KERNELS = (7, 3, 3)

#: Most axes of a grid.
MOST_AXES = len(_CONVOLUTIONS)

#: Numbers of one layer that are stepped at once: more leave the caches.
_NUMBERS = 1 << 19

#: Residual layers that a file may speak of.
_MOST_LAYERS = 1_000


@register("convolution")
class ConvolutionMap(FlowMap):
    """``x + scale * net((x - mean) / deviation)`` with a convolutional net, for fields on a grid.

    A first convolution, some residual ones (He et al. 2016, arXiv 1512.03385) and a last one.
    States are fields flattened in C order, channel last: ``(axis 1, ..., axis n, channel)``. On
    periodic axes the net sees around the edge. At walls it sees zeros beyond the edge, and two more
    channels an axis, which fall from 1 at either wall to 0 as far inside as the net sees, so that
    points near walls have a map of their own.

    A channel that never changes, such as a parameter of the run, has a scale of 0 and stays exactly
    as it is.

    Parameters
    ----------
    shape : sequence of int
        Points along each of one to three axes.
    channels : int
        Variables at each point.
    periodic : sequence of bool, optional
        Whether each axis closes on itself; by default all do.
    hidden : int
        Channels of the hidden layers.
    dilations : sequence of int
        One a residual layer: points from one that it sees to the next. Growing ones see far with
        few weights (Stachenfeld et al. 2022, arXiv 2112.15275).
    kernel : sequence of int, optional
        Points that a layer sees along each axis, odd; by default 7 on one axis and 3 on two or
        three, and no more than there are.
    activation : {"gelu", "silu", "tanh", "relu"}
    outputs : int
        Number of states inside one step.

    Attributes
    ----------
    mean, deviation : Tensor, shape (channels,)
        What states are scaled by before the net.
    scale : Tensor, shape (outputs, channels)
        Sizes of the increments, by which the net's output is multiplied.

    Raises
    ------
    ArgumentError
        There are no axes or more than three, or a layer sees further than the grid reaches.
    """

    trained = True
    trained_once = True

    schema: ClassVar[Schema] = Record(
        {
            "shape": Many(Whole(1, MOST), 1, MOST_AXES),
            "channels": Whole(1, MOST),
            "periodic": Many(Flag(), 1, MOST_AXES),
            "hidden": Whole(1, MOST),
            "dilations": Many(Whole(1, MOST), 0, _MOST_LAYERS),
            "kernel": Many(Whole(1, MOST), 1, MOST_AXES),
            "activation": Text(choices=tuple(ACTIVATIONS)),
        },
        OUTPUTS,
    )

    mean: Tensor
    deviation: Tensor
    scale: Tensor
    edges: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        channels: int = 1,
        periodic: Sequence[bool] | None = None,
        hidden: int = 32,
        dilations: Sequence[int] = (1, 1, 1, 1),
        kernel: Sequence[int] | None = None,
        activation: str = "silu",
        outputs: int = 1,
    ) -> None:
        points = tuple(as_count(n, "the points of an axis") for n in shape)
        if not 1 <= len(points) <= MOST_AXES:
            raise ArgumentError(f"Expected a grid of one to {MOST_AXES} axes, got {len(points)}.")
        super().__init__(math.prod(points) * as_count(channels, "channels"), outputs)
        self.shape, self.channels = points, channels
        self.periodic = (True,) * len(points) if periodic is None else tuple(map(bool, periodic))
        self.hidden = as_count(hidden, "hidden")
        self.dilations = tuple(as_count(d, "a dilation") for d in dilations)
        self.kernel = usual_kernel(points) if kernel is None else tuple(kernel)
        self.activation = as_choice(activation, "activation", ACTIVATIONS)
        _check_kernel(self.shape, self.periodic, self.kernel, max(self.dilations, default=1))
        walls = self.periodic.count(False)
        self.first = self._layer(channels + 2 * walls, hidden)
        self.middle = nn.ModuleList(self._layer(hidden, hidden, far) for far in self.dilations)
        self.last = self._layer(hidden, self.outputs * channels)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        self.register_buffer("scale", torch.ones(self.outputs, channels))
        self.register_buffer("edges", self._distances(), persistent=False)

    def _layer(self, channels: int, into: int, dilation: int = 1) -> nn.Module:
        walls = [
            0 if periodic else dilation * (k // 2)
            for k, periodic in zip(self.kernel, self.periodic, strict=True)
        ]
        make = _CONVOLUTIONS[len(self.shape) - 1]
        return make(channels, into, self.kernel, padding=tuple(walls), dilation=dilation)

    @property
    def reach(self) -> tuple[int, ...]:
        """How many points to either side a point's increment depends on, along each axis."""
        return tuple((2 + sum(self.dilations)) * (k // 2) for k in self.kernel)

    def _distances(self) -> Tensor:
        """Return the channels that say where walls are, ``(1, 2 * walls, *shape)``."""
        found = []
        for axis, (n, reach) in enumerate(zip(self.shape, self.reach, strict=True)):
            if not self.periodic[axis]:
                near = (1 - torch.arange(n) / max(1, reach)).clamp(min=0)
                view = [n if k == axis else 1 for k in range(len(self.shape))]
                found += [side.view(view).expand(self.shape) for side in (near, near.flip(0))]
        return torch.stack(found)[None] if found else torch.zeros(1, 0, *self.shape)

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many numbers it keeps: weights, biases, and what it scales by."""
        channels, hidden, outputs = config["channels"], config["hidden"], config.get("outputs", 1)
        seen = math.prod(config["kernel"])
        layers = [(channels + 2 * config["periodic"].count(False), hidden)]
        layers += [(hidden, hidden), (hidden, outputs * channels)]
        first, middle, last = ((seen * a + 1) * b for a, b in layers)
        return int(first + len(config["dilations"]) * middle + last + (2 + outputs) * channels)

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping: the channels of a layer at all points."""
        return max(self.hidden, self.outputs * self.channels) * math.prod(self.shape)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation: every weight at every point."""
        return sum(p.numel() for p in self.parameters() if p.dim() > 1) * math.prod(self.shape)

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        seen = " x ".join(str(2 * r + 1) for r in self.reach)
        return f"convolutional net ({seen} points)"

    def on_grid(self, to: OtherGrid) -> ConvolutionMap:
        """Return the same net on more or fewer points of the same spacing.

        Raises
        ------
        ArgumentError
            Points lie nearer or farther apart, or are too few for its layers.
        """
        to.check_as_fine("a convolutional net")
        made = type(self)(**(self.config() | {"shape": to.shape}))
        made.load_state_dict(self.state_dict())
        return made.to(self.scale.dtype).eval()

    def fields(self, states: Tensor) -> Tensor:
        """Return rows as scaled fields, channel first; ``(n, d)`` to ``(n, channels, *shape)``."""
        rows = states.view(len(states), -1, self.channels)
        scaled = (rows - self.mean) / self.deviation
        return scaled.transpose(1, 2).reshape(len(states), self.channels, *self.shape)

    def net(self, fields: Tensor, edges: Tensor | None = None) -> Tensor:
        """Return the net's O(1) output.

        Parameters
        ----------
        fields : Tensor, shape (n, channels, *shape)
            Scaled; also of a part of the grid.
        edges : Tensor, shape (n, 2 * walls, *shape), optional
            What :attr:`edges` holds there; by default those of the whole grid.

        Returns
        -------
        Tensor, shape (n, outputs * channels, *shape)
        """
        edges = self.edges if edges is None else edges
        if edges.shape[1]:
            fields = torch.cat([fields, edges.expand(len(fields), *edges.shape[1:])], dim=1)
        activate = ACTIVATIONS[self.activation]
        h = activate(self.first(self._around(fields)))
        for layer, far in zip(self.middle, self.dilations, strict=True):
            h = h + activate(layer(self._around(h, far)))
        found: Tensor = self.last(self._around(h))
        return found

    def _around(self, fields: Tensor, dilation: int = 1) -> Tensor:
        """Continue fields beyond the edges of periodic axes, as far as a layer sees."""
        pads = [
            dilation * (k // 2) if periodic else 0
            for k, periodic in zip(self.kernel, self.periodic, strict=True)
        ]
        if not any(pads):
            return fields
        both = [pad for pad in pads[::-1] for _ in range(2)]
        return nn.functional.pad(fields, both, mode="circular")

    def increment(self, states: Tensor) -> Tensor:
        """Return the changes of state at all outputs; ``(n, d)`` to ``(n, outputs * d)``."""
        n, points = len(states), math.prod(self.shape)
        change = self.net(self.fields(states)).view(n, self.outputs, self.channels, points)
        return (change * self.scale[:, :, None]).transpose(2, 3).reshape(n, -1)

    def stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function that works on few rows at once, for the caches."""
        step = super().stepper(max_rows)
        together = max(1, _NUMBERS // self.width)

        def step_into(states: Tensor, out: Tensor) -> None:
            for k in range(0, len(states), together):
                step(states[k : k + together], out[k : k + together])

        return step_into


def usual_kernel(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the points that a layer sees along each axis by default, no more than there are."""
    usual = _KERNELS[len(shape) - 1]
    return tuple(min(usual, n - 1 + n % 2) for n in shape)


def _check_kernel(
    shape: Sequence[int], periodic: Sequence[bool], kernel: Sequence[int], dilation: int
) -> None:
    if not len(shape) == len(periodic) == len(kernel):
        raise ArgumentError(
            f"Expected one value of periodic and of kernel for each of {len(shape)} axes, got "
            f"{len(periodic)} and {len(kernel)}."
        )
    for n, k in zip(shape, kernel, strict=True):
        if as_count(k, "a kernel size") % 2 == 0:
            raise ArgumentError(f"Expected odd kernel sizes, which have a middle; got {k}.")
        if dilation * (k // 2) > n:
            raise ArgumentError(
                f"A kernel of {k} points, {dilation} apart, reaches around an axis of {n} points; "
                "take a smaller one."
            )
