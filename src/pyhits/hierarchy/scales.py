"""The scales that an adaptive forecast chooses from, and the states that it fills in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyhits.hierarchy.disagreement import Agreement, distance
from pyhits.hierarchy.stepper import Stepper

#: From a validated scale only one at least so many times coarser is tried that is not: comparing a
#: step takes about four evaluations.
_WORTH = 8


@dataclass(frozen=True)
class Scales:
    """Scales, finest first, and what validation has shown of them; only the finest may be dense."""

    steppers: Sequence[Stepper]  # one a scale
    sizes: Sequence[int]  # their step sizes in rows of the states; each divides the next
    weights: Tensor  # (d,): one over the spread of each coordinate
    #: The error of a forecast with each scale where validation shows it to be small enough, else
    #: infinity.
    errors: Sequence[float]
    agreement: Sequence[Agreement]  # what the disagreement of each scale with finer steps is worth

    @property
    def validated(self) -> list[bool]:
        """Which scales are known to be good enough."""
        return [math.isfinite(error) for error in self.errors]

    @property
    def dense_outputs(self) -> int:
        """States inside one step of the finest scale."""
        finest = self.steppers[0]
        return finest.sizes[-1] // finest.spacing

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the weighted root mean square over features; ``(..., d)`` twice to ``(...)``."""
        return distance(a, b, self.weights)

    def indicated_error(self, level: int, coarse: Tensor, fine: Tensor) -> Tensor:
        """Return the error that two solutions of a scale indicate; ``(n, d)`` to ``(n,)``."""
        ratio, least = self.agreement[level]
        return (ratio * self.distance(coarse, fine)).clamp(min=least)

    def coarser(self, level: int) -> int:
        """Return the scale to try after a good step of a validated ``level``."""
        worth, known = _WORTH * self.sizes[level], self.validated
        above = range(level + 1, len(self.sizes))
        return next((k for k in above if known[k] or self.sizes[k] >= worth), level)

    def finer(self, level: int) -> int:
        """Return the scale to try where ``level`` is not good enough."""
        known = self.validated
        sure = max((k for k in range(level) if known[k]), default=0)
        worth = known[sure] and self.sizes[level - 1] < _WORTH * self.sizes[sure]
        return sure if worth else max(level - 1, 0)


@dataclass(frozen=True)
class PartialStates:
    """States that are being filled in."""

    states: Tensor  # (n, n_rows, d): row 0 holds the initial states
    nodes: Tensor  # bool, (n, n_rows): rows that are known for good: curves run through them
    #: Bool, (n, n_rows): rows that hold the states of finer steps inside a coarse one.
    ready: Tensor

    @classmethod
    def of(cls, states: Tensor) -> PartialStates:
        """Return states of which row 0 alone is known."""
        nodes = torch.zeros(states.shape[:2], dtype=torch.bool, device=states.device)
        nodes[:, 0] = True
        return cls(states, nodes, torch.zeros_like(nodes))

    def __getitem__(self, who: Tensor) -> PartialStates:
        """Return a copy of some trajectories."""
        return PartialStates(self.states[who], self.nodes[who], self.ready[who])

    def __setitem__(self, who: Tensor, other: PartialStates) -> None:
        """Replace some trajectories."""
        self.states[who], self.nodes[who] = other.states, other.nodes
        self.ready[who] = other.ready

    def forget(self, who: Tensor) -> None:
        """Know row 0 alone of some trajectories."""
        self.nodes[who, 1:], self.ready[who] = False, False
