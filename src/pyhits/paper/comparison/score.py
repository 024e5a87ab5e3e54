"""Errors of generated sequences, and how long forecasts are worth something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyhits.evaluation.metrics import histogram_distance, spectral_distance, valid_steps
from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.paper.comparison.data import Coded
from pyhits.paper.comparison.generate import truth


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
    mse = ForecastErrors.of(exact[None], states[None]).mse
    scale = np.full(exact.shape[1], np.sqrt(found.variance))
    valid = int(valid_steps(exact[None], states[None], scale)[0])
    if found.problem.lyapunov is None or protocol != "forecast":
        return Score(mse, mse / found.variance, valid)
    return Score(
        mse,
        mse / found.variance,
        valid,
        spectral_distance(exact[1:], states[1:], along="space"),
        histogram_distance(exact[1:], states[1:], pooled=True) / float(scale[0]),
    )


def persistence(found: Coded, protocol: str) -> Score:
    """Return the score of standing still: the given row, again and again."""
    exact = truth(found, protocol)
    return score(found, protocol, np.broadcast_to(exact[0], exact.shape))
