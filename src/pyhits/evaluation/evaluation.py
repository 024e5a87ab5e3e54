"""How good a forecast is: one object with every number, and a table of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pyhits.data.stretches import Stretches, evenly
from pyhits.data.times import NUMBERS, TimeAxis
from pyhits.data.trajectories import Trajectories
from pyhits.evaluation import metrics
from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.util.checks import as_positive

#: A baseline is better if its error is below this part of the model's: less is a tie.
_BETTER = 0.99
#: Normalised error below which forecasts are right, and none is better.
_EXACT = 1e-4
#: Features, evenly chosen, whose spectra and distributions are compared.
_FEATURES = 256

#: Forecasts initial states (n, d) over n_steps: the result is (n, n_steps + 1, d).
Forecaster = Callable[[np.ndarray, int], np.ndarray]


class BaselineForecast(NamedTuple):
    """A simple forecast to compare with: its name in tables, and what makes it."""

    label: str
    forecaster: Forecaster


@dataclass(frozen=True)
class Scores:
    """Errors of a baseline, measured as those of the model in :class:`Evaluation`.

    Attributes
    ----------
    label : str
        Its name in tables.
    mse, nrmse, smape, valid_time : float
    n_diverged : int
    """

    label: str
    mse: float
    nrmse: float
    smape: float
    valid_time: float
    n_diverged: int


@dataclass(frozen=True)
class Evaluation:
    """Errors of a forecast from the initial states of recorded trajectories.

    Attributes
    ----------
    mse : float
        Mean squared error over trajectories, time steps and features: the "integrated L2 error" of
        the paper's Tables 6 to 8, in the user's units squared. Infinite if a trajectory diverged.
    nrmse : float
        Root mean squared error in units of each feature's standard deviation in the training data.
    valid_time : float
        Median time, in the unit of ``dt``, until a trajectory's error passes 0.4 standard
        deviations; the recorded time where it never does.
    valid_steps : array of int, shape (n,)
        The same for each trajectory, in steps.
    per_step_mse : array, shape (n_steps + 1,)
        Mean squared error at each time; 0 at the initial state.
    feature_mse : array, shape (d,)
        Mean squared error of each feature.
    persistence_mse, persistence_nrmse : float
        Errors of the forecast that nothing changes.
    seconds : float
        Wall time of the forecast.
    n_trajectories, n_steps, n_diverged : int
    dt : float
    step_sizes : tuple of int
        Scales that were coupled.
    feature_names : tuple of str
    smape : float
        Symmetric mean absolute percentage error, from 0 to 200
        (:func:`pyhits.evaluation.metrics.smape`).
    baselines : dict of str to Scores
        Simple forecasts of the same data, fitted to the training data: ``persistence``, ``mean``,
        ``linear``, ``polynomial``, ``seasonal``.
    spectral_distance, histogram_distance : float, optional
        How far the forecast's spectra in time (decades) and its distributions of values (standard
        deviations of the training data) lie from the true ones, on 256 features at most: what a
        chaotic forecast keeps when its phase is lost. None where no trajectory has 32 rows.
    reconstruction_nrmse, stepping_nrmse : float, optional
        What an encoder loses, and what stepping does: normalised errors of the true states encoded
        and decoded, and of the forecast against these. None without an encoder that loses anything.
    lyapunov : float, optional
        The exponent that was given; ``valid_time`` times it is in Lyapunov times.
    axis : TimeAxis
        What times of the data mean.
    dates : tuple of str, optional
        First and last date of the data, where they have dates.
    """

    mse: float
    nrmse: float
    valid_time: float
    valid_steps: np.ndarray
    per_step_mse: np.ndarray
    feature_mse: np.ndarray
    persistence_mse: float
    persistence_nrmse: float
    seconds: float
    n_trajectories: int
    n_steps: int
    n_diverged: int
    dt: float
    step_sizes: tuple[int, ...]
    feature_names: tuple[str, ...]
    smape: float = np.nan
    baselines: dict[str, Scores] = field(default_factory=dict)
    spectral_distance: float | None = None
    histogram_distance: float | None = None
    reconstruction_nrmse: float | None = None
    stepping_nrmse: float | None = None
    lyapunov: float | None = None
    axis: TimeAxis = NUMBERS
    dates: tuple[str, str] | None = None

    @property
    def better(self) -> str | None:
        """Kind of the baseline with the lowest normalised error, if the model's is not as low."""
        if not self.baselines:
            return None
        if self.nrmse < _EXACT:
            return None
        best = min(self.baselines, key=lambda kind: self.baselines[kind].nrmse)
        return best if self.baselines[best].nrmse < _BETTER * self.nrmse else None

    @property
    def verdict(self) -> str:
        """A sentence on whether a baseline would have done better; empty without any."""
        if not self.baselines:
            return ""
        if self.better is None:
            return "No baseline has a clearly lower error."
        theirs = self.baselines[self.better].nrmse
        name = "forecast of the mean" if self.better == "mean" else f"{self.better} forecast"
        return (
            f"The {name} has a lower error ({theirs:.3g} against {self.nrmse:.3g}): prefer it, or "
            "train longer, on more data, or look no further ahead than the valid time."
        )

    @property
    def times(self) -> np.ndarray:
        """Times of ``per_step_mse`` since the initial state, shape ``(n_steps + 1,)``."""
        return np.asarray(self.dt * np.arange(self.n_steps + 1))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what is not finite becomes None."""
        values: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                values[name] = [_finite(v) for v in value.tolist()]
            elif name == "axis":
                values["unit"] = value.unit
            elif name == "baselines":
                values[name] = {
                    kind: {k: _finite(v) for k, v in asdict(scores).items()}
                    for kind, scores in value.items()
                }
            else:
                values[name] = _finite(value)
        return values

    def __str__(self) -> str:
        """Return the table that the command line prints."""
        horizon = self.n_steps * self.dt
        rows = [
            ("trajectories", f"{self.n_trajectories}"),
            ("horizon", f"{self.n_steps} steps ({self.axis.span_name(horizon)})"),
            *([("dates", " to ".join(self.dates))] if self.dates else []),
            ("scales coupled", ", ".join(str(s) for s in self.step_sizes)),
            ("mse", f"{self.mse:.3e}"),
            ("nrmse", f"{self.nrmse:.3e}   (persistence {self.persistence_nrmse:.3e})"),
            *self._encoder_rows(),
            ("smape", f"{self.smape:.3g} %"),
            (
                "valid time",
                f"{self._of(self.valid_time, horizon)} (median){self._times()}",
            ),
            *self._distance_rows(),
            ("per-step error", self._at_quarters()),
            ("diverged", f"{self.n_diverged}"),
            ("seconds", f"{self.seconds:.3f}"),
        ]
        width = max(len(label) for label, _ in rows)
        lines = [f"{label:<{width}}  {text}" for label, text in rows]
        return "\n".join([*lines, *self._table()])

    def _table(self) -> list[str]:
        """Return the lines that compare the model with the baselines; none without any."""
        if not self.baselines:
            return []
        own = Scores("hits", self.mse, self.nrmse, self.smape, self.valid_time, self.n_diverged)
        every = [own, *self.baselines.values()]
        width = max(len(scores.label) for scores in every)
        valid = [self.time_name(scores.valid_time) for scores in every]
        wide = max(map(len, ["valid time", *valid]))
        return [
            "",
            f"{'forecast':<{width}}  {'nrmse':>9}  {'smape':>6}  {'valid time':>{wide}}  diverged",
            *(
                f"{s.label:<{width}}  {s.nrmse:>9.3e}  {s.smape:>5.1f}%  {time:>{wide}}  "
                f"{s.n_diverged:>8}"
                for s, time in zip(every, valid, strict=True)
            ),
            "",
            self.verdict,
        ]

    def _encoder_rows(self) -> list[tuple[str, str]]:
        if self.reconstruction_nrmse is None:
            return []
        return [
            ("  reconstruction", f"{self.reconstruction_nrmse:.3e}   (what the encoder loses)"),
            (
                "  stepping",
                f"{self.stepping_nrmse:.3e}   (beside the truth as the encoder keeps it)",
            ),
        ]

    def _distance_rows(self) -> list[tuple[str, str]]:
        if self.spectral_distance is None:
            return []
        return [
            ("spectrum", f"{self.spectral_distance:.3g} decades away"),
            ("distribution", f"{self.histogram_distance:.3g} standard deviations away"),
        ]

    def _of(self, part: float, whole: float) -> str:
        """Return a share of the horizon in words."""
        return f"{self.time_name(part)} of {self.axis.span_name(whole)}"

    def time_name(self, length: float) -> str:
        """Return a time in words: with its unit where that is a second, ``"4 minutes"``."""
        if self.axis.step is None and self.axis.unit:
            return self.axis.span_name(length)
        return f"{length:.4g}"

    def _times(self) -> str:
        if self.lyapunov is None:
            return ""
        return f", {self.valid_time * self.lyapunov:.3g} Lyapunov times"

    def _at_quarters(self) -> str:
        """Return the mean squared error at each quarter of the horizon, in words."""
        steps = sorted({max(1, k * self.n_steps // 4) for k in (1, 2, 3, 4)})
        at = [self.time_name(k * self.dt) for k in steps]
        parts = [f"{self.per_step_mse[k]:.1e} at {a}" for k, a in zip(steps, at, strict=True)]
        return ", ".join(parts)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def evaluate(
    forecaster: Forecaster,
    test: Trajectories,
    *,
    scale: np.ndarray,
    n_steps: int | None = None,
    step_sizes: tuple[int, ...] = (),
    baselines: Mapping[str, BaselineForecast] | None = None,
    decoded: Trajectories | None = None,
    lyapunov: float | None = None,
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
    """
    if lyapunov is not None:
        lyapunov = as_positive(lyapunov, "lyapunov")
    stretches = Stretches.whole(test.offsets)
    if n_steps is not None:
        stretches = stretches.cut(n_steps)
    truth, starts = stretches.gather(test.values), stretches.states(test.values)
    begin = time.perf_counter()
    predicted = forecaster(starts, stretches.n_steps)
    seconds = time.perf_counter() - begin
    own = _Errors.of(truth, predicted, scale)
    scores = own.scores("hits", scale, test.dt)
    theirs = _of_baselines(baselines or {}, truth, scale, test.dt)
    still = theirs.get("persistence")
    if still is None:
        still = _Errors.of(truth, truth[:, :1], scale).scores("persistence", scale, test.dt)
    return Evaluation(
        mse=scores.mse,
        nrmse=scores.nrmse,
        valid_time=scores.valid_time,
        valid_steps=own.valid_steps,
        per_step_mse=own.squared.per_step,
        feature_mse=own.squared.per_feature,
        persistence_mse=still.mse,
        persistence_nrmse=still.nrmse,
        seconds=seconds,
        n_trajectories=len(test),
        n_steps=stretches.n_steps,
        n_diverged=scores.n_diverged,
        dt=test.dt,
        step_sizes=tuple(step_sizes),
        feature_names=test.feature_names,
        smape=scores.smape,
        baselines=theirs,
        **_distances(truth[:, 1:], predicted[:, 1:], scale),
        **_losses(truth, predicted, decoded, scale),
        lyapunov=lyapunov,
        axis=test.axis,
        dates=test.span() if test.axis.has_dates else None,
    )


