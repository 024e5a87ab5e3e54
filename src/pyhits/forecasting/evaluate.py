"""Errors of a model's forecasts, beside those of simple baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.baselines.seasonal import row_numbers
from pyhits.baselines.sets import BaselineForecast
from pyhits.coordinates.starts import histories
from pyhits.data.stretches import Stretches
from pyhits.data.stubs import left_out, long_enough, without_stubs
from pyhits.data.trajectories import Trajectories
from pyhits.encoders.angle import nearest
from pyhits.errors import ArgumentError, warn
from pyhits.evaluation.evaluate import evaluate
from pyhits.evaluation.evaluation import Evaluation
from pyhits.evaluation.intervals import Widths
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.forecast import other_units
from pyhits.hierarchy import chain
from pyhits.util.checks import as_count
from pyhits.util.progress import bar


def evaluate_model(
    model: FittedModel,
    test: Any,
    *,
    n_steps: int | None,
    step_sizes: Sequence[int] | None,
    interpolation: str | None,
    baselines: bool,
    lyapunov: float | None,
    given: int | None,
) -> Evaluation:
    """Forecast every trajectory and measure; see :meth:`pyhits.TimeStepper.evaluate`."""
    own = model.coordinates
    recorded = _long_enough(own.recorded(test), own.history)
    for sentence in other_units(model, own.split(recorded)[0].values, "data"):
        warn(sentence)
    rows, data = _given(model, recorded, given)
    sizes = tuple(chain(model.selection.step_sizes if step_sizes is None else step_sizes))
    ahead = _Ahead(
        model,
        rows,
        sizes,
        inputs=_inputs(model, recorded, rows.shape[1]),
        settings={} if interpolation is None else {"interpolation": interpolation},
        blended=step_sizes is None,
    )
    truth = None if own.turns is None else Stretches.whole(data.offsets).gather(data.values)

    def near(forecast: np.ndarray) -> np.ndarray:
        """Return a forecast whose angles are compared the shorter way around."""
        if truth is None:
            return forecast
        return nearest(forecast, truth[:, : forecast.shape[1]], own.turns)

    return evaluate(
        _after(near, ahead),
        data,
        scale=model.summary.spread,
        n_steps=None if n_steps is None else as_count(n_steps, "n_steps", most=None),
        step_sizes=sizes,
        baselines={
            kind: one._replace(forecaster=_after(near, one.forecaster))
            for kind, one in (_baselines(ahead, data) if baselines else {}).items()
        },
        decoded=_later(own.decoded(recorded), rows.shape[1] - own.history),
        lyapunov=lyapunov,
        widths=_widths(model, sizes, interpolation),
    )


@dataclass(frozen=True, eq=False)
class _Ahead:
    """A model's forecasts of recordings on from the rows that are given of each."""

    model: FittedModel
    rows: np.ndarray  # (n, given, d)
    sizes: tuple[int, ...]  # step sizes that are coupled
    inputs: np.ndarray | None  # (n, steps, k), or None
    settings: dict[str, Any]  # of the stepping
    #: Whether the model's blend with forecasts of recordings is taken, where it has one.
    blended: bool

    @property
    def starts(self) -> np.ndarray:
        """Last rows, as many as make a state."""
        return _last(self.rows, self.model.coordinates.state_rows)

    def __call__(self, states: np.ndarray, steps: int) -> np.ndarray:
        """Forecast so many steps; the states are those of the rows."""
        model = self.model
        with bar("forecasting", verbose=model.verbose) as progress:
            found = model.maps.ahead(
                self.starts,
                steps,
                self.sizes,
                inputs=None if self.inputs is None else self.inputs[:, :steps],
                progress=progress,
                **self.settings,
            )
        if not self.blended:
            return model.held(found, self.rows[:, -1])
        return model.blended(found, list(self.rows), np.arange(steps + 1.0))


