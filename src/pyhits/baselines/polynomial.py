"""Polynomial one-step maps by ridge regression: nonlinear vector autoregression, and linear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyhits.baselines.simple import BASELINES, SimpleBaseline, finite
from pyhits.data.stretches import Stretches, evenly
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError
from pyhits.numerics.basis import Monomials, n_monomials
from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.numerics.ridge_path import ridge_path
from pyhits.numerics.rollout import DIVERGED, iterate
from pyhits.util.checks import as_count
from pyhits.util.stored import Array

#: Relative ridges tried, weakest first.
_RIDGES = (1e-14, 1e-11, 1e-8, 1e-5)

#: Rows regressed on, at most, and rows times squared terms: half a second on one core.
_MOST_ROWS, _MOST_WORK = 20_000, 4e8

#: Monomials of one candidate, at most; a higher degree or more lags are left out.
MOST_TERMS = 300

#: Forecasts that choose among candidates: trajectories and steps, at most.
_CHECKS, _CHECK_STEPS = 16, 400

#: Squared error, in variances, beyond which a forecast is no worse.
_WORST = 4.0


@dataclass(frozen=True, eq=False)
class StepMap:
    """One step as a polynomial in the last ``lags`` states."""

    weights: np.ndarray  # (terms, d): increments are ``monomials @ weights``
    lags: int
    degree: int


@BASELINES.register
class Polynomial(SimpleBaseline):
    """Polynomial vector autoregression (Gauthier et al. 2021, Nat. Commun. 12, 5564).

    The increment from one row to the next is a polynomial in the last one or two rows. Degree, rows
    and ridge are chosen by forecasts of the validation data from their first rows.

    Parameters
    ----------
    max_degree : int
        Highest degree tried, from 1 to 4, as far as there are at most 300 monomials.
    max_lags : int
        Rows looked at, at most: 1 or 2. From a state alone the first step looks at one.
    scaling : Standardise, optional
        By default ``Standardise()``.

    Attributes
    ----------
    map_ : StepMap
        The map chosen.
    starter_ : StepMap
        The map of the first step from a state alone; ``map_`` itself if that looks at one row.
    """

    kind: ClassVar[str] = "polynomial"
    most_features = 4096
    arrays: ClassVar[Mapping[str, Array]] = {
        "map|starter": Array(2),
        "shape|starter_shape": Array(1, ("I64",)),
    }
    cost = 3

    def __init__(
        self, *, max_degree: int = 4, max_lags: int = 2, scaling: Standardise | None = None
    ) -> None:
        self.max_degree = max_degree
        self.max_lags = max_lags
        self.scaling = scaling

    def _check(self) -> None:
        for name, most in (("max_degree", 4), ("max_lags", 2)):
            if as_count(getattr(self, name), name) > most:
                raise ArgumentError(
                    f"Expected {name} of at most {most}, got {getattr(self, name)}."
                )

    @property
    def label(self) -> str:
        """Name in a table, with the degree, and the rows looked at where those are two."""
        rows = ", 2 rows" if self.map_.lags == 2 else ""
        return f"{self.kind} (degree {self.map_.degree}{rows})"

    def _candidates(self, d: int) -> list[tuple[int, int]]:
        """Return lags and degrees to try, simplest first; the first is always there."""
        found = [
            (lags, degree)
            for lags in range(1, self.max_lags + 1)
            for degree in range(1, self.max_degree + 1)
            if n_monomials(lags * d, degree) <= MOST_TERMS
        ]
        return found or [(1, 1)]

    def _train(self, train: list[np.ndarray], validation: list[np.ndarray], seed: int) -> None:
        checks = _beginnings(validation)
        best: dict[int, tuple[tuple[int, float], StepMap]] = {}
        self.history_ = []
        for lags, degree in self._candidates(train[0].shape[1]):
            windows = _windows(train, lags, n_monomials(lags * train[0].shape[1], degree))
            if windows is None:
                continue
            before, increments = windows
            weights = ridge_path(_monomials(before, degree), increments, _RIDGES)
            starter = best[1][1] if lags > 1 else None
            for ridge, error, some in zip(
                _RIDGES,
                _errors(weights, lags, degree, starter, checks, self.n_inputs),
                weights,
                strict=True,
            ):
                if lags not in best or error < best[lags][0]:
                    best[lags] = (error, StepMap(some, lags, degree))
                self.history_.append(
                    {"lags": lags, "degree": degree, "ridge": ridge, "lost": error[0],
                     "error": error[1]}
                )  # fmt: skip
        if not best:
            raise DataError("Every trajectory has one row: there is no step to learn from.")
        self.starter_ = best[1][1]
        self.map_ = min(best.values(), key=lambda entry: entry[0])[1]

    @property
    def n_parameters_(self) -> int:
        """Numbers of the map chosen."""
        return self.map_.weights.size

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        ahead = np.empty((n_steps, len(rows), rows.shape[2]))
        known = rows.transpose(1, 0, 2)
        roll(ahead[None], known, self.map_.weights[None], self.map_, self.starter_)
        return ahead.transpose(1, 0, 2)

    def _learned(self) -> dict[str, np.ndarray]:
        found = {"map": self.map_.weights, "shape": np.array([self.map_.lags, self.map_.degree])}
        if self.starter_ is not self.map_:
            found |= {"starter": self.starter_.weights}
            found |= {"starter_shape": np.array([self.starter_.lags, self.starter_.degree])}
        return found

    def _set_learned(self, arrays: dict[str, np.ndarray]) -> None:
        self.map_ = self.starter_ = self._as_map(arrays["map"], arrays["shape"])
        if "starter" in arrays:
            self.starter_ = self._as_map(arrays["starter"], arrays["starter_shape"])
        if self.starter_.lags != 1:
            raise ValueError("a baseline looks at two rows where there is one")

    def _as_map(self, weights: np.ndarray, shape: np.ndarray) -> StepMap:
        lags, degree = (int(k) for k in shape)
        if not (1 <= lags <= 2 and 0 <= degree <= 4):
            raise ValueError("a baseline is of a degree or looks at rows that it cannot")
        d = self.n_features_in_
        return StepMap(finite(weights, (n_monomials(lags * d, degree), d)), lags, degree)


@BASELINES.register
class Linear(Polynomial):
    """A linear one-step map with a constant, by least squares: dynamic mode decomposition.

    ``x' = A x + b`` (Schmid 2010, J. Fluid Mech. 656, 5), its ridge chosen by forecasts of the
    validation data. Forecasts square the map, and so take few products whatever the horizon.
    """

    kind: ClassVar[str] = "linear"
    cost = 2
    max_degree = 1
    max_lags = 1

    def __init__(self, *, scaling: Standardise | None = None) -> None:
        self.scaling = scaling

    @property
    def label(self) -> str:
        """Name in a table."""
        return self.kind

    def _candidates(self, d: int) -> list[tuple[int, int]]:
        return [(1, 1)]

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        n, d = len(rows), rows.shape[2]
        # States with a 1 in front are mapped by one matrix, whose powers are steps of many rows.
        power = np.eye(d + 1)
        power[:, 1:] += self.map_.weights
        ahead = np.empty((n, n_steps + 1, d + 1))
        ahead[:, 0, 0], ahead[:, 0, 1:] = 1.0, rows[:, -1]
        done = 1
        with np.errstate(over="ignore", invalid="ignore"):
            while done <= n_steps:
                more = min(done, n_steps + 1 - done)
                ahead[:, done : done + more] = ahead[:, :more] @ power
                power, done = power @ power, done + more
        return ahead[:, 1:, 1:]


def _monomials(states: np.ndarray, degree: int) -> np.ndarray:
    """Return all monomials up to a degree, ``(..., n)`` to ``(..., n_monomials)``."""
    return Monomials(states.shape[-1], degree).of_rows(states)


def _windows(
    train: Sequence[np.ndarray], lags: int, terms: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the last ``lags`` rows side by side, latest first, and the increments after them."""
    long = [rows for rows in train if len(rows) > lags]
    if not long:
        return None
    before = [
        np.concatenate([rows[lags - 1 - k : len(rows) - 1 - k] for k in range(lags)], axis=1)
        for rows in long
    ]
    after = np.concatenate([np.diff(rows[lags - 1 :], axis=0) for rows in long])
    states = np.concatenate(before)
    most = int(min(_MOST_ROWS, max(2 * terms, _MOST_WORK / terms**2)))
    some = np.linspace(0, len(states) - 1, min(most, len(states))).astype(int)
    return states[some], after[some]


