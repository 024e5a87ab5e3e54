"""What defaults fit against solvers of the equations, on one problem.

320 trajectories of 5120 steps of the Van der Pol oscillator. The solvers know the equations, PyHiTS
the training data. PyHiTS couples what ``selection="speed"`` chooses on validation data, within its
default tolerance; what it selects by itself, the most accurate, has a row of its own, and so has
torch without machine code. "Matched" tolerances are the loosest power of ten at which a solver is
at least as accurate as PyHiTS; every row shows its own error.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import pyhits
from benchmarks import figures, models
from benchmarks.baselines import diffrax_, rk4, scipy_, torchdiffeq_
from benchmarks.problem import Problem, narrow_slope, van_der_pol
from benchmarks.record import Record
from benchmarks.timing import THREADS, compare, stopwatch, with_threads
from pyhits.hierarchy import Batching, Hierarchy
from pyhits.hierarchy.forecast import forecast

NAME = "solvers"

OURS, ODEINT = "PyHiTS, fastest coupling", "SciPy odeint, its default"
ACCURATE = "PyHiTS, most accurate coupling"

SIDE_BY_SIDE = "Numba RK4, 32 side by side"

#: Mean squared error on test trajectories that is aimed at.
LARGEST_MSE = 1e-6

#: Tolerances tried, loosest first.
TOLERANCES = tuple(10.0**-k for k in range(3, 13))


@dataclass(frozen=True)
class Contestant:
    """One way to solve the problem.

    Attributes
    ----------
    solve : callable
        Returns states ``(n, n_steps + 1, 2)`` of the first n trajectories, or None.
    threads : int
    note : str
    share : float
        Part of the trajectories that it solves; its times are divided by it.
    """

    solve: Callable[[], np.ndarray | None]
    threads: int
    note: str
    share: float = 1.0


def run(quick: bool, out: Path) -> list[Record]:
    """Time PyHiTS and every solver that is installed, taking turns."""
    problem = van_der_pol()
    model = models.default(quick)
    quick_one = model.stepper_.coupled("speed")
    error = problem.mse(quick_one.forecast(problem.initial_states, problem.n_steps))
    contestants = (
        _ours(problem, model, quick_one) | _fixed_steps(problem) | _batched(problem, error)
    )
    contestants |= _one_by_one(problem, error, 2 if quick else 16)
    timings = compare(
        {name: with_threads(c.threads, c.solve) for name, c in contestants.items()},
        repeats=5 if quick else 21,
        budget=2 if quick else 10,
    )
    rows: dict[str, Record] = {}
    for name, c in contestants.items():
        timing, states = timings[name].times(1 / c.share), c.solve()
        row = Record.timed(NAME, name, timing, problem.n_states, threads=c.threads, note=c.note)
        row.error = None if states is None else problem.mse(states)
        rows[name] = row
    mine = rows[OURS]
    for name, row in rows.items():
        row.against(rows[ODEINT] if name == OURS else mine, 300.0 if name == OURS else None)
    figures.save(figures.work_precision(list(rows.values())), out, "solvers")
    return [*rows.values(), *_bars(rows)]


def _bars(rows: dict[str, Record]) -> list[Record]:
    """Return the bars that are not odeint's."""
    mine = rows[OURS]
    assert mine.error is not None
    accuracy = Record(NAME, "PyHiTS, test error", error=mine.error, threads=THREADS)
    accuracy.aim(f"MSE of {LARGEST_MSE:.0e} or less", mine.error <= LARGEST_MSE)
    found = [accuracy]
    for ending in ("", ", float32"):
        rival = rows.get(f"{SIDE_BY_SIDE}, prange{ending}")
        if rival is not None:
            own = rows[f"{OURS}{ending}"]
            name = f"PyHiTS against Numba RK4 side by side{ending}"
            against = Record(NAME, name, own.seconds, threads=THREADS)
            found.append(against.against(rival, 0.25))
    return found


def _ours(
    problem: Problem, model: pyhits.HiTS, quick_one: pyhits.TimeStepper
) -> dict[str, Contestant]:
    """Return our own forecasts, in both precisions of the result, and by torch alone."""
    starts, n_steps = problem.initial_states, problem.n_steps

    def contestant(
        own: pyhits.TimeStepper, states: np.ndarray = starts, torch_alone: bool = False
    ) -> Contestant:
        sizes = own.selection.step_sizes
        described = (f"{size}: {model.history_[size].flow_map}" for size in sizes)
        note = f"coupled {'; '.join(described)}; fitted in {model.seconds_:.0f} s"
        solve = partial(own.forecast, states, n_steps)
        if torch_alone:
            never, maps = Batching(fused_seconds=np.inf), Hierarchy(models.coupled(model, sizes))
            solve = partial(forecast, states, maps, model.scaling_, n_steps, batching=never)
        return Contestant(solve, THREADS, note)

    return {
        OURS: contestant(quick_one),
        f"{OURS}, float32": contestant(quick_one, starts.astype(np.float32)),
        f"{OURS}, by torch": contestant(quick_one, torch_alone=True),
        ACCURATE: contestant(model.stepper_),
        f"{ACCURATE}, by torch": contestant(model.stepper_, torch_alone=True),
    }


