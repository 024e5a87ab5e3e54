"""Runge-Kutta schemes, and hybrids of them with one learned coarse scale (Appendix A.2)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pyhits.errors import DivergenceError, PyHiTSWarning
from pyhits.integrators import RungeKutta
from pyhits.integrators.hybrid import Hybrid
from pyhits.paper.measure import Errors, Forecast, errors, seconds
from pyhits.paper.problems import PROBLEMS
from pyhits.paper.study import Study
from pyhits.systems import System

#: RK 0 to RK 4 step by 1, 2, 4, 8 and 16 times ``dt``.
N_STEPS = 5

#: Largest jump, in standard deviations, that the corrected hybrids are allowed.
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Corrected:
    """A hybrid whose coarse states were corrected until the integrator agrees (Parareal).

    Attributes
    ----------
    errors : Errors
    seconds : float
        Median time of a forecast of the whole test set.
    iterations : float
        Corrections of a trajectory, on average.
    ratio : float
        Its mean squared error over that of the integrator alone, at the same step.
    """

    errors: Errors
    seconds: float
    iterations: float
    ratio: float


@dataclass(frozen=True)
class Integrated:
    """One classical or hybrid scheme on the test set of one system.

    Attributes
    ----------
    system, scheme : str
    dt : float
        Step of the integrator, at which errors are taken: nothing is interpolated.
    errors : Errors
    seconds : float
        Median time of a forecast of the whole test set.
    corrected : Corrected, optional
    """

    system: str
    scheme: str
    dt: float
    errors: Errors
    seconds: float
    corrected: Corrected | None = None

    @property
    def times(self) -> np.ndarray:
        """Times of ``errors.per_step``."""
        return np.asarray(self.dt * np.arange(len(self.errors.per_step)))


def classical(study: Study, name: str) -> dict[str, Integrated]:
    """Return RK 0 to 4 and Hybrid 0 to 4 of a system, by scheme.

    Hybrid k fills in between the coarsest learned steps (1024 ``dt``) with the steps of RK k. All
    trajectories are stepped at once, in RK as in the hybrids.
    """
    return study.once(("classical", name), lambda: _classical(study, name))


def _classical(study: Study, name: str) -> dict[str, Integrated]:
    problem = PROBLEMS[name]
    sizes = problem.step_sizes(study.budget)
    fine = [size for size in sizes[:N_STEPS] if size < sizes[-1]]
    study.say(f"Runge-Kutta and hybrid forecasts of {problem.label}.")
    found: dict[str, Integrated] = {}
    for k, every in enumerate(fine):
        alone, hybrid = _at_step(study, name, every, k)
        found |= {alone.scheme: alone, hybrid.scheme: hybrid}
    return {s: found[s] for s in sorted(found, key=lambda s: s.startswith("hybrid"))}


def _at_step(study: Study, name: str, every: int, k: int) -> tuple[Integrated, Integrated]:
    """Return Runge-Kutta and the hybrid with steps of ``every`` times ``dt``."""
    test, system = study.data(name, "test"), PROBLEMS[name].system
    start, dt = test.initial_states, every * test.dt
    truth = test.to_array()[:, ::every]
    n_steps = truth.shape[1] - 1
    coarsest = max(study.model(name).flow_maps)
    hybrid = Hybrid(study.model(name), "rk4", step_sizes=[coarsest], dt=dt, system=system)
    settings: dict[str, Any] = {"n_steps": n_steps, "on_divergence": "return"}
    forecasts: dict[str, Forecast] = {
        "rk": partial(_runge_kutta, system, start, dt, n_steps),
        "hybrid": partial(hybrid.forecast, start, **settings),
        "parareal": partial(hybrid.parareal, start, tolerance=TOLERANCE, **settings),
    }
    with warnings.catch_warnings():
        # Rounding may keep chaotic systems above so small a tolerance: the errors tell.
        warnings.simplefilter("ignore", PyHiTSWarning)
        states = {scheme: forecast() for scheme, forecast in forecasts.items()}
        took = seconds(forecasts, study.budget)
    exact = errors(truth, states["rk"])
    corrected = errors(truth, states["parareal"].states)
    return (
        Integrated(name, f"rk-{k}", dt, exact, took["rk"]),
        Integrated(
            name,
            f"hybrid-{k}",
            dt,
            errors(truth, states["hybrid"]),
            took["hybrid"],
            Corrected(
                corrected,
                took["parareal"],
                float(states["parareal"].iterations.mean()),
                corrected.mse / exact.mse,
            ),
        ),
    )


def _runge_kutta(system: System, start: np.ndarray, dt: float, n_steps: int) -> np.ndarray:
    """Return the states of RK4, ``(n, n_steps + 1, d)``; all NaN if it diverges."""
    try:
        states = RungeKutta(system, "rk4")(start, dt, n_steps)
    except DivergenceError:
        states = np.full((len(start), n_steps, system.dimension), np.nan)
    return np.concatenate([start[:, None], states], axis=1)
