"""Ways to draw training windows, compared at equal budget: what the nets come to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pyhits.data.trajectories import Trajectories
from pyhits.flowmaps import FlowMap
from pyhits.paper.fits import fit_or_load
from pyhits.paper.measure import errors
from pyhits.paper.problems import OSCILLATOR
from pyhits.paper.study import Study
from pyhits.policies import SAMPLINGS
from pyhits.timestepper import TimeStepper

#: Step sizes compared, in multiples of ``dt``: fine, middle, coarse.
STEP_SIZES = (4, 64, 512)

#: Trajectories to train and validate on, at most; optimiser steps and seeds of full budgets.
_TRAIN, _VALIDATION, _STEPS, _SEEDS = 800, 40, 5000, 2

#: Optimiser steps of a short budget, at most.
_SHORT_STEPS = 600

#: Times of each test trajectory at which a window begins, for the errors at all times.
_TIMES = 64


@dataclass(frozen=True)
class SamplingTask:
    """Nets of one system and one seed, under all samplings.

    Attributes
    ----------
    system : str
    seed : int
        Of the weights and of the windows drawn; the data are the same for all.
    steps : int
        Optimiser steps a net.
    step_sizes : tuple of int
    """

    system: str
    seed: int
    steps: int
    step_sizes: tuple[int, ...]


def compare(study: Study) -> list[dict[str, Any]]:
    """Return one record for every system, step size, sampling and seed.

    Nets are trained alone, without polynomials, synthetic windows and tables, on the same data,
    with the same net, batches and number of steps; only ``sampling`` differs. PyHiTS's recipe is
    taken whatever the study's.
    """
    budget = study.budget
    full = budget.max_steps is None
    steps = _STEPS if budget.max_steps is None else min(_SHORT_STEPS, budget.max_steps)
    sizes = tuple(s for s in STEP_SIZES if s in budget.step_sizes)
    systems = (OSCILLATOR, *study.systems)
    seeds = range(study.seed, study.seed + (_SEEDS if full else 1))
    tasks = [SamplingTask(system, seed, steps, sizes) for system in systems for seed in seeds]
    smaller = Study(
        replace(
            budget,
            train=min(_TRAIN, budget.train or _TRAIN),
            validation=min(_VALIDATION, budget.validation or _VALIDATION),
        ),
        recipe="pyhits",
        seed=study.seed,
        cache=study.cache,
        systems=study.systems,
        verbose=study.verbose,
    )
    workers = min(study.n_jobs, len(tasks)) if full or budget.side_by_side else 1
    study.say(f"Training {len(tasks) * len(SAMPLINGS) * len(sizes)} nets of {steps} steps each.")
    made = smaller.side_by_side(_records, tasks, "samplings", workers)
    return [record for records in made for record in records]


def _records(study: Study, task: SamplingTask) -> list[dict[str, Any]]:
    return [record for name in SAMPLINGS for record in _records_of(study, task, name)]


def _records_of(study: Study, task: SamplingTask, sampling: str) -> list[dict[str, Any]]:
    model = _model(study, task, sampling)
    test = study.data(task.system, "test").to_array()
    return [
        {
            "system": task.system,
            "step_size": size,
            "sampling": sampling,
            "seed": task.seed,
            "steps": task.steps,
            **one_step(model, size, test),
            "rollout_mse": rollout(model, size, test),
            "seconds": model.history[size].seconds,
        }
        for size in task.step_sizes
    ]


def _model(study: Study, task: SamplingTask, sampling: str) -> TimeStepper:
    settings = {
        "step_sizes": list(task.step_sizes),
        "polynomial_degree": 0,
        "sampling": sampling,
        "max_steps": task.steps,
        "noise": False,
        "random_state": task.seed,
        "n_jobs": 1,
    }

    def data(role: str) -> Trajectories:
        return study.once((role, task.system), lambda: study.data(task.system, role))

    train, validation = data("train"), data("validation")
    facts = {"train": train.fingerprint(), "validation": validation.fingerprint()}
    return fit_or_load(study.cache, settings, facts, lambda: (train, validation))


def one_step(model: TimeStepper, size: int, test: np.ndarray) -> dict[str, float]:
    """Return errors of one step, mean squares over windows relative to those of the increments.

    Parameters
    ----------
    model : TimeStepper
    size : int
        Step size.
    test : array, shape (n, n_steps + 1, d)

    Returns
    -------
    dict
        ``error_all`` over windows that begin at any time, ``error_first`` over those that begin
        where trajectories do.
    """
    states = model.scaling.transform(test)
    times = np.unique(np.linspace(0, states.shape[1] - 1 - size, _TIMES).astype(int))
    found = {"error_all": times, "error_first": times[:1]}
    flow_map = model.flow_maps[size]
    return {k: _relative(flow_map, states[:, t], states[:, t + size]) for k, t in found.items()}


def _relative(flow_map: FlowMap, before: np.ndarray, after: np.ndarray) -> float:
    d = before.shape[-1]
    missed = _step(flow_map, before.reshape(-1, d)) - after.reshape(-1, d)
    return float(np.square(missed).mean() / np.square(after - before).mean())


def rollout(model: TimeStepper, size: int, test: np.ndarray) -> float:
    """Return the mean squared error of stepping to the end of the test trajectories.

    Over trajectories, components and the multiples of the step size, in the system's units: without
    what interpolation would add. Infinite if a trajectory diverges.
    """
    states = model.scaling.transform(test[:, 0])
    truth = test[:, ::size]
    reached = np.empty_like(truth)
    for k in range(truth.shape[1]):
        reached[:, k] = states
        with np.errstate(over="ignore", invalid="ignore"):
            states = _step(model.flow_maps[size], states)
    return errors(truth, model.scaling.inverse_transform(reached)).mse


@torch.inference_mode()
def _step(flow_map: FlowMap, states: np.ndarray) -> np.ndarray:
    """Return the states (n, d) one step later, float64."""
    like = next(flow_map.buffers())
    return np.asarray(flow_map(torch.from_numpy(states).to(like.dtype)).double().numpy())
