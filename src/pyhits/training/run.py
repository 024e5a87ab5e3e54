"""One net in training: batches, steps, validation, stopping, and resuming where it was."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps import ScaledNet
from pyhits.training import optimisers
from pyhits.training.checkpoint import load_progress, save_progress
from pyhits.training.history import History
from pyhits.training.jobs import Progress, ScaleJob
from pyhits.training.objective import Objective
from pyhits.training.recipe import Recipe
from pyhits.training.sampling import Sampling, make_sampling
from pyhits.training.stages import Stages
from pyhits.training.synthetic import SyntheticWindows

#: Numbers in the batches that are drawn at once, at most.
_MOST_NUMBERS = 8_000_000

#: ``History.stopped_by`` of a training whose error was not finite.
BLEW_UP = "not finite"

#: What a net is judged by in place of its loss on the held-out windows.
Judge = Callable[[ScaledNet], float]

#: Steps without gain that patience has at least, and of nets that are judged: where these gained
#: nothing over so many, they gained nothing later.
_LEAST_PATIENCE, _LEAST_OF_JUDGED = 1000, 450

#: Parts of the steps, and multiples of the error to come near: a judged net that is still further
#: behind is given up. From there on errors fell to a ninth, and to a quarter, at best.
_MILESTONES = ((0.25, 6.0), (0.5, 3.0))

#: ``History.stopped_by`` of such a training.
BEHIND = "behind"


@dataclass
class TrainingState:
    """Where a training is: everything that a resumed one needs besides the seeds."""

    step: int = 0
    seconds: float = 0.0
    best_step: int = 0
    best_error: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    focus: Tensor | None = None
    pool: int = 0
    pool_focus: Tensor | None = None
    records: list[dict[str, float]] = field(default_factory=list)


class NetTraining:
    """One net of one scale in training: what it is shown, how it fares and when it stops.

    Parameters
    ----------
    job, stages, history
        Of its scale; ``stopped_by`` of the history will be set.
    factor : float
        Of the recipe's learning rate.
    progress : callable, optional
        Called at every chunk.
    judge : callable, optional
        Returns the error that the best weights are kept by; by default the loss on the held-out
        windows.
    bar : float, optional
        Error that the judge gives what the net competes with: one that stays far behind is given
        up.
    """

    def __init__(
        self,
        job: ScaleJob,
        stages: Stages,
        factor: float,
        history: History,
        progress: Progress | None,
        judge: Judge | None = None,
        bar: float = math.inf,
    ) -> None:
        self.job, self.stages, self.factor, self.history = job, stages, factor, history
        self.progress, self.judge, self.bar = progress, judge, bar
        recipe = job.recipe
        assert recipe.max_steps is not None
        assert recipe.batch_size is not None
        self.max_steps = recipe.max_steps
        self.learning_rate = recipe.learning_rate * factor
        self.net = copy.deepcopy(stages.net).to(job.device)
        self.objective = Objective(
            self.net, stages.sigma, job.device, recipe.rollout_steps, job.train.n_inputs
        )
        self.state = TrainingState()
        self.over = False
        self.target = stages.relative_target(self.net.scale.dtype, recipe.target_error)
        self.synthetic = copy.copy(stages.synthetic)
        self._validation = self.objective.tensors(stages.validation)
        if self.synthetic is not None:
            self._synthetic = self.objective.tensors(self.synthetic.windows)
        self._first: tuple[Tensor, Tensor] | None = None
        if recipe.windows == "first":
            self._first = self.objective.tensors(job.train.first())
        numbers = recipe.batch_size * len(stages.validation) * stages.validation.shape[-1]
        #: Batches in a chunk, and steps between two validations.
        self.batches = max(1, min(job.tuning.chunk, _MOST_NUMBERS // max(1, numbers)))
        self.every = max(1, min(500, self.max_steps // 20))
        self.recorded = Sampling(job.train)
        if recipe.windows == "anywhere":
            shown = self.every * recipe.batch_size
            self.recorded = make_sampling(recipe.sampling, job.train, shown)
        self._saved = time.perf_counter()

    def resume(self, optimiser: torch.optim.Optimizer) -> None:
        """Go on from the checkpoint, if there is one."""
        job = self.job
        resumed = None if job.checkpoint is None else load_progress(job.checkpoint, self.factor)
        if resumed is None:
            return
        values, weights, optimiser_state = resumed
        groups = optimiser_state["param_groups"], optimiser.state_dict()["param_groups"]
        # A limit in seconds may have decided the race the other way, or another version may have
        # written it: then begin anew.
        same = [[group.keys() for group in of] for of in groups]
        if weights.keys() == self.net.state_dict().keys() and same[0] == same[1]:
            self.state = TrainingState(**values)
            self.net.load_state_dict(weights)
            # Tensors of files may begin anywhere, and products round by where they do.
            optimiser.load_state_dict(copy.deepcopy(optimiser_state))
            if self.synthetic is not None and self.state.focus is not None:
                self.synthetic.focus = self.state.focus
            self.recorded.resume(self.state.pool, self.state.pool_focus)

    def check_in(self, step: int, seconds: float, optimiser: torch.optim.Optimizer) -> None:
        """Note where training is, save it if that is due, and report it."""
        if self.over:
            return
        job, state = self.job, self.state
        state.step, state.seconds = step, seconds
        if job.checkpoint and time.perf_counter() - self._saved > job.checkpoint_seconds:
            save_progress(job.checkpoint, self.factor, vars(state), self.net, optimiser)
            self._saved = time.perf_counter()
        if self.progress is not None:
            self.progress(step, self.max_steps, state.best_error)

    def windows(self, chunk: int) -> tuple[Tensor, Tensor]:
        """Return the windows of a chunk's batches on the device, synthetic ones in each."""
        if self._first is not None:
            return self._first
        drawn = _draw(self.job.recipe, self.recorded, self.synthetic, self.batches, chunk)
        return self.objective.tensors(drawn)

    def validate(self, step: int, seconds: float, loss: float, learning_rate: float) -> bool:
        """Measure the net, keep it if it is the best so far, and return whether to stop."""
        recipe, state, history = self.job.recipe, self.state, self.history
        state.step, state.seconds = step, seconds
        error = self._error()
        if self.synthetic is not None:
            self.synthetic.focus_on(self.objective.errors(*self._synthetic))
            state.focus = self.synthetic.focus
        self.recorded.refresh(step // self.every, self._errors)
        state.pool, state.pool_focus = self.recorded.number, self.recorded.focus
        state.records.append(
            {
                "step": step,
                "seconds": seconds,
                "train_error": loss * self.objective.to_relative,
                "validation_error": error,
                "learning_rate": learning_rate,
            }
        )
        self.over = True
        if not math.isfinite(error):
            history.stopped_by = BLEW_UP
            return True
        if error < state.best_error:
            self._keep(error)
        is_one_step = recipe.rollout_steps == 1 and self.judge is None
        one_step = error if is_one_step else self.stages.one_step_error(self.net)
        waited = step - state.best_step
        least = _LEAST_PATIENCE if self.judge is None else _LEAST_OF_JUDGED
        if one_step <= self.target:
            history.stopped_by = "target"
        elif recipe.patience and waited > max(least, recipe.patience * self.max_steps):
            history.stopped_by = "patience"
        elif self._is_behind(step):
            history.stopped_by = BEHIND
        else:
            self.over = False
        return self.over

    def _is_behind(self, step: int) -> bool:
        """Whether the net has come to a milestone too far behind what it competes with."""
        error = self.state.best_error
        return any(
            step >= part * self.max_steps and error > much * self.bar for part, much in _MILESTONES
        )

    def stop(self, step: int, seconds: float) -> None:
        """End because steps or time are over."""
        self.over = True
        self.history.stopped_by = "steps" if step == self.max_steps else "time"
        self.state.step, self.state.seconds = step, seconds
        if not self.state.best:
            # No time for a single validation.
            self._keep(self._error())

    def _error(self) -> float:
        if self.judge is not None:
            return self.judge(self.net)
        return self.objective.relative_error(self._validation)

    def _errors(self, windows: np.ndarray) -> Tensor:
        return self.objective.errors(*self.objective.tensors(windows))

    def _keep(self, error: float) -> None:
        state = self.state
        state.best_error, state.best_step = error, state.step
        state.best = {k: v.detach().clone() for k, v in self.net.state_dict().items()}


class SteppedNets(Protocol):
    """What is stepped together: one net, or several in a stack; ``runs`` share their settings."""

    runs: list[NetTraining]

    def show(self, chunk: int) -> int:
        """Draw the windows of a chunk for the runs that go on; return how many each has."""

    def losses(self, batch: slice) -> Tensor:
        """Return the loss of every run on part of the windows, shape ``(n_runs,)`` or ``()``."""

    def write(self) -> None:
        """Let the nets of the runs have the present weights."""


class SingleNet:
    """A single run, of any family of nets."""

    def __init__(self, run: NetTraining) -> None:
        self.runs = [run]

    def show(self, chunk: int) -> int:
        """Draw the windows of a chunk."""
        self._inputs, self._targets = self.runs[0].windows(chunk)
        return len(self._inputs)

    def losses(self, batch: slice) -> Tensor:
        """Return the loss, shape ``()``."""
        return self.runs[0].objective(self._inputs[batch], self._targets[:, batch])

    def write(self) -> None:
        """Do nothing: the net itself is stepped."""


def advance(model: SteppedNets, optimiser: torch.optim.Optimizer) -> Iterator[NetTraining]:
    """Train until every run is over, and yield each when it is."""
    first = model.runs[0]
    recipe, limit = first.job.recipe, first.job.time_limit
    step = first.state.step
    begin = time.perf_counter() - first.state.seconds
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    while step < first.max_steps and not all(run.over for run in model.runs):
        chunk, inside = divmod(step, first.batches)
        if inside == 0:
            for run in model.runs:
                run.check_in(step, time.perf_counter() - begin, optimiser)
            n_windows = model.show(chunk)
        fraction = step / first.max_steps
        if limit is not None:
            fraction = max(fraction, (time.perf_counter() - begin) / limit)
        if fraction >= 1:
            break
        learning_rate = first.learning_rate * optimisers.rate(fraction, step, recipe.schedule)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate
        for parameter in parameters:
            parameter.grad = None
        losses = model.losses(_batch(recipe, inside, n_windows))
        losses.sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        step += 1
        if step % first.every == 0 or step == first.max_steps:
            model.write()
            seconds = time.perf_counter() - begin
            for run, loss in zip(model.runs, losses.detach().view(-1).tolist(), strict=True):
                if not run.over and run.validate(step, seconds, loss, learning_rate):
                    yield run
    for run in model.runs:
        if not run.over:
            run.stop(step, time.perf_counter() - begin)
            yield run


def train(run: NetTraining) -> TrainingState:
    """Train one net from the start, or from where its checkpoint left off."""
    recipe = run.job.recipe
    optimiser = optimisers.build(recipe.optimizer, run.net.parameters(), run.learning_rate)
    run.resume(optimiser)
    for _ in advance(SingleNet(run), optimiser):
        pass
    return run.state


def _draw(
    recipe: Recipe, sampling: Sampling, synthetic: SyntheticWindows | None, batches: int, chunk: int
) -> np.ndarray:
    """Return the windows of the next batches, the synthetic ones at the end of each."""
    size = recipe.batch_size or 1
    if synthetic is None:
        return sampling.draw(batches * size, chunk)
    n_synthetic = round(recipe.synthetic * size)
    recorded = sampling.draw(batches * (size - n_synthetic), chunk)
    others = synthetic.draw(batches * n_synthetic, chunk)
    d = recorded.shape[-1]
    parts = recorded.reshape(2, batches, -1, d), others.reshape(2, batches, -1, d)
    return np.concatenate(parts, axis=2).reshape(2, -1, d)


def _batch(recipe: Recipe, inside: int, n_windows: int) -> slice:
    """Return where the next batch lies: in the windows drawn, or among all first windows."""
    size = recipe.batch_size or n_windows
    begin = inside * size
    if recipe.windows == "first":
        size = min(size, n_windows)
        begin = inside * size % max(1, n_windows - size + 1)
    return slice(begin, begin + size)
