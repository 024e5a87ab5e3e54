"""What a coupling costs: stages that wait for each other, evaluations, multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from pyhits.hierarchy.stages import resolution, stages

#: A plain machine: seconds that one stage takes however little it does, and multiply-adds a second.
_SECONDS_PER_STAGE, _MULTIPLY_ADDS_PER_SECOND = 5e-5, 5e10
_SECONDS_PER_FUSED_STAGE = 2e-7

#: Multiply-adds a second of polynomials and tables that torch steps, as measured.
_BY_TORCH = 3e9

#: Multiply-adds that take as long as one of the numbers that a flow map holds while stepping: most
#: are powers or exponentials.
_EACH = 20


class HasCost(Protocol):
    """A flow map, as far as costs depend on it."""

    outputs: int

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation."""


class HasWidth(HasCost, Protocol):
    """A flow map that also says how many numbers it holds."""

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping."""


@dataclass(frozen=True)
class Cost:
    """Cost of a forecast, apart from any machine."""

    depth: int  # number of stages, each of which waits for the one before
    evaluations: int  # evaluations of flow maps for each trajectory
    multiply_adds: int  # multiply-adds in them for each trajectory

    def seconds(self, n_trajectories: int, *, fused: bool = False) -> float:
        """Return the time on a nominal machine, by which couplings are ranked reproducibly.

        Stages that are ``fused``, stepped by machine code, take next to none of their own.
        """
        work = n_trajectories * self.multiply_adds / _MULTIPLY_ADDS_PER_SECOND
        return self.depth * (_SECONDS_PER_FUSED_STAGE if fused else _SECONDS_PER_STAGE) + work

    def seconds_by_torch(self, n_trajectories: int, stages: int = 1) -> float:
        """Return the time that a usual machine takes, about, where flow maps are no nets.

        Parameters
        ----------
        stages : int
            Evaluations within one step of a flow map that wait for each other, at most.
        """
        work = n_trajectories * self.multiply_adds / _BY_TORCH
        return self.depth * stages * _SECONDS_PER_STAGE + work


def cost(flow_maps: Mapping[int, HasCost], n_steps: int) -> Cost:
    """Return the cost of forecasting ``n_steps`` with coupled ``flow_maps``, by step size."""
    finest = resolution(flow_maps)
    outputs = tuple((size // finest, flow_maps[size].outputs) for size in flow_maps)
    depth, columns = _counted(outputs, -(-n_steps // finest))
    return Cost(
        depth=depth,
        evaluations=sum(columns.values()),
        multiply_adds=sum(
            n * flow_maps[size * finest].multiply_adds for size, n in columns.items()
        ),
    )


@dataclass
class Effort:
    """A closed form in terms of what torch takes for it, in place of its multiply-adds alone."""

    outputs: int
    multiply_adds: int

    @classmethod
    def of(cls, flow_map: HasWidth) -> Effort:
        """Return the effort of evaluating a flow map."""
        return cls(flow_map.outputs, flow_map.multiply_adds + _EACH * flow_map.width)


@lru_cache(256)
def _counted(outputs: tuple[tuple[int, int], ...], n_steps: int) -> tuple[int, dict[int, int]]:
    """Return the number of stages, and the steps a trajectory that each scale takes in them."""
    taken = list(stages(dict(outputs), n_steps))
    columns = {size: 0 for size, _ in outputs}
    for stage in taken:
        columns[stage.size] += stage.columns
    return len(taken), columns
