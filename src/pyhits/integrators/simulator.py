"""Any simulator of a user's own, one state at a time, in parallel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError, PyHiTSError
from pyhits.integrators.base import Integrator
from pyhits.integrators.righthandside import Time
from pyhits.util.checks import shown


class StateByState(Integrator):
    """An integrator that solves from one state by itself; subclasses write :meth:`solve`.

    Parameters
    ----------
    n_jobs : int
        Processes to spread the states over, as joblib counts them; -1 is one a core. Any joblib
        backend can be chosen around the call with ``joblib.parallel_config``.

    Raises
    ------
    ArgumentError
        ``n_jobs`` is no number of processes.
    """

    def __init__(self, n_jobs: int = 1) -> None:
        if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
            raise ArgumentError(
                f"Expected n_jobs to be a number of processes or -1, got {n_jobs!r}."
            )
        self.n_jobs = n_jobs

    @abstractmethod
    def solve(self, state: np.ndarray, dt: float, n_steps: int, t: float) -> np.ndarray:
        """Return the solution from a finite state ``(d,)`` at time t, shape ``(n_steps, d)``.

        It is NaN from where the method fails.
        """

    def check(self, states: np.ndarray) -> None:
        """Check the right-hand side with one state, as it is called."""
        super().check(states[:1])

    def blocks(
        self, states: np.ndarray, dt: float, n_steps: int, t: Time = 0.0
    ) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Yield the solution of one state after the other; see :meth:`Integrator.blocks`."""
        from joblib import Parallel, delayed

        solve = delayed(self._solve)
        times = np.broadcast_to(t, len(states))
        solutions = Parallel(n_jobs=self.n_jobs, return_as="generator")(
            solve(state, dt, n_steps, float(time))
            for state, time in zip(states, times, strict=True)
        )
        for k, solution in enumerate(solutions):
            yield slice(k, k + 1), slice(0, n_steps), solution[None]

    def integrate(
        self, states: np.ndarray, dt: float, n_steps: int, t: Time = 0.0
    ) -> Iterator[np.ndarray]:
        """Yield all states in one piece; see :meth:`Integrator.integrate`."""
        yield np.concatenate([piece for _, _, piece in self.blocks(states, dt, n_steps, t)])

    def _solve(self, state: np.ndarray, dt: float, n_steps: int, t: float) -> np.ndarray:
        if not np.isfinite(state).all():
            return np.full((n_steps, len(state)), np.nan)
        with np.errstate(all="ignore"):
            return self.solve(state, dt, n_steps, t)


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