def _beginnings(validation: Sequence[np.ndarray]) -> np.ndarray:
    """Return beginnings of some trajectories, ``(time, n, d)``, NaN beyond their ends."""
    some = [validation[k][: _CHECK_STEPS + 1] for k in evenly(len(validation), _CHECKS)]
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in some])])
    truth = Stretches.whole(offsets).gather(np.concatenate(some))
    return np.ascontiguousarray(truth.transpose(1, 0, 2))


def _errors(
    weights: np.ndarray,
    lags: int,
    degree: int,
    starter: StepMap | None,
    truth: np.ndarray,
    n_inputs: int = 0,
) -> list[tuple[int, float]]:
    """Return how many forecasts each candidate loses, and its bounded mean squared error."""
    like = StepMap(weights[0], lags, degree)
    ahead = np.empty((len(weights), len(truth) - 1, *truth.shape[1:]))
    given = np.nan_to_num(truth[1:, :, truth.shape[2] - n_inputs :])
    roll(ahead, truth[:1], weights, like, starter or like, given)
    lost = (~(np.abs(ahead) < DIVERGED).all(axis=(1, 3))).sum(axis=1)
    by_trajectory = truth[1:].transpose(1, 0, 2)
    errors = (
        ForecastErrors.of(by_trajectory, of_one.transpose(1, 0, 2), first=0, bound=_WORST).mse
        for of_one in ahead
    )
    return list(zip(lost.tolist(), errors, strict=True))


