"""Forecasts of rows of points on a ring that a learned map must beat: shared local regressions.

Each is fitted to one recording ``(time, point)`` of mean 0 and deviation 1, is the same at every
point, and goes on from the last rows of many histories at once. Settings are chosen on the last
fifth of what is learned from, by the rows for which forecasts stay valid.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from scipy import sparse

#: Error, in standard deviations, up to which a forecast is valid; beyond the other it is lost.
VALID, LOST = 0.4, 1e3

#: Rows in the design matrix of a block, and of all that a readout or a polynomial learns from.
_BLOCK, _MOST = 1 << 17, 1 << 19


def valid_rows(truth: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Return for how many rows each of ``(n, time, point)``, of deviation 1, stays valid."""
    with np.errstate(over="ignore", invalid="ignore"):
        late = ~(np.sqrt(np.square(forecast - truth).mean(axis=2)) <= VALID)
    return np.where(late.any(axis=1), late.argmax(axis=1), truth.shape[1])


class Rival(ABC):
    """One model with its settings.

    Attributes
    ----------
    history : int
        Rows that a forecast looks at.
    """

    history: int = 1

    @abstractmethod
    def fit(self, rows: np.ndarray) -> Self:
        """Fit to one recording ``(time, point)``."""

    @abstractmethod
    def ahead(self, histories: np.ndarray, n_steps: int) -> np.ndarray:
        """Go on from ``(n, history, point)``; return ``(n, n_steps, point)``."""


def chosen(
    makers: Sequence[Callable[[], Rival]], rows: np.ndarray, horizon: int, n_starts: int = 10
) -> Rival:
    """Return the rival that stays valid longest on the last fifth, fitted to all rows."""
    n = len(rows) * 4 // 5
    best, longest = makers[0], -1.0
    for make in makers:
        rival = make().fit(rows[:n])
        starts = np.linspace(n, len(rows) - horizon - 1, n_starts).astype(int)
        ahead = rival.ahead(histories(rows, starts, rival.history), horizon)
        truth = np.stack([rows[k + 1 : k + 1 + horizon] for k in starts])
        valid = float(valid_rows(truth, ahead).mean())
        if valid > longest:
            best, longest = make, valid
    return best().fit(rows)


def histories(rows: np.ndarray, starts: np.ndarray, n: int) -> np.ndarray:
    """Return the ``n`` rows up to each of the starts, ``(start, n, point)``."""
    return np.stack([rows[k + 1 - n : k + 1] for k in starts])


