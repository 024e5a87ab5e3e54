"""Errors of generated sequences, and how long forecasts are worth something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyhits.metrics import valid_steps
from pyhits.study.sequences.data import Coded
from pyhits.study.sequences.generate import truth

#: Wavenumbers with less than this part of the strongest one's energy are left out of spectra.
_LEAST_ENERGY = 1e-6


@dataclass(frozen=True)
class Score:
    """How far a generated sequence lies from the true one.

    Attributes
    ----------
    mse : float
        Mean squared error over rows and features, in coded units; infinite if it diverged.
    normalised_mse : float
        Over the sequence's variance.
    valid_steps : int
        Steps until the error passes 0.4 standard deviations.
    spectral_distance : float, optional
        Mean distance of the logarithms (base 10) of the time-averaged spectra in space.
    histogram_distance : float, optional
        Wasserstein distance between the values' distributions, in standard deviations.
    """

    mse: float
    normalised_mse: float
    valid_steps: int
    spectral_distance: float | None = None
    histogram_distance: float | None = None


def score(found: Coded, protocol: str, states: np.ndarray) -> Score:
    """Compare generated rows, from the given one on, with the truth."""
    exact = truth(found, protocol)
    mse = float(np.mean(np.square(states[1:] - exact[1:])))
    mse = mse if np.isfinite(mse) else np.inf
    scale = np.full(exact.shape[1], np.sqrt(found.variance))
    valid = int(valid_steps(exact[None], states[None], scale)[0])
    if found.problem.lyapunov is None or protocol != "forecast":
        return Score(mse, mse / found.variance, valid)
    return Score(
        mse,
        mse / found.variance,
        valid,
        spectral_distance(exact[1:], states[1:]),
        histogram_distance(exact[1:], states[1:]) / float(scale[0]),
    )


def persistence(found: Coded, protocol: str) -> Score:
    """Return the score of the given row, held."""
    exact = truth(found, protocol)
    return score(found, protocol, np.broadcast_to(exact[0], exact.shape))


def spectrum(rows: np.ndarray) -> np.ndarray:
    """Return the energy of each wavenumber along the rows, averaged over time."""
    return np.asarray(np.square(np.abs(np.fft.rfft(rows, axis=1))).mean(axis=0))


def spectral_distance(exact: np.ndarray, states: np.ndarray) -> float:
    """Return the mean distance of log10 spectra, over wavenumbers that hold energy."""
    if not np.isfinite(states).all():
        return np.inf
    true, own = spectrum(exact), spectrum(states)
    kept = true > _LEAST_ENERGY * true.max()
    least = _LEAST_ENERGY**2 * true.max()
    return float(np.abs(np.log10(np.maximum(own[kept], least) / true[kept])).mean())


def histogram_distance(exact: np.ndarray, states: np.ndarray) -> float:
    """Return the Wasserstein distance between the distributions of all values."""
    if not np.isfinite(states).all():
        return np.inf
    return float(np.abs(np.sort(exact, axis=None) - np.sort(states, axis=None)).mean())