def roll(
    ahead: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
    like: StepMap,
    starter: StepMap,
    given: np.ndarray | None = None,
) -> None:
    """Step forward with one or several maps at once, into ``ahead``.

    Parameters
    ----------
    ahead : array, shape (maps, n_steps, n, d)
    rows : array, shape (time, n, d)
        What is known; where that is too little for the lags, ``starter`` takes the first step.
    weights : array, shape (maps, terms, d)
        Of maps with the lags and degree of ``like``.
    given : array, shape (n_steps, n, k), optional
        The last k features at every step.
    """
    d, lags = ahead.shape[-1], like.lags
    known = [np.broadcast_to(row, (len(weights), *row.shape)) for row in rows[-lags:][::-1]]
    inputs = None if given is None or not given.shape[2] else given
    begin = lags - len(known)

    def start(row: np.ndarray) -> np.ndarray:
        return np.asarray(row + _monomials(row, starter.degree) @ starter.weights)

    def step(past: np.ndarray) -> np.ndarray:
        now = past[..., :d]
        later = now + _monomials(past, like.degree) @ weights
        return later if lags == 1 else np.concatenate([later, past[..., :-d]], axis=-1)

    with np.errstate(over="ignore", invalid="ignore"):
        for k, row in enumerate(iterate(start, known[0], begin, inputs=inputs)):
            ahead[:, k] = row
            known.insert(0, row)
        past = known[0] if lags == 1 else np.concatenate(known, axis=-1)
        rest = None if inputs is None else inputs[begin:]
        states = iterate(step, past, ahead.shape[1] - begin, inputs=rest)
        for k, past in enumerate(states, start=begin):
            ahead[:, k] = past[..., :d]
