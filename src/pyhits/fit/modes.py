"""Fields whose points follow no common map: whether a model of their modes does better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from pyhits.data.stubs import long_enough
from pyhits.encoders import POD
from pyhits.encoders.chain import split
from pyhits.errors import DataError, TrainingError
from pyhits.fit.chooser import validation_stretches
from pyhits.fit.many_columns import most_modes, signal_modes, some_rows
from pyhits.fit.problem import Problem
from pyhits.forecasting.fitted import FittedModel
from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.policies import Auto
from pyhits.training.closed import GOOD
from pyhits.util.clock import Clock

M = TypeVar("M", bound=FittedModel)

#: Points of a field from which on it has modes worth looking at.
_LEAST_POINTS = 32

#: Error in rollouts of a map of points, in deviations, up to which a model is right: nothing simple
#: comes near it.
RIGHT = 0.02

#: Rollouts that models are compared on, their steps, and numbers in all of them, at most.
_ROLLOUTS, _STEPS, _MOST_NUMBERS = 12, 100, 16_000_000

#: The most that a state counts: the error of a forecast that is lost.
_LOST = 2.0

#: Part of the time that is left which a model of modes may take.
_PART = 0.3


def may_have_modes(problem: Problem) -> bool:
    """Whether defaults may encode the fields of a problem, posed but not prepared, by modes."""
    grid, settings = problem.grid, problem.settings
    return (
        grid is not None
        and grid.n_points >= _LEAST_POINTS
        and settings.encoder is None
        and isinstance(settings.flow_map, Auto)
        and not problem.input_names
        and not settings.sizes
        and problem.recipe.windows == "anywhere"
        and problem.split.how != "none"
    )


def by_modes(problem: Problem) -> Problem:
    """Return a posed problem whose states are coefficients of modes."""
    train = problem.states.train
    rows = some_rows(train.values)
    modes = POD(min(most_modes(train.n_rows), len(rows) - 1, train.n_features)).fit(rows)
    found = POD(signal_modes(modes, len(rows)))
    encoder, scaling = split([found], problem.recipe.standardise)
    return replace(problem, encoder=encoder, scaling=scaling)


def poor(model: FittedModel) -> bool:
    """Whether the finest map of points leaves something to gain."""
    return not finest_error(model) <= GOOD


def finest_error(model: FittedModel) -> float:
    """Return the error of the finest scale in rollouts, in deviations; infinite if unknown."""
    return min(model.history[min(model.history)].scores.values(), default=np.inf)


def forecast_error(model: FittedModel, problem: Problem) -> float:
    """Return the mean squared error of forecasts of the validation data, in the user's units.

    It is in parts of the variance; a state whose forecast is lost counts twice that.
    """
    rows = model.coordinates.history
    held = long_enough(problem.split.validation, rows + 1)
    if held.lengths.min() <= rows:
        return np.inf
    # Numbered without the rows that are only looked back to.
    later = held.offsets - (rows - 1) * np.arange(len(held) + 1)
    chosen = validation_stretches(later).at_most(_ROLLOUTS)
    before = (rows - 1) * np.searchsorted(later, chosen.starts, side="right")
    chosen = replace(chosen, starts=chosen.starts + before)
    most = min(_STEPS, max(1, _MOST_NUMBERS // (len(chosen) * held.n_features)))
    chosen = chosen.cut(min(chosen.n_steps, most))
    sizes = [size for size in model.selection.step_sizes if size <= chosen.n_steps]
    if not sizes:
        return np.inf
    ahead = model.maps.ahead(chosen.histories(held.values, rows), chosen.n_steps, sizes)
    truth, spread = chosen.gather(held.values), held.with_grid(problem.grid).spread()
    scale = np.where(spread > 0, spread, 1.0)  # a channel that never moves, as a parameter
    return ForecastErrors.of(truth, ahead, scale, bound=_LOST).mse


class ModesModel(Generic[M]):
    """A model of a field's modes, fitted when it is first asked for.

    Parameters
    ----------
    posed : Problem
        Of the field.
    fit : callable
        Returns a posed problem prepared, and its model with coupled scales.
    clock : Clock
        Of the whole fit.

    Attributes
    ----------
    failure : str
        Why there is no model; empty while that is not known.
    known_error : float
        What :meth:`error` has returned; infinite before.
    """

    def __init__(
        self, posed: Problem, fit: Callable[[Problem, Clock], tuple[Problem, M]], clock: Clock
    ) -> None:
        self._posed, self._fit, self._clock = posed, fit, clock
        self._found: tuple[Problem, M] | None = None
        self.failure = ""
        self.known_error = np.inf

    @property
    def is_fitted(self) -> bool:
        """Whether the model has been asked for, and could be fitted."""
        return self._found is not None

    def fitted(self) -> tuple[Problem, M] | None:
        """Return the prepared problem and its model; None where it cannot be fitted."""
        if self._found is None and not self.failure:
            own = self._clock
            if own.is_over or not own.affords(own.elapsed):
                own.cut("a model of modes")
                self.failure = "no time was left."
                return None
            limit = _PART * own.left if own.is_limited else None
            try:
                self._found = self._fit(by_modes(self._posed), Clock.start(limit, own.now))
            except (DataError, TrainingError) as error:
                self.failure = str(error)
        return self._found

    def error(self) -> float:
        """Return the error of its forecasts in deviations; infinite without a model."""
        found = self.fitted()
        if found is not None and not np.isfinite(self.known_error):
            self.known_error = float(np.sqrt(forecast_error(found[1], found[0])))
        return self.known_error
