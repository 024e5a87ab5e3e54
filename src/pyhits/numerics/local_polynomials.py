"""Local polynomials through noisy rows (Savitzky, Golay 1964, Analytical Chemistry 36, 1627).

SciPy has them in ``scipy.signal``, whose import takes as long as the fit of a short recording.
"""

from __future__ import annotations

import math

import numpy as np


def weights(width: int, degree: int) -> np.ndarray:
    """Return the weights of so many rows, odd, in their polynomial's value at the middle one."""
    return np.asarray(_at(width, degree, 0, 1.0)[width // 2])


def smoothed(
    values: np.ndarray, width: int, degree: int, derivative: int = 0, dt: float = 1.0
) -> np.ndarray:
    """Return the values of the local polynomials at every row, or their derivatives.

    Near both ends they are those of the polynomial through the first or last ``width`` rows.

    Parameters
    ----------
    values : array, shape (..., n, d)
        Rows along the last axis but one, ``width`` of them at least.
    width : int
        Odd.
    dt : float
        Distance of rows.
    """
    from scipy.ndimage import correlate1d

    values = np.asarray(values, dtype=np.float64)
    every, half = _at(width, degree, derivative, dt), width // 2
    found = correlate1d(values, every[half], axis=-2)
    if half:
        found[..., :half, :] = every[:half] @ values[..., :width, :]
        found[..., -half:, :] = every[-half:] @ values[..., -width:, :]
    return np.asarray(found)


def _at(width: int, degree: int, derivative: int, dt: float) -> np.ndarray:
    """Return the weights of rows in the polynomial, or a derivative, at each of them."""
    half = max(1, width // 2)
    places = (np.arange(width) - width // 2) / half
    coefficients = np.linalg.pinv(np.vander(places, degree + 1, increasing=True))
    powers = np.zeros((width, degree + 1))
    for k in range(derivative, degree + 1):
        powers[:, k] = math.perm(k, derivative) * places ** (k - derivative)
    return np.asarray(powers @ coefficients / (half * dt) ** derivative)
