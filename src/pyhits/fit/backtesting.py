"""Forecasts from rolling origins of a recording, with a model as it is or fitted anew to each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from pyhits.baselines.seasonal import row_numbers
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError, PyHiTSWarning, warn
from pyhits.evaluation import intervals
from pyhits.evaluation.backtest import Backtest, errors_of
from pyhits.fit.updating import updated
from pyhits.forecasting.evaluate import baseline_forecasts
from pyhits.forecasting.model import ForecastingModel
from pyhits.util.checks import as_count
from pyhits.util.threads import one_blas_thread

M = TypeVar("M", bound=ForecastingModel)

#: Part of a recording that origins lie in where they are not given, and the horizon at most.
_LAST, _HORIZON = 0.25, 100


def backtest(
    model: M, recording: Any, *, origins: int | Sequence[int], horizon: int | None, refit: bool
) -> Backtest:
    """Forecast from rolling origins; see :meth:`pyhits.TimeStepper.backtest`."""
    own = model.coordinates
    data = own.recorded(recording)
    if own.inputs is not None:
        raise ArgumentError("A backtest is not for models with inputs: evaluate forecasts of them.")
    if len(data) != 1:
        raise DataError(
            f"A backtest is of one recording, got {len(data)}; of one in pieces, fill the gaps "
            '(gaps="fill", --gaps fill) or give its longest piece.'
        )
    rows = data[0].astype(np.float64)
    end = None if refit else model.summary.row_of_the_end(rows)
    at, steps = _origins(len(rows), _rows_before(model, len(rows)), origins, horizon, end)
    seen = end is not None and bool((at < end).any())
    if seen:
        warn(
            f"The model was fitted to rows up to row {end}, and forecasts of them look better than "
            "they are: refit at each origin, or fit without the last part of the recording."
        )
    truth = rows[at[:, None] + np.arange(1, steps + 1)]
    scale = model.summary.spread
    ahead: dict[str, list[np.ndarray]] = {}
    current = replace(model, verbose=False)
    with one_blas_thread(rows.size):
        for origin in at.tolist():
            before = data.cut(origin + 1)
            if refit:
                current = updated(replace(model, verbose=False), before)
            for name, forecast in _forecasts(current, before, steps).items():
                ahead.setdefault(name, []).append(forecast)
    every = {name: np.stack(of) for name, of in ahead.items() if len(of) == len(at)}
    errors = {name: errors_of(truth, of, scale) for name, of in every.items()}
    return Backtest(
        nrmse={name: by_step for name, (by_step, _) in errors.items()},
        by_origin={name: by_origin for name, (_, by_origin) in errors.items()},
        origins=at,
        dt=model.dt,
        refitted=refit,
        seen=seen,
        level=intervals.LEVEL,
        axis=data.axis,
        **_of_intervals(model, truth, every["hits"]),
    )


def _rows_before(model: ForecastingModel, n: int) -> int:
    """Return the rows before the first origin, where they are not given."""
    return max(model.start_rows, min(model.recording_rows, n // 2))


def _origins(
    n: int, rows: int, origins: int | Sequence[int], horizon: int | None, end: int | None
) -> tuple[np.ndarray, int]:
    """Return the rows that forecasts start from, and their horizon.

    Where they are not given they lie behind the last row that the model was fitted to, ``end``, if
    there is room.
    """
    given = None if isinstance(origins, (int, np.integer)) else np.asarray(origins, dtype=np.int64)
    if horizon is None:
        room = n // 10 if given is None else n - 1 - int(given.max(initial=0))
        if given is None and end is not None and end < n - 2:
            room = min(room, (n - 1 - end) // 2)
        horizon = max(1, min(_HORIZON, room))
    steps = as_count(horizon, "horizon")
    if given is None:
        count = as_count(origins, "origins")
        first = max(rows - 1, 1, min(int((1 - _LAST) * n), n - 1 - steps - count))
        last = n - 1 - steps
        first = first if end is None or end > last else max(rows - 1, end)
        if last < first:
            raise DataError(
                f"A recording of {n} rows has no origin with {rows} rows before it and {steps} "
                "after: give a longer one, or a shorter horizon."
            )
        return np.unique(np.linspace(first, last, count).astype(np.int64)), steps
    if given.ndim != 1 or not len(given) or given.min() < 1 or given.max() + steps > n - 1:
        raise ArgumentError(
            f"Expected origins from row 1 to {n - 1 - steps}, so that {steps} rows follow each."
        )
    return np.unique(given), steps


def _forecasts(model: ForecastingModel, before: Trajectories, steps: int) -> dict[str, np.ndarray]:
    """Return the forecasts of the model and of its baselines, each ``(steps, d)``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PyHiTSWarning)
        own = np.asarray(model.forecast_from(before, steps, on_divergence="return"))
    found = {"hits": own.reshape(len(own), steps + 1, -1)[0, 1:]}
    rows, numbers = before[0][None].astype(np.float64), row_numbers(before)
    last = None if numbers is None else np.array(numbers) + len(before[0]) - 1
    for kind, one in baseline_forecasts(model, rows, last).items():
        found[kind] = one.forecaster(rows[:, -1], steps)[0, 1:]
    return found


def _of_intervals(model: ForecastingModel, truth: np.ndarray, ahead: np.ndarray) -> dict[str, Any]:
    """Return coverage and scores of the intervals of a model's forecasts."""
    known = model.calibration
    if known is None:
        return {}
    return intervals.measures(truth, ahead, known.widths, model.summary.spread)
