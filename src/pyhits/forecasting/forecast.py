"""Forecasts of the user's states, in memory or in a file, with intervals where asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.coordinates.starts import InitialStates
from pyhits.data.diagnostics import units
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, warn
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.horizon import Horizon
from pyhits.forecasting.uncertainty import Calibration, Forecast
from pyhits.forecasting.uncertainty.conformal import as_level
from pyhits.forecasting.uncertainty.region import first_exit, margins
from pyhits.forecasting.uncertainty.result import basis
from pyhits.hierarchy import chain
from pyhits.hierarchy.divergence import Lost
from pyhits.hierarchy.forecast import Keep, in_memory
from pyhits.hierarchy.to_file import ToFile
from pyhits.util.progress import bar

#: Initial states of a forecast without intervals whose neighbours in the data are looked for.
_LOOKED_AT = 256

#: Features that may have units of their own; more are points of a field.
_MOST_WITH_UNITS = 1024


def forecast_states(
    model: FittedModel,
    initial_states: Any,
    horizon: Horizon,
    *,
    step_sizes: Sequence[int] | None,
    inputs: Any,
    past_inputs: Any = None,
    interval: float | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> np.ndarray | Forecast:
    """Step forward; see :meth:`pyhits.TimeStepper.forecast`, whose arguments these are.

    Parameters
    ----------
    **settings
        As :class:`pyhits.hierarchy.forecast.Forecaster` takes them.
    """
    own = model.coordinates
    level = _checked_level(model, interval, step_sizes, settings.get("interpolation"), out)
    starts = own.starts(initial_states)
    horizon.check_size(starts.states, own.n_features, to_file=out is not None)
    if starts.single and out is not None:
        raise ArgumentError("With out=... give initial states of shape (n, d): [state].")
    last = starts.states if starts.states.ndim == 2 else starts.states[:, -1]
    inputs, past_inputs = _inputs(model, initial_states, inputs, past_inputs)
    outside, notes = _outside(model, starts.states, None if level else _LOOKED_AT)
    blend = model.blend if step_sizes is None and out is None else None
    settings = {name: value for name, value in settings.items() if value is not None}
    asked = settings.get("on_divergence", "raise")
    if blend is not None:
        settings["on_divergence"] = "return"
    with bar("forecasting", verbose=model.verbose) as progress:
        result = model.maps.ahead(
            starts.states,
            horizon.n_steps,
            model.selection.step_sizes if step_sizes is None else step_sizes,
            at=horizon.at,
            inputs=own.check_inputs(inputs, len(starts.states), horizon.n_steps, past_inputs),
            keep=_keep(model, starts, out, overwrite=overwrite),
            progress=progress,
            **settings,
        )
    if blend is not None and model.recording_baselines is not None:
        result = model.blended(result, starts.known, horizon.steps)
        if asked == "raise":
            _check_finite(result, horizon.steps)
    elif out is None:
        result = model.held(result, last)
    if level is not None:
        found = _with_intervals(model, last, result, horizon, level, (outside, notes))
        return found.first() if starts.single else found
    if out is None:
        result = own.shaped(result)
    return result[0] if starts.single else result


def _inputs(
    model: FittedModel, initial_states: Any, inputs: Any, past_inputs: Any
) -> tuple[Any, Any]:
    """Return the inputs from the first states on and before them: as given, or as recorded."""
    if not isinstance(initial_states, Trajectories):
        return inputs, past_inputs
    own = model.coordinates
    inputs = own.inputs_of(initial_states) if inputs is None else inputs
    if past_inputs is None:
        past_inputs = own.inputs_before(own.recorded(initial_states, inputs=False))
    return inputs, past_inputs


def _check_finite(states: np.ndarray, steps: np.ndarray) -> None:
    """Raise a DivergenceError that names the first of the forecasts that are not finite."""
    bad = ~np.isfinite(states).all(axis=2)
    lost = np.flatnonzero(bad.any(axis=1))
    if len(lost):
        step = math.ceil(steps[bad[lost[0]].argmax()])
        raise Lost(int(lost[0]), step, len(lost)).error()


def other_units(model: FittedModel, states: np.ndarray, what: str) -> list[str]:
    """Say so if states ``(..., d)`` would lie in the training data in other units."""
    names, known = model.feature_names, model.summary
    if len(names) > _MOST_WITH_UNITS:
        return []
    rows = states.reshape(-1, len(names))
    grid = model.coordinates.grid
    found = units(rows, names, known.low, known.high, what=what, grid=grid)
    return [str(finding) for finding in found]


def _keep(model: FittedModel, starts: InitialStates, out: Any, *, overwrite: bool) -> Keep:
    """Return what becomes of the states: an array, or a file."""
    if out is None:
        return in_memory
    own = model.coordinates
    return ToFile(
        out, own.dt, own.feature_names, starts.times, overwrite=overwrite, verbose=model.verbose
    )


def _checked_level(
    model: FittedModel,
    interval: float | None,
    step_sizes: Sequence[int] | None,
    interpolation: str | None,
    out: Any,
) -> float | None:
    """Return the level of the intervals asked for, if there can be such."""
    if interval is None:
        return None
    level = as_level(interval)
    known = _calibration(model)
    if step_sizes is not None and tuple(chain(step_sizes)) != known.step_sizes:
        raise ArgumentError(
            f"Intervals are calibrated for the coupling {list(known.step_sizes)}, not for "
            f"{list(step_sizes)}; couple these with couple({list(step_sizes)}) first."
        )
    if (interpolation or model.interpolation) != known.interpolation:
        raise ArgumentError(
            f"Intervals are calibrated for interpolation={known.interpolation!r}; ask for that."
        )
    if out is not None:
        raise ArgumentError("Intervals go into memory: leave out=... or interval=... away.")
    return level


def _calibration(model: FittedModel) -> Calibration:
    if model.calibration is None:
        raise ArgumentError(
            "This model has no calibration, so there are no intervals: nothing was held out, "
            "or it was fitted or coupled without. Call calibrate with recordings."
        )
    return model.calibration


def _outside(
    model: FittedModel, states: np.ndarray, most: int | None
) -> tuple[np.ndarray, list[str]]:
    """Return which states to start from lie outside the training data, and warn of them.

    Neighbours in the data are looked for of the first ``most`` alone.
    """
    if model.region is None:
        return np.zeros(len(states), dtype=bool), []
    found = model.region.outside(model.coordinates.encode_starts(states), most)
    sentences = [found.sentence(), *other_units(model, states, "initial states")]
    notes = [sentence for sentence in sentences if sentence is not None]
    if notes:
        warn(" ".join(notes))
    return found.any, notes


def warn_outside(model: FittedModel, states: np.ndarray) -> None:
    """Warn of states to start from that lie outside the training data."""
    _outside(model, states, _LOOKED_AT)


def _with_intervals(
    model: FittedModel,
    starts: np.ndarray,
    states: np.ndarray,
    horizon: Horizon,
    level: float,
    known: tuple[np.ndarray, list[str]],
) -> Forecast:
    """Return states with bounds; ``known`` is which starts lie outside the data, and notes."""
    outside, notes = known
    calibration = _calibration(model)
    short = calibration.shortfall(math.ceil(horizon.steps.max()), level)
    if short is not None:
        warn(f"{short} Bounds are infinite there.")
        notes = [*notes, short]
    low, high = calibration.bounds(states, horizon.steps, level)
    found = Forecast(
        states=states,
        low=model.within_bounds(low, starts),
        high=model.within_bounds(high, starts),
        level=level,
        times=horizon.steps * model.dt,
        outside=outside,
        leaves=first_exit(states, *margins(model.summary.low, model.summary.high)),
        notes=(*notes, basis(calibration, level)),
        feature_names=model.feature_names,
        grid=model.coordinates.grid,
    )
    snapshot = model.coordinates.snapshot
    return found if snapshot is None else found.shaped(snapshot)
