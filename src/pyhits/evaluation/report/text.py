"""What a model holds, in words and as plain values."""

from __future__ import annotations

import math
from typing import Any

from pyhits.hierarchy import Candidate, Selection
from pyhits.hits import HiTS
from pyhits.policies import as_coupling
from pyhits.util.printable import printable

#: More names than these are not written out.
_MOST_NAMES = 40


def facts(model: HiTS) -> dict[str, Any]:
    """Return everything ``pyhits info`` shows as JSON values; what is infinite becomes None."""
    values = {
        "dt": model.dt_,
        "feature_names": list(model.feature_names_),
        "inputs": [] if model.inputs_ is None else list(model.inputs_.names),
        "coordinate_names": list(model.coordinate_names_),
        "step_sizes": list(model.flow_maps_),
        "selection": model.selection_.as_dict(),
        "calibration": None
        if model.calibration_ is None
        else {
            "n_rollouts": model.calibration_.n_rollouts,
            "n_trained": model.calibration_.n_trained,
            "cross_fitted": model.calibration_.cross_fitted,
            "horizon": model.calibration_.horizon,
            "highest_level": model.calibration_.highest_level,
            "overlapping": model.calibration_.overlapping,
        },
        "baselines": [] if model.baselines_ is None else list(model.baselines_.by_kind),
        "dtype": model.dtype_,
        "data": model.data_,
        "notes": model.notes_,
        "seconds": model.seconds_,
        "scales": [
            {
                **{k: v for k, v in history.as_dict().items() if k != "records"},
                "n_parameters": model.flow_maps_[size].n_parameters,
            }
            for size, history in model.history_.items()
        ],
    }
    plain: dict[str, Any] = _plain(values)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def describe(model: HiTS) -> str:
    """Return the text that ``pyhits info`` prints."""
    data = model.data_
    lines = [
        f"features      {_names(model.feature_names_)}",
        *([] if model.inputs_ is None else [f"inputs        {_names(model.inputs_.names)}"]),
        *(
            []
            if model.preprocessor_ is None
            else [
                f"encoded by    {', '.join(map(repr, model.preprocessor_.encoders))}",
                f"coordinates   {_names(model.coordinate_names_)}",
            ]
        ),
        f"dt            {model.axis_.step_name(model.dt_)}",
        f"trained on    {data['n_trajectories']} trajectories, {data['n_rows']} rows, "
        f"in {model.seconds_:.0f} s, {model.dtype_}",
        f"coupled       step sizes {', '.join(map(str, model.selection_.step_sizes))}",
        f"intervals     {_intervals(model)}",
        "",
        f"{'step size':>9}  {'relative error':>14}  {'windows':>9}  {'seconds':>7}  "
        f"{'stopped by':<11}  flow map",
    ]
    for size, h in model.history_.items():
        mark = "*" if size in model.selection_.step_sizes else " "
        lines.append(
            f"{size:>8}{mark}  {h.validation_error:>14.2e}  {h.n_windows:>9}  {h.seconds:>7.1f}  "
            f"{h.stopped_by:<11}  {h.flow_map}"
        )
    selection = model.selection_
    lines += ["", "* coupled, chosen on validation rollouts:"]
    lines += [
        f"  {c.error:>10.3e}  {_range(c.step_sizes)}{_mark(c, selection)}" for c in selection.path
    ]
    if not selection.path:
        hows = {"speed": "by speed", "accuracy": "the best that there was time to try"}
        asked = "all" if model.recipe_.windows == "coupled" else as_coupling(model.selection).how
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
    return printable("\n".join([*lines, "", *model.notes_]))


def _intervals(model: HiTS) -> str:
    """Return what prediction intervals rest on, in a few words."""
    known = model.calibration_
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
