"""How long before inputs act: regressions of the next state on inputs of earlier rows, compared.

The change of state from one row to the next is regressed on a polynomial of the last states and on
inputs so many rows back. Lags are added one by one, each the one that lowers the error of blocks of
rows that were left out most, and taken away again where others have made them needless (stepwise
regression for NARX models: Billings 2013, Nonlinear System Identification, ch. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyhits.numerics.basis import Monomials, n_monomials

#: Degrees of the polynomial of the last states that are tried, and its monomials at most.
_DEGREES, _MOST_TERMS = (1, 2, 3), 60

#: Blocks of rows that are left out in turn, and rows regressed on, at most.
_BLOCKS, _MOST_ROWS = 5, 3_000

#: Columns of inputs at most, and states up to which their products with inputs are columns, too.
_MOST_COLUMNS, _MOST_PRODUCTS = 800, 3

#: Lags of all inputs together, at most; the part of the error that one more must fall below, and
#: the one up to which one less is as good.
_MOST_LAGS, _GAIN, _NO_LOSS = 8, 0.9, 1.02

#: Penalty that keeps equations solvable, and the smallest relative error that is told from none.
_PENALTY, _NOTHING = 1e-12, 1e-14


@dataclass(frozen=True)
class LagFit:
    """Lags that a regression prefers."""

    lags: tuple[tuple[int, ...], ...]  # rows back, of each input
    error: float  # mean squared error on rows left out, over the variance of the changes
    present: float  # that of the inputs of the row alone


def find_lags(
    states: np.ndarray,
    inputs: np.ndarray,
    offsets: np.ndarray,
    *,
    n_rows: int = 1,
    most: int = 50,
    varying: Sequence[bool] | None = None,
) -> LagFit:
    """Return the lags by which inputs tell the next state best.

    Parameters
    ----------
    states : array, shape (rows, d)
        Of packed trajectories.
    inputs : array, shape (rows, k)
        Row i acts from row i to the next, or later.
    offsets : array, shape (n_trajectories + 1,)
        Row at which each trajectory begins.
    n_rows : int
        Rows of states that the next is told from.
    most : int
        Longest lag tried.
    varying : sequence of bool, optional
        Which inputs vary in time; others are parameters, which act at once.
    """
    k = inputs.shape[1]
    moving = [j for j in range(k) if varying is None or varying[j]]
    fixed = [j for j in range(k) if j not in moving]
    z, u = _standard(states), _standard(inputs)
    each = 2 + (z.shape[1] if z.shape[1] <= _MOST_PRODUCTS else 0)
    most = min(most, _MOST_COLUMNS // (each * max(1, len(moving))) - 1)
    rows = _rows(offsets, max(most, n_rows - 1))
    if not moving or most < 1 or len(rows) < 2 * _BLOCKS * each:
        return LagFit(((0,),) * k, 1.0, 1.0)
    now = np.concatenate([*(z[rows - j] for j in range(n_rows)), u[rows][:, fixed]], axis=1)
    places = [(j, lag) for j in moving for lag in range(most + 1)]
    columns = [_columns(u[rows - lag, j], z[rows], each) for j, lag in places]
    changes = z[rows + 1] - z[rows]
    best: LagFit | None = None
    for degree in _DEGREES:
        if degree > 1 and n_monomials(now.shape[1], degree) > min(_MOST_TERMS, len(rows) // 6):
            break
        base = Monomials(now.shape[1], degree)(now.T).T
        found = _search(_LeftOut(base, columns, changes), places, k)
        if best is None or found.error < _GAIN * best.error:
            best = found
    assert best is not None
    return best


def _search(fit: _LeftOut, places: Sequence[tuple[int, int]], k: int) -> LagFit:
    """Add and take away lags as long as that helps."""
    chosen: list[int] = []
    (errors,) = fit.errors([[]])
    while len(chosen) < _MOST_LAGS:
        others = [j for j in range(len(places)) if j not in chosen]
        found = fit.errors([[*chosen, j] for j in others])
        first = int(found.mean(axis=1).argmin())
        gain = errors - found[first]
        doubt = gain.std(ddof=1) / np.sqrt(_BLOCKS)
        if found[first].mean() > _GAIN * errors.mean() or gain.mean() <= doubt:
            break
        chosen, errors = [*chosen, others[first]], found[first]
        while len(chosen) > 1:
            fewer = [chosen[:i] + chosen[i + 1 :] for i in range(len(chosen) - 1)]
            found = fit.errors(fewer)
            least = int(found.mean(axis=1).argmin())
            if found[least].mean() > _NO_LOSS * errors.mean():
                break
            chosen, errors = fewer[least], found[least]
    present = fit.errors([[j for j, (_, lag) in enumerate(places) if lag == 0]]).mean()
    lags: list[tuple[int, ...]] = []
    for i in range(k):
        own = sorted(places[j][1] for j in chosen if places[j][0] == i)
        lags.append(tuple(own) if own else (0,))
    return LagFit(tuple(lags), float(errors.mean()), float(present))


class _LeftOut:
    """Errors of regressions on blocks of rows that were left out, by products of columns.

    Parameters
    ----------
    base : array, shape (n, terms)
        Columns of every regression.
    columns : sequence of array, shape (n, each)
        Columns that a regression takes or leaves together.
    changes : array, shape (n, d)
    """

    def __init__(
        self, base: np.ndarray, columns: Sequence[np.ndarray], changes: np.ndarray
    ) -> None:
        design = np.concatenate([base, *columns], axis=1)
        size = np.sqrt(np.square(design).mean(axis=0))
        design = design / np.where(size > 0, size, 1.0)
        spread = np.sqrt(np.square(changes).mean(axis=0))
        targets = changes / np.where(spread > 0, spread, 1.0)
        self._n_base, self._each, self._n = base.shape[1], columns[0].shape[1], len(design)
        parts = np.array_split(np.arange(len(design)), _BLOCKS)
        self._products = np.stack([design[p].T @ design[p] for p in parts])
        self._inner = np.stack([design[p].T @ targets[p] for p in parts])
        self._squares = np.array([np.square(targets[p]).sum() for p in parts])
        self._counts = np.array([targets[p].size for p in parts])

    def errors(self, several: Sequence[Sequence[int]]) -> np.ndarray:
        """Return the relative error on each block, ``(len(several), blocks)``."""
        found = []
        for some in several:
            own = [self._n_base + self._each * j + i for j in some for i in range(self._each)]
            own = [*range(self._n_base), *own]
            products, inner = self._products[:, own][:, :, own], self._inner[:, own]
            penalty = _PENALTY * self._n * np.eye(len(own))
            others = products.sum(axis=0) - products + penalty
            weights = np.linalg.solve(others, inner.sum(axis=0) - inner)
            missed = self._squares - 2 * (weights * inner).sum(axis=(1, 2))
            missed += (weights * (products @ weights)).sum(axis=(1, 2))
            found.append(np.maximum(missed, _NOTHING * self._squares) / self._counts)
        return np.array(found)


def _columns(u: np.ndarray, z: np.ndarray, each: int) -> np.ndarray:
    """Return what an input of some row adds to a regression: itself, its square, its products."""
    products = [u * z[:, j] for j in range(each - 2)]
    return np.stack([u, u * u, *products], axis=1)


def _standard(values: np.ndarray) -> np.ndarray:
    """Return values of mean 0 and standard deviation 1; constants as zeros."""
    spread = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _rows(offsets: np.ndarray, before: int) -> np.ndarray:
    """Return rows that have so many before them and one after, evenly chosen of many."""
    lengths = np.diff(offsets)
    number = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    rows = np.flatnonzero((number >= before) & (number < np.repeat(lengths, lengths) - 1))
    some = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ROWS)).astype(int)
    return np.asarray(rows[some])
