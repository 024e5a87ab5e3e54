"""What takes one state at a time, on many states in parallel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.integrators.base import Integrator
from pyhits.integrators.righthandside import Time


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
