"""Seconds of CPU of one thread, where a busy machine spoils wall times.

The main rows of ``solvers`` and ``stiff``, by the best of several repetitions.

    python -m benchmarks.cpu_seconds
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

import pyhits
from benchmarks import models, stiff
from benchmarks.baselines import rk4, scipy_
from benchmarks.problem import van_der_pol


def cpu(function: Callable[[], object], calls: int, repeats: int = 7) -> float:
    """Return milliseconds of CPU of a call, the least of the means of some calls."""
    function()
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        for _ in range(calls):
            function()
        found.append((time.process_time() - begin) / calls)
    return 1e3 * min(found)


def _oscillator() -> dict[str, float]:
    import numba

    numba.set_num_threads(1)
    problem, model = van_der_pol(), models.default(quick=True)
    states, n_steps = problem.initial_states, problem.n_steps
    quick_one = model.stepper_.coupled("speed")
    beside = rk4.numba_rk4_side_by_side(problem.slope, parallel=False)
    ours = partial(quick_one.forecast, states, n_steps)
    print(f"coupled {quick_one.selection.step_sizes}, mean squared error {problem.mse(ours()):.1e}")
    odeint = partial(scipy_.solve_odeint, problem.slope, states, problem.times, None)
    return {
        "PyHiTS, fastest coupling": cpu(ours, 12),
        "Numba RK4, 32 side by side": cpu(partial(beside, states, n_steps, problem.dt), 12),
        "SciPy odeint, one by one": cpu(odeint, 1, 3),
        "PyHiTS, most accurate coupling": cpu(partial(model.forecast, states, n_steps), 8),
    }


def _robertson(n_outputs: int = 50) -> dict[str, float]:
    system = pyhits.systems.get("robertson")
    simulate = partial(
        system.simulate,
        n_steps=n_outputs,
        dt=stiff.HORIZON / n_outputs,
        integrator=system.integrator(rtol=1e-10, atol=1e-14),
    )
    train = simulate(initial_states=stiff.training_states(stiff.N_STATES)).to_array()
    starts = np.ascontiguousarray(simulate(stiff.N_STATES, random_state=2).to_array()[:, 0])
    times = np.linspace(0, stiff.HORIZON, n_outputs + 1)
    prepared = stiff.fitted(train, times[1]).prepared()

    ours = partial(prepared.forecast, starts, n_outputs)
    stacked = partial(stiff.stacked_odeint, starts, times, 3e-4)
    return {"PyHiTS, Robertson": cpu(ours, 200), "odeint, stacked, banded": cpu(stacked, 3, 3)}


def main() -> None:
    """Print milliseconds, and each over that of the first of its problem."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for rows in (_oscillator(), _robertson()):
        first = next(iter(rows.values()))
        for name, milliseconds in rows.items():
            print(f"{name:32} {milliseconds:9.2f} ms of CPU {milliseconds / first:8.2f}")


if __name__ == "__main__":
    main()
