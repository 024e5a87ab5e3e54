"""Local polynomial smoothing, its window chosen by the risk that the noise level implies."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyhits.trajectories import Trajectories

#: Degrees of the local polynomials; an odd degree has the weights of the even one below it.
_DEGREES = (2, 4)

#: Widths of the windows tried, in rows, as far as the trajectories reach.
_WIDTHS = (5, 7, 9, 13, 17, 25, 35, 49, 69, 97, 137, 193, 273, 385, 545, 769, 1089)

#: Rows over which noise must show no correlation, and how much is allowed for.
_LAGS, _CORRELATED = 4, 0.1

#: Rows that the window is chosen on, at most.
_MOST_ROWS = 200_000


@dataclass(frozen=True)
class Window:
    """A local polynomial smoother (Savitzky, Golay 1964).

    Attributes
    ----------
    width : int
        Rows, odd; 1 leaves the data as they are.
    degree : int
    risk : float
        Estimated mean squared error of the smoothed rows, in units of the noise variance.
    """

    width: int
    degree: int
    risk: float

    def __call__(self, values: np.ndarray, derivative: int = 0, dt: float = 1.0) -> np.ndarray:
        """Smooth rows ``(..., time, d)`` along time, or return their time derivative.

        Rows that are fewer than the window's come back as they are.
        """
        from scipy.signal import savgol_filter

        if values.shape[-2] < max(self.width, 2):
            return np.zeros_like(values) if derivative else values
        if self.width == 1:
            return np.gradient(values, dt, axis=-2) if derivative else values
        return np.asarray(
            savgol_filter(
                values, self.width, self.degree, deriv=derivative, delta=dt, axis=-2, mode="interp"
            )
        )

    def leverage(self, n_rows: int) -> float:
        """Return the mean weight of a row in its own smoothed value, over ``n_rows`` rows."""
        u = np.linspace(-1, 1, self.width)
        basis, _ = np.linalg.qr(np.vander(u, self.degree + 1))
        own = np.einsum("ij,ij->i", basis, basis)
        half = self.width // 2
        edges = own[:half].sum() + own[half + 1 :].sum()
        return float((edges + (n_rows - 2 * half) * own[half]) / n_rows)


def choose_window(
    data: Trajectories, sigma: np.ndarray, degrees: Sequence[int] = _DEGREES
) -> Window:
    """Choose the window of least risk (Mallows 1973, Technometrics 15, 661: C_p).

    For a smoother that gives a row the weight w in its own value, the mean squared residual less
    ``sigma**2 (1 - 2 w)`` estimates the mean squared error without bias.

    Parameters
    ----------
    data : Trajectories
    sigma : array, shape (d,)
        Standard deviation of the noise on each feature; features with 0 are left out.
    degrees : sequence of int
        Degrees to choose from.
    """
    noisy = sigma > 0
    step = max(1, data.n_rows // _MOST_ROWS)
    pieces = [data[k][:, noisy] / sigma[noisy] for k in range(0, len(data), step)]
    rows = max(64, _MOST_ROWS // len(pieces))
    pieces = [piece[:rows] for piece in pieces]
    best = Window(1, 0, 1.0)
    for width in _WIDTHS:
        long = [piece for piece in pieces if len(piece) >= width]
        if 2 * len(long) < len(pieces):
            break
        for degree in degrees:
            if width <= degree + 1:
                continue
            window = Window(width, degree, 0.0)
            squared = own = 0.0
            for piece in long:
                squared += float(np.square(piece - window(piece)).sum())
                own += window.leverage(len(piece)) * piece.size
            count = sum(piece.size for piece in long)
            risk = squared / count - 1 + 2 * own / count
            if risk < best.risk:
                best = Window(width, degree, risk)
    return best


def leaves_noise(residual: np.ndarray, offsets: np.ndarray, window: Window) -> bool:
    """Whether what the window takes off is white noise, by its correlation over the next rows.

    Smoothing leaves traces of its own in the residual, which follow from the window's weights. Fast
    motion that was taken for noise shows beside them.

    Parameters
    ----------
    residual : array, shape (n_rows, d)
        Rows less smoothed rows.
    offsets : array, shape (n_trajectories + 1,)
        Where the trajectories begin and end.
    window : Window
        That smoothed them.
    """
    from scipy.signal import savgol_coeffs

    step = max(1, len(residual) // _MOST_ROWS)
    half = window.width // 2
    pieces = [
        residual[begin + half : end - half]
        for begin, end in itertools.pairwise(offsets.tolist())
        if end - begin > window.width + _LAGS
    ][::step]
    if not pieces:
        return False
    weights = -savgol_coeffs(window.width, window.degree)
    weights[half] += 1
    expected = np.correlate(weights, weights, mode="full")[window.width - 1 :]
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


def smooth(data: Trajectories, window: Window) -> np.ndarray:
    """Return all rows of ``data`` smoothed in float64, shape ``(n_rows, d)``."""
    if data.is_even:
        return window(data.to_array().astype(np.float64)).reshape(data.n_rows, -1)
    return np.concatenate([window(rows.astype(np.float64)) for rows in data])
