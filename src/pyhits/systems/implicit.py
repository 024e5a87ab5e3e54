"""Stiff systems through LSODA, which switches to implicit formulas where they pay."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pyhits.systems.divergence import divergence
from pyhits.util.checks import LARGEST_MAGNITUDE

if TYPE_CHECKING:
    from pyhits.systems.system import System

#: LSODA keeps the error of each step below the tolerance, and the errors of thousands of steps of
#: a low-order formula add up.
MARGIN = 10.0

#: Least relative tolerance that LSODA meets in double precision.
LEAST_RTOL = 1e-13

#: Most steps between two rows; far more than any row of a healthy system takes.
MOST_STEPS = 100_000


def integrate(
    system: System,
    states: np.ndarray,
    times: np.ndarray,
    rows: np.ndarray,
    *,
    rtol: float,
    atol: float,
    n_jobs: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Fill ``rows`` with the solutions from ``states`` on, one trajectory after the other.

    Parameters
    ----------
    states : array, shape (n_trajectories, dimension)
    times : array, shape (n_rows,)
        Increasing; the states belong to the first.
    rows : array, shape (n_trajectories, n_rows, dimension)
        Written to.
    n_jobs : int
        Processes to spread the trajectories over, as joblib counts them.

    Raises
    ------
    DivergenceError
        A trajectory cannot be integrated to the end.
    """
    from joblib import Parallel, delayed

    solve = delayed(_trajectory)
    solutions = Parallel(n_jobs=n_jobs, return_as="generator")(
        solve(system, k, state, times, rtol, atol) for k, state in enumerate(states)
    )
    for k, solution in enumerate(solutions):
        rows[k] = solution
        if progress is not None:
            progress((k + 1) * len(times), len(states) * len(times))


def _trajectory(
    system: System, index: int, state: np.ndarray, times: np.ndarray, rtol: float, atol: float
) -> np.ndarray:
    """Return the rows of one trajectory, or raise a DivergenceError with its index."""
    rows = _solve(system, state, times, rtol, atol)
    if rows is not None:
        return rows
    # What the solver leaves of a failed run is undefined, so the last sound row is searched for.
    sound, unsound, reached = 1, len(times), state
    while unsound - sound > 1:
        middle = (sound + unsound) // 2
        rows = _solve(system, state, times[:middle], rtol, atol)
        if rows is None:
            unsound = middle
        else:
            sound, reached = middle, rows[-1]
    raise divergence(system, index, times, times[sound - 1], reached)


def _solve(
    system: System, state: np.ndarray, times: np.ndarray, rtol: float, atol: float
) -> np.ndarray | None:
    """Return rows ``(n_rows, dimension)``, or None where they are not all sound."""
    from scipy.integrate import ODEintWarning, odeint

    rhs, jacobian, parameters = system.rhs, system.jacobian, system.parameters

    def derivative(t: float, x: np.ndarray) -> np.ndarray:
        return np.asarray(rhs(t, x, **parameters), dtype=np.float64)

    def slopes(t: float, x: np.ndarray) -> np.ndarray:
        assert jacobian is not None
        return np.asarray(jacobian(t, x, **parameters), dtype=np.float64)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", ODEintWarning)
        try:
            rows = odeint(
                derivative,
                state,
                times,
                Dfun=None if jacobian is None else slopes,
                rtol=max(rtol / MARGIN, LEAST_RTOL),
                atol=atol / MARGIN,
                mxstep=MOST_STEPS,
                tfirst=True,
            )
        except ODEintWarning:
            return None
    return np.asarray(rows) if (np.abs(rows) < LARGEST_MAGNITUDE).all() else None