def _blocks(first: int, rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Return the rows to learn from, evenly thinned where they are many, in blocks."""
    every = max(1, rows.size // _MOST)
    at = np.arange(first, len(rows) - 1, every)
    return np.array_split(at, max(1, round(len(at) / size)))


class LocalPolynomial(Rival):
    """The next row as a polynomial of the neighbours, in one row or several, by ridge regression.

    Not its change: a ridge then leaves nothing of the wavenumbers that the data leave empty.

    Parameters
    ----------
    linear, quadratic : int
        Neighbours to each side in linear terms, and in products.
    lags : int
        Rows.
    ridge : float
        Relative to the mean square of the terms.
    kept : float
        Wavenumbers kept after each step, as a part of all.
    """

    def __init__(
        self, linear: int, quadratic: int, lags: int, ridge: float, kept: float = 1.0
    ) -> None:
        self.linear, self.quadratic = linear, quadratic
        self.history, self.ridge, self.kept = lags, ridge, kept

    def terms(self, past: np.ndarray) -> np.ndarray:
        """Return terms ``(n, point, term)`` of rows ``(n, lag, point)``, the last one last."""
        near = [
            np.roll(past[:, lag], shift, axis=1)
            for lag in range(self.history)
            for shift in range(-self.linear, self.linear + 1)
        ]
        close = [
            np.roll(past[:, lag], shift, axis=1)
            for lag in range(self.history)
            for shift in range(-self.quadratic, self.quadratic + 1)
        ]
        products = [a * b for a, b in itertools.combinations_with_replacement(close, 2)]
        return np.stack([np.ones_like(past[:, 0]), *near, *products], axis=2)

    def fit(self, rows: np.ndarray) -> Self:
        """Solve the normal equations, summed over blocks."""
        gram, right = np.zeros(()), np.zeros(())
        block = max(1, _BLOCK // rows.shape[1])
        lags = self.history
        for at in _blocks(lags - 1, rows, block):
            past = rows[at[:, None] + np.arange(1 - lags, 1)]
            terms = self.terms(past)
            x = terms.reshape(-1, terms.shape[2])
            gram = gram + x.T @ x
            right = right + x.T @ rows[at + 1].reshape(-1)
        gram = gram + self.ridge * np.trace(gram) / len(gram) * np.eye(len(gram))
        self.weights = np.linalg.solve(gram, right)
        return self

    def ahead(self, histories: np.ndarray, n_steps: int) -> np.ndarray:
        """Step all histories at once."""
        past = histories
        out = np.full((len(past), n_steps, past.shape[2]), np.nan)
        n = past.shape[2]
        cut = int(self.kept * (n // 2)) + 1
        for k in range(n_steps):
            new = self.terms(past) @ self.weights
            if self.kept < 1:
                modes = np.fft.rfft(new)
                modes[:, cut:] = 0
                new = np.fft.irfft(modes, n)
            if not (np.abs(new).max(axis=1) < LOST).any():
                break
            new = np.clip(np.nan_to_num(new, nan=LOST), -LOST, LOST)
            out[:, k] = new
            past = np.concatenate([past[:, 1:], new[:, None]], axis=1)
        return out


class SpectralNVAR(Rival):
    """Coefficients of the next row, wavenumber by wavenumber, by ridge regression.

    Terms are the coefficients of the row and of the one before, and those of products of two of
    u, u_x and u_xx, in both rows.
    """

    history = 2

    def __init__(self, ridge: float, kept: float) -> None:
        self.ridge, self.kept = ridge, kept

    def terms(self, past: np.ndarray) -> np.ndarray:
        """Return terms ``(n, wavenumber, term)`` of rows ``(n, 2, point)``."""
        n = past.shape[2]
        modes = np.fft.rfft(past)
        wave = 2j * np.arange(modes.shape[2]) / modes.shape[2]
        fields = [np.fft.irfft(wave**p * modes, n) for p in range(3)]
        pairs = itertools.combinations_with_replacement(fields, 2)
        products = np.stack([np.fft.rfft(a * b) for a, b in pairs], axis=1)
        every = np.concatenate([modes, products.reshape(len(past), -1, modes.shape[2])], axis=1)
        return np.asarray(np.swapaxes(every, 1, 2)[:, : self.cut(n)])

    def cut(self, n: int) -> int:
        """Return how many wavenumbers are kept."""
        return int(self.kept * (n // 2)) + 1

    def fit(self, rows: np.ndarray) -> Self:
        """Solve the normal equations of each wavenumber."""
        gram, right = np.zeros(()), np.zeros(())
        block = max(1, _BLOCK // rows.shape[1])
        for at in _blocks(1, rows, block):
            x = self.terms(rows[at[:, None] + np.arange(-1, 1)])
            y = np.fft.rfft(rows[at + 1])[:, : x.shape[1]]
            x = np.moveaxis(x, 0, 1)
            flipped = x.conj().swapaxes(1, 2)
            gram = gram + flipped @ x
            right = right + (flipped @ y.T[:, :, None])
        # One ridge for all wavenumbers: it leaves nothing of those that the data leave empty.
        size = np.einsum("kii->i", gram).real / len(gram)
        ridge = self.ridge * np.diag(size)
        self.weights = np.linalg.solve(gram + ridge, right)[:, :, 0]
        return self

    def ahead(self, histories: np.ndarray, n_steps: int) -> np.ndarray:
        """Step all histories at once."""
        past, n = histories, histories.shape[2]
        out = np.full((len(past), n_steps, n), np.nan)
        for k in range(n_steps):
            new = np.fft.irfft(np.einsum("nkt,kt->nk", self.terms(past), self.weights), n)
            if not (np.abs(new).max(axis=1) < LOST).any():
                break
            new = np.clip(np.nan_to_num(new, nan=LOST), -LOST, LOST)
            out[:, k] = new
            past = np.stack([past[:, 1], new], axis=1)
        return out


class LocalReservoirs(Rival):
    """Reservoirs side by side that each forecast a few points and see some more to each side.

    Pathak, Hunt, Girvan, Lu and Ott 2018 (Phys. Rev. Lett. 120, 024102): degree 3, spectral radius
    0.6, every second unit squared in the readout. As the equations are the same everywhere, so are
    the reservoirs here, which the paper leaves open: each learns from the rows of all.

    Parameters
    ----------
    points, overlap : int
        That one reservoir forecasts, and that it sees beyond these to each side.
    units : int
    scale : float
        Of the input weights.
    ridge : float
        Relative to the mean square of the states.
    """

    history = 100

    def __init__(self, points: int, overlap: int, units: int, scale: float, ridge: float) -> None:
        self.points, self.overlap, self.ridge = points, overlap, ridge
        rng = np.random.default_rng(0)
        inside = sparse.random(units, units, 3 / units, random_state=rng, format="csr")
        inside.data = rng.uniform(-1, 1, inside.nnz)
        radius = np.abs(np.linalg.eigvals(inside.toarray())).max()
        self.inside = (inside * (0.6 / radius)).astype(np.float32)
        width = points + 2 * overlap
        # Each unit sees one point, as in the paper.
        feeds = np.zeros((units, width), np.float32)
        feeds[np.arange(units), rng.integers(0, width, units)] = rng.uniform(-scale, scale, units)
        self.feeds = feeds

    def seen(self, rows: np.ndarray) -> np.ndarray:
        """Return what the reservoirs of rows ``(n, point)`` see, ``(width, n * reservoirs)``."""
        n = rows.shape[1]
        begin = np.arange(0, n, self.points)
        width = np.arange(-self.overlap, self.points + self.overlap)
        return rows[:, (begin[:, None] + width) % n].reshape(-1, len(width)).T

    def step(self, state: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the next states ``(units, n * reservoirs)``."""
        return np.tanh(self.inside @ state + self.feeds @ self.seen(rows).astype(np.float32))

    def _readable(self, state: np.ndarray) -> np.ndarray:
        read = state.copy()
        read[1::2] *= read[1::2]
        return read

    def fit(self, rows: np.ndarray) -> Self:
        """Drive the reservoirs by the rows and solve for the readout."""
        units, n = len(self.feeds), rows.shape[1] // self.points
        state = np.zeros((units, n), np.float32)
        gram, right = np.zeros((units, units)), np.zeros((units, self.points))
        driven, wanted = [], []
        every = max(1, len(rows) * n // (_MOST // 4))
        for k in range(len(rows) - 1):
            state = self.step(state, rows[k : k + 1])
            if k >= self.history and k % every == 0:
                driven.append(self._readable(state))
                wanted.append(rows[k + 1].reshape(n, self.points))
            if driven and (len(driven) * n >= 4096 or k == len(rows) - 2):
                x, y = np.concatenate(driven, axis=1), np.concatenate(wanted)
                gram += x @ x.T
                right += x @ y
                driven, wanted = [], []
        gram += self.ridge * np.trace(gram) / units * np.eye(units)
        self.readout = np.linalg.solve(gram, right).astype(np.float32)
        return self

    def ahead(self, histories: np.ndarray, n_steps: int) -> np.ndarray:
        """Drive the reservoirs by the histories, then by what they say."""
        runs, _, n = histories.shape
        state = np.zeros((len(self.feeds), runs * n // self.points), np.float32)
        for k in range(histories.shape[1]):
            state = self.step(state, histories[:, k])
        out = np.empty((runs, n_steps, n))
        for k in range(n_steps):
            out[:, k] = (self._readable(state).T @ self.readout).reshape(runs, n)
            state = self.step(state, out[:, k])
        return out
