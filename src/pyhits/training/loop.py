"""Training of one scale: batches, optimiser, validation, stopping, and resuming where it was."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyhits.errors import TrainingError
from pyhits.flowmaps import FlowMap, PolynomialMap, ScaledNet
from pyhits.training import optimisers
from pyhits.training.checkpoint import load_progress, save_progress
from pyhits.training.history import History
from pyhits.training.objective import Objective
from pyhits.training.recipe import Recipe
from pyhits.training.stages import Stages, prepare
from pyhits.training.teacher import TaughtWindows, teach
from pyhits.training.windows import WindowSampler

#: Batches drawn at once, for fewer and larger gathers, and the numbers in them at most.
_CHUNK, _MOST_NUMBERS = 64, 8_000_000

#: ``History.stopped_by`` of a training whose error was not finite.
_BLEW_UP = "not finite"

#: Fraction of the steps that two nets are trained for where it is open which is better.
_PILOT = 0.1

#: Trainings of fewer steps or seconds do without taught windows, which take some seconds to make;
#: so do those whose polynomial stage has a smaller relative error.
_LEAST_TAUGHT_STEPS, _LEAST_TAUGHT_SECONDS, _TAUGHT_ABOVE = 2000, 20.0, 1e-6

#: ``progress(step, total, validation_error)``.
Progress = Callable[[int, int, float], None]


@dataclass
class ScaleJob:
    """All that one scale's training needs; plain values and arrays, so that it travels.

    Attributes
    ----------
    train, held : WindowSampler
        Windows to train on, and to measure errors on.
    recipe : Recipe
        Resolved settings.
    seed : int
        Seeds the weights; the samplers hold their own.
    dtype : str
        ``float32`` or ``float64``.
    device : str
        A torch device.
    time_limit : float, optional
        Seconds; the learning rate reaches zero then. The result depends on the machine.
    checkpoint : Path, optional
        File in which progress is kept.
    checkpoint_seconds : float
        Time between two writings of it.
    """

    train: WindowSampler
    held: WindowSampler
    recipe: Recipe
    seed: int
    dtype: str = "float32"
    device: str = "cpu"
    time_limit: float | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 5.0

    @property
    def step_size(self) -> int:
        """Rows per step."""
        return self.train.step_size


@dataclass
class _Progress:
    """Where a training is: everything that a resumed one needs besides the seeds."""

    step: int = 0
    seconds: float = 0.0
    best_step: int = 0
    best_error: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    focus: Tensor | None = None
    records: list[dict[str, float]] = field(default_factory=list)


def train_scale(job: ScaleJob, progress: Progress | None = None) -> tuple[FlowMap, History]:
    """Train the flow map of one scale.

    Returns
    -------
    flow_map : FlowMap
        On the CPU, in evaluation mode; weights of the best validation error.
    history : History

    Raises
    ------
    TrainingError
        The loss was not finite, whatever the learning rate.
    DataError
        No trajectory is long enough for the step size.
    """
    dtype = getattr(torch, job.dtype)
    begin = time.perf_counter()
    stages = prepare(job.train, job.held, job.recipe, dtype, job.seed)
    if _worth_teaching(job, stages):
        degree = job.recipe.polynomial_degree
        stages.taught = teach(job.train, job.held, degree=degree, sigma=stages.sigma)
    if job.time_limit is not None:
        left = job.time_limit - (time.perf_counter() - begin)
        job = replace(job, time_limit=max(left, 1e-9))
    history = History(job.step_size, n_windows=job.train.n_windows)
    history.polynomial_error = stages.polynomial_error
    flow_map: FlowMap
    target = stages.relative_target(dtype, job.recipe.target_error)
    if stages.polynomial is not None and stages.polynomial_error <= target:
        flow_map = stages.polynomial.to(dtype)
        history.stopped_by = "closed form"
        history.validation_error = stages.polynomial_error
        history.flow_map = _describe(flow_map)
    else:
        flow_map = _train_net(job, stages, history, progress)
    held = stages.held
    with torch.inference_mode():
        predicted = flow_map.within(torch.from_numpy(held[0]).to(dtype)).double().numpy()
    truth = held[1 : 1 + flow_map.outputs].swapaxes(0, 1)
    history.one_step_mse = float(np.mean(np.square(predicted - truth)))
    history.seconds = max(time.perf_counter() - begin, history.seconds)
    return flow_map.eval(), history


def _worth_teaching(job: ScaleJob, stages: Stages) -> bool:
    """Whether a net will be trained, long enough to be short of recorded windows."""
    recipe = job.recipe
    enough = (recipe.max_steps or 0) >= _LEAST_TAUGHT_STEPS
    enough &= job.time_limit is None or job.time_limit >= _LEAST_TAUGHT_SECONDS
    possible = recipe.taught > 0 and recipe.polynomial_degree > 0 and recipe.windows == "anywhere"
    return enough and possible and stages.polynomial_error > _TAUGHT_ABOVE


def _train_net(
    job: ScaleJob, stages: Stages, history: History, progress: Progress | None
) -> FlowMap:
    """Train the net; fall back on smaller learning rates, and on the polynomial if it is better."""
    if stages.rival is not None:
        _race(job, stages, stages.rival, progress)
        if job.time_limit is not None:
            job = replace(job, time_limit=(1 - 2 * _PILOT) * job.time_limit)
    state = _Progress()
    for factor in (1.0, 0.3, 0.1):
        tried = _try(job, stages, factor, history, progress)
        if tried.best_error < state.best_error:
            state = tried
        if history.stopped_by != _BLEW_UP:
            break
    history.records, history.seconds = state.records, state.seconds
    polynomial = stages.polynomial
    error = state.best_error
    if math.isfinite(error):
        stages.net.load_state_dict(state.best)
        if job.recipe.rollout_steps > 1:
            # Errors over several steps do not compare with the polynomial's over one.
            error = stages.one_step_error(stages.net)
    if polynomial is not None and not error < stages.polynomial_error:
        history.validation_error = stages.polynomial_error
        chosen: FlowMap = polynomial.to(getattr(torch, job.dtype))
    elif math.isfinite(error):
        history.validation_error = error
        chosen = stages.net
    else:
        raise TrainingError(
            f"The loss of step size {job.step_size} was not finite at any learning rate; look for "
            "outliers in the data, or lower learning_rate."
        )
    history.flow_map = _describe(chosen)
    return chosen


def _race(job: ScaleJob, stages: Stages, rival: ScaledNet, progress: Progress | None) -> None:
    """Train both nets briefly and keep the better as the net of ``stages``."""
    assert job.recipe.max_steps is not None
    brief = job.recipe.override(max_steps=max(1, round(_PILOT * job.recipe.max_steps)))
    limit = None if job.time_limit is None else _PILOT * job.time_limit
    pilot = replace(job, recipe=brief, time_limit=limit, checkpoint=None)
    contest = [stages, replace(stages, net=rival)]

    def alive(*_: float) -> None:
        if progress is not None:
            progress(0, job.recipe.max_steps or 1, math.inf)

    errors = [_try(pilot, s, 1.0, History(job.step_size), alive).best_error for s in contest]
    if errors[1] < errors[0]:
        stages.net = rival


def _describe(flow_map: FlowMap) -> str:
    base = flow_map.base if isinstance(flow_map, ScaledNet) else flow_map
    parts = [f"polynomial (degree {base.degree})"] if isinstance(base, PolynomialMap) else []
    if isinstance(flow_map, ScaledNet):
        parts.append("net")
    dense = f", {flow_map.outputs} outputs" if flow_map.outputs > 1 else ""
    return " + ".join(parts) + dense


def _try(
    job: ScaleJob,
    stages: Stages,
    factor: float,
    history: History,
    progress: Progress | None,
) -> _Progress:
    """Train once; what an optimiser cannot factorise counts as an error that is not finite."""
    try:
        return _run(job, stages, factor, history, progress)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        history.stopped_by = _BLEW_UP
        return _Progress()


def _run(
    job: ScaleJob,
    stages: Stages,
    factor: float,
    history: History,
    progress: Progress | None,
) -> _Progress:
    """Train once, from the start or from where the checkpoint left off."""
    recipe = job.recipe
    assert recipe.max_steps is not None
    assert recipe.batch_size is not None
    net = copy.deepcopy(stages.net).to(job.device)
    objective = Objective(net, stages.sigma, job.device, recipe.rollout_steps)
    optimiser = optimisers.build(recipe.optimizer, net.parameters(), recipe.learning_rate * factor)
    base_rates = [group["lr"] for group in optimiser.param_groups]
    state = _Progress()
    resumed = None if job.checkpoint is None else load_progress(job.checkpoint, factor)
    if resumed is not None:
        values, weights, optimiser_state = resumed
        # A limit in seconds may have decided the race the other way: then begin anew.
        if weights.keys() == net.state_dict().keys():
            state = _Progress(**values)
            net.load_state_dict(weights)
            optimiser.load_state_dict(optimiser_state)
    held = objective.tensors(stages.held)
    taught = copy.copy(stages.taught)
    if taught is not None and state.focus is not None:
        taught.focus = state.focus
    fixed = objective.tensors(job.train.first()) if recipe.windows == "first" else None
    target = stages.relative_target(net.scale.dtype, recipe.target_error)
    numbers = recipe.batch_size * len(stages.held) * stages.held.shape[-1]
    batches = max(1, min(_CHUNK, _MOST_NUMBERS // max(1, numbers)))
    every = max(1, min(500, recipe.max_steps // 20))
    begin = time.perf_counter() - state.seconds
    saved = time.perf_counter()

    while state.step < recipe.max_steps:
        chunk, inside = divmod(state.step, batches)
        if inside == 0:
            state.seconds = time.perf_counter() - begin
            if job.checkpoint and time.perf_counter() - saved > job.checkpoint_seconds:
                save_progress(job.checkpoint, factor, vars(state), net, optimiser)
                saved = time.perf_counter()
            if progress is not None:
                progress(state.step, recipe.max_steps, state.best_error)
            if fixed is None:
                drawn = objective.tensors(_draw(job, taught, batches, chunk))
        fraction = state.step / recipe.max_steps
        if job.time_limit is not None:
            fraction = max(fraction, (time.perf_counter() - begin) / job.time_limit)
        if fraction >= 1:
            history.stopped_by = "time"
            break
        inputs, targets = _batch(fixed or drawn, inside, recipe)
        multiplier = optimisers.rate(fraction, state.step, recipe.schedule)
        for group, base_rate in zip(optimiser.param_groups, base_rates, strict=True):
            group["lr"] = base_rate * multiplier
        optimiser.zero_grad(set_to_none=True)
        loss = objective(inputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        state.step += 1
        if state.step % every == 0 or state.step == recipe.max_steps:
            error = objective.relative_error(held)
            if taught is not None:
                taught.focus_on(objective.errors(taught.windows))
                state.focus = taught.focus
            state.seconds = time.perf_counter() - begin
            state.records.append(
                {
                    "step": state.step,
                    "seconds": state.seconds,
                    "train_error": float(loss.detach()) * objective.to_relative,
                    "validation_error": error,
                    "learning_rate": recipe.learning_rate * factor * multiplier,
                }
            )
            if not math.isfinite(error):
                history.stopped_by = _BLEW_UP
                return state
            if error < state.best_error:
                state.best_error, state.best_step = error, state.step
                state.best = {k: v.detach().clone() for k, v in net.state_dict().items()}
            one_step = error if recipe.rollout_steps == 1 else stages.one_step_error(net)
            if one_step <= target:
                history.stopped_by = "target"
                break
            waited = state.step - state.best_step
            if recipe.patience and waited > max(1000, recipe.patience * recipe.max_steps):
                history.stopped_by = "patience"
                break
    else:
        history.stopped_by = "steps"
    if not state.best:
        # No time for a single validation.
        state.best_error = objective.relative_error(held)
        state.best = {k: v.detach().clone() for k, v in net.state_dict().items()}
    state.seconds = time.perf_counter() - begin
    return state


def _draw(job: ScaleJob, taught: TaughtWindows | None, batches: int, chunk: int) -> np.ndarray:
    """Return the windows of the next batches, the taught ones at the end of each."""
    size = job.recipe.batch_size or 1
    if taught is None:
        return job.train.draw(batches * size, chunk)
    n_taught = round(job.recipe.taught * size)
    recorded = job.train.draw(batches * (size - n_taught), chunk)
    others = taught.draw(batches * n_taught, chunk)
    d = recorded.shape[-1]
    parts = recorded.reshape(2, batches, -1, d), others.reshape(2, batches, -1, d)
    return np.concatenate(parts, axis=2).reshape(2, -1, d)


def _batch(windows: tuple[Tensor, Tensor], inside: int, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Return one batch: a slice of the windows drawn, or all of the first windows."""
    inputs, targets = windows
    size = recipe.batch_size or len(inputs)
    if recipe.windows == "first":
        size = min(size, len(inputs))
        begin = inside * size % max(1, len(inputs) - size + 1)
    else:
        begin = inside * size
    return inputs[begin : begin + size], targets[:, begin : begin + size]
