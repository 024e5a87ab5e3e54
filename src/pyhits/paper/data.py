"""The data of the study, made from a seed: trajectories, pieces of long ones, and noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import odeint

from pyhits.data.trajectories import Trajectories
from pyhits.paper.budget import Budget
from pyhits.paper.problems import PROBLEMS, ROLES, SystemProblem
from pyhits.systems import System
from pyhits.util.checks import as_choice, as_seed

#: Raised whenever equal settings begin to give other data.
VERSION = 1


def make_data(problem: SystemProblem, role: str, budget: Budget, seed: int = 0) -> Trajectories:
    """Return clean trajectories of one data set.

    Parameters
    ----------
    problem : SystemProblem
    role : {"train", "validation", "test"}
        The three are independent. With one seed, the first trajectories are the same for any
        number of them.
    budget : Budget
    seed : int

    Returns
    -------
    Trajectories
        Each of ``budget.n_steps + 1`` float64 rows, accurate to 1e-8 (:mod:`pyhits.systems`).
    """
    if problem.cut_off > 0:
        return pieces(problem, long_trajectory(problem, role, budget, seed), budget)
    return problem.system.simulate(
        problem.count(role, budget),
        budget.n_steps,
        problem.dt,
        random_state=seed_of(problem, role, seed),
    )


def pieces(problem: SystemProblem, starts: np.ndarray, budget: Budget) -> Trajectories:
    """Return the trajectories that begin in the states ``starts`` of shape ``(n, d)``."""
    return problem.system.simulate(initial_states=starts, n_steps=budget.n_steps, dt=problem.dt)


def long_trajectory(problem: SystemProblem, role: str, budget: Budget, seed: int = 0) -> np.ndarray:
    """Return where the pieces of a data set's one long trajectory begin, shape ``(n, d)``."""
    start = problem.system.sample(1, seed_of(problem, role, seed))[0]
    length = problem.dt * budget.n_steps
    n = problem.count(role, budget)
    return piece_starts(problem.system, start, n, length, problem.cut_off)


def piece_starts(
    system: System, start: np.ndarray, n: int, length: float, cut_off: float
) -> np.ndarray:
    """Return the states in which consecutive pieces of one long trajectory begin.

    The paper cuts one long Lorenz trajectory into pieces (Appendix A.1). Here the long one is
    followed from start to start alone, and the pieces are then integrated side by side: they are
    that trajectory, to the accuracy of the integration.

    Parameters
    ----------
    start : array, shape (d,)
        Initial state of the long trajectory.
    n : int
        Pieces.
    length, cut_off : float
        Time units of a piece, and of what is left out before the first.

    Returns
    -------
    array, shape (n, d)
    """
    times = np.concatenate([[0.0], cut_off + length * np.arange(n)])

    def slope(state: np.ndarray, t: float) -> Any:
        return system.rhs(t, state, **system.parameters)

    states = odeint(slope, start, times, rtol=1e-12, atol=1e-12, mxstep=10_000_000)
    return np.asarray(states[1:])


def add_noise(
    data: Trajectories, level: float, random_state: int, of: str = "variance"
) -> Trajectories:
    """Return a copy with Gaussian noise, independent in every row and component (Appendix B.2).

    Parameters
    ----------
    level : float
        0.01 for the paper's 1 %. A constant component, such as mu of the Hopf normal form, has no
        variance and so gets no noise.
    random_state : int
    of : {"variance", "deviation"}
        The paper's text gives the noise this share of a component's variance, averaged over
        trajectories; its published code gives it this share of the standard deviation, which is
        ``level`` times less variance.
    """
    as_choice(of, "of", ("variance", "deviation"))
    return data.add_noise(level if of == "variance" else level**2, random_state=random_state)


def seed_of(problem: SystemProblem, role: str, seed: int, purpose: str = "states") -> int:
    """Return the seed of one purpose, ``states`` or ``noise``; no two of a study are the same."""
    index = list(PROBLEMS).index(problem.name) if problem.name in PROBLEMS else len(PROBLEMS)
    which = (as_seed(seed), index, ROLES.index(role), ("states", "noise").index(purpose))
    return int(np.random.SeedSequence(which).generate_state(1)[0])
