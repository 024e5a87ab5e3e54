"""Forecasts that go on from the end of a recording, in the form in which it came."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pyhits.coordinates.dated_inputs import from_start, up_to_start
from pyhits.coordinates.starts import Starts, after_gaps, is_single, last_rows, positions
from pyhits.data.containers import as_recording
from pyhits.data.convert import to_pieces
from pyhits.data.labelled import Layout, is_labelled
from pyhits.data.pieces import Pieces
from pyhits.data.sampling import last_labelled
from pyhits.data.tables.frames import is_frame
from pyhits.data.times import TimeAxis
from pyhits.data.times.reading import again
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.uncertainty import Forecast
from pyhits.noise import initial_state
from pyhits.util.checks import BY_REPAIR
from pyhits.util.progress import say

#: Forecasts starts, as :meth:`pyhits.TimeStepper.forecast` does.
Forecaster = Callable[..., np.ndarray | Forecast]


#: Rows of an array that a forecast with intervals keeps, as its past, to be drawn.
_DRAWN = 400

#: Rows at the end of an xarray object on disk that are looked at, besides those of a state.
_ENDS = 1000


def forecast_recording(
    model: FittedModel,
    forecast: Forecaster,
    recording: Any,
    n_steps: int | None,
    *,
    denoise_start: bool | None,
    **options: Any,
) -> Any:
    """Go on from a recording's end; see :meth:`pyhits.TimeStepper.forecast_from`.

    Parameters
    ----------
    forecast : callable
        The model's own.
    **options
        Of that forecast.
    """
    own = model.coordinates
    rows = own.rows(last_labelled(recording, own.history + _ENDS))
    single = is_single(rows)
    if denoise_start and own.inputs is not None:
        raise ArgumentError("denoise_start is not for models with inputs.")
    smooth = initial_state.is_estimated(denoise_start, model.noise, own.history)
    if own.history == 1 and n_rows(rows) == 1:
        rows, smooth = twice(rows, own.dt, own.axis), False
    rows, left_out = _last_that_count(
        model, rows, smooth=smooth, with_past=options.get("interval") is not None
    )
    recorded = own.recorded(rows, inputs=False)
    if left_out is not None and not recorded.start_times.any():
        # Nothing says times: those of rows count from 0.
        recorded = Trajectories(recorded, recorded.dt, start_times=left_out * own.dt)
    data, acted = own.split(recorded)
    starts = own.endings(data)
    if own.inputs is not None:
        last = None if acted is None else acted[data.offsets[1:] - 1]
        options |= _inputs_of_then(options, own.inputs.names, data, starts.times, last, n_steps)
        if options["past_inputs"] is None:
            options["past_inputs"] = own.inputs_before(recorded, end=True)
    single = single and len(starts.times) == 1
    if smooth:
        starts = Starts(_smoothed(model, data), starts.times)
    if model.blend is not None:
        starts = starts._replace(known=list(data))
    states = forecast(starts, n_steps, **options)
    begin = (data.axis, starts.times)
    if isinstance(states, Forecast):
        dated = replace(states, axis=data.axis, begins=starts.times, past=data)
        return dated.first() if single else dated
    if options.get("out") is not None:
        return states
    t = options.get("t")
    steps = np.arange(states.shape[1]) if t is None else positions(t, own.dt)
    flat = states.reshape(*states.shape[:2], -1)
    times = own.dt * steps
    made = as_recording(flat[0] if single else flat, recording, own.feature_names, times, *begin)
    return (states[0] if single else states) if made is None else made


def _last_that_count(
    model: FittedModel, rows: Any, *, smooth: bool, with_past: bool
) -> tuple[Any, int | None]:
    """Return the rows that a forecast looks at, and how many are before them if that is known.

    Neither the gaps of earlier rows count, nor their size in float64.
    """
    own = model.coordinates
    if not isinstance(rows, np.ndarray):
        known = after_gaps(rows, own.feature_names, max(2, own.history))
        return known, None if known is rows else len(rows) - len(known)
    if rows.ndim < 2:
        return rows, None
    wanted = max(initial_state.ROWS[-1] if smooth else 0, model.blended_rows)
    wanted = max(wanted, _DRAWN) if with_past else wanted
    last = last_rows(rows, max(2, own.history), wanted)
    left_out = rows.shape[-2] - last.shape[-2]
    _check_end(last, left_out, own.feature_names)
    return last, left_out


def _inputs_of_then(
    options: Mapping[str, Any],
    names: Sequence[str],
    data: Trajectories,
    times: np.ndarray,
    last: np.ndarray | None,
    n_steps: int | None,
) -> dict[str, Any]:
    """Return the inputs among options, those with dates from the starts of forecasts on."""
    inputs, past = options.get("inputs"), options.get("past_inputs")
    return {
        "inputs": from_start(inputs, names, data, times, last, n_steps),
        "past_inputs": up_to_start(past, names, data, times),
    }


def _check_end(rows: np.ndarray, left_out: int, names: Sequence[str]) -> None:
    """Raise a DataError if the last rows ``(..., m, d)`` of an array lack a value, and say where.

    Parameters
    ----------
    left_out : int
        Rows before these.
    names : sequence of str
        Of the features, where the array has as many.
    """
    if rows.dtype.kind != "f" or np.isfinite(rows).all():
        return
    at = np.argwhere(~np.isfinite(rows))[0].tolist()
    named = len(names) == rows.shape[-1]
    column = repr(names[at[-1]]) if named else at[-1]
    which = f"trajectory {at[0]}, " if len(at) > 2 else ""
    raise DataError(
        f"Forecasts go on from the last {rows.shape[-2]} rows, but {which}row {left_out + at[-2]}, "
        f"column {column} is {rows[tuple(at)]}: leave out what comes from there on, or fill the "
        f"gap ({BY_REPAIR})."
    )


def _smoothed(model: FittedModel, data: Trajectories) -> np.ndarray:
    """Return the last rows of recordings without the noise on them."""
    own, coupled = model.coordinates, model.selection.step_sizes
    found, note = initial_state.last_rows_without_noise(
        data,
        lambda states, n: model.maps.ahead(states, n, coupled, encoded=True),
        own.encoder,
        model.noise,
        own.scaling.scale_,
    )
    say(note, verbose=model.verbose)
    return found


def n_rows(recording: Any) -> int:
    """Return the rows of an array, a table or an xarray object; 0 of all else."""
    if is_labelled(recording):
        return int(recording.sizes.get(Layout.of(recording).time, 1))
    if is_frame(recording):
        return len(recording)
    is_array = isinstance(recording, np.ndarray) and recording.ndim in (2, 3)
    return int(recording.shape[-2]) if is_array else 0


def twice(recording: Any, dt: float, axis: TimeAxis) -> Any:
    """Return a recording of one row as one of two alike, so that it has a step.

    Parameters
    ----------
    recording : array, table or xarray object
    dt : float
        Time from the first to the second, which keeps its time.
    axis : TimeAxis
        The steps that dates are to go on in.
    """
    if isinstance(recording, np.ndarray):
        return np.repeat(recording, 2, axis=-2)
    pieces = to_pieces(recording, raw=True)
    arrays = pieces.arrays if pieces.even is None else list(pieces.even)
    own, start = pieces.axis, 0.0
    if pieces.times is not None:
        own, times = again(own, pieces.times[0], axis) or (own, pieces.times[0])
        start = float(times[0])
    two = Pieces([np.repeat(rows, 2, axis=0) for rows in arrays], dt=dt)
    two.feature_names, two.grid, two.axis = pieces.feature_names, pieces.grid, own
    two.start_times = np.full(len(arrays), start - dt)
    return Trajectories(two)
