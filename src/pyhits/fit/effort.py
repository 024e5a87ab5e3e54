"""How many rollouts, and how long, closed forms are compared on: bounded by what they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyhits.data.stretches import Stretches
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.cost import Effort, cost

#: Rollouts and steps of each that there are, if there are so many, whatever they take; and rollouts
#: of fields, each of which is many points.
_ROLLOUTS, _STEPS, _OF_FIELDS = 8, 100, 3

#: Multiply-adds that take as long as one coordinate of a state that is interpolated and compared.
_COORDINATE = 60


def within_effort(
    chosen: Stretches,
    flow_maps: Mapping[int, FlowMap],
    couplings: Iterable[tuple[int, ...]],
    most: float,
    *,
    are_fields: bool = False,
) -> Stretches:
    """Return as many of some rollouts, and as much of them, as may be stepped by all couplings.

    Fewer rollouts first, then shorter ones. Nets, whose training takes far longer, step all.

    Parameters
    ----------
    chosen : Stretches
    flow_maps : mapping of int to FlowMap
        By step size.
    couplings : iterable of tuple of int
        Step sizes that are coupled, each of which steps every rollout once.
    most : float
        Multiply-adds, or what takes as long, in all.
    are_fields : bool
        Whether states are fields on a grid.
    """
    if any(flow_map.trained for flow_map in flow_maps.values()):
        return chosen
    efforts = {size: Effort.of(flow_map) for size, flow_map in flow_maps.items()}
    n_steps = max(1, chosen.n_steps)
    compared = n_steps * _COORDINATE * max(one.dimension for one in flow_maps.values())
    each = sum(
        compared + cost({size: efforts[size] for size in coupled}, n_steps).multiply_adds
        for coupled in couplings
    )
    affordable = most / max(1, each)
    if affordable >= len(chosen):
        return chosen
    least = _OF_FIELDS if are_fields else _ROLLOUTS
    fewer = chosen.at_most(max(least, int(affordable)))
    return fewer.cut(max(_STEPS, int(n_steps * affordable / len(fewer))))


def affordable_states(flow_maps: Mapping[int, FlowMap], most: float) -> int | None:
    """Return how many states coupled closed forms may step; None of nets.

    Parameters
    ----------
    flow_maps : mapping of int to FlowMap
        Those that are coupled, by step size.
    most : float
        Multiply-adds, or what takes as long, in all.
    """
    if any(flow_map.trained for flow_map in flow_maps.values()):
        return None
    each = max(
        Effort.of(one).multiply_adds + _COORDINATE * one.dimension for one in flow_maps.values()
    )
    return max(1, int(most / each))
