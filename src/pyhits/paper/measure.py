"""Errors and times of the learned schemes: every scale alone, and all coupled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch

from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.paper import printed
from pyhits.paper.budget import Budget
from pyhits.paper.problems import PROBLEMS
from pyhits.paper.study import Study

#: What is timed.
Forecast = Callable[[], Any]


@dataclass(frozen=True)
class Errors:
    """How far forecasts lie from the truth.

    Attributes
    ----------
    mse : float
        Mean squared error over trajectories, times (the given initial states left out) and
        components: the paper's integrated L2 error. Infinite if a trajectory diverged.
    per_step : array, shape (n_steps + 1,)
        Mean squared error at each time.
    diverged : int
        Trajectories that diverged.
    """

    mse: float
    per_step: np.ndarray
    diverged: int


@dataclass(frozen=True)
class Measured:
    """One scheme on the test set of one system.

    Attributes
    ----------
    system, scheme : str
    noise : float
        Level of noise in the training and validation data.
    step_sizes : tuple of int
        Coupled scales, in multiples of ``dt``.
    errors : Errors
        From clean initial states, against the clean truth.
    seconds : float
        Median time of a forecast of the whole test set.
    mse_noisy_states : float, optional
        Mean squared error from noisy initial states, against the truth with noise.
    """

    system: str
    scheme: str
    noise: float
    step_sizes: tuple[int, ...]
    errors: Errors
    seconds: float
    mse_noisy_states: float | None = None


@dataclass(frozen=True)
class Floor:
    """Errors of the exact system started from the noisy initial states.

    Attributes
    ----------
    clean_truth, noisy_truth : float
        Mean squared errors against the clean truth, and against the truth with noise: no forecast
        that knows the noisy initial states alone can be expected to do better.
    """

    clean_truth: float
    noisy_truth: float


def errors(truth: np.ndarray, states: np.ndarray) -> Errors:
    """Compare ``states`` with ``truth``, both of shape ``(n, n_steps + 1, d)``."""
    found = ForecastErrors.of(truth, states, first=0)
    return Errors(float(found.per_step[1:].mean()), found.per_step, found.n_diverged)


def seconds(forecasts: Mapping[str, Forecast], budget: Budget) -> dict[str, float]:
    """Return the median seconds of forecasts that take turns, each having run once before.

    Turns, because other programs' load comes and goes: it then falls on all of them alike.
    """
    taken: dict[str, list[float]] = {name: [] for name in forecasts}
    for _ in range(budget.repeats):
        for name, forecast in forecasts.items():
            if sum(taken[name]) < budget.timing_seconds:
                begin = time.perf_counter()
                forecast()
                taken[name].append(time.perf_counter() - begin)
    return {name: median(times) for name, times in taken.items()}


def threads() -> int:
    """Return the threads that forecasts are given."""
    return torch.get_num_threads()


def multiscale(study: Study, name: str, noise: float = 0.0, recipe: str | None = None) -> Measured:
    """Return the errors and time of the coupled model."""
    return learned(study, name, noise, recipe)["multiscale"]


def learned(
    study: Study, name: str, noise: float = 0.0, recipe: str | None = None
) -> dict[str, Measured]:
    """Return the errors and times of every single scale and of their coupling, by scheme.

    Parameters
    ----------
    name : str
        Of the system.
    noise : float
        Level of noise in the training and validation data (Appendix B.2).
    recipe : str, optional
        Another than the study's.
    """
    key = ("learned", name, noise, recipe or study.recipe)
    return study.once(key, lambda: _learned(study, name, noise, recipe))


def _learned(study: Study, name: str, noise: float, recipe: str | None) -> dict[str, Measured]:
    model = study.model(name, noise, recipe)
    test = study.data(name, "test")
    noisy = study.data(name, "test", noise)
    schemes: dict[str, tuple[int, ...]] = {
        f"nnts-{k}": (size,) for k, size in enumerate(sorted(model.flow_maps))
    }
    schemes["multiscale"] = model.selection.step_sizes
    study.say(f"Forecasting {len(test)} test trajectories of {PROBLEMS[name].label}.")

    def forecast(starts: np.ndarray, step_sizes: tuple[int, ...]) -> np.ndarray:
        return model.forecast(
            starts, study.budget.n_steps, step_sizes=step_sizes, on_divergence="return"
        )

    starts, n = test.initial_states, len(test)
    both = np.concatenate([starts, noisy.initial_states]) if noise else starts
    found: dict[str, tuple[Errors, float | None]] = {}
    for scheme, sizes in schemes.items():
        states = forecast(both, sizes)
        from_noisy = errors(noisy.to_array(), states[n:]).mse if noise else None
        found[scheme] = errors(test.to_array(), states[:n]), from_noisy
    took = seconds(
        {scheme: partial(forecast, starts, sizes) for scheme, sizes in schemes.items()},
        study.budget,
    )
    return {
        scheme: Measured(name, scheme, noise, sizes, clean, took[scheme], from_noisy)
        for scheme, sizes in schemes.items()
        for clean, from_noisy in [found[scheme]]
    }


def floor(study: Study, name: str, noise: float) -> Floor:
    """Return what the noise of the initial states alone costs."""
    return study.once(("floor", name, noise), lambda: _floor(study, name, noise))


def _floor(study: Study, name: str, noise: float) -> Floor:
    test = study.data(name, "test")
    noisy = study.data(name, "test", noise)
    exact = PROBLEMS[name].system.simulate(
        initial_states=noisy.initial_states, n_steps=study.budget.n_steps, dt=test.dt
    )
    states = exact.to_array()
    return Floor(errors(test.to_array(), states).mse, errors(noisy.to_array(), states).mse)


def never_beaten(found: dict[str, Measured]) -> bool:
    """Whether the coupled model is at least as accurate as every single scale."""
    coupled = found["multiscale"].errors.mse
    return all(coupled <= one.errors.mse for one in found.values())


def scale_names(chosen: tuple[int, ...]) -> str:
    """Return coupled step sizes as the paper numbers scales, such as ``"3 - 10"``."""
    numbers = [size.bit_length() - 1 for size in chosen]
    consecutive = numbers == list(range(numbers[0], numbers[-1] + 1))
    if len(numbers) == 1:
        return f"{numbers[0]}"
    return f"{numbers[0]} - {numbers[-1]}" if consecutive else ", ".join(map(str, numbers))


def paper_mse(noise: float, name: str, scheme: str) -> float | None:
    """Return what the paper's Tables 6 to 8 say, where they say something."""
    return printed.MSE.get(noise, {}).get(name, {}).get(scheme)
