"""Any simulator of a user's own, one state at a time, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError, PyHiTSError
from pyhits.integrators.base import Integrator
from pyhits.integrators.righthandside import Time
from pyhits.util.checks import shown

#: ``function(state, dt, n_steps)`` returns the states after each step, shape (n_steps, d).
Simulate = Callable[[np.ndarray, float, int], Any]


class Simulator(Integrator):
    """A black box that takes one state forward: a legacy code, a compiled solver, a subprocess.

    Parameters
    ----------
    function : callable
        ``function(state, dt, n_steps)`` takes a state of shape ``(d,)`` and returns the states
        after each of ``n_steps`` steps of ``dt``, shape ``(n_steps, d)``, without the first one.
    n_jobs : int
        Calls that run side by side, as joblib counts them; -1 is one a core. Any joblib backend can
        be chosen around the call with ``joblib.parallel_config``.

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
        self.function, self.n_jobs = function, n_jobs

    def __repr__(self) -> str:
        return f"The simulator {getattr(self.function, '__name__', 'given')!r}"

    def march(
        self, states: np.ndarray, dt: float, n_steps: int, t: Time = 0.0
    ) -> Iterator[np.ndarray]:
        """Yield all states in one piece; see :meth:`Integrator.march`."""
        from joblib import Parallel, delayed

        sound = np.flatnonzero(np.isfinite(states).all(axis=1))
        run = delayed(_run)
        results = Parallel(n_jobs=self.n_jobs)(
            run(self.function, states[k].copy(), dt, n_steps) for k in sound
        )
        found = np.full((len(states), n_steps, states.shape[1]), np.nan)
        for k, result in zip(sound, results, strict=True):
            found[k] = _checked(result, states[k], n_steps)
        yield found


def _run(function: Simulate, state: np.ndarray, dt: float, n_steps: int) -> Any:
    """Call the simulator, and name the state if it raises."""
    try:
        return function(state.copy(), dt, n_steps)
    except Exception as error:
        raise PyHiTSError(
            f"The simulator raised {type(error).__name__} from state {state}: {error}"
        ) from error


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
