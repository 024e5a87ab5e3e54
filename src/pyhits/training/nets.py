"""Nets for few points: small budgets, judged by the rollouts that closed forms are chosen by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from pyhits.flowmaps import FlowMap, PolynomialMap, ResidualNet, ScaledNet, create
from pyhits.training.history import History
from pyhits.training.jobs import Progress, ScaleJob
from pyhits.training.run import Judge, NetTraining, train
from pyhits.training.stages import Stages, prepare
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock

#: Optimiser steps, windows of each, and the learning rate: about two seconds a net. Small batches
#: and a high rate forecast better here than more steps of large batches.
_STEPS, _BATCH, _LEARNING_RATE = 1500, 64, 1e-2

#: Arithmetic of the training.
_DTYPE = "float32"

#: Steps in the loss, at most, tried from the first; and the part of the windows that these must
#: leave. Nets that meet their own errors in training forecast much better.
_ROLLOUTS, _LEAST_LEFT = (4, 2), 0.5

#: Name of nets among the scores of a history, beside those of closed forms.
NET = "net"

#: Seconds below which no net is begun.
_LEAST_SECONDS = 1.0

#: Windows that what a polynomial leaves is measured on, and the least part of the increments that
#: it counts as: rounding is not to be learned.
_N_SCALE, _SMALLEST = 2_000, 1e-9


def nets_taken(histories: Mapping[int, History]) -> str:
    """Return the sentence that says where nets did better than closed forms."""
    tried = {size: h.scores for size, h in histories.items() if NET in h.scores}
    if not tried:
        return "No net was tried: closed forms do well, or rows or time do not suffice for one."
    won = [
        f"step size {size} ({scores[NET]:.2g} for {_closed(scores):.2g})"
        for size, scores in tried.items()
        if NET in histories[size].flow_map
    ]
    if not won:
        return f"Nets were tried at {len(tried)} step size(s); closed forms did better."
    return f"Nets instead of closed forms, by errors of rollouts: {', '.join(won)}."


def _closed(scores: Mapping[str, float]) -> float:
    return min(score for family, score in scores.items() if family != NET)


@dataclass
class TrainedNet:
    """A trained net."""

    net: FlowMap  # in evaluation mode, with the weights that were best
    score: float  # its error in rollouts, as that of a closed form

    @property
    def base(self) -> PolynomialMap | None:
        """The polynomial that it is on top of."""
        return self.net.base if isinstance(self.net, ScaledNet) else None


def best_net(
    job: ScaleJob,
    judge: Judge,
    history: History,
    *,
    bases: Sequence[PolynomialMap | None] = (None,),
    bar: float = math.inf,
    clock: Clock = UNLIMITED,
    progress: Progress | None = None,
) -> TrainedNet | None:
    """Return the best of a net alone and of nets on top of polynomials.

    Parameters
    ----------
    job : ScaleJob
        Of few points; widths and activation of the recipe are the nets'.
    judge : callable
        Returns the error in rollouts of a net.
    history : History
        Receives one record a validation, and why training stopped.
    bases : sequence of PolynomialMap or None
        What nets are on top of, float64; None for a net alone.
    bar : float, optional
        Error in rollouts of what they compete with; nets far behind it, or behind the best net so
        far, are given up.
    clock : Clock, optional
        Of all nets; with too little time None is returned.
    """
    best: TrainedNet | None = None
    for k, below in enumerate(bases):
        own = clock.part(1 / (len(bases) - k))
        if own.left < _LEAST_SECONDS:
            break
        made = History(job.step_size)
        net = _trained(job, below, made, own, progress, judge, bar)
        done = len(history.records)
        history.records += [record | {"step": done + record["step"]} for record in made.records]
        if net is not None and (best is None or net.score < best.score):
            best, bar = net, min(bar, net.score)
            history.stopped_by = made.stopped_by
    return best


def trained_again(
    job: ScaleJob, base: PolynomialMap | None, *, clock: Clock = UNLIMITED
) -> ScaledNet | None:
    """Return a net trained anew on all windows of a job, by their loss; None without time for it.

    Parameters
    ----------
    base : PolynomialMap, optional
        What the net is on top of.
    """
    if clock.left < _LEAST_SECONDS:
        return None
    again = _trained(job, base, History(job.step_size), clock)
    if again is None:
        return None
    assert isinstance(again.net, ScaledNet)
    return again.net


def _trained(
    job: ScaleJob,
    base: PolynomialMap | None,
    history: History,
    clock: Clock,
    progress: Progress | None = None,
    judge: Judge | None = None,
    bar: float = math.inf,
) -> TrainedNet | None:
    """Return a trained net; None where no error was finite. The history receives its records."""
    own, stages = prepared(job, base)
    own.time_limit = clock.left if clock.is_limited else None
    state = train(NetTraining(own, stages, 1.0, history, progress, judge, bar))
    history.records = state.records
    if not state.best:
        return None
    net = stages.net
    net.load_state_dict(state.best)
    net.to(job.torch_dtype)
    if base is not None and net.base is not None:
        net.base.load_state_dict(base.state_dict())
    return TrainedNet(net.eval(), state.best_error)


def prepared(job: ScaleJob, base: PolynomialMap | None = None) -> tuple[ScaleJob, Stages]:
    """Return what trains a net alone, or one that learns what a polynomial leaves.

    It is trained in single precision, in half the time: nets err by far more than its rounding.
    """
    # Of a single step the base is evaluated once a window, not once a window and batch.
    n_steps = _loss_steps(job) if base is None else 1
    recipe = job.recipe.override(
        flow_map=ResidualNet.kind,
        polynomial_degree=0,
        synthetic=0.0,
        tables=False,
        optimizer="soap",
        schedule="cosine",
        rollout_steps=n_steps,
        batch_size=_BATCH,
        max_steps=_STEPS,
        learning_rate=_LEARNING_RATE,
    )
    windows = replace(job.train, rollout_steps=n_steps)
    # The judge steps the held-out part; of its windows single steps alone are measured.
    validation = replace(job.validation, rollout_steps=1)
    job = replace(
        job, train=windows, validation=validation, recipe=recipe, device="cpu", dtype=_DTYPE
    )
    stages = prepare(job)
    if base is not None:
        stages.net = _upon(base, stages.net, job.train)
    return job, stages


def _loss_steps(job: ScaleJob) -> int:
    """Return how many steps the loss spans: single ones where inputs act, which change between."""
    if job.train.n_inputs or job.recipe.windows != "anywhere":
        return 1
    least = _LEAST_LEFT * replace(job.train, rollout_steps=1).n_windows
    longer = (n for n in _ROLLOUTS if replace(job.train, rollout_steps=n).n_windows >= least)
    return next(longer, 1)


def _upon(base: PolynomialMap, net: ScaledNet, train: WindowSampler) -> ScaledNet:
    """Return an equal net on top of a polynomial, scaled to what the polynomial leaves."""
    made = create(net.kind, net.config() | {"base_degree": base.degree}).to(net.scale.dtype)
    assert isinstance(made, ScaledNet)
    assert made.base is not None
    made.load_state_dict(net.state_dict(), strict=False)
    made.base.load_state_dict(base.state_dict())
    windows = torch.from_numpy(replace(train, rollout_steps=1).spread(_N_SCALE))
    with torch.inference_mode():
        change = (windows[1:] - windows[0]).transpose(0, 1).flatten(1)
        left = (change - base.increment(windows[0])).square().mean(dim=0).sqrt()
    made.scale.copy_(torch.where(net.scale > 0, left.clamp(min=_SMALLEST * net.scale), 0.0))
    return made
