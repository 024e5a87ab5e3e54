"""Errors of forecasts, as the field defines them."""

from __future__ import annotations

import numpy as np

#: A forecast is valid while its error, in standard deviations of the truth, stays below this.
VALID_THRESHOLD = 0.4


def valid_steps(
    truth: np.ndarray,
    forecast: np.ndarray,
    scale: np.ndarray,
    threshold: float = VALID_THRESHOLD,
) -> np.ndarray:
    """Number of steps, for each trajectory, before the normalised error passes ``threshold``.

    Parameters
    ----------
    truth, forecast : array, shape (n, time, d)
        Row 0 is the initial state. Truth may end early with NaN.
    scale : array, shape (d,)
        Standard deviation of each feature.

    Returns
    -------
    array of int, shape (n,)
        The number of steps recorded, for a trajectory whose error never passes.
    """
    known = np.isfinite(truth).all(axis=2)
    with np.errstate(invalid="ignore"):
        error = np.sqrt(np.mean(np.square((forecast - truth) / scale), axis=2))
    wrong = known & ~(error <= threshold)
    ends = known.sum(axis=1) - 1
    return np.asarray(np.where(wrong.any(axis=1), np.argmax(wrong, axis=1) - 1, ends))


def masked_mse(truth: np.ndarray, forecast: np.ndarray, scale: np.ndarray) -> float:
    """Mean squared error in units of ``scale``, where truth is known; infinite if diverged.

    The initial states, which are given, do not count.
    """
    truth, forecast = truth[:, 1:], forecast[:, 1:]
    known = np.isfinite(truth)
    difference = np.subtract(forecast, truth, dtype=np.float64)
    difference /= scale
    np.square(difference, out=difference)
    if known.all():
        error = float(difference.mean())
    else:
        error = float(difference.mean(where=known)) if known.any() else np.inf
    return error if np.isfinite(error) else np.inf


def smape(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Symmetric mean absolute percentage error, where truth is known: 0 to 200.

    The mean over trajectories, times and features of ``200 |a - f| / (|a| + |f|)``, 0 where both
    are 0; a forecast that diverged counts 200. The initial states, which are given, do not count.

    Parameters
    ----------
    truth, forecast : array, shape (n, time, d)
        Row 0 is the initial state. Truth may end early with NaN.
    """
    truth, forecast = truth[:, 1:], forecast[:, 1:]
    known = np.isfinite(truth)
    if not known.any():
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        share = np.abs(np.subtract(truth, forecast, dtype=np.float64))
        size = np.abs(truth) + np.abs(forecast, dtype=np.float64)
        np.divide(share, size, out=share, where=size > 0)
    share[~np.isfinite(forecast)] = 1.0
    return float(200 * share.mean(where=known))
