"""Measuring the errors of a model's forecasts: on which recordings, and by which flow maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from pyhits.data.matching import joined, some_of
from pyhits.data.stretches import Stretches
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Autoencoder
from pyhits.encoders.angle import nearest
from pyhits.encoders.chain import links
from pyhits.errors import DataError
from pyhits.fit.effort import affordable_states, timed
from pyhits.fit.problem import Problem
from pyhits.fit.splitting import by_time
from pyhits.fit.updating import fitted_to
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.heldout import Fold, HeldOut
from pyhits.forecasting.maps import FittedMaps
from pyhits.forecasting.uncertainty import Calibration
from pyhits.forecasting.uncertainty.result import basis
from pyhits.forecasting.uncertainty.rollouts import (
    DEFAULT_LIMITS,
    ForecastData,
    RolloutLimits,
    calibrate,
    calibration_steps,
    calibration_stretches,
)
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.threads import one_blas_thread

M = TypeVar("M", bound=FittedModel)

#: Level of the intervals that a note is about.
_NOTED = 0.9

#: The part of the time that fits without each of the folds may take, where there is a time limit.
_FOR_FOLDS = 0.5

#: Multiply-adds, or what takes as long, of closed forms in all rollouts of recordings that are no
#: fields, and steps that a rollout may have whatever these take.
_EFFORT, _LONG = 4e10, 1_000

#: Parts that trajectories are held out in, one after the other, where fitting anew costs little.
_FOLDS = 5

#: Numbers of the data of which that costs little.
_MOST_NUMBERS = 4_000_000


def held_out(
    problem: Problem, model: FittedModel, earlier: Sequence[np.ndarray] = ()
) -> HeldOut | None:
    """Return what to keep of a fit's data; None if nothing was held out.

    Parameters
    ----------
    model : FittedModel
        Fitted to the training part.
    earlier : sequence of array, shape (n, horizon, d)
        Errors of its forecasts of earlier parts.
    """
    split = problem.split
    if split.how == "none":
        return None
    if model.blend is not None:
        # Rows before the held-out part are known to the forecasts of its first rows.
        rows = rows_before(problem, max(model.start_rows, model.blended_rows))
        known = rows if split.how == "time" else None
        maps = model.maps if problem.fits_all_rows else None
        return HeldOut(with_rows_before(problem, rows), maps=maps, earlier=earlier, known=known)
    most = DEFAULT_LIMITS.count(int(split.train.lengths.max()))
    trained = some_of(split.train, most)
    if not problem.fits_all_rows:
        return HeldOut(split.validation, trained)
    return HeldOut(split.validation, trained, model.maps, _folds(problem), model.summary.spread)


def with_rows_before(problem: Problem, rows: int) -> Trajectories:
    """Return the held-out part with rows before it, as far as there are so many.

    Parameters
    ----------
    rows : int
        Rows that a forecast looks at.
    """
    split = problem.split
    if split.how != "time":
        return split.validation
    fraction = problem.settings.validation.fraction
    return by_time(split.whole, fraction, overlap=rows_before(problem, rows))[1]


def rows_before(problem: Problem, rows: int) -> int:
    """Return how many of so many rows there are before the last part of each recording."""
    return max(1, min(rows, int(problem.split.train.lengths.min())))


def _folds(problem: Problem) -> tuple[Fold, ...]:
    """Return the recordings in parts, each with all the others; none where that does not serve.

    Parts of one recording would lie between those that are fitted to; and encoders, which are
    fitted without each part as well, may take long.
    """
    split = problem.split
    data = clean = split.whole
    numbers = data.recordings
    encoders = links(problem.encoder)
    if (
        split.how != "recordings"
        or data.values.size > _MOST_NUMBERS
        or any(isinstance(link, Autoencoder) for link in encoders)
    ):
        return ()
    if problem.noise is not None:
        data = joined([split.train, split.validation])
        clean = joined(list(problem.states))
        is_other = encoders or not np.array_equal(clean.lengths, data.lengths)
        if is_other or numbers[-1] + 1 < len(data):
            return ()
        numbers = np.arange(len(data))
    parts = np.array_split(np.unique(numbers), min(_FOLDS, int(numbers[-1]) + 1))
    inside = (np.isin(numbers, part) for part in parts)
    return tuple(Fold(data[own], clean[~own]) for own in inside)


def calibrated(model: M, data: HeldOut | None, clock: Clock = UNLIMITED) -> M:
    """Return the model with the ranked errors of its forecasts of held-out data.

    Without such data nothing is known of them. A note says what intervals rest on.
    """
    known = None if data is None else _ranked(model, data, clock)
    if known is None:
        said = "Intervals: none, as no data were kept for them; calibrate(data) makes some."
    else:
        short = known.shortfall(known.horizon, _NOTED)
        said = basis(known, _NOTED)
        said = said if short in (None, said) else f"{said} {short}"
    notes = [note for note in model.notes if not note.startswith("Intervals:")]
    return replace(model, calibration=known, held_out=data, notes=(*notes, said))


def calibrate_anew(model: M, data: Any) -> M:
    """Return the model calibrated on other data; see :meth:`TimeStepper.calibrated`.

    Raises DataError: the data do not match the model, or are too short to forecast any of.
    """
    recordings = model.coordinates.recorded(data)
    history = model.coordinates.history
    if recordings.lengths.max() <= history:
        raise DataError(
            f"No trajectory has more than the {history} row(s) that a forecast starts from: there "
            "is nothing to compare with."
        )
    with one_blas_thread(recordings.values.size):
        return calibrated(model, HeldOut(recordings))


def _ranked(model: FittedModel, data: HeldOut, clock: Clock) -> Calibration | None:
    """Return the ranked errors of the selected coupling; None if no recording is long enough.

    Those of training data are ranked among the others where they are alike.
    """
    history = _history(model, data)
    unit = model.summary.spread if data.unit is None else data.unit
    without = _fitted_without(model, data.folds, clock.part(_FOR_FOLDS))
    parts, maps = [data.data], [data.maps or model.maps]
    if without:
        parts, maps = [fold.data for fold in data.folds], without
    source = _source(model, parts, maps)
    trained = None
    if not without and data.trained is not None:
        trained = _source(model, [data.trained], maps)
    limits = _affordable(model, source, unit, history, clock)
    found = calibrate(
        source,
        unit,
        trained=trained,
        earlier=data.earlier,
        continues=data.known is not None,
        history=history,
        limits=limits,
    )
    return found and replace(
        found,
        step_sizes=model.selection.step_sizes,
        interpolation=model.interpolation,
        cross_fitted=bool(without),
    )


def _history(model: FittedModel, data: HeldOut) -> int:
    """Return the rows that forecasts of held-out data start from.

    Baselines look at no more than half of a recording that was held out as a whole.
    """
    if data.known is not None:
        return data.known
    half = int(np.median(data.data.lengths)) // 2
    return max(model.start_rows, min(model.blended_rows, half))


def _fitted_without(model: FittedModel, folds: Sequence[Fold], clock: Clock) -> list[FittedMaps]:
    """Return the coupled flow maps fitted without each of the folds; none if that is dear."""
    if any(model.flow_maps[s].trained for s in model.selection.step_sizes):
        return []
    found: list[FittedMaps] = []
    begin = clock.now()
    for k, fold in enumerate(folds):
        each = (clock.now() - begin) / max(k, 1)
        if clock.is_over or not clock.affords(each * (len(folds) - k)):
            clock.cut("the folds that intervals rest on")
            return []
        try:
            found.append(_fitted_to(model, fold.train))
        except DataError:
            # Without one of the folds nothing is long enough for the coarsest step.
            return []
    return found


def _fitted_to(model: FittedModel, data: Trajectories) -> FittedMaps:
    """Return the coupled flow maps, in the forms chosen, fitted to one fold's training data."""
    coupled = model.selection.step_sizes
    coordinates = model.coordinates.refitted(data)
    encoded = coordinates.encode(data)
    inputs = coordinates.scaled_inputs(encoded)
    return fitted_to(model, coordinates, encoded.states, inputs, coupled)


