"""SciPy's adaptive solvers, every state by itself."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pyhits.integrators.righthandside import RightHandSide, as_right_hand_side
from pyhits.integrators.simulator import StateByState
from pyhits.util.checks import LARGEST_MAGNITUDE, as_choice, as_positive

METHODS = ("DOP853", "RK45", "RK23", "Radau", "BDF")

#: LSODA keeps the error of each step below the tolerance, and the errors of thousands of steps of
#: a low-order formula add up.
MARGIN = 10.0

#: Least relative tolerance that LSODA meets in double precision.
LEAST_RTOL = 1e-13

#: Most steps of LSODA between two rows; far more than any row of a healthy system takes.
MOST_STEPS = 100_000


class SolveIVP(StateByState):
    """:func:`scipy.integrate.solve_ivp` on every state, so that each has steps of its own.

    Parameters
    ----------
    system : System or callable
        As in :class:`~pyhits.integrators.RungeKutta`; it is called with one state ``(1, d)`` and
        its time.
    method : {"DOP853", "RK45", "RK23", "Radau", "BDF"}
        The last two are for stiff systems.
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
        super().__init__(n_jobs)
        self.right_hand_side: RightHandSide = as_right_hand_side(system)
        self.method = as_choice(method, "method", METHODS)
        self.rtol, self.atol = as_positive(rtol, "rtol"), as_positive(atol, "atol")

    def __repr__(self) -> str:
        return f"solve_ivp with {self.method} ({self.right_hand_side.name})"

    def solve(self, state: np.ndarray, dt: float, n_steps: int, t: float) -> np.ndarray:
        """Return the solution from one state; see :meth:`StateByState.solve`."""
        from scipy.integrate import solve_ivp

        function, jacobian = self.right_hand_side.of_one()
        implicit = self.method in ("Radau", "BDF") and jacobian is not None
        times = t + dt * np.arange(1, n_steps + 1)
        solution = solve_ivp(
            function,
            (t, times[-1]),
            state,
            method=self.method,
            t_eval=times,
            rtol=self.rtol,
            atol=self.atol,
            **({"jac": jacobian} if implicit else {}),
        )
        states = np.full((n_steps, len(state)), np.nan)
        # Some versions return an empty list where the first step fails.
        reached = np.reshape(solution.y, (len(state), -1)).T
        states[: len(reached)] = reached
        return states


class LSODA(StateByState):
    """Every state by LSODA, which switches to implicit formulas where they pay (Petzold 1983).

    Parameters
    ----------
    system : System or callable
        As in :class:`SolveIVP`. A System's Jacobian is used; otherwise finite differences are.
    rtol, atol : float
        Tolerances on the error of all steps together, as far as a tenth of them on each step
        achieves it.
    n_jobs : int
        Processes to spread the states over, as joblib counts them.

    Raises
    ------
    ArgumentError
    """

    advice: str = "The solution may end there, or its steps become too small: raise rtol and atol."

    def __init__(
        self, system: Any, *, rtol: float = 1e-12, atol: float = 1e-14, n_jobs: int = 1
    ) -> None:
        super().__init__(n_jobs)
        self.right_hand_side: RightHandSide = as_right_hand_side(system)
        self.rtol, self.atol = as_positive(rtol, "rtol"), as_positive(atol, "atol")

    def __repr__(self) -> str:
        return f"LSODA ({self.right_hand_side.name})"

    def solve(self, state: np.ndarray, dt: float, n_steps: int, t: float) -> np.ndarray:
        """Return the solution from one state; see :meth:`StateByState.solve`."""
        times = t + dt * np.arange(n_steps + 1)
        rows = self._rows(state, times)
        if rows is not None:
            return rows[1:]
        # What a failed run leaves is undefined, so the last sound row is searched for.
        states = np.full((n_steps, len(state)), np.nan)
        sound, unsound = 1, len(times)
        while unsound - sound > 1:
            middle = (sound + unsound) // 2
            rows = self._rows(state, times[:middle])
            if rows is None:
                unsound = middle
            else:
                sound = middle
                states[: middle - 1] = rows[1:]
        return states

    def _rows(self, state: np.ndarray, times: np.ndarray) -> np.ndarray | None:
        """Return rows ``(n_rows, d)``, or None where they are not all sound."""
        from scipy.integrate import ODEintWarning, odeint

        function, jacobian = self.right_hand_side.of_one()
        with warnings.catch_warnings():
            warnings.simplefilter("error", ODEintWarning)
            try:
                rows = odeint(
                    function,
                    state,
                    times,
                    Dfun=jacobian,
                    rtol=max(self.rtol / MARGIN, LEAST_RTOL),
                    atol=self.atol / MARGIN,
                    mxstep=MOST_STEPS,
                    tfirst=True,
                )
            except ODEintWarning:
                return None
        return np.asarray(rows) if (np.abs(rows) < LARGEST_MAGNITUDE).all() else None
