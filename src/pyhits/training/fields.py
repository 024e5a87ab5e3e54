"""Batches of fields for convolutional nets: whole frames, or patches of large ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps.convolution import ConvolutionMap
from pyhits.training.windows import WindowSampler

#: Numbers in the windows that are drawn at once, at most, and batches.
_MOST_NUMBERS, _MOST_BATCHES = 4_000_000, 64

#: Points along a side of a patch for each that a point depends on to one side: half of them are
#: known then.
_PER_REACH = 4


@dataclass(frozen=True)
class Batch:
    """Windows of fields, channel first."""

    fields: Tensor  # (steps, n, channels, *shape): where steps begin, scaled as the net takes them
    #: (steps, n, outputs * channels, *shape): increments of each step, scaled as the net returns
    #: them; those of channels that never change are 0.
    targets: Tensor
    edges: Tensor  # (n, 2 * walls, *shape): what the net's ``edges`` holds there
    #: (n, 1, *shape): by step: 1 where all that a point depends on lies in the patch, 0 elsewhere.
    known: list[Tensor]


class FieldBatches:
    """Draws batches of about so many points.

    Parameters
    ----------
    net : ConvolutionMap
        Its scales are set.
    windows : WindowSampler
        Of one or more steps.
    points : int
        Of a batch, about: several frames, one, or a patch of one.
    most : int
        Frames, at most.
    """

    def __init__(self, net: ConvolutionMap, windows: WindowSampler, points: int, most: int) -> None:
        self.net, self.windows = net, windows
        whole, reach = math.prod(net.shape), [windows.rollout_steps * r for r in net.reach]
        self.patch = net.shape if whole <= 2 * points else _patch(net.shape, points, reach)
        self.n = max(1, min(most, round(points / math.prod(self.patch))))
        numbers = windows.values.shape[1] * (windows.rollout_steps * windows.outputs + 1) * self.n
        self._batches = max(1, min(_MOST_BATCHES, _MOST_NUMBERS // numbers))

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches without an end."""
        rng = np.random.default_rng([self.windows.seed, 2])
        chunk = 0
        while True:
            drawn = self.windows.draw(self._batches * self.n, chunk)
            chunk += 1
            for k in range(0, drawn.shape[1], self.n):
                yield self._batch(drawn[:, k : k + self.n], rng)

    def _batch(self, windows: np.ndarray, rng: np.random.Generator) -> Batch:
        net = self.net
        frames = torch.from_numpy(windows).view(len(windows), self.n, *net.shape, net.channels)
        frames = frames.movedim(-1, 2)
        edges = net.edges
        inside = torch.ones(1, 1, *self.patch)
        known = [inside.clone() for _ in range(self.windows.rollout_steps)]
        for axis, (n, patch) in enumerate(zip(net.shape, self.patch, strict=True)):
            if patch == n:
                continue
            closed = net.periodic[axis]
            begin = int(rng.integers(0, n if closed else n - patch + 1))
            index = torch.arange(begin, begin + patch) % n
            frames = frames.index_select(3 + axis, index)
            edges = edges.index_select(2 + axis, index)
            for step, mask in enumerate(known, 1):
                cut = step * net.reach[axis]
                if closed or begin > 0:
                    mask.narrow(2 + axis, 0, cut).zero_()
                if closed or begin + patch < n:
                    mask.narrow(2 + axis, patch - cut, cut).zero_()
        return Batch(*self._scaled(frames), edges, known)

    def _scaled(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return scaled fields and increments of windows ``(states, n, channels, *shape)``."""
        net, m = self.net, self.net.outputs
        ones = [1] * len(net.shape)
        column = (-1, *ones)
        mean, deviation = net.mean.double().view(column), net.deviation.double().view(column)
        per_scale = torch.where(net.scale > 0, 1 / net.scale.double(), 0.0).view(m, 1, *column)
        targets = []
        for k in range(0, len(frames) - 1, m):
            change = (frames[k + 1 : k + 1 + m] - frames[k]) * per_scale
            targets.append(change.transpose(0, 1).flatten(1, 2))
        begins = (frames[:-1:m] - mean) / deviation
        dtype = net.scale.dtype
        return begins.to(dtype), torch.stack(targets).to(dtype)


def _patch(shape: tuple[int, ...], points: int, reach: Sequence[int]) -> tuple[int, ...]:
    """Return a box of about equal sides inside a grid: of so many points, or what reaches ask."""
    sides = list(shape)
    left, axes = float(points), sorted(range(len(shape)), key=lambda axis: shape[axis])
    for k, axis in enumerate(axes):
        even = math.ceil(left ** (1 / (len(axes) - k)))
        sides[axis] = max(1, min(shape[axis], max(even, _PER_REACH * reach[axis])))
        left = max(1.0, left / sides[axis])
    return tuple(sides)
