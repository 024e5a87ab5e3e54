"""The search for a reservoir: readouts with many ridges for each, and which forecasts best."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from pyhits.numerics.ridge import Ridge
from pyhits.paper.rivals.reservoir import Reservoir, ReservoirSettings


class ReservoirSearch:
    """Tries reservoirs and keeps the best of them and of their ridges.

    Parameters
    ----------
    train : list of array, each (time, d)
        Scaled trajectories to learn from.
    validation : list of array, each (time, d)
        Those that are forecast from their first rows to choose.
    n_units, washout : int

    Attributes
    ----------
    candidate : ReservoirSettings or None
    reservoir : Reservoir
    readout : array, shape (n_units, d)
    ridge : float
    error : float
        Mean squared, of the best.
    deadline : float
        Clock time after which forecasts end, once there is one.
    longest : float
        Seconds that a reservoir of full size took at most.
    history : list of dict
    """

    reservoir: Reservoir
    readout: np.ndarray

    #: Rows or units, whichever are fewer, up to which the states themselves are decomposed.
    direct = 1000

    #: Relative ridges; those below rounding of their products where the states are decomposed.
    ridges = (1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-13, 1e-14)
    tiny_ridges = (1e-16, 1e-18, 1e-20, 1e-24, 0.0)

    #: Units of the reservoirs that are tried at random, where those asked for are more, and the
    #: share of the search which that is.
    screened, explores = 1000, 0.5

    #: Steps between two looks at which forecasts still compete. One with so many times the error of
    #: the best does not, once its mean squared error is above the second number.
    block, hopeless, clearly = 32, 100.0, 1e-6

    def __init__(
        self,
        train: list[np.ndarray],
        validation: list[np.ndarray],
        n_units: int,
        washout: int = 0,
    ) -> None:
        self.begin, self.deadline = time.perf_counter(), np.inf
        self.n_units, self.washout, self.dimension = n_units, washout, train[0].shape[1]
        self.rows, known = _padded(train)
        self.fitted = known[:, 1:]
        self.fitted[:, :washout] = False
        self.truth, known = _padded(validation)
        self.truth[~known] = np.nan
        self.n_known = int(known[:, 1:].sum()) * self.dimension
        self.candidate: ReservoirSettings | None = None
        self.ridge, self.error, self.reach = 0.0, np.inf, -1
        self.longest = 0.0
        self.history: list[dict[str, Any]] = []
        # Large reservoirs take long each: what is tried at random is smaller.
        self.small: ReservoirSearch | None = None
        if n_units > self.screened:
            self.small = ReservoirSearch(train, validation, self.screened, washout)

    def step(self, rng: np.random.Generator, done: float) -> None:
        """Try one more candidate; ``done`` is the share of the search that lies behind, 0 to 1."""
        begin, small = time.perf_counter(), self.small
        candidate = ReservoirSettings.draw(rng)
        if not self.history:
            candidate = ReservoirSettings(seed=candidate.seed)
        elif done < self.explores and self.deadline - begin > 2 * self.longest:
            if small is not None:
                small.deadline = self.deadline
                small.consider(candidate, candidate.reservoir(small.n_units, self.dimension))
                return
        elif small is not None and small.candidate is not None:
            candidate, self.small = small.candidate, None  # the best of the small ones, once
        elif self.candidate is not None and rng.random() < 2 / 3:
            candidate = self.candidate.vary(rng)
        self.consider(candidate, candidate.reservoir(self.n_units, self.dimension))
        self.longest = max(self.longest, time.perf_counter() - begin)

    def consider(self, candidate: ReservoirSettings | None, reservoir: Reservoir) -> None:
        """Fit the readouts of a reservoir, forecast with each, and keep the best."""
        states = reservoir.harvest(self.rows[:, :-1])[self.fitted]
        adds = candidate is not None and candidate.increments
        targets = (self.rows[:, 1:] - (self.rows[:, :-1] if adds else 0.0))[self.fitted]
        products = candidate is not None and min(states.shape) > self.direct
        solver = Ridge(*(torch.from_numpy(a) for a in (states, targets)), products=products)
        ridges: tuple[float, ...] = (0.0,)
        if candidate is not None:
            ridges = self.ridges + (() if products else self.tiny_ridges)
        readouts = solver.path(ridges).mT.numpy()
        del solver, states
        errors, reach = self._forecast_errors(reservoir, readouts, adds=adds)
        k = int(np.lexsort((-reach, errors))[0])
        seconds = time.perf_counter() - self.begin
        entry = {"ridge": ridges[k], "error": float(errors[k]), "seconds": seconds}
        self.history.append(entry | (asdict(candidate) if candidate is not None else {}))
        if (errors[k], -reach[k]) < (self.error, -self.reach):
            self.error, self.reach = float(errors[k]), int(reach[k])
            self.candidate, self.reservoir, self.ridge = candidate, reservoir, ridges[k]
            self.readout = readouts[k].copy().T

    def _forecast_errors(
        self, reservoir: Reservoir, weights: np.ndarray, *, adds: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Forecast from the first rows with all readouts at once; those that cannot win drop out.

        Parameters
        ----------
        weights : array, shape (n_ridges, d, n_units)

        Returns
        -------
        errors : array, shape (n_ridges,)
            Mean squared error, infinite for those that dropped out.
        reach : array of int, shape (n_ridges,)
            Steps for which they took part.
        """
        n, length, d = self.truth.shape
        alive, units = np.arange(len(weights)), len(reservoir.bias)
        total, reach = np.zeros(len(alive)), np.zeros(len(alive), dtype=int)
        state = np.broadcast_to(self.truth[:, 0].T, (len(alive), d, n))
        x = np.zeros((units, len(alive), n))
        for k in range(1, length):
            given = state.transpose(1, 0, 2).reshape(d, -1)
            x = reservoir.move(x.reshape(units, -1), given).reshape(units, len(alive), n)
            with np.errstate(over="ignore", invalid="ignore"):
                state = np.matmul(weights, x.transpose(1, 0, 2)) + (state if adds else 0.0)
                total[alive] += np.nansum(np.square(state - self.truth[:, k].T), axis=(1, 2))
            reach[alive] = k
            if k % self.block and k < length - 1:
                continue
            stays = self._may_win(total[alive], state, k / (length - 1))
            if self.history and time.perf_counter() > self.deadline:
                stays[:] = False
            alive, state, x, weights = alive[stays], state[stays], x[:, stays], weights[stays]
            if not len(alive):
                break
        errors = np.full(len(total), np.inf)
        errors[alive] = total[alive] / self.n_known
        return errors, reach

    def _may_win(self, total: np.ndarray, state: np.ndarray, done: float) -> np.ndarray:
        """Return which forecasts may yet be the best, by their squared errors so far."""
        sums = np.where(np.isfinite(state).all(axis=(1, 2)), total, np.inf)
        close = sums <= self.hopeless * sums.min()
        close |= sums < self.clearly * self.n_known * done
        bounded = np.abs(state).max(axis=(1, 2)) < 1e3
        return np.asarray(close & bounded & (sums < self.error * self.n_known))


def _padded(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return trajectories as ``(n, time, d)``, zero beyond their ends, and where they are known."""
    length = max(len(r) for r in rows)
    padded = np.zeros((len(rows), length, rows[0].shape[1]))
    for k, r in enumerate(rows):
        padded[k, : len(r)] = r
    return padded, np.arange(length) < np.array([len(r) for r in rows])[:, None]
