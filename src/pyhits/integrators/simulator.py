"""Any simulator of a user's own, one state at a time, in parallel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError, PyHiTSError
from pyhits.integrators.statebystate import StateByState
from pyhits.util.checks import shown

#: ``function(state, dt, n_steps)`` returns the states after each step, shape (n_steps, d).
Simulate = Callable[[np.ndarray, float, int], Any]


class Simulator(StateByState):
    """A black box that takes one state forward: a legacy code, a compiled solver, a subprocess.

    Parameters
    ----------
    function : callable
        ``function(state, dt, n_steps)`` takes a state of shape ``(d,)`` and returns the states
        after each of ``n_steps`` steps of ``dt``, shape ``(n_steps, d)``, without the first one.
    n_jobs : int
        Calls at a time, as joblib counts them; -1 is one a core. Any joblib backend can be chosen
        around the call with ``joblib.parallel_config``.

    Raises
    ------
    ArgumentError
        ``function`` cannot be called; or, when it is, it returns another shape or no numbers.
    PyHiTSError
        ``function`` raised; the state is named.
    """

    advice: str = "Look at what the simulator does with that state."

    def __init__(self, function: Simulate, *, n_jobs: int = 1) -> None:
        if not callable(function):
            raise ArgumentError(
                "Expected a simulator to call as function(state, dt, n_steps), got "
                f"{shown(function)}."
            )
        super().__init__(n_jobs)
        self.function = function

    def __repr__(self) -> str:
        return f"The simulator {getattr(self.function, '__name__', 'given')!r}"

    def solve(self, state: np.ndarray, dt: float, n_steps: int, t: float) -> np.ndarray:
        """Return what the simulator comes to; see :meth:`StateByState.solve`."""
        try:
            states = self.function(state.copy(), dt, n_steps)
        except Exception as error:
            raise PyHiTSError(
                f"The simulator raised {type(error).__name__} from state {state}: {error}"
            ) from error
        return _checked(states, state, n_steps)


def _checked(result: Any, state: np.ndarray, n_steps: int) -> np.ndarray:
    """Return what a simulator came to as ``(n_steps, d)``, or say what it should have been."""
    try:
        states = np.asarray(result, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"Expected the simulator to return numbers of shape {(n_steps, len(state))}, got "
            f"{shown(result)} from state {state}."
        ) from None
    if states.shape != (n_steps, len(state)):
        first = (
            " Leave out the initial state."
            if len(states.shape) == 2 and (states.shape[0] == n_steps + 1)
            else ""
        )
        raise ArgumentError(
            f"Expected the simulator to return shape {(n_steps, len(state))} for {n_steps} steps, "
            f"got {states.shape} from state {state}.{first}"
        )
    return states
