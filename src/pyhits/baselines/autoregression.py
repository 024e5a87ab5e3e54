"""Maps from the last rows to the next, stepped again and again: linear, and of products of rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from pyhits.baselines.chosen import ChosenBaseline, Option, Tried
from pyhits.baselines.origins import Origins
from pyhits.baselines.simple import BASELINES
from pyhits.numerics.basis import Monomials, n_monomials
from pyhits.numerics.ridge_path import ridge_path
from pyhits.numerics.rollout import DIVERGED
from pyhits.util.stored import Array

#: Relative ridges tried, the strongest first, as powers of ten.
_RIDGES = (-2, -3, -5, -8, -13)

#: Lags tried, beside those that a period asks for; terms of one regression, at most, and terms up
#: to which rounding is kept small.
_LAGS, _MOST_TERMS, _EXACT_TERMS = (1, 2, 4, 8, 16, 32, 64), 150, 30

#: Rows times squared terms of a regression, at most; regressions from which on these are shared.
_MOST_WORK, _FEW_REGRESSIONS = 2e7, 8

#: Numbers of the designs that are solved at once, of features by themselves.
_TOGETHER = 4_000_000

#: Rows, strides and degrees of a nonlinear vector autoregression; and numbers that it is of.
_ROWS, _STRIDES, _DEGREES, _MOST_NUMBERS = (1, 2, 3, 5), (1, 2, 4, 8), (2, 3), 6


class _Stepped(ChosenBaseline):
    """Changes from row to row as a map of earlier rows, by ridge regression."""

    arrays: ClassVar[Mapping[str, Array]] = {**ChosenBaseline.arrays, "weights": Array(2)}

    weights_: np.ndarray

    def _fits(self) -> bool:
        d = self.n_features_in_
        return self.weights_.shape == (self._terms(self.option_, d), d)

    @classmethod
    @abstractmethod
    def _terms(cls, option: Option, d: int) -> int:
        """Return the number of terms of each feature's map."""


