"""From a system to trajectories: initial states, transient, blocks, and the right integrator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pyhits.data.memory_use import check_size
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DivergenceError
from pyhits.systems import explicit, implicit
from pyhits.systems.validate import as_transient, check_field
from pyhits.util.checks import as_count, as_numeric, as_positive

if TYPE_CHECKING:
    from pyhits.systems.system import System

#: Trajectories that go through a transient together. Drawn states fill whole batches, so that the
#: steps taken, and with them the recorded states of a chaotic system, are the same for any number
#: of trajectories asked for.
TRANSIENT_BATCH = 512


def simulate(
    system: System,
    n_trajectories: int | None = None,
    n_steps: int | None = None,
    dt: float | None = None,
    *,
    random_state: int | np.random.Generator | None = None,
    initial_states: Any = None,
    region: Any = None,
    transient: float | None = None,
    rtol: float = 1e-12,
    atol: float = 1e-14,
    n_jobs: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> Trajectories:
    """Integrate many trajectories of a system accurately.

    Systems that are not stiff go through an explicit Runge-Kutta method of order 8 (DOP853: Hairer,
    Nørsett, Wanner 1993, II.10), hundreds of trajectories at once, with tolerances tightened so
    that each trajectory by itself meets them; stiff systems go through LSODA (Petzold 1983), one
    by one. At the default tolerances the rows of every catalogued system lie within 1e-8 of the
    exact solution, with two reservations that no solver in double precision escapes: in chaotic
    systems any error grows e-fold in each Lyapunov time, and rows that fall into a jump of
    ``van-der-pol-stiff`` (1 in 20,000) may belong to a time 5e-12 off.

    Parameters
    ----------
    system : System
    n_trajectories : int, optional
        How many; by default as many as ``initial_states``, or 1.
    n_steps, dt : int and float, optional
        Steps a trajectory and time between rows; the system's own by default.
    random_state : int or Generator, optional
        Seed of the initial states. With one seed, the first trajectories are the same (up to the
        tolerances) for any ``n_trajectories``.
    initial_states : array, shape (n_trajectories, dimension) or (dimension,), optional
        States to start from instead of drawn ones.
    region : array, shape (dimension, 2), optional
        Box to draw initial states from instead of the system's own region.
    transient : float, optional
        Time to integrate before the first row is recorded at t = 0. By default the system's own
        for drawn states, and 0 for given ``initial_states``.
    rtol, atol : float
        Tolerances on the error of a step, relative and absolute. Below about 1e-12 double
        precision sets the limit.
    n_jobs : int
        Processes for stiff systems, as joblib counts them; others take one core.
    progress : callable, optional
        Called as ``progress(done, total)`` with numbers of recorded rows.

    Returns
    -------
    Trajectories
        ``n_trajectories`` of ``n_steps + 1`` float64 rows; without a transient, row 0 is the
        initial state.

    Raises
    ------
    ArgumentError
        An argument out of range, states of the wrong shape, a right-hand side that does not accept
        states of shape ``(..., dimension)``.
    DivergenceError
        A trajectory left every bound or its derivative is not finite; it is named with the time.
    """
    n_steps = system.n_steps if n_steps is None else as_count(n_steps, "n_steps", most=None)
    dt = system.dt if dt is None else as_positive(dt, "dt")
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise ArgumentError(f"Expected n_jobs to be a number of processes or -1, got {n_jobs!r}.")
    rtol, atol = as_positive(rtol, "rtol"), as_positive(atol, "atol")
    if initial_states is not None:
        states = _given_states(system, initial_states, n_trajectories, region)
        skip = 0.0 if transient is None else as_transient(transient)
        spare = 0
    else:
        n = 1 if n_trajectories is None else as_count(n_trajectories, "n_trajectories", most=None)
        check_size(n, n_steps, system.dimension, what="A simulation")
        skip = system.transient if transient is None else as_transient(transient)
        spare = -n % TRANSIENT_BATCH if skip > 0 and not system.stiff else 0
        states = system.sample(n + spare, random_state, region)
    check_size(len(states), n_steps, system.dimension, what="A simulation")
    check_field(system)
    if skip > 0:
        states = _after_transient(system, states, spare, skip, rtol, atol, n_jobs)
    times = dt * np.arange(n_steps + 1)
    rows = np.empty((len(states), len(times), system.dimension))
    if system.stiff:
        implicit.integrate(
            system, states, times, rows, rtol=rtol, atol=atol, n_jobs=n_jobs, progress=progress
        )
    else:
        explicit.integrate(system, states, times, rows, rtol=rtol, atol=atol, progress=progress)
    return Trajectories(rows, dt, feature_names=system.feature_names)


def _given_states(
    system: System, initial_states: Any, n_trajectories: int | None, region: Any
) -> np.ndarray:
    states = np.array(as_numeric(initial_states, what="initial_states"), dtype=np.float64, ndmin=2)
    if states.ndim != 2 or states.shape[1] != system.dimension or len(states) == 0:
        raise ArgumentError(
            f"Expected initial_states of shape (n_trajectories, {system.dimension}) for "
            f"{system.name}, got {states.shape}."
        )
    if n_trajectories is not None and as_count(n_trajectories, "n_trajectories", most=None) != len(
        states
    ):
        raise ArgumentError(
            f"n_trajectories={n_trajectories} was given with {len(states)} initial states; "
            "leave it out."
        )
    if region is not None:
        raise ArgumentError("Give initial_states or a region to draw them from, not both.")
    if not np.isfinite(states).all():
        bad = int(np.flatnonzero(~np.isfinite(states).all(axis=1))[0])
        raise ArgumentError(f"Initial state {bad} is not finite: {states[bad]}.")
    return states


def _after_transient(
    system: System,
    states: np.ndarray,
    spare: int,
    skip: float,
    rtol: float,
    atol: float,
    n_jobs: int,
) -> np.ndarray:
    """Return the states at t = 0 of the wanted trajectories that start at ``-skip``."""
    wanted = len(states) - spare
    times = np.array([-skip, 0.0])
    rows = np.empty((len(states), 2, system.dimension))
    if system.stiff:
        implicit.integrate(system, states, times, rows, rtol=rtol, atol=atol, n_jobs=n_jobs)
        return rows[:, 1]
    try:
        explicit.integrate(system, states, times, rows, rtol=rtol, atol=atol, block=TRANSIENT_BATCH)
    except DivergenceError as error:
        if error.trajectory < wanted:
            raise
        # A spare one diverged: nobody asked for it, so go without.
        return _after_transient(system, states[:wanted], 0, skip, rtol, atol, n_jobs)
    return rows[:wanted, 1]
