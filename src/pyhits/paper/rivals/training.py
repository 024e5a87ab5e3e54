"""How LSTM and clockwork RNN are trained: the authors' way, and ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pyhits.numerics.optimizers import Adam
from pyhits.paper.rivals.early_stopping import BestWeights, mean_square, padded
from pyhits.paper.rivals.nets import Memory, SequenceNet
from pyhits.training import optimisers


def train_on_batch(
    net: SequenceNet,
    rows: Sequence[np.ndarray],
    best: BestWeights,
    *,
    learning_rate: float = 1e-3,
    target: float = 1e-8,
) -> None:
    """Train as the authors did: Adam on the one-step errors of all recorded rows, as one batch.

    Parameters
    ----------
    rows : sequence of array, each (time, d)
        Scaled trajectories, each read from an empty memory.
    best : BestWeights
        Gets the loss as the error.
    target : float
        Loss at which training stops.
    """
    data, known = padded(rows, net)
    optimiser = Adam(net.parameters(), lr=learning_rate)
    while best.fraction() < 1:
        predicted, _ = net.read(data[:, :-1], net.empty(len(data)))
        loss = mean_square(predicted - data[:, 1:], known[:, 1:])
        error = float(loss.detach())
        best.keep(error)
        if error <= target or not math.isfinite(error):
            return
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        best.count()


class Segments:
    """Trajectories cut into segments of equal length, each with the memory that it begins with.

    Memories are those that the segment before ended with when it was last trained: a little stale,
    and free. The first segment of a trajectory begins with an empty memory.

    Parameters
    ----------
    rows : sequence of array, each (time, d)
        Scaled trajectories.
    length : int
        Steps of a segment, at most those of the longest trajectory; the last of each may be
        shorter.
    net : SequenceNet
        Reads the trajectories once, which gives the first memories.

    Attributes
    ----------
    rows, known : Tensor, shape (n, length + 1, d), (n, length + 1, 1)
    times : array, shape (n,)
        Row of the trajectory at which each begins.
    memory : Memory
    """

    def __init__(self, rows: Sequence[np.ndarray], length: int, net: SequenceNet) -> None:
        self.length = length
        begins = [range(0, len(r) - 1, length) for r in rows]
        pieces = [r[k : k + length + 1] for r, at in zip(rows, begins, strict=True) for k in at]
        self.rows, self.known = padded(pieces, net)
        self.times = np.concatenate([np.array(at) for at in begins])
        self._follows = np.append(self.times[1:] > 0, False)
        self.memory = net.empty(len(pieces))
        for k in np.flatnonzero(self._follows):
            one = slice(k, k + 1)
            with torch.no_grad():
                memory = tuple(m[one] for m in self.memory)
                _, memory = net.read(self.rows[one, :-1], memory, int(self.times[k]))
            self.hand_over(np.array([k]), memory)

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self.rows)

    @torch.no_grad()
    def hand_over(self, chosen: np.ndarray, memory: Memory) -> None:
        """Pass the memory that segments ``(m,)`` ended with on to those that follow them."""
        follows = self._follows[chosen]
        for mine, ended in zip(self.memory, memory, strict=True):
            mine[chosen[follows] + 1] = ended[follows]

    def batches(self, rng: np.random.Generator, size: int) -> list[np.ndarray]:
        """Return the numbers of all segments in random order, cut into batches."""
        order = rng.permutation(len(self))
        return [np.sort(order[k : k + size]) for k in range(0, len(self), size)]


@dataclass(frozen=True)
class Curriculum:
    """Our training: teacher forcing first, then closed loops over longer and longer segments.

    Parameters
    ----------
    forced_length : int
        Steps of a segment under teacher forcing.
    first_length : int
        Steps of the first segments in which the net is fed its own states. They double, each length
        for an equal part of the training, up to the longest trajectory.
    most_for_soap : int
        Weights up to which SOAP is used; its matrices cost larger nets too many steps, they take
        Adam.
    batch_rows, batch_rows_large : int
        Rows of a batch, for nets that take SOAP and for the others.
    least_segments : int
        Segments of a batch at least: a step of fewer takes as long.
    soap_rate, adam_rate : float
        Learning rates.
    warmup_steps : int
        Steps in which they rise.
    least_steps : int
        Where time bounds training, segments grow no longer once a length got fewer steps.
    """

    forced_length: int = 32
    first_length: int = 16
    most_for_soap: int = 200_000
    batch_rows: int = 8192
    batch_rows_large: int = 512
    least_segments: int = 16
    soap_rate: float = 6e-3
    adam_rate: float = 3e-3
    warmup_steps: int = 30
    least_steps: int = 20

    def lengths(self, longest: int) -> list[int]:
        """Return the lengths of segments, stage by stage; the first is that of teacher forcing."""
        lengths = [min(self.forced_length, longest), min(self.first_length, longest)]
        while lengths[-1] < longest:
            lengths.append(min(2 * lengths[-1], longest))
        return lengths


class Trainer:
    """Trains a net by a curriculum until its time or its steps are over.

    Parameters
    ----------
    net : SequenceNet
    rows : sequence of array, each (time, d)
        Scaled trajectories.
    best : BestWeights
        Checks now and then, and keeps the best weights.
    seed : int
        Of the order of segments.
    curriculum : Curriculum
    """

    segments: Segments

    def __init__(
        self,
        net: SequenceNet,
        rows: Sequence[np.ndarray],
        best: BestWeights,
        seed: int,
        curriculum: Curriculum | None = None,
    ) -> None:
        self.net, self.rows, self.best = net, rows, best
        self.curriculum = curriculum = curriculum or Curriculum()
        self.rng = np.random.default_rng(seed)
        self.lengths = curriculum.lengths(max(len(r) for r in rows) - 1)
        small = sum(p.numel() for p in net.parameters()) <= curriculum.most_for_soap
        self.batch_rows = curriculum.batch_rows if small else curriculum.batch_rows_large
        self.rate = curriculum.soap_rate if small else curriculum.adam_rate
        name = "soap" if small else "adam"
        self.optimiser = optimisers.build(name, net.parameters(), self.rate)
        self.units = torch.where(net.increments > 0, net.increments, 1.0)
        self.stage, self.began, self.clip = -1, 0, math.inf
        self.batches: list[np.ndarray] = []

    def run(self) -> None:
        """Train."""
        best = self.best
        while (done := best.fraction()) < 1:
            self._enter(self._stage(done))
            if not self.batches:
                size = self.batch_rows // self.segments.length
                least = self.curriculum.least_segments
                self.batches = self.segments.batches(self.rng, max(least, size))
            factor = optimisers.rate(done, best.step, "cosine", self.curriculum.warmup_steps)
            loss = self._step(self.batches.pop(), self.rate * factor)
            best.count()
            if best.due():
                best.check(loss=loss, length=self.segments.length if self.stage else 1)
        best.check(length=self.lengths[-1])

    def _stage(self, done: float) -> int:
        """Return the stage that is due once this share of the training is done, 0 to 1."""
        forced, n = self.net.forced, len(self.lengths) - 1
        if done < forced:
            return 0
        return 1 + min(int((done - forced) / (1 - forced) * n), n - 1)

    def _enter(self, stage: int) -> None:
        """Go on to a stage; not past a length that was too much for the time, or never was."""
        if self.stage >= 0:
            steps = self.best.step - self.began
            timed = self.stage > 0 and self.best.limits.seconds is not None
            if stage == self.stage or (timed and steps < self.curriculum.least_steps):
                return
            stage = min(stage, self.stage + 1)
        self.stage, self.began, self.batches = stage, self.best.step, []
        self.segments = Segments(self.rows, self.lengths[stage], self.net)

    def _step(self, chosen: np.ndarray, rate: float) -> float:
        """Take a step of the optimiser on some of the segments; return the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        loss = self._loss(chosen)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.clip))
        if math.isfinite(norm):
            # The bound follows the usual size of gradients.
            usual = norm if math.isinf(self.clip) else self.clip
            self.clip = 0.98 * usual + 0.02 * min(norm, 3 * usual)
            self.optimiser.step()
        return float(loss.detach())

    def _loss(self, chosen: np.ndarray) -> Tensor:
        """Return the mean squared error of segments, and hand their memories over.

        Under teacher forcing each feature counts in units of its increments.
        """
        net, segments = self.net, self.segments
        truth, times = segments.rows[chosen], segments.times[chosen]
        memory = tuple(m[chosen] for m in segments.memory)
        units = self.units
        if self.stage:
            units = units.square().mean().sqrt()
            states, memory = net.generate(truth[:, 0], memory, segments.length, times)
        else:
            states, memory = net.read(truth[:, :-1], memory, times)
        if bool(states[:, -1].isfinite().all()):
            segments.hand_over(chosen, memory)
        return mean_square((states - truth[:, 1:]) / units, segments.known[chosen, 1:])