def _fixed_steps(problem: Problem) -> dict[str, Contestant]:
    """Return Runge-Kutta steps of 0.01: NumPy over the batch, Numba compiled."""
    setting = problem.initial_states, problem.n_steps, problem.dt
    note = f"step {problem.dt:g}, float64"
    found = {
        "NumPy RK4, whole batch": Contestant(
            partial(rk4.numpy_rk4, problem.slope, *setting), 1, note
        )
    }
    if not _installed("numba"):
        return found
    import numba

    numba.set_num_threads(THREADS)
    for parallel in (False, True):
        for fastmath in (False, True):
            solve = rk4.numba_rk4(problem.slope, parallel=parallel, fastmath=fastmath)
            name = f"Numba RK4{', prange' * parallel}{', fastmath' * fastmath}"
            found[name] = Contestant(partial(solve, *setting), THREADS if parallel else 1, note)
        cores = THREADS if parallel else 1
        solve = rk4.numba_rk4_side_by_side(problem.slope, parallel=parallel)
        name = f"{SIDE_BY_SIDE}{', prange' * parallel}"
        found[name] = Contestant(partial(solve, *setting), cores, note)
        solve = rk4.numba_rk4_side_by_side(narrow_slope, parallel=parallel)
        states = problem.initial_states.astype(np.float32)
        narrow = partial(solve, states, problem.n_steps, problem.dt)
        found[f"{name}, float32"] = Contestant(narrow, cores, f"step {problem.dt:g}, float32")
    return found


def _batched(problem: Problem, error: float) -> dict[str, Contestant]:
    """Return adaptive solvers that take the whole batch."""
    found = {}
    if _installed("torchdiffeq"):

        def whole(p: Problem, tolerance: float) -> np.ndarray:
            return torchdiffeq_.solve(p.slope, p.initial_states, p.times, tolerance)

        tolerance = _matched(problem.first(32), error, whole)
        found["torchdiffeq dopri5, whole batch"] = Contestant(
            partial(whole, problem, tolerance),
            THREADS,
            f"matched tolerance {tolerance:.0e}, float64",
        )
    if _installed("diffrax"):
        solve = diffrax_.compiled(problem.slope, problem.times)

        def vmapped(p: Problem, tolerance: float) -> np.ndarray:
            return solve(p.initial_states, tolerance)

        first, _ = stopwatch(partial(vmapped, problem, TOLERANCES[0]))
        again, _ = stopwatch(partial(vmapped, problem, TOLERANCES[0]))
        tolerance = _matched(problem, error, vmapped)
        found["diffrax Tsit5, vmap and jit"] = Contestant(
            partial(vmapped, problem, tolerance),
            THREADS,
            f"matched tolerance {tolerance:.0e}, float64; compiled in {first - again:.1f} s, not "
            "counted; as many threads as XLA likes",
        )
    return found


def _one_by_one(problem: Problem, error: float, n_few: int) -> dict[str, Contestant]:
    """Return SciPy's solvers, which take one trajectory after another."""

    def odeint(p: Problem, tolerance: float | None) -> np.ndarray:
        return scipy_.solve_odeint(p.slope, p.initial_states, p.times, tolerance)

    tolerance = _matched(problem.first(16), error, odeint)
    found = {
        ODEINT: Contestant(
            partial(odeint, problem, None), 1, "one trajectory after another, tolerance 1.5e-8"
        ),
        "SciPy odeint, matched": Contestant(
            partial(odeint, problem, tolerance), 1, f"matched tolerance {tolerance:.0e}"
        ),
    }
    few = problem.first(n_few)
    for method, each in _each():
        tolerance = _matched(few.first(2), error, each)
        found[f"SciPy solve_ivp {method}"] = Contestant(
            partial(each, few, tolerance),
            1,
            f"matched tolerance {tolerance:.0e}; {n_few} trajectories, scaled up",
            n_few / len(problem.truth),
        )
    return found


def _each() -> Iterator[tuple[str, Callable[[Problem, float], np.ndarray]]]:
    """Yield the methods of ``solve_ivp``."""
    for method in ("LSODA", "DOP853", "Radau", "BDF"):

        def each(p: Problem, tolerance: float, method: str = method) -> np.ndarray:
            return scipy_.solve_each(p.slope, p.initial_states, p.times, method, tolerance)

        yield method, each


def _matched(
    problem: Problem, error: float, solve: Callable[[Problem, float], np.ndarray]
) -> float:
    """Return the loosest tolerance at which a solver's error is at most ``error``."""
    for tolerance in TOLERANCES:
        if problem.mse(solve(problem, tolerance)) <= error:
            return tolerance
    return TOLERANCES[-1]


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
