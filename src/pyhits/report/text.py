"""What a model holds, in words and as plain values."""

from __future__ import annotations

import math
from typing import Any

from pyhits.estimator import HiTS


def facts(model: HiTS) -> dict[str, Any]:
    """Return everything ``pyhits info`` shows as JSON values; what is infinite becomes None."""
    values = {
        "dt": model.dt_,
        "feature_names": list(model.feature_names_),
        "step_sizes": list(model.flow_maps_),
        "selection": model.selection_.as_dict(),
        "dtype": model.dtype,
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
        f"features      {', '.join(model.feature_names_)}",
        f"dt            {model.dt_:g}",
        f"trained on    {data['n_trajectories']} trajectories, {data['n_rows']} rows, "
        f"in {model.seconds_:.0f} s, {model.dtype}",
        f"coupled       step sizes {', '.join(map(str, model.selection_.step_sizes))}",
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
    lines += ["", "* coupled, chosen on validation rollouts:"]
    lines += [
        f"  {c.error:>10.3e}  {_range(c.step_sizes)}"
        + ("   <- chosen" if c.step_sizes == model.selection_.step_sizes else "")
        for c in model.selection_.path
    ]
    if not model.selection_.path:
        lines.append(f"  {model.selection_.error:>10.3e}  all, as asked")
    return "\n".join([*lines, "", *model.notes_])


def _range(step_sizes: tuple[int, ...]) -> str:
    return ", ".join(map(str, step_sizes))
