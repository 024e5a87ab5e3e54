"""How good a forecast is: one object with every number, and a table of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits import metrics
from pyhits.checks import as_positive
from pyhits.planning import Rollouts, padded
from pyhits.trajectories import Trajectories

#: Features, evenly chosen, whose spectra and distributions are compared.
_FEATURES = 256

#: Forecasts initial states (n, d) over n_steps: the result is (n, n_steps + 1, d).
Forecaster = Callable[[np.ndarray, int], np.ndarray]


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
        Symmetric mean absolute percentage error, from 0 to 200 (:func:`pyhits.metrics.smape`).
    spectral_distance, histogram_distance : float, optional
        How far the forecast's spectra in time (decades) and its distributions of values (standard
        deviations of the training data) lie from the true ones, on 256 features at most: what a
        chaotic forecast keeps when its phase is lost. None where no trajectory has 32 rows.
    reconstruction_nrmse, stepping_nrmse : float, optional
        What an encoder loses, and what stepping does: normalised errors of the true states encoded
        and decoded, and of the forecast against these. None without an encoder that loses anything.
    lyapunov : float, optional
        The exponent that was given; ``valid_time`` times it is in Lyapunov times.
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
    smape: float = 0.0
    spectral_distance: float | None = None
    histogram_distance: float | None = None
    reconstruction_nrmse: float | None = None
    stepping_nrmse: float | None = None
    lyapunov: float | None = None

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
            else:
                values[name] = _finite(value)
        return values

    def __str__(self) -> str:
        """Return the table that the command line prints."""
        horizon = self.n_steps * self.dt
        rows = [
            ("trajectories", f"{self.n_trajectories}"),
            ("horizon", f"{self.n_steps} steps ({horizon:g} time units)"),
            ("scales coupled", ", ".join(str(s) for s in self.step_sizes)),
            ("mse", f"{self.mse:.3e}"),
            ("nrmse", f"{self.nrmse:.3e}   (persistence {self.persistence_nrmse:.3e})"),
            *self._encoder_rows(),
            ("smape", f"{self.smape:.3g} %"),
            (
                "valid time",
                f"{self.valid_time:g} of {horizon:g} time units (median){self._times()}",
            ),
            *self._distance_rows(),
            ("per-step error", self._at_quarters()),
            ("diverged", f"{self.n_diverged}"),
            ("seconds", f"{self.seconds:.3f}"),
        ]
        width = max(len(label) for label, _ in rows)
        return "\n".join(f"{label:<{width}}  {text}" for label, text in rows)

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

    def _times(self) -> str:
        if self.lyapunov is None:
            return ""
        return f", {self.valid_time * self.lyapunov:.3g} Lyapunov times"

    def _at_quarters(self) -> str:
        """Return the mean squared error at each quarter of the horizon, in words."""
        steps = sorted({max(1, k * self.n_steps // 4) for k in (1, 2, 3, 4)})
        parts = [f"{self.per_step_mse[k]:.1e} at {k * self.dt:g}" for k in steps]
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
    kept: Trajectories | None = None,
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
    kept : Trajectories, optional
        The rows of ``test`` as an encoder that loses something gives them back.
    lyapunov : float, optional
        Largest Lyapunov exponent, in units of one over that of ``dt``.
    """
    if lyapunov is not None:
        lyapunov = as_positive(lyapunov, "lyapunov")
    truth = padded(test)
    if n_steps is not None:
        truth = truth[:, : n_steps + 1]
    rolled = Rollouts(truth)
    begin = time.perf_counter()
    predicted = forecaster(rolled.initial_states, rolled.n_steps)
    seconds = time.perf_counter() - begin

    known = np.isfinite(truth)
    known[:, 0] = False
    error = np.where(known, _squares(predicted, truth), 0.0)
    still = np.where(known, _squares(truth[:, :1], truth), 0.0)
    diverged = ~np.isfinite(error).all(axis=(1, 2))
    error[~np.isfinite(error)] = np.inf
    counts = np.maximum(known.sum(axis=(0, 1)), 1)
    steps = metrics.valid_steps(truth, predicted, scale)
    with np.errstate(invalid="ignore"):
        per_feature = error.sum(axis=(0, 1)) / counts
        per_step = error.sum(axis=(0, 2)) / np.maximum(known.sum(axis=(0, 2)), 1)
    still_mse = still.sum(axis=(0, 1)) / counts
    return Evaluation(
        mse=float(per_feature.mean()),
        nrmse=float(np.sqrt(np.mean(per_feature / scale**2))),
        valid_time=float(np.median(steps) * test.dt),
        valid_steps=steps,
        per_step_mse=per_step,
        feature_mse=per_feature,
        persistence_mse=float(still_mse.mean()),
        persistence_nrmse=float(np.sqrt(np.mean(still_mse / scale**2))),
        seconds=seconds,
        n_trajectories=len(test),
        n_steps=rolled.n_steps,
        n_diverged=int(diverged.sum()),
        dt=test.dt,
        step_sizes=tuple(step_sizes),
        feature_names=test.feature_names,
        smape=metrics.smape(truth[:, 1:], predicted[:, 1:]),
        **_distances(truth[:, 1:], predicted[:, 1:], scale),
        **_losses(truth, predicted, kept, scale),
        lyapunov=lyapunov,
    )


def _distances(truth: np.ndarray, predicted: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    """Return the distances of spectra and distributions, if the rows are enough for spectra."""
    if truth.shape[1] < metrics.SHORTEST_SEGMENT:
        return {}
    d = truth.shape[2]
    some = np.unique(np.linspace(0, d - 1, min(d, _FEATURES)).astype(int))
    part = truth[:, :, some], predicted[:, :, some]
    return {
        "spectral_distance": metrics.spectral_distance(*part),
        "histogram_distance": metrics.histogram_distance(*part, scale[some]),
    }


def _losses(
    truth: np.ndarray, predicted: np.ndarray, kept: Trajectories | None, scale: np.ndarray
) -> dict[str, float]:
    """Return the errors of an encoder and of stepping apart, if there is one."""
    if kept is None:
        return {}
    known = padded(kept)[:, : truth.shape[1]]
    return {
        "reconstruction_nrmse": metrics.nrmse(truth[:, 1:], known[:, 1:], scale),
        "stepping_nrmse": metrics.nrmse(known[:, 1:], predicted[:, 1:], scale),
    }


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squared differences in float64; ``a`` may not be finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.square(np.subtract(a, b, dtype=np.float64)))
