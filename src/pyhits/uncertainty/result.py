"""A forecast with what is known of its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.uncertainty.conformal import Calibration


@dataclass(frozen=True, eq=False)
class Forecast:
    """States to come, with intervals around them.

    For a single initial state the arrays lack the first axis; with a Flatten the last axis of
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
        Times since the initial state, in the unit of ``dt``.
    outside : array of bool, shape (n,)
        Whether the initial state lies outside the region of the training data, for which nothing is
        promised.
    leaves : array of int, shape (n,)
        First row whose state leaves the range of the training data by more than a tenth of it, or
        diverged; -1 where none does.
    notes : tuple of str
        What the intervals rest on, and where they are not to be trusted.
    dates : array, shape (n, m), or None
        Of the rows, datetime64, where the forecast goes on from a recording with dates.
    """

    states: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float
    times: np.ndarray
    outside: np.ndarray
    leaves: np.ndarray
    notes: tuple[str, ...]
    dates: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of initial states; 1 for a single one."""
        return int(self.outside.size)

    def first(self) -> Forecast:
        """Return the forecast of the first initial state, without the first axis."""
        return replace(
            self,
            states=self.states[0],
            low=self.low[0],
            high=self.high[0],
            outside=np.asarray(self.outside[0]),
            leaves=np.asarray(self.leaves[0]),
            dates=None if self.dates is None else self.dates[0],
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
