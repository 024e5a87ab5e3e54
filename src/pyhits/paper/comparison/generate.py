"""Train a model on a sequence, let it generate, and keep what it did."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from pyhits._version import __version__
from pyhits.encoders import Standardise
from pyhits.hits import HiTS
from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.paper import rivals
from pyhits.paper.comparison.data import Coded, coded, settings
from pyhits.paper.comparison.problems import VALIDATION
from pyhits.paper.study import Study
from pyhits.policies import Training, arguments

#: Raised whenever equal settings begin to give other results.
VERSION = 1

#: Steps in the loss of the paper's recipe for HiTS.
_PAPER_ROLLOUT = 3

#: Recipes of each model; of several, the one with the smaller error counts. Small studies try ours
#: alone.
RECIPES = {
    "hits": ("pyhits",),
    "lstm": ("pyhits", "paper"),
    "esn": ("pyhits", "paper"),
    "cwrnn": ("pyhits", "paper"),
}


@dataclass(frozen=True)
class Task:
    """What one model is asked.

    Attributes
    ----------
    sequence, protocol, model, recipe : str
    """

    sequence: str
    protocol: str
    model: str
    recipe: str


@dataclass(frozen=True)
class Generated:
    """What a model generated.

    Attributes
    ----------
    task : Task
    states : array, shape (time, feature)
        In coded coordinates, from the row that was given on; NaN where it diverged.
    parameters : int
        Trained numbers, as Table 3 counts them.
    seconds : float
        Of training, on one core.
    detail : str
        What was chosen, for people.
    """

    task: Task
    states: np.ndarray
    parameters: int
    seconds: float
    detail: str

    def mse(self, found: Coded) -> float:
        """Return the mean squared error over rows and features, the given row left out."""
        return ForecastErrors.of(truth(found, self.task.protocol)[None], self.states[None]).mse


def truth(found: Coded, protocol: str) -> np.ndarray:
    """Return the rows that are to be generated, from the one that is given on."""
    return found.values if protocol == "reproduce" else found.values[found.n_train - 1 :]


def tasks(study: Study, protocols: Iterable[str]) -> list[Task]:
    """Return all that a study of sequences asks its models."""
    return [
        Task(sequence, protocol, model, recipe)
        for protocol in protocols
        for sequence in study.sequences
        for model in RECIPES
        for recipe in _recipes(study, model)
    ]


def _recipes(study: Study, model: str) -> tuple[str, ...]:
    if study.recipe == "paper":
        return ("paper",)
    return ("pyhits",) if study.budget.small_sequences else RECIPES[model]


def best(study: Study, sequence: str, protocol: str, model: str) -> Generated:
    """Return what a model generated with the recipe that serves it best."""
    found = coded(study, sequence, protocol)
    recipes = _recipes(study, model)
    tried = [generated(study, Task(sequence, protocol, model, r)) for r in recipes]
    return min(tried, key=lambda one: one.mse(found))


def generated(study: Study, task: Task) -> Generated:
    """Return what a model generated, from the cache or by training it."""
    return study.once(("generated", task), lambda: _generated(study, task))


def prepare(study: Study, protocols: Iterable[str]) -> None:
    """Train what is not in the cache yet, one model a core."""
    todo = [
        task for task in tasks(study, protocols) if not study.cache.has(_KIND, _about(study, task))
    ]
    if not todo:
        return
    for task in todo:
        coded(study, task.sequence, task.protocol)
    seconds = sum(_seconds(study, task) for task in todo)
    workers = min(study.n_jobs, len(todo))
    if math.isfinite(seconds):
        study.say(
            f"Training {len(todo)} models of sequences, {workers} at a time: up to "
            f"{seconds / workers / 60:.0f} minutes."
        )
    # The longest first, so that no core waits for them at the end.
    todo.sort(key=lambda task: -study.sequence_problem(task.sequence).seconds)
    study.side_by_side(_generated, todo, "training", workers)


def _seconds(study: Study, task: Task) -> float:
    """Return the time that a model is given for its training."""
    given = study.budget.sequence_seconds
    return study.sequence_problem(task.sequence).seconds if given is None else given


#: Folder of the cache.
_KIND = "generated"


def _about(study: Study, task: Task) -> dict[str, Any]:
    """Return all that depends on, as plain JSON values."""
    problem = study.sequence_problem(task.sequence)
    seconds = _seconds(study, task)
    partly = task.protocol == "forecast" and problem.n_modes is not None
    return {
        "task": asdict(task),
        "data": settings(study, problem, partly=partly),
        "step_sizes": list(problem.step_sizes),
        "hidden_sizes": list(problem.hidden_sizes),
        "units": problem.units,
        "seconds": seconds if math.isfinite(seconds) else None,
        "seed": study.seed,
        "version": VERSION,
        "pyhits": __version__,
    }


def _generated(study: Study, task: Task) -> Generated:
    arrays, facts = study.cache.arrays(_KIND, _about(study, task), lambda: _make(study, task))
    return Generated(task, arrays["states"], **facts)


def _make(study: Study, task: Task) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Train in one thread, as every model does, and generate."""
    found = coded(study, task.sequence, task.protocol)
    seconds = _seconds(study, task)
    limit = seconds if math.isfinite(seconds) else None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    begin = time.perf_counter()
    try:
        if task.model == "hits":
            model, given = fit_hierarchy(study, task, found, limit)
        else:
            model, given = _rival(study, task, found, limit)
        took = time.perf_counter() - begin
        rows = truth(found, task.protocol)
        ahead = len(rows) - 1
        if task.protocol == "reproduce" or task.model == "hits":
            states = model.forecast(rows[0], ahead, on_divergence="return")
        else:
            states = model.forecast_from(given, ahead, on_divergence="return")
    finally:
        torch.set_num_threads(threads)
    facts = {"parameters": _parameters(model), "seconds": took, "detail": _detail(model, task)}
    return {"states": np.asarray(states, dtype=np.float64)}, facts


