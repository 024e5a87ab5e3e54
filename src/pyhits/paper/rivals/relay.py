"""Our training of recurrent nets: taught first, then fed their own states ever longer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pyhits.paper.rivals.keeper import Keeper
from pyhits.paper.rivals.nets import SequenceNet
from pyhits.paper.rivals.segments import Segments
from pyhits.training import optimisers

#: Steps of a segment while the net reads recorded rows.
TEACH_LENGTH = 32

#: Steps of the first segments in which the net is fed its own states. They double, each length for
#: an equal part of the training, up to the longest trajectory.
FIRST_LENGTH = 16

#: Weights up to which SOAP is used; its matrices cost larger nets too many steps, they take Adam.
MOST_FOR_SOAP = 200_000

#: Rows of a batch, for nets that take SOAP and for the others, and the segments it has at least:
#: a step of fewer takes as long.
ROWS, ROWS_LARGE, LEAST_SEGMENTS = 8192, 512, 16

#: Learning rates of SOAP and Adam, and steps in which they rise.
RATES, WARMUP = {"soap": 6e-3, "adam": 3e-3}, 30

#: Where time bounds training, segments grow no longer once a length got fewer steps than this.
LEAST_STEPS = 20


def train(net: SequenceNet, rows: Sequence[np.ndarray], keeper: Keeper, seed: int) -> None:
    """Train until the keeper's time or steps are over.

    Parameters
    ----------
    rows : sequence of array, each (time, d)
        Scaled trajectories.
    keeper : Keeper
        Checks now and then, and keeps the best weights.
    seed : int
        Of the order of segments.
    """
    rng = np.random.default_rng(seed)
    small = sum(p.numel() for p in net.parameters()) <= MOST_FOR_SOAP
    name = "soap" if small else "adam"
    optimiser = optimisers.build(name, net.parameters(), RATES[name])
    longest = max(len(r) for r in rows) - 1
    lengths = _doubling(longest)
    units = torch.where(net.increments > 0, net.increments, 1.0)
    stage, began, clip = -1, 0, math.inf
    segments: Segments | None = None
    todo: list[np.ndarray] = []
    while (done := keeper.fraction()) < 1:
        now = 0
        if done >= net.teach:
            now = 1 + min(
                int((done - net.teach) / (1 - net.teach) * len(lengths)), len(lengths) - 1
            )
        grows = stage <= 0 or keeper.time_limit is None or keeper.step - began >= LEAST_STEPS
        if segments is None or (now != stage and grows):
            # Not past a length that was too much for the time, and not past one that never was.
            stage, began, todo = min(now, stage + 1) if stage >= 0 else now, keeper.step, []
            length = lengths[stage - 1] if stage else min(TEACH_LENGTH, longest)
            segments = Segments(rows, length, net)
        if not todo:
            size = max(LEAST_SEGMENTS, (ROWS if small else ROWS_LARGE) // segments.length)
            todo = _batches(rng, len(segments), size)
        chosen = todo.pop()
        scale = units if stage == 0 else units.square().mean().sqrt()
        for group in optimiser.param_groups:
            group["lr"] = RATES[name] * optimisers.rate(done, keeper.step, "cosine", WARMUP)
        optimiser.zero_grad(set_to_none=True)
        loss = _loss(net, segments, chosen, scale, feeds=stage > 0)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(torch.nn.utils.clip_grad_norm_(net.parameters(), clip))
        if math.isfinite(norm):
            # The bound follows the usual size of gradients.
            clip = norm if math.isinf(clip) else 0.98 * clip + 0.02 * min(norm, 3 * clip)
            optimiser.step()
        keeper.tick()
        if keeper.due():
            keeper.check(loss=float(loss.detach()), length=segments.length if stage else 1)
    keeper.check(length=longest)


def _loss(
    net: SequenceNet, segments: Segments, chosen: np.ndarray, scale: Tensor, *, feeds: bool
) -> Tensor:
    """Return the mean squared error of segments in units of ``scale``, and hand memories over."""
    truth, times = segments.rows[chosen], segments.times[chosen]
    memory = tuple(m[chosen] for m in segments.memory)
    if feeds:
        states, memory = net.generate(truth[:, 0], memory, segments.length, times)
    else:
        states, memory = net.read(truth[:, :-1], memory, times)
    if bool(states[:, -1].isfinite().all()):
        segments.hand_over(chosen, memory)
    weights = segments.weights[chosen]
    square = ((states - truth[:, 1:]) / scale).square() * weights
    return square.sum() / (weights.sum() * truth.shape[2])


def _doubling(longest: int) -> list[int]:
    lengths = [min(FIRST_LENGTH, longest)]
    while lengths[-1] < longest:
        lengths.append(min(2 * lengths[-1], longest))
    return lengths


def _batches(rng: np.random.Generator, n: int, size: int) -> list[np.ndarray]:
    """Return the numbers of all segments in random order, cut into batches."""
    order = rng.permutation(n)
    return [np.sort(order[k : k + size]) for k in range(0, n, size)]
