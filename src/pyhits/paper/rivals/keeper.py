"""The best weights so far, by errors of forecasts, and how long training may go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyhits.paper.rivals.nets import SequenceNet
from pyhits.util.progress import Advance

#: Part of the time that checks may take, and the number of checks where steps bound training.
_SHARE, _N_CHECKS = 0.12, 60

#: Steps between two looks at whether a forecast can still be the best.
_BLOCK = 64


class Keeper:
    """Checks a net now and then, and keeps its best weights.

    Parameters
    ----------
    net : SequenceNet
    held : sequence of array, each (time, d)
        Scaled trajectories that the net has to reproduce from their first rows.
    n_steps : int
        Steps at most.
    begin, time_limit : float
        Clock time at which fitting began, and seconds it may take.
    """

    def __init__(
        self,
        net: SequenceNet,
        held: Sequence[np.ndarray],
        n_steps: int,
        begin: float,
        time_limit: float | None,
        progress: Advance | None,
    ) -> None:
        self.net = net
        dtype = net.readout.weight.dtype
        length = max(len(rows) for rows in held)
        truth = np.full((len(held), length, held[0].shape[1]), np.nan)
        for k, rows in enumerate(held):
            truth[k, : len(rows)] = rows
        self.truth = torch.from_numpy(truth).to(dtype)
        self.n_known = int(np.isfinite(truth[:, 1:]).sum())
        self.n_steps, self.begin, self.time_limit = n_steps, begin, time_limit
        self.progress = progress
        self.step = 0
        self.best_error = float("inf")
        self.best: dict[str, Tensor] | None = None
        self.history: list[dict[str, Any]] = []
        self._spent, self._cost, self._last, self._last_step = 0.0, 0.0, 0.0, 0

    def fraction(self) -> float:
        """Return how much of the training is done, 0 to 1, by steps or by time.

        The last check belongs to the time.
        """
        done = self.step / self.n_steps
        if self.time_limit is not None:
            limit = max(self.time_limit - self._cost, 0.5 * self.time_limit)
            done = max(done, (time.perf_counter() - self.begin) / limit)
        return min(1.0, done)

    def due(self) -> bool:
        """Whether a check fits into the part of the time that checks may take."""
        if self.time_limit is None:
            return self.step - self._last_step >= max(1, self.n_steps // _N_CHECKS)
        seconds = time.perf_counter() - self.begin
        enough = seconds - self._last >= self.time_limit / (2 * _N_CHECKS)
        return enough and self._spent <= _SHARE * seconds

    def check(self, **facts: Any) -> float:
        """Measure the forecast from the first rows and keep the weights if they are the best."""
        begin = time.perf_counter()
        error = self.error()
        self.keep(error, **facts)
        now = time.perf_counter()
        self._cost = max(self._cost, now - begin)
        self._spent += now - begin
        self._last_step, self._last = self.step, now - self.begin
        return error

    def keep(self, error: float, **facts: Any) -> None:
        """Record an error, and keep the weights if there was none smaller."""
        if self.best is None or error < self.best_error:
            self.best_error = error
            self.best = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        seconds = time.perf_counter() - self.begin
        self.history.append({"step": self.step, "seconds": seconds, "error": error, **facts})

    def tick(self) -> None:
        """Count a step and show it."""
        self.step += 1
        if self.progress is not None:
            self.progress(int(1000 * self.fraction()), 1000)

    @torch.inference_mode()
    def error(self) -> float:
        """Mean squared error of forecasts from the first rows; infinite where it is not the best.

        A forecast whose errors already add up to more than the best one's ends at once.
        """
        state = self.truth[:, 0]
        memory = self.net.empty(len(state))
        total, length = 0.0, self.truth.shape[1]
        for first in range(1, length, _BLOCK):
            n = min(_BLOCK, length - first)
            states, memory = self.net.generate(state, memory, n, first - 1)
            square = (states - self.truth[:, first : first + n]).square_()
            total += float(torch.nansum(square)) if bool(states.isfinite().all()) else float("inf")
            state = states[:, -1]
            if not total < self.best_error * self.n_known:
                return float("inf")
        return total / self.n_known