@BASELINES.register
class Autoregression(_Stepped):
    """Linear in the last rows, of each feature by itself or of all together.

    Rows, or their differences to the rows before or one season before, are what is stepped; which,
    how many and under which ridge is chosen.

    Attributes
    ----------
    option_ : tuple of int
        Rows; lag of the differences, 0 for none; whether features are joint; exponent of the ridge,
        without its sign.
    weights_ : array, shape (terms, d)
    """

    kind: ClassVar[str] = "ar"
    most_features = 4096
    default = (1, 0, 0, -_RIDGES[0])
    limits = (1, 1 << 16), (0, 1 << 16), (0, 1), (0, 16)
    cost = 3

    @property
    def label(self) -> str:
        """Name in a table, with the rows and the differences."""
        rows, lag, joint, _ = self.option_
        about = [f"{rows} rows" if rows > 1 else "1 row"]
        about += [f"differences over {lag}"] if lag else []
        about += ["joint"] if joint and self.n_features_in_ > 1 else []
        return f"{self.kind} ({', '.join(about)})"

    @property
    def n_rows(self) -> int:
        """Rows that a forecast looks at."""
        return self.option_[0] + self.option_[1]

    def _tried(self, train: Sequence[np.ndarray], origins: Origins) -> Iterator[Tried]:
        longest, d = len(max(train, key=len)), train[0].shape[1]
        seasons = self._seasons(train)
        near = {p + k for p in seasons for k in (0, 1)} | {2 * p for p in seasons}
        for lags in sorted({*_LAGS, *near}):
            for lag in (0, 1, *seasons):
                if lags + lag > min(origins.rows, 2 * longest // 5):
                    continue
                for joint in (0, 1) if d > 1 else (0,):
                    if self._terms((lags, lag, joint, 0), d) > _MOST_TERMS:
                        continue
                    weights = _linear(train, lags, lag, joint, _RIDGES)
                    every = _stepped(origins.history, origins.horizon, weights, (lags, lag, joint))
                    for power, ahead in zip(_RIDGES, every, strict=True):
                        yield Tried((lags, lag, joint, -power), ahead)

    def _solve(self, train: Sequence[np.ndarray], option: Option) -> None:
        lags, lag, joint, power = option
        self.weights_ = _linear(train, lags, lag, joint, (-power,))[0]

    def _on(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        return np.asarray(_stepped(rows, n_steps, self.weights_[None], self.option_)[0])

    @classmethod
    def _terms(cls, option: Option, d: int) -> int:
        return 1 + option[0] * (d if option[2] else 1)


def _linear(
    train: Sequence[np.ndarray], lags: int, lag: int, joint: int, ridges: Sequence[int]
) -> np.ndarray:
    """Return the weights of linear maps under each ridge, ``(ridges, terms, d)``."""
    d = train[0].shape[1]
    terms, regressions = (lags * d, 1) if joint else (lags, d)
    most = _most_windows(terms, regressions)
    last = [rows[-most - lags - lag :] for rows in train if len(rows) > lags + lag]
    penalties = [10.0**power for power in ridges]
    if not last:
        return np.zeros((len(ridges), 1 + terms, d))
    series = [rows[lag:] - rows[:-lag] if lag else rows for rows in last]
    view = np.lib.stride_tricks.sliding_window_view
    before = np.concatenate([view(one[:-1], lags, axis=0)[..., ::-1] for one in series])[-most:]
    now = np.concatenate([one[lags:] - _base(one[lags - 1 : -1], lag) for one in series])[-most:]
    if joint:
        return _solved(before.transpose(0, 2, 1).reshape(len(before), -1), now, penalties)
    together = max(1, _TOGETHER // before[:, 0].size)
    each = [
        _solved(
            before[:, k : k + together].swapaxes(0, 1), now.T[k : k + together, :, None], penalties
        )
        for k in range(0, d, together)
    ]
    return np.concatenate(each, axis=1)[..., 0].swapaxes(1, 2)


def _base(rows: np.ndarray, lag: int) -> np.ndarray:
    """Return what changes are added to: the row itself, or nothing where rows are differences."""
    return np.zeros_like(rows) if lag else rows


def _most_windows(terms: int, regressions: int = 1) -> int:
    """Return how many windows are affordable: the last ones are taken."""
    share = max(1.0, regressions / _FEW_REGRESSIONS)
    return int(max(2 * terms, _MOST_WORK / (terms + 1) ** 2 / share))


def _solved(design: np.ndarray, targets: np.ndarray, penalties: Sequence[float]) -> np.ndarray:
    """Return weights with a constant first, under each penalty; the constant is not penalised.

    Designs ``(..., rows, terms)`` and targets ``(..., rows, m)`` give ``(penalties, ..., 1 + terms,
    m)``.
    """
    mean, centre = (a.mean(axis=-2, keepdims=True) for a in (design, targets))
    products = design.shape[-1] > _EXACT_TERMS
    weights = ridge_path(design - mean, targets - centre, penalties, products=products)
    return np.concatenate([centre - mean @ weights, weights], axis=-2)


def _stepped(
    rows: np.ndarray, n_steps: int, weights: np.ndarray, option: Sequence[int]
) -> np.ndarray:
    """Step scaled rows forward with linear maps.

    Returns array, shape (maps, n, n_steps, d).

    Parameters
    ----------
    rows : array, shape (n, time, d)
    weights : array, shape (maps, terms, d)
    """
    lags, lag, joint = option[:3]
    maps, (n, time, d) = len(weights), rows.shape
    series = rows[:, lag:] - rows[:, : time - lag] if lag else rows
    # Oldest first, as the rows are; each feature by itself is a map of one feature.
    if joint:
        linear = weights[:, 1:].reshape(maps, lags, d, d)[:, ::-1].reshape(1, maps, lags * d, d)
        seen, constant = series[None, :, -lags:], weights[None, :, :1]
    else:
        linear = weights[:, :0:-1].transpose(2, 0, 1)[..., None]
        seen = series[:, -lags:].transpose(2, 0, 1)[..., None]
        constant = weights[:, :1].transpose(2, 0, 1)[..., None]
    groups, width = len(seen), seen.shape[-1]
    past = np.empty((groups, maps, n, lags + n_steps, width))
    past[:, :, :, :lags] = seen[:, None]
    flat = past.reshape(groups, maps, n, -1)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(n_steps):
            change = flat[..., k * width : (k + lags) * width] @ linear + constant
            past[:, :, :, k + lags] = change if lag else change + past[:, :, :, k + lags - 1]
        ahead = past[:, :, :, lags:]
        ahead = ahead[0] if joint else ahead[..., 0].transpose(1, 2, 3, 0)
        if not lag:
            return ahead
        last = np.broadcast_to(rows[None, :, -lag:], (maps, n, lag, d)).reshape(maps * n, lag, d)
        return _summed(ahead.reshape(maps * n, n_steps, d), last, lag).reshape(ahead.shape)


def _summed(changes: np.ndarray, last: np.ndarray, lag: int) -> np.ndarray:
    """Return rows whose differences over ``lag`` rows are given, from the last rows on."""
    n, n_steps, d = changes.shape
    turns = -(-n_steps // lag)
    padded = np.zeros((n, turns * lag, d))
    padded[:, :n_steps] = changes
    sums = np.cumsum(padded.reshape(n, turns, lag, d), axis=1) + last[:, None]
    return np.asarray(sums.reshape(n, -1, d)[:, :n_steps])


@BASELINES.register
class NVAR(_Stepped):
    """Changes from row to row as polynomials of a few earlier rows, some rows apart.

    Nonlinear vector autoregression (Gauthier et al. 2021, Nat. Commun. 12, 5564). Rows, stride,
    degree and ridge are chosen.

    Attributes
    ----------
    option_ : tuple of int
        Rows, stride, degree, exponent of the ridge without its sign.
    weights_ : array, shape (terms, d)
    """

    kind: ClassVar[str] = "nvar"
    most_features = 4096
    default = (1, 1, 1, -_RIDGES[0])
    limits = (1, max(_ROWS)), (1, max(_STRIDES)), (1, max(_DEGREES)), (0, 16)
    cost = 4

    @property
    def label(self) -> str:
        """Name in a table, with rows, stride and degree."""
        rows, stride, degree, _ = self.option_
        apart = f" {stride} apart" if stride > 1 and rows > 1 else ""
        return f"{self.kind} (degree {degree}, {rows} row{'s' * (rows > 1)}{apart})"

    @property
    def n_rows(self) -> int:
        """Rows that a forecast looks at."""
        return (self.option_[0] - 1) * self.option_[1] + 1

    def _tried(self, train: Sequence[np.ndarray], origins: Origins) -> Iterator[Tried]:
        d, n = train[0].shape[1], sum(map(len, train))
        for degree in _DEGREES:
            for rows in _ROWS:
                terms = self._terms((rows, 1, degree, 0), d)
                if terms > min(_MOST_TERMS, 2 * n // 5) or (rows > 1 and rows * d > _MOST_NUMBERS):
                    continue
                for stride in _STRIDES if rows > 1 else (1,):
                    if (rows - 1) * stride + 1 > min(origins.rows, 2 * n // 5):
                        continue
                    shape = (rows, stride, degree)
                    weights = _polynomial(train, shape, _RIDGES)
                    every = _polynomial_steps(origins.history, origins.horizon, weights, shape)
                    for power, ahead in zip(_RIDGES, every, strict=True):
                        yield Tried((*shape, -power), ahead)

    def _solve(self, train: Sequence[np.ndarray], option: Option) -> None:
        self.weights_ = _polynomial(train, option[:3], (-option[3],))[0]

    def _on(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        steps = _polynomial_steps(rows, n_steps, self.weights_[None], self.option_)
        return np.asarray(steps[0])

    @classmethod
    def _terms(cls, option: Option, d: int) -> int:
        return n_monomials(option[0] * d, option[2])


def _polynomial(
    train: Sequence[np.ndarray], shape: Sequence[int], ridges: Sequence[int]
) -> np.ndarray:
    """Return the weights of polynomial maps under each ridge, ``(ridges, terms, d)``."""
    rows, stride, degree = shape
    span = (rows - 1) * stride
    long = [one for one in train if len(one) > span + 1]
    d = train[0].shape[1]
    if not long:
        return np.zeros((len(ridges), n_monomials(rows * d, degree), d))
    before = np.concatenate(
        [
            np.concatenate(
                [one[span - k * stride : len(one) - 1 - k * stride] for k in range(rows)], axis=1
            )
            for one in long
        ]
    )
    now = np.concatenate([np.diff(one[span:], axis=0) for one in long])
    most = _most_windows(n_monomials(rows * d, degree))
    before, now = before[-most:], now[-most:]
    terms = Monomials(rows * d, degree)(before.T).T
    return _solved(terms[:, 1:], now, [10.0**power for power in ridges])


def _polynomial_steps(
    rows: np.ndarray, n_steps: int, weights: np.ndarray, shape: Sequence[int]
) -> np.ndarray:
    """Step scaled rows forward with polynomial maps.

    Returns array, shape (maps, n, n_steps, d).

    Parameters
    ----------
    rows : array, shape (n, time, d)
    weights : array, shape (maps, terms, d)
    """
    count, stride, degree = shape[:3]
    maps, (n, _, d) = len(weights), rows.shape
    span = (count - 1) * stride + 1
    basis = Monomials(count * d, degree)
    past = np.empty((span + n_steps, d, maps, n))
    past[:span] = rows[:, -span:].transpose(1, 2, 0)[:, :, None]
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(span, span + n_steps):
            seen = past[k - 1 - stride * np.arange(count)].reshape(count * d, maps, n)
            change = np.matmul(basis(seen).transpose(1, 2, 0), weights)
            past[k] = past[k - 1] + change.transpose(2, 0, 1)
            if k % 16 == 0 and not (np.abs(past[k]) < DIVERGED).any():
                past[k:] = np.nan
                break
    return past[span:].transpose(2, 3, 0, 1)
