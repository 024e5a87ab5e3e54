"""What a fitted model is, in words: a line, a table, a card."""

from __future__ import annotations

import math

from pyhits import fused
from pyhits.forecasting.fitted import FittedModel
from pyhits.fused.numbers import numbers_of
from pyhits.hierarchy import Candidate, Selection
from pyhits.util.card import card
from pyhits.util.printable import printable

#: More names than these are not written out.
_MOST_NAMES = 40


def headline(model: FittedModel) -> str:
    """Return the one line that stands for a model."""
    n = len(model.feature_names)
    what = ", ".join(model.feature_names) if n <= 6 else f"{n} features"
    grid = model.coordinates.grid
    what = what if grid is None else f"a field of {grid.size_name()}"
    step = model.axis.step_name(model.dt)
    sizes = ", ".join(map(str, model.selection.step_sizes))
    return printable(f"TimeStepper({what}; step {step}; step sizes {sizes} coupled)")


def text(model: FittedModel) -> str:
    """Return the text that ``pyhits info`` prints."""
    lines = [f"{name:<12}  {value}" for name, value in facts(model).items()]
    parts = [lines, _scales(model), _choice(model), list(model.notes)]
    return printable("\n\n".join("\n".join(part) for part in parts))


def end_of_fit(model: FittedModel) -> str:
    """Return what a fit comes to, in a few lines: what was learned, and how good it is."""
    kinds = sorted({history.flow_map for history in model.history.values()})
    more = f", and {len(kinds) - 3} more" if len(kinds) > 3 else ""
    lines = [
        headline(model),
        how_good(model),
        f"Flow maps: {'; '.join(kinds[:3])}{more}. Fitted in {model.seconds:.0f} s.",
        f"Intervals: {_intervals(model)}.",
    ]
    return printable("\n".join(line for line in lines if line))


def shown(model: FittedModel) -> str:
    """Return the card that notebooks show."""
    head = ["step size", "flow map", "relative error", "windows", "coupled"]
    rows = [
        [
            str(size),
            history.flow_map,
            f"{history.validation_error:.2e}",
            f"{history.n_windows:,}",
            "yes" if size in model.selection.step_sizes else "",
        ]
        for size, history in model.history.items()
    ]
    return card(headline(model), facts(model), [head, *rows], headline=how_good(model))


def how_good(model: FittedModel) -> str:
    """Return how large the error of the coupling was on data that no flow map was fitted to."""
    error = model.selection.error
    if not math.isfinite(error):
        return ""
    return f"Error in validation rollouts: {math.sqrt(error):.3g} standard deviations."


def _several(n: int) -> str:
    return f"{n} {'trajectory' if n == 1 else 'trajectories'}"


def facts(model: FittedModel) -> dict[str, str]:
    """Return what a model steps, and what it was fitted to, by labels."""
    data = model.summary
    encoder = "" if model.encoder is None else ", ".join(map(repr, model.encoder.encoders))
    found = {
        "features": _names(model.feature_names),
        "inputs": "" if model.inputs is None else _names(model.inputs.names),
        "encoded by": encoder,
        "coordinates": _names(model.coordinate_names) if encoder else "",
        "dt": model.axis.step_name(model.dt),
        "trained on": f"{_several(data.n_trajectories)}, {data.n_rows} rows, "
        f"in {model.seconds:.0f} s, {model.dtype}",
        "fitted by": model.fitted_by,
        "coupled": f"step sizes {', '.join(map(str, model.selection.step_sizes))}",
        "blended with": "" if model.blend is None else ", ".join(model.blend.kinds),
        "stepped by": stepped_by(model),
        "intervals": _intervals(model),
    }
    return {name: value for name, value in found.items() if value}


def _scales(model: FittedModel) -> list[str]:
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


def _choice(model: FittedModel) -> list[str]:
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


def stepped_by(model: FittedModel) -> str:
    """Return what forecasts of many states are stepped by on a CPU."""
    if not numbers_of({size: model.flow_maps[size] for size in model.selection.step_sizes}):
        return "torch"
    if fused.is_installed():
        return "machine code (llvmlite), where it is worth making"
    return 'torch; with pip install "pyhits[fast]", machine code'


def _intervals(model: FittedModel) -> str:
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