def _inputs(model: FittedModel, recorded: Trajectories, given: int) -> np.ndarray | None:
    """Return the inputs of forecasts from the last of so many given rows; None without any."""
    own = model.coordinates
    inputs = own.inputs_of(recorded)
    if inputs is None:
        return None
    n, n_steps = inputs.shape[:2]
    checked = own.check_inputs(inputs, n, n_steps, own.inputs_before(recorded))
    return None if checked is None else checked[:, given - own.history :]


def _baselines(ahead: _Ahead, data: Trajectories) -> dict[str, BaselineForecast]:
    """Return the model's baselines by kind: those of states, and of recordings what is more.

    The data begin in the last of the given rows.
    """
    numbers = row_numbers(data)
    return baseline_forecasts(
        ahead.model, ahead.rows, None if numbers is None else np.array(numbers), ahead.inputs
    )


def baseline_forecasts(
    model: FittedModel,
    rows: np.ndarray,
    numbers: np.ndarray | None,
    inputs: np.ndarray | None = None,
) -> dict[str, BaselineForecast]:
    """Return a model's baselines by kind: those of states, and of recordings what is more.

    Parameters
    ----------
    rows : array, shape (n, given, d)
        What is gone on from.
    numbers : array of int, shape (n,), or None
        Of the last of them in the calendar.
    inputs : array, shape (n, steps, k), optional
    """
    own = model.coordinates
    found: dict[str, BaselineForecast] = {}
    if model.recording_baselines is not None:
        found |= model.recording_baselines.forecasters(rows)
    if model.baselines is not None:
        starts = _last(rows, own.state_rows)
        of_states = model.baselines.forecasters(
            own.encoder, starts, inputs, rows=rows, numbers=numbers
        )
        found = of_states | {kind: one for kind, one in found.items() if kind not in of_states}
    return found


def _last(rows: np.ndarray, count: int) -> np.ndarray:
    """Return the last rows of recordings, as many as make a state: ``(n, d)`` of one."""
    return rows[:, -1] if count == 1 else rows[:, -count:]


def _after(
    change: Callable[[np.ndarray], np.ndarray], forecast: Callable[..., np.ndarray]
) -> Callable[..., np.ndarray]:
    """Return a forecast whose result is changed."""
    return lambda states, n_steps: change(forecast(states, n_steps))


def _long_enough(data: Trajectories, history: int) -> Trajectories:
    """Return recordings without pieces too short to be forecast; say how many are left out."""
    if int(data.recordings[-1]) + 1 == len(data):
        return data
    found = long_enough(without_stubs(data), history + 1)
    if said := left_out(data, found):
        warn(said)
    return found


def _given(
    model: FittedModel, data: Trajectories, given: int | None
) -> tuple[np.ndarray, Trajectories]:
    """Return the first rows of trajectories ``(n, given, d)``, and the rows from their last on.

    Raises ArgumentError, DataError: fewer are given than a forecast starts from, or a trajectory
    has no more.
    """
    own = model.coordinates
    if given is None:
        half = int(data.lengths.min()) // 2
        count = max(own.history, min(model.blended_rows, half))
    else:
        count = as_count(given, "given")
    if count < own.history:
        raise ArgumentError(
            f"A forecast starts from {own.history} rows, given={count}: give so many or more."
        )
    states, _ = own.split(data)
    rows, rest = histories(states, count)
    return rows.reshape(len(states), count, -1), rest


def _later(data: Trajectories | None, lost: int) -> Trajectories | None:
    """Return data without the first rows of each trajectory."""
    return data if data is None or lost == 0 else histories(data, lost + 1)[1]


def _widths(model: FittedModel, sizes: tuple[int, ...], interpolation: str | None) -> Widths | None:
    """Return what tells the widths of intervals, if they are calibrated for these forecasts."""
    known = model.calibration
    if known is None or sizes != known.step_sizes:
        return None
    return known.widths if (interpolation or model.interpolation) == known.interpolation else None
