"""What a model holds, in words and as plain values."""

from __future__ import annotations

import math
from typing import Any

from pyhits import fused
from pyhits.hierarchy import Candidate, Selection
from pyhits.hits import HiTS
from pyhits.timestepper import TimeStepper, as_stepper
from pyhits.util.printable import printable

#: More names than these are not written out.
_MOST_NAMES = 40


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


def describe(model: HiTS | TimeStepper) -> str:
    """Return the text that ``pyhits info`` prints."""
    stepper = as_stepper(model)
    lines = [*_about(stepper), "", *_scales(stepper), "", *_choice(stepper), "", *stepper.notes]
    return printable("\n".join(lines))


def _about(model: TimeStepper) -> list[str]:
    """Return the lines that say what a model steps, and what it was fitted to."""
    data = model.summary
    lines = [f"features      {_names(model.feature_names)}"]
    if model.inputs is not None:
        lines.append(f"inputs        {_names(model.inputs.names)}")
    if model.encoder is not None:
        lines.append(f"encoded by    {', '.join(map(repr, model.encoder.encoders))}")
        lines.append(f"coordinates   {_names(model.coordinate_names)}")
    return [
        *lines,
        f"dt            {model.axis.step_name(model.dt)}",
        f"trained on    {data.n_trajectories} trajectories, {data.n_rows} rows, "
        f"in {model.seconds:.0f} s, {model.dtype}",
        *([f"fitted by     {model.fitted_by}"] if model.fitted_by else []),
        f"coupled       step sizes {', '.join(map(str, model.selection.step_sizes))}",
        f"stepped by    {stepped_by(model)}",
        f"intervals     {_intervals(model)}",
    ]


def stepped_by(model: TimeStepper) -> str:
    """Return what forecasts of many states are stepped by on a CPU."""
    if any(model.flow_maps[size].numbers() is None for size in model.selection.step_sizes):
        return "torch"
    if fused.is_installed():
        return "machine code (llvmlite), where it is worth making"
    return 'torch; with pip install "pyhits[fast]", machine code'


def _scales(model: TimeStepper) -> list[str]:
    """Return the table of the scales."""
    lines = [
        f"{'step size':>9}  {'relative error':>14}  {'windows':>9}  {'seconds':>7}  "
        f"{'stopped by':<11}  flow map"
    ]
    for size, h in model.history.items():
        mark = "*" if size in model.selection.step_sizes else " "
        lines.append(
            f"{size:>8}{mark}  {h.validation_error:>14.2e}  {h.n_windows:>9}  {h.seconds:>7.1f}  "
            f"{h.stopped_by:<11}  {h.flow_map}"
        )
    return lines


def _choice(model: TimeStepper) -> list[str]:
    """Return the lines that say how scales were chosen, and which are the cheapest."""
    selection = model.selection
    lines = ["* coupled, chosen on validation rollouts:"]
    lines += [
        f"  {c.error:>10.3e}  {_range(c.step_sizes)}{_mark(c, selection)}" for c in selection.path
    ]
    if not selection.path:
        hows = {"speed": "by speed", "accuracy": "the best that there was time to try"}
        asked = "all" if model.recipe.windows == "coupled" else model.coupling.how
        how = hows.get(str(asked), "as asked")
        lines.append(f"  {selection.error:>10.3e}  {_range(selection.step_sizes)}, {how}")
    if selection.best:
        lines += [
            "",
            "The cheapest couplings, each more accurate than all cheaper ones, on a sample:",
            f"  {'error':>10}  {'seconds':>8}  {'stages':>6}  step sizes",
        ]
        lines += [
            f"  {c.error:>10.3e}  {c.seconds:>8.4f}  {c.depth:>6}  {_range(c.step_sizes)}"
            f"{_mark(c, selection)}"
            for c in selection.best
        ]
    return lines


def _intervals(model: TimeStepper) -> str:
    """Return what prediction intervals rest on, in a few words."""
    known = model.calibration
    if known is None:
        return "none: no held-out data were kept; calibrate on some"
    what = "held-out trajectories"
    if known.overlapping:
        what = "overlapping rollouts"
    elif known.n_trained or known.cross_fitted:
        what = "trajectories"
    return (
        f"by {known.n_rollouts} {what}, up to step {known.horizon} and level "
        f"{known.highest_level:.3g}"
    )


def _names(names: tuple[str, ...]) -> str:
    """Return the names, or how many there are if a field has more than anyone reads."""
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return f"{names[0]}, {names[1]}, ..., {names[-1]} ({len(names)})"


def _mark(candidate: Candidate, selection: Selection) -> str:
    return "   <- chosen" if candidate.step_sizes == selection.step_sizes else ""


def _range(step_sizes: tuple[int, ...]) -> str:
    return ", ".join(map(str, step_sizes))
