"""How good a forecast is: one object with every number, and a table of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pyhits.data.times import NUMBERS, TimeAxis
from pyhits.util.card import card

#: A baseline is better if its error is below this part of the model's: less is a tie.
_BETTER = 0.99
#: Trajectories whose mean error at each time tells more than chance.
_MANY = 8
#: Normalised error below which forecasts are right, and none is better.
_EXACT = 1e-4


@dataclass(frozen=True)
class Scores:
    """Errors of a baseline, measured as those of the model in :class:`Evaluation`.

    Attributes
    ----------
    label : str
        Its name in tables.
    mse, nrmse, smape, valid_time : float
    n_diverged : int
    per_step_nrmse : array, shape (n_steps + 1,)
        Normalised error at each time; empty where it was not measured.
    """

    label: str
    mse: float
    nrmse: float
    smape: float
    valid_time: float
    n_diverged: int
    per_step_nrmse: np.ndarray = field(default_factory=lambda: np.empty(0), compare=False)


@dataclass(frozen=True, repr=False)
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
    per_step_nrmse : array, shape (n_steps + 1,)
        The same, of the normalised error.
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
        ``linear``, ``polynomial``, ``seasonal``; of recordings ``seasonal drift``, ``ar``,
        ``dlinear``, ``analog``, ``nvar``, ``echo state``, if as many rows are given as they need.
    spectral_distance, histogram_distance : float, optional
        How far the forecast's spectra in time (decades) and its distributions of values (standard
        deviations of the training data) lie from the true ones, on 256 features at most: what a
        chaotic forecast keeps when its phase is lost. None where no trajectory has 32 rows.
    reconstruction_nrmse, stepping_nrmse : float, optional
        What an encoder loses, and what stepping does: normalised errors of the true states encoded
        and decoded, and of the forecast against these. None without an encoder that loses anything.
    coverage, interval_score, crps : float, optional
        Of 90 % prediction intervals: the share of values that they hold, the mean interval score
        and continuous ranked probability score in standard deviations
        (:mod:`pyhits.evaluation.intervals`). None without calibration.
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
    per_step_nrmse: np.ndarray = field(default_factory=lambda: np.empty(0))
    smape: float = np.nan
    baselines: dict[str, Scores] = field(default_factory=dict)
    spectral_distance: float | None = None
    histogram_distance: float | None = None
    reconstruction_nrmse: float | None = None
    stepping_nrmse: float | None = None
    coverage: float | None = None
    interval_score: float | None = None
    crps: float | None = None
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
    def gain(self) -> float:
        """How many times the best baseline's normalised error is the model's; NaN without any."""
        if not self.baselines:
            return np.nan
        theirs = min(scores.nrmse for scores in self.baselines.values())
        if not np.isfinite(self.nrmse):
            return 0.0
        return float(theirs / self.nrmse) if self.nrmse > 0 else np.inf

    @property
    def verdict(self) -> str:
        """How the model's error compares with the best baseline's; empty without any."""
        if not self.baselines:
            return ""
        best = min(self.baselines, key=lambda kind: self.baselines[kind].nrmse)
        name = "forecast of the mean" if best == "mean" else f"{best} forecast"
        errors = f"({self.nrmse:.3g} against {self.baselines[best].nrmse:.3g})"
        if self.gain >= 1 / _BETTER and self.baselines[best].nrmse >= _EXACT:
            times = "More than 1000" if self.gain > 1000 else f"{self.gain:.3g}"
            return f"{times} times better than the best baseline, the {name} {errors}."
        if self.better is None and self.nrmse < _EXACT:
            return f"No baseline is better: errors below {_EXACT:g} are exact {errors}."
        if self.better is None:
            return f"No baseline is clearly better: the {name} is as good {errors}."
        times = f"{1 / self.gain:.3g} times" if self.gain > 0 else "far"
        return (
            f"The {name} is {times} better {errors}: prefer it, or train longer, on more data, or "
            "look no further ahead than the valid time."
        )

    @property
    def times(self) -> np.ndarray:
        """Times of ``per_step_mse`` since the initial state, shape ``(n_steps + 1,)``."""
        return np.asarray(self.dt * np.arange(self.n_steps + 1))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what is not finite becomes None."""
        values: dict[str, Any] = {}
        for name, value in vars(self).items():
            if name == "axis":
                values["unit"] = value.unit
            elif name == "baselines":
                values[name] = {
                    kind: {k: _plain(v) for k, v in asdict(scores).items()}
                    for kind, scores in value.items()
                }
            else:
                values[name] = _plain(value)
        return values

    def plot(self, beside: Mapping[str, Evaluation] | None = None, *, ax: Any = None) -> Any:
        """Draw the normalised error at each time beside those of the baselines.

        Of few trajectories it is the error up to each time: that at each is chance.

        Parameters
        ----------
        beside : mapping of str to Evaluation, optional
            Other evaluations of the same data to draw in place of the baselines, by name.
        ax : Axes or Figure, optional

        Returns
        -------
        Axes
        """
        from pyhits import plots

        others = {s.label: s.per_step_nrmse for s in self.baselines.values()}
        if beside is not None:
            others = {name: other.per_step_nrmse for name, other in beside.items()}
        length, unit = self.axis.drawn_unit(self.dt)
        few = self.n_trajectories < _MANY
        return plots.error_lines(
            _so_far(self.per_step_nrmse[1:], few),
            {name: _so_far(errors[1:], few) for name, errors in others.items() if len(errors)},
            self.times[1:] / length,
            xlabel=f"time ahead ({unit})" if unit else "time ahead",
            ylabel="normalised error so far (RMSE)" if few else "normalised error (RMSE)",
            ordered=beside is not None,
            ax=ax,
        )

    def __repr__(self) -> str:
        """Return one line: the error, how long it stays small, of what."""
        return (
            f"Evaluation(nrmse={self.nrmse:.3g}, valid time "
            f"{self._of(self.valid_time, self.n_steps * self.dt)}, "
            f"{self.n_trajectories} x {self.n_steps} steps)"
        )

    def _repr_html_(self) -> str:
        """Return a card for notebooks: the verdict, the numbers, the baselines."""
        cells = [
            [s.label, f"{s.nrmse:.3g}", f"{s.smape:.1f} %", self.time_name(s.valid_time)]
            for s in (self._own(), *self.baselines.values())
        ]
        head = ["forecast", "nRMSE", "sMAPE", "valid time"]
        shown = [head, *cells] if self.baselines else []
        return card("Evaluation", dict(self._rows()), shown, headline=self.verdict)

    def __str__(self) -> str:
        """Return the table that the command line prints."""
        rows = self._rows()
        width = max(len(label) for label, _ in rows)
        lines = [f"{label:<{width}}  {text}" for label, text in rows]
        return "\n".join([*lines, *self._table()])

    def _rows(self) -> list[tuple[str, str]]:
        """Return the numbers that are said, each with its label."""
        horizon = self.n_steps * self.dt
        return [
            ("trajectories", f"{self.n_trajectories}"),
            ("horizon", f"{self.n_steps} steps ({self.axis.span_name(horizon)})"),
            *([("dates", " to ".join(self.dates))] if self.dates else []),
            ("scales coupled", ", ".join(str(s) for s in self.step_sizes)),
            ("mse", f"{self.mse:.3e}"),
            ("nrmse", f"{self.nrmse:.3e}   (persistence {self.persistence_nrmse:.3e})"),
            *self._encoder_rows(),
            ("smape", f"{self.smape:.3g} %"),
            ("valid time", f"{self._of(self.valid_time, horizon)} (median){self._times()}"),
            *self._distance_rows(),
            *self._interval_rows(),
            ("per-step error", self._at_quarters()),
            ("diverged", f"{self.n_diverged}"),
            ("seconds", f"{self.seconds:.3f}"),
        ]

    def _own(self) -> Scores:
        """Return the model's own errors as those of a baseline."""
        return Scores("hits", self.mse, self.nrmse, self.smape, self.valid_time, self.n_diverged)

    def _table(self) -> list[str]:
        """Return the lines that compare the model with the baselines; none without any."""
        if not self.baselines:
            return []
        every = [self._own(), *self.baselines.values()]
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
            ("  stepping", f"{self.stepping_nrmse:.3e}   (against the truth, encoded and decoded)"),
        ]

    def _interval_rows(self) -> list[tuple[str, str]]:
        if self.coverage is None or not np.isfinite(self.coverage):
            return []
        scores = f"interval score {self.interval_score:.3g}, CRPS {self.crps:.3g}"
        return [("90% intervals", f"hold {self.coverage:.0%}; {scores}")]

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


def _so_far(errors: np.ndarray, few: bool) -> np.ndarray:
    """Return the root mean squares of errors up to each time, of few trajectories."""
    if not few:
        return errors
    return np.asarray(np.sqrt(np.cumsum(np.square(errors)) / np.arange(1, len(errors) + 1)))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(one) for one in value.tolist()]
    return None if isinstance(value, float) and not np.isfinite(value) else value
