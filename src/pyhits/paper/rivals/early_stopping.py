"""The best weights of a training, by errors of forecasts, and how long it may go on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyhits.paper.rivals.nets import SequenceNet
from pyhits.util.progress import Advance


@dataclass(frozen=True)
class Limits:
    """How long a training may go on.

    Parameters
    ----------
    n_steps : int
        Optimiser steps at most.
    begin : float
        Clock time at which fitting began.
    seconds : float, optional
        Time it may take.
    """

    n_steps: int
    begin: float
    seconds: float | None = None


class BestWeights:
    """The weights with the smallest error so far, and how much of the training is done.

    Parameters
    ----------
    net : SequenceNet
    validation : sequence of array, each (time, d)
        Scaled trajectories that the net has to generate from their first rows.
    limits : Limits
    progress : callable, optional
        Shows how much is done.

    Attributes
    ----------
    error : float
        The smallest.
    weights : dict or None
    history : list of dict
    """

    #: Share of the time that checks may take, and their number where steps bound the training.
    share, n_checks = 0.12, 60

    def __init__(
        self,
        net: SequenceNet,
        validation: Sequence[np.ndarray],
        limits: Limits,
        progress: Advance | None = None,
    ) -> None:
        self.net, self.limits, self.progress = net, limits, progress
        self.truth, _ = padded(validation, net, math.nan)
        self.n_known = int(self.truth[:, 1:].isfinite().sum())
        self.error, self.weights = math.inf, None
        self.history: list[dict[str, Any]] = []
        self.step, self._checked_step, self._checked = 0, 0, 0.0
        self._spent, self._longest = 0.0, 0.0

    weights: dict[str, Tensor] | None

    def _seconds(self) -> float:
        return time.perf_counter() - self.limits.begin

    def fraction(self) -> float:
        """Return how much of the training is done, 0 to 1; the last check belongs to the time."""
        done = self.step / self.limits.n_steps
        if self.limits.seconds is not None:
            limit = max(self.limits.seconds - self._longest, 0.5 * self.limits.seconds)
            done = max(done, self._seconds() / limit)
        return min(1.0, done)

    def due(self) -> bool:
        """Whether a check fits into the share of the time that checks may take."""
        if self.limits.seconds is None:
            return self.step - self._checked_step >= max(1, self.limits.n_steps // self.n_checks)
        now = self._seconds()
        enough = now - self._checked >= self.limits.seconds / (2 * self.n_checks)
        return enough and self._spent <= self.share * now

    def check(self, **facts: Any) -> None:
        """Measure the forecast from the first rows, and keep the weights if it is the best."""
        begin = self._seconds()
        self.keep(self._forecast_error(), **facts)
        self._checked_step, self._checked = self.step, self._seconds()
        self._longest = max(self._longest, self._checked - begin)
        self._spent += self._checked - begin

    def keep(self, error: float, **facts: Any) -> None:
        """Record an error, and keep the weights if there was none smaller."""
        if self.weights is None or error < self.error:
            self.error = error
            self.weights = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        entry = {"step": self.step, "seconds": self._seconds(), "error": error}
        self.history.append(entry | facts)

    def count(self) -> None:
        """Count an optimiser step and show it."""
        self.step += 1
        if self.progress is not None:
            self.progress(int(1000 * self.fraction()), 1000)

    @torch.inference_mode()
    def _forecast_error(self, block: int = 64) -> float:
        """Mean squared error, infinite as soon as it cannot be the smallest any more."""
        state, total = self.truth[:, 0], 0.0
        memory = self.net.empty(len(state))
        for first in range(1, self.truth.shape[1], block):
            truth = self.truth[:, first : first + block]
            states, memory = self.net.generate(state, memory, truth.shape[1], first - 1)
            square = torch.nansum((states - truth).square_())
            total += float(square) if bool(states.isfinite().all()) else math.inf
            state = states[:, -1]
            if not total < self.error * self.n_known:
                return math.inf
        return total / self.n_known


def padded(
    rows: Sequence[np.ndarray], net: SequenceNet, value: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return trajectories as ``(n, time, d)`` in the net's dtype, ``value`` beyond their ends.

    Also where they are known, ``(n, time, 1)``, 1 or 0.
    """
    length = max(len(r) for r in rows)
    values = np.full((len(rows), length, rows[0].shape[1]), value)
    for k, r in enumerate(rows):
        values[k, : len(r)] = r
    known = np.arange(length) < np.array([len(r) for r in rows])[:, None]
    dtype = net.readout.weight.dtype
    return torch.from_numpy(values).to(dtype), torch.from_numpy(known[:, :, None]).to(dtype)


def mean_square(missed: Tensor, known: Tensor) -> Tensor:
    """Return the mean square of ``(n, time, d)`` over the rows known, ``(n, time, 1)``, 1 or 0."""
    return (missed.square() * known).sum() / (known.sum() * missed.shape[2])
