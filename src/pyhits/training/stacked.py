"""All scales of one fit trained together, their nets in one stack: for GPUs.

A step of a single net is so little work that starting its operations takes the time; a stack starts
them once for all scales.
"""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch
from torch import Tensor

from pyhits.flowmaps import FlowMap, ResidualNet
from pyhits.flowmaps.residual import ACTIVATIONS
from pyhits.training import optimisers
from pyhits.training.history import History
from pyhits.training.jobs import Progress, ScaleJob
from pyhits.training.loop import FACTORS, PILOT, Scale, alive, attempt, train_net
from pyhits.training.run import BLEW_UP, NetTraining, advance


class Stack:
    """Residual nets of equal shape, one a run, stepped together by batched products.

    A run that is over stays in the stack, and nothing looks at it.

    Parameters
    ----------
    runs : sequence of NetTraining
        S of them, with equal settings.

    Attributes
    ----------
    weights, biases : list of Tensor, shapes (S, in, out) and (S, out)
        One a layer.
    """

    def __init__(self, runs: Sequence[NetTraining]) -> None:
        self.runs = list(runs)
        self._nets = [run.net for run in runs if isinstance(run.net, ResidualNet)]
        self._activate = ACTIVATIONS[self._nets[0].activation]
        layers = list(zip(*(net.linear for net in self._nets), strict=True))
        self.weights = [torch.stack([a.weight.detach().T for a in same]) for same in layers]
        self.biases = [torch.stack([a.bias.detach() for a in same]) for same in layers]
        for parameter in self.parameters:
            parameter.requires_grad_()
        self._drawn: list[tuple[Tensor, Tensor] | None] = [None] * len(runs)

    @property
    def parameters(self) -> list[Tensor]:
        """All that is trained."""
        return [*self.weights, *self.biases]

    def show(self, chunk: int) -> int:
        """Draw the windows of a chunk for the runs that are not over, in threads."""
        going = [k for k, run in enumerate(self.runs) if not run.over]
        with ThreadPoolExecutor(min(len(going), os.cpu_count() or 1)) as pool:
            drawn = pool.map(lambda k: self.runs[k].windows(chunk), going)
            for k, windows in zip(going, drawn, strict=True):
                self._drawn[k] = windows
        both = [windows for windows in self._drawn if windows is not None]
        self._inputs = torch.stack([inputs for inputs, _ in both])
        self._targets = torch.stack([targets[0] for _, targets in both])
        return self._inputs.shape[1]

    def losses(self, batch: slice) -> Tensor:
        """Return the mean squared loss of each run, shape ``(S,)``."""
        states = self._inputs[:, batch]
        last = len(self.weights) - 1
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            states = torch.baddbmm(bias[:, None], states, weight)
            if k < last:
                states = self._activate(states)
        return (states - self._targets[:, batch]).square().mean((1, 2))

    @torch.no_grad()
    def write(self) -> None:
        """Copy the weights into the nets of the runs."""
        for k, net in enumerate(self._nets):
            for layer, weight, bias in zip(net.linear, self.weights, self.biases, strict=True):
                layer.weight.copy_(weight[k].T)
                layer.bias.copy_(bias[k])


def train_stacked(
    jobs: Sequence[ScaleJob], reports: Sequence[Progress | None]
) -> Iterator[tuple[int, FlowMap, History]]:
    """Train all jobs, in one stack those whose nets have the same shape and settings.

    Within rounding, the result is that of :func:`~pyhits.training.loop.train_scale`, except that
    jobs of one stack share their time limits. An unfinished stack is not saved.

    Yields
    ------
    index : int
        Of the job.
    flow_map, history
        As :func:`~pyhits.training.loop.train_scale` returns them, as soon as a scale has stopped.
    """
    groups: dict[Hashable, list[tuple[int, Scale]]] = {}
    for index, job in enumerate(jobs):
        scale = Scale.prepare(job)
        done = scale.closed_form()
        if done is not None:
            yield index, *scale.finish(done)
        else:
            groups.setdefault(_shape(scale) or index, []).append((index, scale))
    for group in groups.values():
        if len(group) == 1:
            ((index, scale),) = group
            yield index, *scale.finish(train_net(scale, reports[index]))
            continue
        indices, scales = zip(*group, strict=True)
        for k, flow_map in _train_group(scales, [reports[i] for i in indices]):
            yield indices[k], *scales[k].finish(flow_map)


def _shape(scale: Scale) -> Hashable:
    """Return what scales of one stack have in common; None for one that must train alone."""
    job, net = scale.job, scale.stages.net
    recipe = job.recipe
    if type(net) is not ResidualNet or recipe.optimizer == "ridge":
        return None
    if recipe.rollout_steps > 1 or recipe.windows == "first":
        return None
    return recipe, net.dimension, net.outputs, job.dtype, job.device, job.time_limit is None


def _train_group(
    scales: Sequence[Scale], reports: Sequence[Progress | None]
) -> Iterator[tuple[int, FlowMap]]:
    """Train scales of one shape in a stack; as :func:`~pyhits.training.loop.train_net` for one."""
    limits = [scale.job.time_limit for scale in scales if scale.job.time_limit is not None]
    limit = sum(limits) if limits else math.inf
    contests = [scale.contest() for scale in scales]
    racing = [(k, net) for k, nets in enumerate(contests) for net in nets]
    if racing:
        quiet = [alive(scales[k].job, reports[k]) for k, _ in racing]
        together = _together([net for _, net in racing], quiet, PILOT * limit)
        errors = {id(racing[j][1]): run.state.best_error for j, run in together}
        for scale, nets in zip(scales, contests, strict=True):
            if nets:
                scale.settle(min(nets, key=lambda net: errors[id(net)]))
        limit *= 1 - PILOT
    blown_up = []
    for k, run in _together(scales, reports, limit):
        if run.history.stopped_by == BLEW_UP:
            blown_up.append((k, run.state))
        else:
            yield k, scales[k].choose(run.state)
    for k, state in blown_up:
        yield k, scales[k].choose(attempt(scales[k], FACTORS[1:], reports[k], state))


def _together(
    scales: Sequence[Scale], reports: Sequence[Progress | None], limit: float
) -> Iterator[tuple[int, NetTraining]]:
    """Train the nets of all scales once, and yield position and run as they stop."""
    runs = []
    for scale, report in zip(scales, reports, strict=True):
        seconds = limit if math.isfinite(limit) else None
        job = replace(scale.job, time_limit=seconds, checkpoint=None)
        runs.append(NetTraining(job, scale.stages, FACTORS[0], scale.history, report))
    stack = Stack(runs)
    name = runs[0].job.recipe.optimizer
    optimiser = optimisers.build(name, stack.parameters, runs[0].learning_rate, batched=True)
    for run in advance(stack, optimiser):
        yield runs.index(run), run
