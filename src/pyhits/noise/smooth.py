"""Local polynomial smoothing, its window chosen by the risk that the noise level implies."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.numerics import local_polynomials
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError

#: Degrees of the local polynomials; an odd degree has the weights of the even one below it.
_DEGREES = (2, 4)

#: Widths of the windows tried, in rows, as far as the trajectories reach.
_WIDTHS = (5, 7, 9, 13, 17, 25, 35, 49, 69, 97, 137, 193, 273, 385, 545, 769, 1089)

#: Rows over which noise must show no correlation, and how much is allowed for.
_LAGS, _CORRELATED = 4, 0.1

#: Numbers that are smoothed at once, and multiply-adds a second at least.
_AT_ONCE, _SPEED = 1 << 20, 3e8

#: Rows that the window is chosen on, numbers in them, and trajectories, at most.
_MOST_ROWS, _MOST_NUMBERS, _MOST_TRAJECTORIES = 200_000, 1 << 22, 16_384


@dataclass(frozen=True)
class Window:
    """A local polynomial smoother (Savitzky, Golay 1964)."""

    width: int  # rows, odd; 1 leaves the data as they are
    degree: int
    #: Estimated mean squared error of the smoothed rows, in units of the noise variance.
    risk: float

    def __call__(self, values: np.ndarray, derivative: int = 0, dt: float = 1.0) -> np.ndarray:
        """Smooth rows ``(..., time, d)`` along time, or return their time derivative.

        Rows that are fewer than the window's come back as they are.
        """
        if values.shape[-2] < max(self.width, 2):
            return np.zeros_like(values) if derivative else values
        if self.width == 1:
            return np.gradient(values, dt, axis=-2) if derivative else values
        return local_polynomials.smoothed(values, self.width, self.degree, derivative, dt)

    def leverage(self, n_rows: int) -> float:
        """Return the mean weight of a row in its own smoothed value, over ``n_rows`` rows."""
        u = np.linspace(-1, 1, self.width)
        basis, _ = np.linalg.qr(np.vander(u, self.degree + 1))
        own = np.einsum("ij,ij->i", basis, basis)
        half = self.width // 2
        edges = own[:half].sum() + own[half + 1 :].sum()
        return float((edges + (n_rows - 2 * half) * own[half]) / n_rows)


def choose_window(
    data: Trajectories,
    sigma: np.ndarray,
    degrees: Sequence[int] = _DEGREES,
    *,
    clock: Clock = UNLIMITED,
) -> Window:
    """Choose the window of least risk (Mallows 1973, Technometrics 15, 661: C_p).

    For a smoother that gives a row the weight w in its own value, the mean squared residual less
    ``sigma**2 (1 - 2 w)`` estimates the mean squared error without bias.

    Raises TimeIsUpError: before all windows were tried.

    Parameters
    ----------
    sigma : array, shape (d,)
        Standard deviation of the noise on each feature; features with 0 are left out.
    degrees : sequence of int
        Degrees to choose from.
    """
    pieces = _some(data, sigma)
    n_pieces = sum(len(piece) for piece in pieces)
    best = Window(1, 0, 1.0)
    for width in _WIDTHS:
        long = [piece for piece in pieces if piece.shape[1] >= width]
        if 2 * sum(len(piece) for piece in long) < n_pieces:
            break
        for degree in degrees:
            if width <= degree + 1:
                continue
            clock.check()
            window = Window(width, degree, 0.0)
            squared = own = 0.0
            for piece in long:
                squared += float(np.square(piece - window(piece)).sum())
                own += window.leverage(piece.shape[1]) * piece.size
            count = sum(piece.size for piece in long)
            risk = squared / count - 1 + 2 * own / count
            if risk < best.risk:
                best = Window(width, degree, risk)
    return best


def _some(data: Trajectories, sigma: np.ndarray) -> list[np.ndarray]:
    """Return beginnings of some of the trajectories, in units of the noise, ``(n, time, d)``.

    Those of equal length are together: many short ones would take long one by one.
    """
    noisy = sigma > 0
    most = min(_MOST_ROWS, _MOST_NUMBERS // int(noisy.sum()))
    step = max(1, data.n_rows // max(1, most), -(-len(data) // _MOST_TRAJECTORIES))
    chosen = np.arange(0, len(data), step)
    rows = np.minimum(data.lengths[chosen], max(64, most // len(chosen)))
    first = data.offsets[chosen]
    return [
        data.values[first[same, None] + np.arange(rows[same[0]])][..., noisy] / sigma[noisy]
        for same in equal(rows)
    ]


def equal(lengths: np.ndarray) -> list[np.ndarray]:
    """Return the indices of equal lengths together, the shortest first."""
    order = np.argsort(lengths, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1)


def leaves_noise(residual: np.ndarray, offsets: np.ndarray, window: Window | None = None) -> bool:
    """Whether what was taken off is white noise, by its correlation over the next rows.

    Smoothing leaves traces of its own in the residual, which follow from the window's weights. Fast
    motion that was taken for noise shows beside them.

    Parameters
    ----------
    residual : array, shape (n_rows, d)
        Rows less smoothed rows.
    offsets : array, shape (n_trajectories + 1,)
        Where the trajectories begin and end.
    window : Window, optional
        That smoothed them, if any did.
    """
    step = max(1, len(residual) // _MOST_ROWS)
    width = 1 if window is None else window.width
    half = width // 2
    pieces = [
        residual[begin + half : end - half]
        for begin, end in itertools.pairwise(offsets.tolist())
        if end - begin > width + _LAGS
    ]
    pieces = pieces[:: max(step, -(-len(pieces) // _MOST_TRAJECTORIES))]
    if not pieces:
        return False
    expected = np.zeros(0)
    if window is not None:
        weights = -local_polynomials.weights(width, window.degree)
        weights[half] += 1
        expected = np.correlate(weights, weights, mode="full")[width - 1 :]
        expected = expected / expected[0]
    power = sum(np.square(piece).sum(axis=0) for piece in pieces)
    count = sum(len(piece) for piece in pieces)
    moving = power > 0
    for lag in range(1, _LAGS + 1):
        product = sum((piece[lag:] * piece[:-lag]).sum(axis=0) for piece in pieces)
        share = sum(len(piece) - lag for piece in pieces) / count
        found = product[moving] / power[moving] / share
        wanted = expected[lag] if lag < len(expected) else 0.0
        if (np.abs(found - wanted) > _CORRELATED + 4 / np.sqrt(count)).any():
            return False
    return True


def smooth(
    data: Trajectories, window: Window, derivative: int = 0, *, clock: Clock = UNLIMITED
) -> np.ndarray:
    """Return all rows smoothed in float64, or their time derivatives; shape ``(n_rows, d)``.

    Raises TimeIsUpError.
    """
    if not clock.affords(data.values.size * window.width / _SPEED):
        raise TimeIsUpError
    out = np.empty(data.values.shape)
    for same in equal(data.lengths):
        length = int(data.lengths[same[0]])
        size = max(1, _AT_ONCE // (length * data.n_features))
        for begin in range(0, len(same), size):
            clock.check()
            rows = data.offsets[same[begin : begin + size], None] + np.arange(length)
            out[rows] = window(data.values[rows].astype(np.float64), derivative, data.dt)
    return out
