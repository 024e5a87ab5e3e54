"""What a model holds, in words and as plain values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pyhits.forecasting.described import end_of_fit, stepped_by, text
from pyhits.timestepper import TimeStepper, as_stepper

if TYPE_CHECKING:
    from pyhits.hits import HiTS


def facts(model: HiTS | TimeStepper) -> dict[str, Any]:
    """Return everything ``pyhits info`` shows as JSON values; what is infinite becomes None."""
    stepper = as_stepper(model)
    values = {
        "dt": stepper.dt,
        "feature_names": list(stepper.feature_names),
        "inputs": [] if stepper.inputs is None else list(stepper.inputs.names),
        "coordinate_names": list(stepper.coordinate_names),
        "step_sizes": list(stepper.flow_maps),
        "selection": stepper.selection.as_dict(),
        "calibration": None
        if stepper.calibration is None
        else {
            "n_rollouts": stepper.calibration.n_rollouts,
            "n_trained": stepper.calibration.n_trained,
            "cross_fitted": stepper.calibration.cross_fitted,
            "horizon": stepper.calibration.horizon,
            "highest_level": stepper.calibration.highest_level,
            "overlapping": stepper.calibration.overlapping,
        },
        "baselines": [] if stepper.baselines is None else list(stepper.baselines.by_kind),
        "dtype": stepper.dtype,
        "stepped_by": stepped_by(stepper),
        "data": _summary(stepper),
        "notes": stepper.notes,
        "seconds": stepper.seconds,
        "fitted_by": stepper.fitted_by,
        "scales": [
            {
                **{k: v for k, v in history.as_dict().items() if k != "records"},
                "n_parameters": stepper.flow_maps[size].n_parameters,
            }
            for size, history in stepper.history.items()
        ],
    }
    plain: dict[str, Any] = _plain(values)
    return plain


def _summary(model: TimeStepper) -> dict[str, Any]:
    """Return what the model remembers of its training data."""
    arrays = {name: array.tolist() for name, array in model.summary.state().items()}
    return model.describe_data() | arrays


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summary(model: HiTS | TimeStepper) -> str:
    """Return the lines that a fit ends with."""
    return end_of_fit(as_stepper(model))


def describe(model: HiTS | TimeStepper) -> str:
    """Return the text that ``pyhits info`` prints."""
    return text(as_stepper(model))
