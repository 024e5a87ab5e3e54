"""How many rollouts, and how long, flow maps are compared on: by what they take, or took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pyhits.data.stretches import Stretches
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.cost import Effort, cost
from pyhits.util.clock import Clock

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


#: Rollouts and their steps that say what others cost, and the part of the time that is left which
#: they may take: one over the number of rollouts.
_TIMED, _TIMED_STEPS = 8, 64

#: Steps of the one rollout that says whether these are affordable.
_FIRST_STEPS = 4


class Timed(NamedTuple):
    """Rollouts that were run, and how long they took."""

    chosen: Stretches
    seconds: float

    @property
    def of_step(self) -> float:
        """Seconds of one step of all the rollouts side by side."""
        return max(self.seconds / self.chosen.n_steps, 1e-9)

    @property
    def of_state(self) -> float:
        """Seconds of one state."""
        return max(self.of_step / len(self.chosen), 1e-9)


def timed(
    run: Callable[[Stretches], object], every: Stretches, clock: Clock, *, least: int = 1
) -> Timed:
    """Run some of the rollouts and say how long they took.

    A few are run if they are affordable; of dear ones a single one, over few steps.

    Parameters
    ----------
    run : callable
        Forecasts the stretches that it is given.
    every : Stretches
        One at least.
    least : int
        Steps that a rollout has at least.
    """
    few = every.at_most(_TIMED).cut(max(_TIMED_STEPS, least))
    first = every.at_most(1).cut(max(_FIRST_STEPS, least))
    run(first)  # what is set up once
    found = Timed(first, _seconds(run, first, clock))
    if found.of_state * len(few) * few.n_steps > clock.left / _TIMED:
        return found
    return Timed(few, _seconds(run, few, clock))


def _seconds(run: Callable[[Stretches], object], chosen: Stretches, clock: Clock) -> float:
    begin = clock.now()
    run(chosen)
    return clock.now() - begin
