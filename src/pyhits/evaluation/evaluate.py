"""Measuring forecasts of recorded trajectories, and simple forecasts of the same."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np

from pyhits.baselines.sets import BaselineForecast, ForecastFromStates
from pyhits.data.stretches import Stretches, evenly
from pyhits.data.trajectories import Trajectories
from pyhits.evaluation import metrics
from pyhits.evaluation.evaluation import Evaluation, Scores
from pyhits.evaluation.intervals import Widths, measures
from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.util.checks import as_positive

#: Features, evenly chosen, whose spectra and distributions are compared.
_FEATURES = 256


def evaluate(
    forecaster: ForecastFromStates,
    test: Trajectories,
    *,
    scale: np.ndarray,
    n_steps: int | None = None,
    step_sizes: tuple[int, ...] = (),
    baselines: Mapping[str, BaselineForecast] | None = None,
    decoded: Trajectories | None = None,
    lyapunov: float | None = None,
    widths: Widths | None = None,
) -> Evaluation:
    """Forecast every trajectory from its first state and compare.

    Parameters
    ----------
    forecaster : callable
        Forecasts initial states over a number of steps; NaN where it diverged.
    test : Trajectories
        Even or ragged.
    scale : array, shape (d,)
        Size of each feature that errors are measured in: its standard deviation in the training
        data. That of the test data would make noise of a feature that has settled count in full.
    n_steps : int, optional
        Horizon; by default to each trajectory's end.
    baselines : mapping of str to BaselineForecast, optional
        Simple forecasts to compare with, by kind.
    decoded : Trajectories, optional
        The rows of ``test`` as an encoder that loses something gives them back.
    lyapunov : float, optional
        Largest Lyapunov exponent, in units of one over that of ``dt``.
    widths : callable, optional
        Half widths of prediction intervals, which are then measured, too.
    """
    if lyapunov is not None:
        lyapunov = as_positive(lyapunov, "lyapunov")
    compared = _Compared.of(test, scale, n_steps)
    begin = time.perf_counter()
    predicted = forecaster(compared.starts, compared.n_steps)
    seconds = time.perf_counter() - begin
    simple = {
        kind: compared.scores(found.label, found.forecaster(compared.starts, compared.n_steps))
        for kind, found in (baselines or {}).items()
    }
    still = simple.get("persistence") or compared.scores("persistence", compared.truth[:, :1])
    return Evaluation(
        **compared.own(predicted),
        **compared.distances(predicted),
        **({} if decoded is None else compared.losses(predicted, decoded)),
        **({} if widths is None else compared.intervals(predicted, widths)),
        persistence_mse=still.mse,
        persistence_nrmse=still.nrmse,
        seconds=seconds,
        n_trajectories=len(test),
        n_steps=compared.n_steps,
        dt=test.dt,
        step_sizes=tuple(step_sizes),
        feature_names=test.feature_names,
        baselines=simple,
        lyapunov=lyapunov,
        axis=test.axis,
        dates=test.span() if test.axis.has_dates else None,
    )


class _Compared(NamedTuple):
    """What forecasts are compared with: true states, their initial ones, and units."""

    truth: np.ndarray
    starts: np.ndarray
    scale: np.ndarray
    dt: float

    @classmethod
    def of(cls, test: Trajectories, scale: np.ndarray, n_steps: int | None) -> _Compared:
        """Take every trajectory from its first state on, over ``n_steps`` at most."""
        stretches = Stretches.whole(test.offsets)
        if n_steps is not None:
            stretches = stretches.cut(n_steps)
        truth, starts = stretches.gather(test.values), stretches.states(test.values)
        return cls(truth, starts, scale, test.dt)

    @property
    def n_steps(self) -> int:
        """Horizon of the forecasts."""
        return int(self.truth.shape[1]) - 1

    def scores(self, label: str, predicted: np.ndarray) -> Scores:
        """Return the errors of a forecast as one row of a table."""
        valid_steps = metrics.valid_steps(self.truth, predicted, self.scale)
        return self._scores(label, predicted, ForecastErrors.of(self.truth, predicted), valid_steps)

    def _scores(
        self, label: str, predicted: np.ndarray, errors: ForecastErrors, valid_steps: np.ndarray
    ) -> Scores:
        every = np.broadcast_to(predicted, self.truth.shape)
        return Scores(
            label=label,
            mse=errors.mse,
            nrmse=float(np.sqrt(np.mean(errors.per_feature / self.scale**2))),
            smape=metrics.smape(self.truth[:, 1:], every[:, 1:]),
            valid_time=float(np.median(valid_steps) * self.dt),
            n_diverged=errors.n_diverged,
            per_step_nrmse=np.sqrt(replace(errors, sums=errors.sums / self.scale**2).per_step),
        )

    def own(self, predicted: np.ndarray) -> dict[str, Any]:
        """Return the errors of the model's forecast, as an Evaluation has them."""
        errors = ForecastErrors.of(self.truth, predicted)
        valid_steps = metrics.valid_steps(self.truth, predicted, self.scale)
        scores = asdict(self._scores("", predicted, errors, valid_steps))
        del scores["label"]
        return scores | {
            "valid_steps": valid_steps,
            "per_step_mse": errors.per_step,
            "feature_mse": errors.per_feature,
        }

    def distances(self, predicted: np.ndarray) -> dict[str, Any]:
        """Return the distances of spectra and distributions, if rows are enough for spectra."""
        if self.n_steps < metrics.SHORTEST_SEGMENT:
            return {}
        some = evenly(self.truth.shape[2], _FEATURES)
        pair = self.truth[:, 1:, some], predicted[:, 1:, some]
        return {
            "spectral_distance": metrics.spectral_distance(*pair),
            "histogram_distance": metrics.histogram_distance(*pair, self.scale[some]),
        }

    def intervals(self, predicted: np.ndarray, widths: Widths) -> dict[str, Any]:
        """Return coverage and scores of prediction intervals."""
        return measures(self.truth[:, 1:], predicted[:, 1:], widths, self.scale)

    def losses(self, predicted: np.ndarray, decoded: Trajectories) -> dict[str, Any]:
        """Return the errors of an encoder, and those of stepping."""
        known = Stretches.whole(decoded.offsets).cut(self.n_steps).gather(decoded.values)[:, 1:]
        return {
            "reconstruction_nrmse": metrics.nrmse(self.truth[:, 1:], known, self.scale),
            "stepping_nrmse": metrics.nrmse(known, predicted[:, 1:], self.scale),
        }
