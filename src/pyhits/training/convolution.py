"""Convolutional nets for fields: noisy inputs, short rollouts in the loss, judged by rollouts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pyhits.data.grid import Grid
from pyhits.errors import TrainingError
from pyhits.flowmaps import FlowMap, create
from pyhits.flowmaps.convolution import ConvolutionMap, usual_kernel
from pyhits.training import optimisers
from pyhits.training.fields import Batch, FieldBatches
from pyhits.training.history import History
from pyhits.training.jobs import Progress
from pyhits.training.rollouts import Rollouts
from pyhits.training.run import BLEW_UP
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock

#: Returns the error in rollouts of a flow map.
Judge = Callable[[FlowMap], float]

#: ``History.stopped_by`` of a training that has had the seconds of its recipe.
BUDGET = "budget"

#: Parts of the training after which the net is judged.
_JUDGED = (0.4, 0.6, 0.7, 0.8, 0.9, 0.95)

#: Parts of the learning rate that are tried until the loss stays finite.
_FACTORS = (1.0, 0.3, 0.1)

#: Dilations of residual layers by the number of axes; rows of a step for which these are as they
#: are, and how far they grow with it: with more, points in between would be overlooked.
_DILATIONS = ((1, 1, 1, 1), (1, 2, 4, 8, 4, 2), (1, 2, 4, 2))
_ROWS_PER_POINT, _MOST_APART = 4, 7

#: Multiply-adds of one judgement for each second of the training, at most, about; steps of a net in
#: it below which the net is judged at the end alone; and trajectories from which whole ones are
#: followed, not halves.
_WORK, _FEW_STEPS, _MANY = 5e8, 8, 4

#: Numbers that scales are measured on, at most; and the least part of a channel's deviation that
#: its increments count as: rounding is not to be learned.
_MOST_NUMBERS, _SMALLEST = 4_000_000, 1e-9


@dataclass(frozen=True)
class ConvolutionRecipe:
    """How a convolutional net is made and trained."""

    hidden: int = 32  # channels of its layers
    seconds: float = 200.0  # of training, at most; the learning rate reaches zero then
    max_steps: int | None = None  # optimiser steps, at most
    learning_rate: float = 6e-3  # at the beginning; it falls to zero as a cosine
    #: points, frames: Of a batch, about and at most; see
    #: :class:`~pyhits.training.fields.FieldBatches`.
    points: int = 5120
    frames: int = 32
    #: Standard deviations, in those of each channel, of what is added to the states that windows
    #: begin in: between the two, each window's drawn evenly in its logarithm. The net learns to
    #: lead from there to the recorded state, so that it damps what its own errors put where
    #: recorded states never are (Sanchez-Gonzalez et al. 2020, arXiv 2002.09405, section 4). Large
    #: noise makes rollouts stable, small noise leaves them exact.
    noise: tuple[float, float] = (1e-4, 1e-3)
    rollout_steps: int = 1  # steps in the loss (paper, equation 9)


#: Part of the time there is that training takes; the rest is to judge nets.
_TO_TRAIN = 0.7

#: What measured best.
USUAL_CONVOLUTION = ConvolutionRecipe()


def train_convolution(
    train: WindowSampler,
    validation: WindowSampler,
    grid: Grid,
    *,
    recipe: ConvolutionRecipe = USUAL_CONVOLUTION,
    judge: Judge | None = None,
    clock: Clock = UNLIMITED,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[ConvolutionMap, History]:
    """Return a convolutional net for one scale, with the weights whose rollouts erred least.

    Raises TrainingError: the loss was not finite at any learning rate.
    Raises DataError: no trajectory is long enough for the step size.

    Parameters
    ----------
    train, validation : WindowSampler
        Windows to train on, and what rollouts are compared with. Rows are fields flattened in C
        order, channel last.
    grid : Grid
        Of the rows. Axes of which it is not known whether they are periodic count as walled.
    judge : callable, optional
        Returns the error in rollouts of a net; by default that of
        :class:`~pyhits.training.rollouts.Rollouts` of the validation part.
    clock : Clock, optional
        Training ends with it, and with the recipe's seconds.
    seed : int
        Of the first weights and of the noise.
    """
    longer = replace(train, rollout_steps=recipe.rollout_steps)
    train = longer if 2 * longer.n_windows >= train.n_windows else replace(train, rollout_steps=1)
    net = _untrained(train, grid, recipe, seed)
    judge = judge or _judge(net, validation, recipe)
    history = History(train.step_size, n_windows=train.n_windows, flow_map=net.describe())
    is_short = clock.left < recipe.seconds
    if is_short:
        clock.cut("the training of convolutional nets")
    own = Clock.start(min(recipe.seconds, _TO_TRAIN * clock.left), clock.now)
    for factor in _FACTORS:
        training = _Training(net, train, recipe, judge, own, seed)
        training.run(factor * recipe.learning_rate, history, progress)
        if history.stopped_by != BLEW_UP or own.is_over:
            break
        net = _untrained(train, grid, recipe, seed)
    if not training.best:
        raise TrainingError(
            f"The loss of step size {train.step_size} was not finite at any learning rate; look "
            "for outliers in the data."
        )
    if is_short and history.stopped_by == BUDGET:
        history.stopped_by = "time"
    net.load_state_dict(training.best)
    history.validation_error, history.seconds = training.best_error, own.elapsed
    history.one_step_mse = _one_step_mse(net, validation, _affordable(net, recipe))
    return net.eval(), history


def _untrained(
    train: WindowSampler, grid: Grid, recipe: ConvolutionRecipe, seed: int
) -> ConvolutionMap:
    """Return a net whose scales are those of the windows."""
    channels = grid.n_channels
    config = {
        "shape": list(grid.shape),
        "channels": channels,
        "periodic": [bool(closed) for closed in grid.periodic],
        "hidden": recipe.hidden,
        "dilations": _dilations(grid, train.step_size),
        "outputs": train.outputs,
    }
    net = create(ConvolutionMap.kind, config, seed=seed)
    assert isinstance(net, ConvolutionMap)
    one_step = replace(train, rollout_steps=1)
    numbers = (train.outputs + 1) * train.values.shape[1]
    windows = one_step.spread(max(16, _MOST_NUMBERS // numbers))
    by_channel = windows.reshape(len(windows), -1, channels)
    deviation = by_channel[0].std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    changes = np.sqrt(np.square(by_channel[1:] - by_channel[0]).mean(axis=1))
    net.mean.copy_(torch.from_numpy(by_channel[0].mean(axis=0)))
    net.deviation.copy_(torch.from_numpy(deviation))
    net.scale.copy_(torch.from_numpy(np.where(changes > _SMALLEST * deviation, changes, 0.0)))
    return net


def _dilations(grid: Grid, step_size: int) -> list[int]:
    """Return how far residual layers see: further for longer steps, and never around the grid."""
    kernel = usual_kernel(grid.shape)
    furthest = min(n // max(1, k // 2) for n, k in zip(grid.shape, kernel, strict=True))
    apart = min(-(-step_size // _ROWS_PER_POINT), _MOST_APART)
    return [min(apart * far, furthest) for far in _DILATIONS[grid.n_axes - 1]]


def _affordable(net: ConvolutionMap, recipe: ConvolutionRecipe) -> int:
    """Return how many states may be stepped in one judgement."""
    return max(1, int(_WORK * recipe.seconds / net.multiply_adds))


def _judge(net: ConvolutionMap, validation: WindowSampler, recipe: ConvolutionRecipe) -> Judge:
    """Return the error of as many rollouts as the size of the net allows."""
    affordable = _affordable(net, recipe)
    steps = max(2, min(100, affordable // 4))
    most = max(1, min(12, affordable // steps))
    share = 1.0 if len(validation.offsets) > _MANY else 0.5
    return Rollouts.of(validation, most, steps, share).score


@torch.inference_mode()
def _one_step_mse(net: ConvolutionMap, validation: WindowSampler, most: int) -> float:
    """Return the mean squared error of one step on at most so many validation windows."""
    windows = replace(validation, rollout_steps=1).spread(min(most, 1000))
    squares = []
    for states, truth in zip(windows[0], windows[1:].swapaxes(0, 1), strict=True):
        after = net.within(torch.from_numpy(states)[None].to(net.scale.dtype))
        squares.append(np.square(after[0].double().numpy() - truth).mean())
    return float(np.mean(squares))


class _Training:
    """One training of a net.

    Attributes
    ----------
    best : dict of str to Tensor
        The weights that were best; empty where no loss was finite.
    """

    def __init__(
        self,
        net: ConvolutionMap,
        windows: WindowSampler,
        recipe: ConvolutionRecipe,
        judge: Judge,
        clock: Clock,
        seed: int,
    ) -> None:
        self.net, self.recipe, self.judge, self.clock = net, recipe, judge, clock
        self.batches = FieldBatches(net, windows, recipe.points, recipe.frames)
        self.noise = torch.Generator().manual_seed(seed)
        self.best: dict[str, Tensor] = {}
        self.best_error = math.inf
        self._begin = clock.now()

    def run(self, learning_rate: float, history: History, progress: Progress | None) -> None:
        """Train to the end of the time or of the steps."""
        optimiser = optimisers.build("soap", self.net.parameters(), learning_rate)
        often = _affordable(self.net, self.recipe) >= _FEW_STEPS
        due = list(_JUDGED) if often else []
        loss = math.nan
        for step, batch in enumerate(self.batches):
            done = self._done(step)
            if done >= 1 or (due and done >= due[0]):
                due = [part for part in due if part > done]
                self._assess(history, step, loss, optimiser.param_groups[0]["lr"])
                if progress is not None:
                    progress(round(1000 * done), 1000, self.best_error)
            if done >= 1:
                history.stopped_by = "steps" if step == self.recipe.max_steps else BUDGET
                return
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * optimisers.rate(done, step, "cosine", 100)
            optimiser.zero_grad()
            found = self._loss(batch)
            found.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            loss = float(found.detach())
            if not math.isfinite(loss):
                history.stopped_by = BLEW_UP
                return

    def _done(self, step: int) -> float:
        """Return the part of the training that is done."""
        seconds = self.clock.now() - self._begin
        time = seconds / max(self.clock.end - self._begin, 1e-9)
        most = self.recipe.max_steps
        return time if most is None else max(time, step / most)

    def _assess(self, history: History, step: int, loss: float, learning_rate: float) -> None:
        """Judge the net, and keep its weights if they are the best so far."""
        error = self.judge(self.net)
        history.records.append(
            {
                "step": step,
                "seconds": self.clock.elapsed,
                "train_error": loss,
                "validation_error": error,
                "learning_rate": learning_rate,
            }
        )
        if error <= self.best_error:
            self.best_error = error
            self.best = {k: v.detach().clone() for k, v in self.net.state_dict().items()}

    def _noise(self, fields: Tensor) -> Tensor:
        """Return what is added to scaled fields ``(n, channels, *shape)``, of the same shape."""
        least, largest = self.recipe.noise
        levels = torch.rand(len(fields), generator=self.noise, dtype=fields.dtype)
        growth = largest / least if least > 0 else 1.0
        sizes = largest * growth ** -levels.view(-1, *[1] * (fields.dim() - 1))
        return torch.randn(fields.shape, generator=self.noise, dtype=fields.dtype) * sizes

    def _loss(self, batch: Batch) -> Tensor:
        """Return the mean squared error of the increments of all steps, from noisy states."""
        net = self.net
        ones = [1] * len(net.shape)
        per_deviation = (1 / net.deviation).view(-1, *ones)
        scale = net.scale.view(-1, *ones)
        moves = net.scale[-1].view(-1, *ones) > 0
        active = (scale > 0).to(scale.dtype)
        per_scale = torch.where(scale > 0, 1 / scale, 0.0)
        noise = self._noise(batch.fields[0])
        # By how much the state lies beside the recorded one.
        error = noise * moves / per_deviation
        total = scale.new_zeros(())
        for fields, target, known in zip(batch.fields, batch.targets, batch.known, strict=True):
            beside = error.repeat(1, net.outputs, *ones) * per_scale
            missed = net.net(fields + error * per_deviation, batch.edges) - (target - beside)
            missed = missed * active
            error = missed[:, -net.channels :] * scale[-net.channels :]
            total = total + (missed.square() * known).mean() / known.mean()
        return total / len(batch.fields)
