"""SciPy's adaptive solvers, every state by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyhits.integrators.base import Integrator
from pyhits.integrators.righthandside import RightHandSide, Time, as_right_hand_side
from pyhits.util.checks import as_choice, as_positive

METHODS = ("DOP853", "RK45", "RK23", "Radau", "BDF", "LSODA")


class SolveIVP(Integrator):
    """:func:`scipy.integrate.solve_ivp` on every state, so that each has steps of its own.

    Parameters
    ----------
    system : System, str or callable
        As in :class:`~pyhits.integrators.RungeKutta`; it is called with one state ``(1, d)`` and
        its time.
    method : {"DOP853", "RK45", "RK23", "Radau", "BDF", "LSODA"}
        The last three are for stiff systems.
    rtol, atol : float
        Relative and absolute tolerance of each step.
    n_jobs : int
        Processes to spread the states over, as joblib counts them.

    Raises
    ------
    ArgumentError
    """

    advice: str = "The solver gave up there; the solution may end, or be too stiff for the method."

    def __init__(
        self,
        system: Any,
        method: str = "DOP853",
        *,
        rtol: float = 1e-10,
        atol: float = 1e-12,
        n_jobs: int = 1,
    ) -> None:
        self.right_hand_side: RightHandSide = as_right_hand_side(system)
        self.method = as_choice(method, "method", METHODS)
        self.rtol, self.atol = as_positive(rtol, "rtol"), as_positive(atol, "atol")
        self.n_jobs = n_jobs

    def __repr__(self) -> str:
        return f"solve_ivp with {self.method} ({self.right_hand_side.name})"

    def check(self, states: np.ndarray) -> None:
        """Check the right-hand side with one state, as it is called."""
        self.right_hand_side.check(states[:1])

    def march(
        self, states: np.ndarray, dt: float, n_steps: int, t: Time = 0.0
    ) -> Iterator[np.ndarray]:
        """Yield all states in one piece; see :meth:`Integrator.march`."""
        from joblib import Parallel, delayed

        times = np.broadcast_to(t, len(states))
        solve = delayed(self._solve)
        solutions = Parallel(n_jobs=self.n_jobs)(
            solve(state, dt, n_steps, float(time))
            for state, time in zip(states, times, strict=True)
        )
        yield np.stack(solutions)

    def _solve(self, state: np.ndarray, dt: float, n_steps: int, t: float) -> np.ndarray:
        """Return the states from one state on, shape ``(n_steps, d)``; NaN after a failure."""
        from scipy.integrate import solve_ivp

        found = np.full((n_steps, len(state)), np.nan)
        if not np.isfinite(state).all():
            return found
        rhs, options = self.right_hand_side, {}
        if rhs.jacobian is not None and self.method in ("Radau", "BDF", "LSODA"):
            options["jac"] = lambda time, x: rhs.jacobians(time, x[None])[0]
        times = t + dt * np.arange(1, n_steps + 1)
        with np.errstate(all="ignore"):
            solution = solve_ivp(
                lambda time, x: rhs(time, x[None])[0],
                (t, times[-1]),
                state,
                method=self.method,
                t_eval=times,
                rtol=self.rtol,
                atol=self.atol,
                **options,
            )
        # Some versions return an empty list where the first step fails.
        reached = np.reshape(solution.y, (len(state), -1)).T
        found[: len(reached)] = reached
        return found
