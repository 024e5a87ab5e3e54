"""Forecasts to a tolerance, and what a fit has measured of its scales for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.horizon import Horizon
from pyhits.hierarchy import Selection
from pyhits.hierarchy.adaptive import AdaptiveForecast, adaptive_forecast
from pyhits.hierarchy.disagreement import Agreement, agreements, along, pair
from pyhits.util.checks import as_positive
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.progress import bar

#: Validation error, in spreads, up to which a spline through the states of one scale alone follows
#: the motion between them.
_RESOLVED = 0.3

#: The longest spacing that is taken to resolve the motion where nothing was measured, over that of
#: the finest scale.
_UNMEASURED = 4


def forecast_to_tolerance(
    model: FittedModel,
    initial_states: Any,
    n_steps: int | None,
    tol: float,
    t: Any,
    *,
    step_sizes: Sequence[int] | None = None,
    **settings: Any,
) -> AdaptiveForecast:
    """Step forward to a tolerance; see :meth:`pyhits.TimeStepper.adaptive_forecast`."""
    own = model.coordinates
    _check_without_inputs(model, "A tolerance")
    tol = as_positive(tol, "tol")
    starts = own.starts(initial_states)
    horizon = Horizon.of(n_steps, t, own.dt)
    horizon.check_size(starts.states, own.n_features)
    sizes = list(model.flow_maps) if step_sizes is None else step_sizes
    with bar("forecasting", verbose=model.verbose) as progress:
        result = adaptive_forecast(
            starts.states,
            model.hierarchy,
            own.scaling,
            horizon.n_steps,
            step_sizes=sizes,
            tol=tol,
            at=horizon.at,
            device=model.device,
            progress=progress,
            encoder=own.encoder,
            **_measured(model),
            **settings,
        )
    states = own.shaped(result.states)
    return replace(result, states=states[0] if starts.single else states)


def disagreement(
    model: FittedModel, initial_states: Any, n_steps: int, step_sizes: Sequence[int] | None = None
) -> np.ndarray:
    """Return how far two scales disagree; see :meth:`pyhits.TimeStepper.disagreement`."""
    own = model.coordinates
    _check_without_inputs(model, "The disagreement of scales")
    starts = own.starts(initial_states)
    horizon = Horizon.of(n_steps, None, own.dt)
    horizon.check_size(starts.states, own.n_features)
    if step_sizes is None:
        coarse, fine = pair(model.flow_maps, max(model.selection.step_sizes), horizon.n_steps)
    else:
        coarse, fine = pair(step_sizes, max(step_sizes), horizon.n_steps)
    found = along(
        own.scaling.transform(own.encode_starts(starts.states)),
        model.maps.scale(coarse),
        model.maps.scale(fine),
        horizon.n_steps // coarse,
        weights(model),
    )
    return found[0] if starts.single else found


def measure_agreement(
    model: FittedModel, encoded: Trajectories, clock: Clock = UNLIMITED
) -> dict[int, Agreement]:
    """Return what the disagreements of the scales are worth on encoded validation data."""
    rows = model.coordinates.scaling.transform(encoded.values)
    steppers = {size: model.maps.scale(size) for size in model.flow_maps}
    return agreements(rows, encoded.lengths, steppers, weights(model), clock=clock)


def weights(model: FittedModel) -> np.ndarray:
    """Return one over the spread of each encoded coordinate, shape ``(n_coordinates,)``.

    They are 1 where the coordinates were scaled, together or each by itself.
    """
    scaling = model.coordinates.scaling
    if scaling.enabled or model.coordinates.encoder is not None:
        return np.ones(len(scaling.scale_))
    std = model.summary.std
    return np.where(std > 0, scaling.scale_ / np.where(std > 0, std, 1.0), 1.0)


def _measured(model: FittedModel) -> dict[str, Any]:
    """Return the settings of an adaptive forecast that follow from what was measured."""
    per = weights(model)
    size = float(np.sqrt(np.mean(per**2)))
    finest = min(model.flow_maps)
    return {
        "weights": per,
        "known": {s: error * size for s, error in _path_errors(model.selection, finest)},
        "longest": _longest(model, size),
        "agreement": dict(model.agreement),
    }


def _path_errors(selection: Selection, finest: int) -> list[tuple[int, float]]:
    """Return the errors of the scales that were coupled with the finest alone, by step size."""
    tried = [*selection.front, *selection.path]
    return [
        (c.step_sizes[-1], c.error**0.5)
        for c in tried
        if c.step_sizes[0] == finest and len(c.step_sizes) <= 2
    ]


def _longest(model: FittedModel, size: float) -> int:
    """Return the longest spacing at which the states of one scale alone resolve the motion."""
    alone = {c.step_sizes[0]: c.error for c in model.selection.front if len(c.step_sizes) == 1}
    resolved = [s for s, error in alone.items() if error**0.5 * size <= _RESOLVED]
    return max(resolved, default=_UNMEASURED * min(model.flow_maps) // model.dense)


def _check_without_inputs(model: FittedModel, what: str) -> None:
    if model.coordinates.inputs is not None:
        raise ArgumentError(f"{what} is not for models with inputs.")