def _of_baselines(
    baselines: Mapping[str, BaselineForecast], truth: np.ndarray, scale: np.ndarray, dt: float
) -> dict[str, Scores]:
    """Return the errors of baselines by kind."""
    starts, n_steps = np.ascontiguousarray(truth[:, 0]), truth.shape[1] - 1
    return {
        kind: _Errors.of(truth, baseline.forecaster(starts, n_steps), scale).scores(
            baseline.label, scale, dt
        )
        for kind, baseline in baselines.items()
    }


class _Errors(NamedTuple):
    """Errors of one forecast; means are over what is known of the truth."""

    squared: ForecastErrors
    valid_steps: np.ndarray
    smape: float

    @classmethod
    def of(cls, truth: np.ndarray, predicted: np.ndarray, scale: np.ndarray) -> _Errors:
        """Measure a forecast; ``predicted`` may have one row that stands for all times."""
        return cls(
            ForecastErrors.of(truth, predicted),
            metrics.valid_steps(truth, predicted, scale),
            metrics.smape(truth[:, 1:], np.broadcast_to(predicted, truth.shape)[:, 1:]),
        )

    def scores(self, label: str, scale: np.ndarray, dt: float) -> Scores:
        """Return them as one row of a table."""
        return Scores(
            label=label,
            mse=self.squared.mse,
            nrmse=float(np.sqrt(np.mean(self.squared.per_feature / scale**2))),
            smape=self.smape,
            valid_time=float(np.median(self.valid_steps) * dt),
            n_diverged=self.squared.n_diverged,
        )


def _distances(truth: np.ndarray, predicted: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    """Return the distances of spectra and distributions, if the rows are enough for spectra."""
    if truth.shape[1] < metrics.SHORTEST_SEGMENT:
        return {}
    d = truth.shape[2]
    some = evenly(d, _FEATURES)
    part = truth[:, :, some], predicted[:, :, some]
    return {
        "spectral_distance": metrics.spectral_distance(*part),
        "histogram_distance": metrics.histogram_distance(*part, scale[some]),
    }


def _losses(
    truth: np.ndarray, predicted: np.ndarray, decoded: Trajectories | None, scale: np.ndarray
) -> dict[str, float]:
    """Return the errors of an encoder and those of stepping, if there is an encoder."""
    if decoded is None:
        return {}
    known = Stretches.whole(decoded.offsets).gather(decoded.values)[:, : truth.shape[1]]
    return {
        "reconstruction_nrmse": metrics.nrmse(truth[:, 1:], known[:, 1:], scale),
        "stepping_nrmse": metrics.nrmse(known[:, 1:], predicted[:, 1:], scale),
    }
