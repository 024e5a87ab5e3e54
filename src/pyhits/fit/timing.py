"""What rollouts cost, by a few of them: asked before many are begun under a time limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pyhits.data.stretches import Stretches
from pyhits.util.clock import Clock

#: Rollouts and their steps that say what others cost, and the part of the time that is left which
#: they may take: one over the number of rollouts.
_ROLLOUTS, _STEPS = 8, 64

#: Steps of the one rollout that says whether these are affordable.
_FIRST_STEPS = 4


class Timed(NamedTuple):
    """Rollouts that were run, and how long they took.

    Attributes
    ----------
    chosen : Stretches
    seconds : float
    """

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
    clock : Clock
    least : int
        Steps that a rollout has at least.
    """
    few = every.at_most(_ROLLOUTS).cut(max(_STEPS, least))
    first = every.at_most(1).cut(max(_FIRST_STEPS, least))
    run(first)  # what is set up once
    found = Timed(first, _seconds(run, first, clock))
    if found.of_state * len(few) * few.n_steps > clock.left / _ROLLOUTS:
        return found
    return Timed(few, _seconds(run, few, clock))


def _seconds(run: Callable[[Stretches], object], chosen: Stretches, clock: Clock) -> float:
    begin = clock.now()
    run(chosen)
    return clock.now() - begin