def _source(
    model: FittedModel, parts: Sequence[Trajectories], fitted: Sequence[FittedMaps]
) -> ForecastData:
    """Return recordings and how they are forecast, each part by flow maps of its own."""
    every = parts[0] if len(parts) == 1 else joined(parts)
    states, _ = model.coordinates.split(every)
    inputs = model.coordinates.delayed_inputs(every)
    turns = model.coordinates.turns
    state_rows = model.coordinates.state_rows
    ends = np.cumsum([part.n_rows for part in parts])

    def forecast_at(
        starts: np.ndarray, n_steps: int, steps: np.ndarray, begins: np.ndarray
    ) -> np.ndarray:
        owner = np.searchsorted(ends, begins, side="right")
        found = np.empty((len(starts), len(steps), states.n_features))
        for k in np.unique(owner):
            own = owner == k
            settings: dict[str, Any] = {}
            if inputs is not None:
                rows = np.minimum(begins[own, None] + np.arange(n_steps), len(inputs) - 1)
                settings["inputs"] = inputs[rows]
            is_encoded = fitted[k].coordinates.encoder is not None
            known = starts[own] if starts.ndim == 3 else starts[own, None]
            if is_encoded:
                settings["at"] = steps.astype(np.float64)
            begin = known[:, -1] if state_rows == 1 else known[:, -state_rows:]
            ahead = fitted[k].ahead(begin, n_steps, model.selection.step_sizes, **settings)
            ahead = ahead if is_encoded else ahead[:, steps]
            found[own] = model.blended(ahead, list(known), steps.astype(np.float64))
        if turns is not None:
            rows = np.minimum(begins[:, None] + steps, states.n_rows - 1)
            found = nearest(found, states.values[rows], turns)
        return found

    return ForecastData(states, forecast_at)


def _affordable(
    model: FittedModel, source: ForecastData, unit: np.ndarray, history: int, clock: Clock
) -> RolloutLimits:
    """Return how many rollouts there is time for, by what a few take; usually by their work."""
    if not clock.is_limited:
        return _usual_limits(model)
    every = calibration_stretches(source.data.offsets, history)
    if len(every) == 0:
        return DEFAULT_LIMITS

    def run(some: Stretches) -> None:
        source.errors(some, calibration_steps(some.n_steps), unit, history)

    states = int(clock.left / 2 / timed(run, every, clock).of_state)
    if states < source.data.n_rows:
        clock.cut("the rollouts that intervals rest on")
    return DEFAULT_LIMITS.within(max(states, 1))


def _usual_limits(model: FittedModel) -> RolloutLimits:
    """Return how many rollouts there are, and how long, where nothing limits their time."""
    limits = DEFAULT_LIMITS
    if model.coordinates.grid is not None:
        return limits
    coupled = {size: model.flow_maps[size] for size in model.selection.step_sizes}
    states = affordable_states(coupled, _EFFORT)
    if states is None or states >= limits.states:
        return limits
    return replace(limits, states=states, longest=max(_LONG, states // limits.least))
