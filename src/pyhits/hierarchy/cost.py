"""What a coupling costs: stages that wait for each other, evaluations, multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyhits.flowmaps import FlowMap

#: A plain machine: seconds that one stage takes however little it does, and multiply-adds a second.
_SECONDS_PER_STAGE, _MULTIPLY_ADDS_PER_SECOND = 5e-5, 5e10


@dataclass(frozen=True)
class Cost:
    """Cost of a forecast, apart from any machine.

    Attributes
    ----------
    depth : int
        Number of stages, each of which waits for the one before.
    evaluations : int
        Evaluations of flow maps for each trajectory.
    multiply_adds : int
        Multiply-adds in them for each trajectory.
    """

    depth: int
    evaluations: int
    multiply_adds: int

    def seconds(self, n_trajectories: int) -> float:
        """Return the time on a nominal machine, by which couplings are ranked reproducibly."""
        work = n_trajectories * self.multiply_adds / _MULTIPLY_ADDS_PER_SECOND
        return self.depth * _SECONDS_PER_STAGE + work


def cost(flow_maps: Mapping[int, FlowMap], n_steps: int) -> Cost:
    """Return the cost of forecasting ``n_steps`` with coupled ``flow_maps``, by step size."""
    from pyhits.hierarchy.engine import resolution, stages  # torch, which no result takes

    finest = resolution(flow_maps)
    maps = {size // finest: flow_map for size, flow_map in flow_maps.items()}
    taken = list(stages(maps, -(-n_steps // finest)))
    return Cost(
        depth=len(taken),
        evaluations=sum(stage.columns for stage in taken),
        multiply_adds=sum(stage.columns * maps[stage.size].multiply_adds for stage in taken),
    )
