"""Errors of forecasts from rolling origins of a recording, by horizon, beside simple ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.data.times import NUMBERS, TimeAxis
from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.util.card import card


@dataclass(frozen=True, eq=False, repr=False)
class Backtest:
    """What forecasts from rolling origins have missed by.

    Attributes
    ----------
    nrmse : dict of str to array, shape (horizon,)
        Root mean squared errors at each step, in standard deviations of the training data: of
        ``hits``, and of each baseline.
    by_origin : dict of str to array, shape (n_origins,)
        The same of each forecast over all its steps.
    origins : array of int, shape (n_origins,)
        Rows of the recording that forecasts start from.
    dt : float
    refitted : bool
        Whether the model was fitted anew to the rows up to each origin.
    seen : bool
        Whether forecasts are compared with rows that the model was fitted to: errors look better
        than they are then, most of all those of forecasts that recall what they have seen.
    level : float
        Of the intervals.
    coverage, interval_score, crps : float
        Share of the values within intervals of that level; the mean interval score, and continuous
        ranked probability score, in standard deviations. NaN without intervals.
    axis : TimeAxis
    """

    nrmse: dict[str, np.ndarray]
    by_origin: dict[str, np.ndarray]
    origins: np.ndarray
    dt: float
    refitted: bool
    seen: bool = False
    level: float = 0.9
    coverage: float = np.nan
    interval_score: float = np.nan
    crps: float = np.nan
    axis: TimeAxis = NUMBERS

    @property
    def horizon(self) -> int:
        """Steps of a forecast."""
        return len(self.nrmse["hits"])

    @property
    def overall(self) -> dict[str, float]:
        """Mean over the origins of the errors of whole forecasts, by name."""
        return {name: float(errors.mean()) for name, errors in self.by_origin.items()}

    @property
    def gain(self) -> float:
        """How many times the best baseline's error is the model's; NaN without any."""
        others = [error for name, error in self.overall.items() if name != "hits"]
        if not others:
            return np.nan
        own = self.overall["hits"]
        return float(min(others) / own) if own > 0 else np.inf

    @property
    def verdict(self) -> str:
        """How the model compares with the best baseline; empty without any."""
        others = {name: error for name, error in self.overall.items() if name != "hits"}
        if not others:
            return ""
        best = min(others, key=lambda name: others[name])
        errors = f"({self.overall['hits']:.3g} against {others[best]:.3g})"
        if self.gain >= 1:
            return f"{self.gain:.3g} times better than the best baseline, {best} {errors}."
        times = f"{1 / self.gain:.3g}" if self.gain > 0 else "far"
        return f"The best baseline, {best}, is {times} times better {errors}."

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what is not finite becomes None."""
        plain = {
            "nrmse": {name: _finite(errors) for name, errors in self.nrmse.items()},
            "by_origin": {name: _finite(errors) for name, errors in self.by_origin.items()},
            "origins": self.origins.tolist(),
            "dt": self.dt,
            "refitted": self.refitted,
            "seen": self.seen,
            "level": self.level,
        }
        names = ("coverage", "interval_score", "crps", "gain")
        return plain | {name: _finite(np.array([getattr(self, name)]))[0] for name in names}

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the errors at each step beside those of the baselines.

        Parameters
        ----------
        ax : Axes or Figure, optional

        Returns
        -------
        Axes
        """
        from pyhits import plots

        others = {name: errors for name, errors in self.nrmse.items() if name != "hits"}
        steps = np.arange(1, self.horizon + 1)
        return plots.error_lines(
            self.nrmse["hits"],
            others,
            steps,
            xlabel="steps ahead",
            ylabel="normalised error (RMSE)",
            ax=ax,
        )

    def __repr__(self) -> str:
        """Return one line: the error over all origins, and what it rests on."""
        return (
            f"Backtest(nrmse={self.overall['hits']:.3g}, {len(self.origins)} origins x "
            f"{self.horizon} steps)"
        )

    def _repr_html_(self) -> str:
        """Return a card for notebooks: the verdict, what was done, the errors by horizon."""
        facts = {"forecasts": self._what(), "intervals": self._of_intervals()}
        return card("Backtest", facts, self._cells(), headline=self.verdict)

    def _what(self) -> str:
        how = "refitted at each" if self.refitted else "one fit for all"
        how += ", to these rows too: errors look better than they are" if self.seen else ""
        return (
            f"{len(self.origins)} origins, rows {self.origins.min()} to {self.origins.max()}, "
            f"{self.horizon} steps each ({self.axis.span_name(self.horizon * self.dt)}); {how}"
        )

    def _of_intervals(self) -> str:
        if not np.isfinite(self.coverage):
            return ""
        return (
            f"{self.level:.0%} intervals hold {self.coverage:.0%}; interval score "
            f"{self.interval_score:.3g}, CRPS {self.crps:.3g} (standard deviations)"
        )

    def _cells(self) -> list[list[str]]:
        """Return the table of errors at some steps: a heading, and a row for each forecast."""
        steps = sorted({max(1, k * self.horizon // 4) for k in (0, 1, 2, 3, 4)})
        rows = [["nrmse", *(f"step {step}" for step in steps), "overall"]]
        for name, errors in self.nrmse.items():
            told = [*(errors[step - 1] for step in steps), self.overall[name]]
            rows.append([name, *(f"{value:.3g}" for value in told)])
        return rows

    def __str__(self) -> str:
        """Return the table that the command line prints."""
        width = max(map(len, self.nrmse))
        table = [
            f"{name:<{width}}  " + "  ".join(f"{cell:>9}" for cell in cells)
            for name, *cells in self._cells()
        ]
        parts = [[self._what()], table, [self._of_intervals()], [self.verdict]]
        return "\n\n".join("\n".join(part) for part in parts if part[0])


def errors_of(
    truth: np.ndarray, ahead: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return normalised errors at each step ``(m,)`` and of each origin ``(n,)``.

    Parameters
    ----------
    truth, ahead : array, shape (n, m, d)
        Without the initial states; infinite errors where a forecast diverged.
    scale : array, shape (d,)
    """
    by_step = ForecastErrors.of(truth, ahead, scale, first=0).per_step
    by_origin = [
        ForecastErrors.of(truth[k : k + 1], ahead[k : k + 1], scale, first=0).mse
        for k in range(len(truth))
    ]
    return np.sqrt(by_step), np.sqrt(by_origin)


def _finite(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
