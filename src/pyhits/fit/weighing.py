"""Weights of forecasts by horizon, from their errors at rolling origins."""

from __future__ import annotations

import numpy as np

#: Error, in standard deviations, that one counts for at most, and in place of what diverged.
_WORST = 10.0

#: Horizons within this factor of each other tell of each other.
_NEAR = 3.0

#: Forecasts this many times worse than the best have no weight.
_FAR = 1.6

#: Part of the correlations of errors that few origins do not tell.
_UNKNOWN = 0.15

#: Iterations, and step, of the search for weights.
_ITERATIONS, _STEP = 400, 0.3


def second_moments(errors: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return mean products of errors about some horizons.

    Parameters
    ----------
    errors : array, shape (m, n, horizon, d)
        Of m forecasts at n origins, in standard deviations; NaN where nothing is recorded.
    steps : array of int, shape (k,)

    Returns
    -------
    array, shape (k, m, m)
        NaN where no origin reaches.
    """
    known = ~np.isnan(errors).all(axis=0)
    bounded = np.where(known, np.nan_to_num(errors, nan=_WORST, posinf=_WORST, neginf=-_WORST), 0.0)
    bounded = np.clip(bounded, -_WORST, _WORST)
    products = np.einsum("inhd,jnhd->hij", bounded, bounded, optimize=True)
    counts = known.sum(axis=(0, 2))
    sums = np.concatenate([np.zeros_like(products[:1]), np.cumsum(products, axis=0)])
    numbers = np.concatenate([[0], np.cumsum(counts)])
    first = np.ceil(steps / _NEAR).astype(np.int64) - 1
    last = np.minimum(np.floor(steps * _NEAR).astype(np.int64), len(counts))
    within = (numbers[last] - numbers[first])[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(within > 0, (sums[last] - sums[first]) / within, np.nan)


def best_weights(moments: np.ndarray) -> np.ndarray:
    """Return weights that are not negative, add up to 1 and have the least squared error.

    Parameters
    ----------
    moments : array, shape (k, m, m)
        Correlations are shrunk, and what is far from the best is left out.

    Returns
    -------
    array, shape (k, m)
    """
    own = np.einsum("kii->ki", moments)
    least = np.maximum(own.min(axis=1, keepdims=True), 1e-300)
    near = own <= _FAR**2 * least
    scaled = moments / least[..., None]
    diagonal = np.eye(moments.shape[1], dtype=bool)
    scaled = np.where(diagonal, scaled, (1 - _UNKNOWN) * scaled)
    scaled = np.where(near[:, :, None] & near[:, None], scaled, 0.0)
    weights = near / near.sum(axis=1, keepdims=True)
    for _ in range(_ITERATIONS):
        slope = np.einsum("kij,kj->ki", scaled, weights)
        value = np.einsum("ki,ki->k", weights, slope)[:, None]
        change = 1 - slope / np.maximum(value, 1e-300)
        weights = weights * np.exp(_STEP * np.clip(change, -9.0, 9.0))
        weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(weights)