def fit_hierarchy(
    study: Study, task: Task, found: Coded, limit: float | None
) -> tuple[HiTS, np.ndarray]:
    """Fit a hierarchy with the nets of Table 4, as many of them as the data are long enough for."""
    problem, values = found.problem, found.values
    given = values if task.protocol == "reproduce" else values[: found.n_train]
    longest = len(values) if task.protocol == "reproduce" else round(VALIDATION * len(given))
    rollout = _PAPER_ROLLOUT if task.recipe == "paper" else 1
    sizes = [size for size in problem.step_sizes if rollout * size < longest - 1]
    widths = dict(zip(problem.step_sizes, problem.hidden_sizes, strict=True))
    common: dict[str, Any] = {
        "hidden_sizes": {size: [widths[size]] for size in sizes},
        "encoder": Standardise(common=True),
        "validation": VALIDATION,
        "time_limit": limit,
        "n_jobs": 1,
        "random_state": study.seed,
        "verbose": False,
    }
    if task.recipe == "paper":
        # As the authors' code has it for sequences: three steps in the loss, windows from all over
        # the sequence in batches of a hundred, 10,000 of them.
        common["training"] = Training(
            "paper", windows="anywhere", rollout_steps=rollout, batch_size=100, max_steps=10_000
        )
    elif task.protocol == "reproduce":
        common |= {"training": "reproduce", "dtype": "float64"}
    else:
        common |= {"optimizer": "ridge", "dtype": "float64"}
    if task.protocol == "forecast":
        return HiTS(**arguments(step_sizes=sizes, **common)).fit(given, dt=found.dt), given
    model = HiTS(**arguments(step_sizes=sizes, selection="all", **common))
    return model.fit(given, validation=given, dt=found.dt), given


def _rival(study: Study, task: Task, found: Coded, limit: float | None) -> tuple[Any, np.ndarray]:
    problem, values = found.problem, found.values
    units = problem.units[task.model]
    # The paper's recipe scales every feature by its range; ours all by one number, as for HiTS.
    scaling = None if task.recipe == "paper" else Standardise(common=True)
    common: dict[str, Any] = {
        "recipe": task.recipe,
        "time_limit": limit,
        "scaling": scaling,
        "random_state": study.seed,
        "verbose": False,
    }
    if task.model == "lstm":
        model: Any = rivals.LSTM(units, **common)
    elif task.model == "cwrnn":
        model = rivals.ClockworkRNN(units, problem.step_sizes, **common)
    else:
        model = rivals.EchoStateNetwork(units, **common)
    if task.protocol == "reproduce":
        return model.fit(values, dt=found.dt), values
    given = values[: found.n_train]
    n = round(VALIDATION * len(given))
    return model.fit(given[:-n], validation=given[-n:], dt=found.dt), given


def _parameters(model: Any) -> int:
    if isinstance(model, HiTS):
        return sum(flow_map.n_parameters for flow_map in model.flow_maps_.values())
    return int(model.n_parameters_)


def _detail(model: Any, task: Task) -> str:
    if isinstance(model, HiTS):
        kinds = "; ".join(f"{s}: {h.flow_map}" for s, h in model.history_.items())
        coupled = ", ".join(map(str, model.selection_.step_sizes))
        return f"couples {coupled}; step {kinds}"
    return f"recipe {task.recipe}"
