"""The search for a reservoir: settings, readouts for many ridges, and which forecasts best."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from pyhits.numerics.ridge import Ridge
from pyhits.paper.rivals.reservoir import Reservoir, sparse_inputs, sparse_matrix

#: Relative ridges tried; those below rounding of a Gram matrix where the states are decomposed.
RIDGES = (1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-13, 1e-14)
_TINY_RIDGES = (1e-16, 1e-18, 1e-20, 1e-24, 0.0)

#: Rows or units, whichever are fewer, up to which the states themselves are decomposed.
_DIRECT = 1_000

#: Steps between two looks at which forecasts still compete; one with so many times the error of the
#: best does not, once its mean squared error is above the second number.
_BLOCK, _HOPELESS, _CLEARLY = 32, 100.0, 1e-6


@dataclass(frozen=True)
class Candidate:
    """Settings of one reservoir.

    Attributes
    ----------
    radius, leak : float
        Spectral radius and leak.
    input_scale, bias_scale : float
        Standard deviations of the driven and the constant part of a unit's sum.
    degree, input_degree : int
        Recurrent connections and features that a unit sees.
    increments : bool
        Whether the readout gives increments instead of states.
    seed : int
        Of the matrices.
    """

    radius: float = 0.9
    leak: float = 1.0
    input_scale: float = 0.5
    bias_scale: float = 0.3
    degree: int = 10
    input_degree: int = 10
    increments: bool = True
    seed: int = 0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Candidate:
        """Return random settings."""
        return cls(
            radius=float(rng.uniform(0.05, 1.3)),
            leak=float(np.exp(rng.uniform(np.log(0.03), 0.0))) if rng.random() < 0.6 else 1.0,
            input_scale=float(np.exp(rng.uniform(np.log(0.003), np.log(3.0)))),
            bias_scale=float(np.exp(rng.uniform(np.log(0.03), np.log(2.0)))),
            degree=int(rng.choice([3, 10, 30])),
            input_degree=int(rng.choice([1, 3, 10, 100])),
            increments=bool(rng.random() < 0.5),
            seed=int(rng.integers(1 << 31)),
        )

    def vary(self, rng: np.random.Generator) -> Candidate:
        """Return settings near these."""

        def near(value: float) -> float:
            return float(value * np.exp(0.3 * rng.standard_normal()))

        return replace(
            self,
            radius=min(near(self.radius), 1.5),
            leak=min(near(self.leak), 1.0) if self.leak < 1 else 1.0,
            input_scale=near(self.input_scale),
            bias_scale=near(self.bias_scale),
            seed=int(rng.integers(1 << 31)),
        )

    def reservoir(self, n_units: int, dimension: int) -> Reservoir:
        """Return the reservoir."""
        rng = np.random.default_rng(self.seed)
        return Reservoir(
            self.radius * sparse_matrix(n_units, self.degree, rng),
            self.input_scale * sparse_inputs(n_units, dimension, self.input_degree, rng),
            self.bias_scale * rng.standard_normal(n_units),
            self.leak,
        )


class Search:
    """Tries reservoirs and keeps the best of them and of their ridges."""

    reservoir: Reservoir
    readout: np.ndarray

    def __init__(
        self, train: list[np.ndarray], held: list[np.ndarray], washout: int, deadline: float
    ) -> None:
        self.washout, self.deadline = washout, deadline
        self.begin = time.perf_counter()
        self.train, self.held = train, held
        self.rows, self.known = _padded(train)
        self.truth, known = _padded(held)
        self.truth[~known] = np.nan
        self.n_known = int(known[:, 1:].sum()) * self.truth.shape[2]
        self.candidate: Candidate | None = None
        self.ridge = 0.0
        self.best_error, self.best_reach = np.inf, -1
        self.history: list[dict[str, Any]] = []

    def again(self) -> Search:
        """Return a search with the same data that has found nothing yet."""
        return Search(self.train, self.held, self.washout, self.deadline)

    def consider(self, candidate: Candidate | None, reservoir: Reservoir) -> None:
        """Fit the readouts of a reservoir, forecast with each, and keep the best."""
        known = self.known[:, 1:].copy()
        known[:, : self.washout] = False
        states = reservoir.harvest(self.rows[:, :-1])[known]
        adds = candidate is not None and candidate.increments
        targets = (self.rows[:, 1:] - self.rows[:, :-1] if adds else self.rows[:, 1:])[known]
        products = candidate is not None and min(states.shape) > _DIRECT
        solver = Ridge(*(torch.from_numpy(a) for a in (states, targets)), products=products)
        ridges: tuple[float, ...] = (0.0,)
        if candidate is not None:
            ridges = RIDGES + (() if products else _TINY_RIDGES)
        readouts = solver.path(ridges).mT.numpy()
        del solver, states
        errors, reach = self._race(reservoir, readouts, adds=adds)
        k = int(np.lexsort((-reach, errors))[0])
        entry = {"ridge": ridges[k], "error": float(errors[k])}
        entry["seconds"] = time.perf_counter() - self.begin
        self.history.append(entry | (asdict(candidate) if candidate is not None else {}))
        if (errors[k], -reach[k]) < (self.best_error, -self.best_reach):
            self.best_error, self.best_reach = float(errors[k]), int(reach[k])
            self.candidate, self.reservoir, self.ridge = candidate, reservoir, ridges[k]
            self.readout = readouts[k].copy().T

    def _race(
        self, reservoir: Reservoir, readouts: np.ndarray, *, adds: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Forecast from the first rows with all readouts at once; those that cannot win drop out.

        Returns
        -------
        errors : array, shape (n_ridges,)
            Mean squared error, infinite for those that dropped out.
        reach : array of int, shape (n_ridges,)
            Steps for which they took part.
        """
        n, length, d = self.truth.shape
        alive = np.arange(len(readouts))
        total, reach = np.zeros(len(readouts)), np.zeros(len(readouts), dtype=int)
        state = np.broadcast_to(self.truth[:, 0].T, (len(readouts), d, n))
        x = np.zeros((reservoir.n_units, len(readouts), n))
        weights = readouts
        for k in range(1, length):
            flat = reservoir.move(
                x.reshape(reservoir.n_units, -1), state.transpose(1, 0, 2).reshape(d, -1)
            )
            x = flat.reshape(reservoir.n_units, len(alive), n)
            with np.errstate(over="ignore", invalid="ignore"):
                state = np.matmul(weights, x.transpose(1, 0, 2)) + (state if adds else 0.0)
                total[alive] += np.nansum(np.square(state - self.truth[:, k].T), axis=(1, 2))
            reach[alive] = k
            if k % _BLOCK and k < length - 1:
                continue
            sums = np.where(np.isfinite(state).all(axis=(1, 2)), total[alive], np.inf)
            so_far = self.n_known * k / (length - 1)
            stays = sums < self.best_error * self.n_known
            stays &= (sums <= _HOPELESS * sums.min()) | (sums < _CLEARLY * so_far)
            stays &= np.abs(state).max(axis=(1, 2)) < 1e3
            late = self.history and time.perf_counter() > self.deadline
            if late or not stays.any():
                alive = alive[:0]
                break
            if not stays.all():
                alive, state, x = alive[stays], state[stays], x[:, stays]
                weights = weights[stays]
        errors = np.full(len(readouts), np.inf)
        errors[alive] = total[alive] / self.n_known
        return errors, reach


def _padded(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return trajectories as ``(n, time, d)``, zero beyond their ends, and where they are known."""
    length = max(len(r) for r in rows)
    padded = np.zeros((len(rows), length, rows[0].shape[1]))
    for k, r in enumerate(rows):
        padded[k, : len(r)] = r
    lengths = np.array([len(r) for r in rows])
    return padded, np.arange(length) < lengths[:, None]
