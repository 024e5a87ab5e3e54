"""A forecast with what is known of its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pyhits.data.grid import Grid
from pyhits.data.packing import as_number, default_names
from pyhits.data.times import NUMBERS, TimeAxis
from pyhits.data.times.objects import as_objects, counted_on
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError
from pyhits.forecasting.uncertainty.conformal import Calibration
from pyhits.forecasting.uncertainty.picture import drawn_forecast
from pyhits.util.card import card
from pyhits.util.extras import need


@dataclass(frozen=True, eq=False, repr=False)
class Forecast:
    """States to come, with intervals around them.

    For a single initial state the arrays lack the first axis; of fields the last axis of
    states and bounds is the shape of a snapshot.

    Attributes
    ----------
    states : array, shape (n, m, d)
        As a forecast without intervals.
    low, high : array, shape (n, m, d)
        Bounds of the intervals; those of a forecast that diverged are NaN with it, and infinite
        where nothing is known of the errors, as ``notes`` then says.
    level : float
        Probability with which an interval holds the recorded value: of each variable at each time
        by itself, over fresh trajectories that are drawn and begun like the held-out ones.
    times : array, shape (m,)
        Times since the initial state, in the unit of ``dt``; :meth:`stamps` are those of the
        recording that goes on.
    outside : array of bool, shape (n,)
        Whether the initial state lies outside the region of the training data, for which nothing is
        promised.
    leaves : array of int, shape (n,)
        First row whose state leaves the range of the training data by more than a tenth of it, or
        diverged; -1 where none does.
    notes : tuple of str
        What the intervals rest on, and where they are not to be trusted.
    begins : array, shape (n,)
        Times of the initial states, along ``axis``: where recordings end that it goes on from, or
        trajectories start; 0 where nothing says them.
    axis : TimeAxis
        What these times mean.
    feature_names : tuple of str
    grid : Grid or None
        Where the numbers of a row lie.
    past : Trajectories or None
        Last rows of the recordings that it goes on from.
    """

    states: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float
    times: np.ndarray
    outside: np.ndarray
    leaves: np.ndarray
    notes: tuple[str, ...]
    begins: np.ndarray = field(default_factory=lambda: np.zeros(()))
    axis: TimeAxis = NUMBERS
    feature_names: tuple[str, ...] = ()
    grid: Grid | None = None
    past: Trajectories | None = None

    def __len__(self) -> int:
        """Return the number of initial states; 1 for a single one."""
        return int(self.outside.size)

    @property
    def dates(self) -> np.ndarray | None:
        """Dates of the rows, datetime64, shape ``(n, m)``; None where times are numbers."""
        if not self.axis.has_dates:
            return None
        found = np.stack([self.stamps(k) for k in range(len(self))])
        return found if self.outside.ndim else found[0]

    def first(self) -> Forecast:
        """Return the forecast of the first initial state, without the first axis."""
        return replace(
            self,
            states=self.states[0],
            low=self.low[0],
            high=self.high[0],
            outside=np.asarray(self.outside[0]),
            leaves=np.asarray(self.leaves[0]),
            begins=np.asarray(np.atleast_1d(self.begins)[0]),
        )

    def shaped(self, snapshot: Sequence[int]) -> Forecast:
        """Return it with snapshots of this shape in place of rows."""
        states, low, high = (
            a.reshape(*a.shape[:-1], *snapshot) for a in (self.states, self.low, self.high)
        )
        return replace(self, states=states, low=low, high=high)

    def columns(self, names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return states and bounds as columns ``(n, time, 3 d)``, each feature's together.

        Parameters
        ----------
        names : sequence of str
            Of the features; those of the columns are ``x``, ``x_low``, ``x_high`` and so on.

        Raises
        ------
        ArgumentError
            The name of a bound is that of a feature.
        """
        n, length = len(self), len(self.times)
        parts = [part.reshape(n, length, -1) for part in (self.states, self.low, self.high)]
        named = tuple(f"{name}{end}" for name in names for end in ("", "_low", "_high"))
        if len(set(named)) < len(named):
            taken = next(name for name in named if named.count(name) > 1)
            raise ArgumentError(f"A bound would be named {taken!r}, as a variable is: rename that.")
        return np.stack(parts, axis=-1).reshape(n, length, -1), named

    def to_dataframe(self) -> Any:
        """Return a DataFrame of states and bounds, ``x``, ``x_low``, ``x_high``, by time or date.

        Times go on where the recording stopped, as what they came as. Of several forecasts the
        index has two levels, ``trajectory`` and the time.

        Raises
        ------
        MissingExtraError
            pandas is not installed.
        """
        pd = need("pandas", action="to_dataframe", extra="pandas")
        values, names = self.columns(self.feature_names)
        frames = [
            pd.DataFrame(rows, columns=list(names), index=pd.Index(self._objects(k), name="time"))
            for k, rows in enumerate(values)
        ]
        if self.outside.ndim == 0:
            return frames[0]
        return pd.concat(frames, keys=range(len(frames)), names=["trajectory"])

    def to_xarray(self) -> Any:
        """Return a Dataset of ``states``, ``low`` and ``high`` by time and feature, or grid.

        Times go on where the recording stopped. Several forecasts come first, as a dimension
        ``trajectory``. Where these begin at different times, ``time`` counts from each initial
        state, and ``valid_time`` holds the times of all rows.

        Raises
        ------
        MissingExtraError
            xarray is not installed.
        """
        xr = need("xarray", action="to_xarray", extra="netcdf")
        along, coords = ["feature"], {"feature": list(self.feature_names)}
        if self.grid is not None:
            along, coords = self.grid.labels()
        dims = [*(["trajectory"] if self.outside.ndim else []), "time", *along]
        arrays = {"states": self.states, "low": self.low, "high": self.high}
        made = {name: (dims, values) for name, values in arrays.items()}
        times: dict[str, Any] = {"time": self._labels(0)}
        begins = np.atleast_1d(self.begins)
        if (begins != begins[0]).any():
            every = np.stack([self._labels(k) for k in range(len(self))])
            times = {"time": self.times, "valid_time": (["trajectory", "time"], every)}
        return xr.Dataset(made, {**times, **coords}, {"level": self.level})

    def plot(
        self,
        truth: Any = None,
        *,
        past: Any = None,
        trajectory: int = 0,
        features: Sequence[str] | None = None,
        residual: bool = True,
        ax: Any = None,
    ) -> Any:
        """Draw one forecast with its intervals; what is known of the past and the truth beside it.

        A field is drawn as pictures: with the truth also that, and the error.

        Parameters
        ----------
        truth : Trajectories, or anything that Trajectories accepts, optional
            What was recorded: rows from the initial state on, or, one row shorter than the
            forecast, from the row after it. Data with dates are matched by them.
        past : as ``truth``, optional
            Rows that end with the initial state; by default those that the forecast goes on from.
        trajectory : int
            Which of several forecasts.
        features : sequence of str, optional
            Names; by default the first six.
        residual : bool
            Draw forecast minus truth below each feature.
        ax : Axes, array of Axes, or Figure, optional
            A single one shows the first feature.

        Returns
        -------
        Axes, or array of Axes
        """
        return drawn_forecast(
            self, truth, past, trajectory, features=features, residual=residual, ax=ax
        )

    def rows(self, trajectory: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return states and bounds of one of the forecasts, each ``(m, d)``."""
        k = as_number(trajectory, len(self))
        n, m = len(self), len(self.times)
        state, low, high = (a.reshape(n, m, -1)[k] for a in (self.states, self.low, self.high))
        return state, low, high

    def stamps(self, trajectory: int = 0) -> np.ndarray:
        """Return the times of the rows of one of the forecasts, ``(m,)``: dates, or numbers.

        They go on where the recording stopped.
        """
        return self.axis.at(self._counted(trajectory))

    def _counted(self, trajectory: int) -> np.ndarray:
        """Return the times of rows along the axis."""
        k = as_number(trajectory, len(self))
        begins = np.broadcast_to(self.begins, len(self))  # one may stand for all
        return np.asarray(self._as_recorded(begins[k] + self.times, k))

    def _as_recorded(self, times: Any, trajectory: int) -> Any:
        """Return times in the arithmetic of those of the recording that is gone on from."""
        if self.past is None or self.axis.has_dates:
            return times
        return counted_on(times, self.past.times(trajectory))

    def _objects(self, trajectory: int) -> Any:
        """Return the times of rows as what they came as."""
        times = as_objects(self.axis, self._counted(trajectory))
        return self._as_recorded(times, as_number(trajectory, len(self)))

    def _labels(self, trajectory: int) -> np.ndarray:
        """Return the times of rows as what xarray can hold and write."""
        of_others = self.axis.form in ("cftime", "timedelta")
        return np.asarray(self._objects(trajectory)) if of_others else self.stamps(trajectory)

    def __repr__(self) -> str:
        """Return one line: how many states, how far, and what the intervals promise."""
        n, m = len(self), len(self.times)
        several = f"{n} x " if self.outside.ndim else ""
        return (
            f"Forecast({several}{m} rows to {self._stamp(-1)}, {100 * self.level:.4g} % intervals)"
        )

    def _repr_html_(self) -> str:
        """Return a card for notebooks: what the intervals rest on, and the last rows."""
        state, low, high = self.rows()
        d = min(4, state.shape[1])
        names = self.feature_names or default_names(state.shape[1])
        head = ["row", "time", *(f"{name} [low, high]" for name in names[:d])]
        steps = sorted({0, *(k * (len(state) - 1) // 5 for k in range(1, 6))})
        cells = [
            [str(k), self._stamp(k)]
            + [f"{state[k, j]:.4g} [{low[k, j]:.4g}, {high[k, j]:.4g}]" for j in range(d)]
            for k in steps
        ]
        return card(repr(self), {}, [head, *cells], headline=" ".join(self.sentences()))

    def _stamp(self, row: int) -> str:
        """Return the date or the time of a row of the first forecast, as a text."""
        at = self._counted(0)[row]
        if not self.axis.has_dates:
            return f"{at:.6g}"
        return self.axis.readable([at])[0].removesuffix("T00:00:00")

    def sentences(self) -> list[str]:
        """Return what is to be known of it, for people: what it rests on, and where it leaves."""
        said = [self.notes[-1]]
        gone = np.flatnonzero(np.atleast_1d(self.leaves) >= 0)
        if len(gone):
            first = int(gone[0])
            said.append(
                f"{len(gone)} of {len(self)} forecasts leave the range of the training data, the "
                f"first of them, trajectory {first}, at row {np.atleast_1d(self.leaves)[first]}: "
                "the model extrapolates there."
            )
        return said


def basis(calibration: Calibration, level: float) -> str:
    """Return the sentence that says what intervals of a level rest on."""
    n = calibration.n_rollouts
    if level > calibration.highest_level:
        return str(calibration.shortfall(1, level))
    each = "on average over the features" if calibration.pool > 1 else "each variable, each time"
    said = f"Intervals: {level:.0%} of recorded values, {each}, by"
    without = ", each forecast by flow maps fitted without it" if calibration.cross_fitted else ""
    if calibration.overlapping:
        return (
            f"{said} {n} overlapping rollouts of the held-out data{without}, which tell no more "
            f"than some {calibration.worth} independent ones at worst: right for recordings that "
            "go on as they did, and no promise."
        )
    low, high = calibration.luck(level)
    which = f"{n} trajectories{without}" if without else f"{n} held-out trajectories"
    if calibration.n_trained:
        own = n - calibration.n_trained
        which = f"{own} held-out and {calibration.n_trained} training trajectories, which err alike"
    return (
        f"{said} {which}. With so many the coverage lies between {low:.0%} and {high:.0%} in nine "
        "of ten fits."
    )
