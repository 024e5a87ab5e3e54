"""What a fitted model is, in words: a line, a table, a card."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyhits.coordinates.coordinates import Coordinates
from pyhits.data.natural_limits import Limits
from pyhits.data.summary import Summary
from pyhits.forecasting.blend import Blend
from pyhits.forecasting.uncertainty import Calibration
from pyhits.hierarchy import Candidate, Selection
from pyhits.numerics import fused
from pyhits.policies import Coupling
from pyhits.training.history import History
from pyhits.training.recipe import Recipe
from pyhits.util.card import card
from pyhits.util.printable import printable

#: More names than these are not written out.
_MOST_NAMES = 40


@dataclass(frozen=True, eq=False, kw_only=True)
class Described(ABC):
    """What is shown of a model; of those in files it is read without their flow maps.

    Attributes
    ----------
    coordinates : Coordinates
        Between the user's rows and the states of the flow maps.
    selection : Selection
        The coupled step sizes and every candidate on the way.
    coupling : Coupling
        How these were chosen, and how states between them are found.
    recipe : Recipe
        Training settings, with nothing left open.
    history : mapping of int to History
        How each scale's training went.
    summary : Summary
        What is remembered of the training data.
    calibration : Calibration or None
        Errors of forecasts of held-out data, for intervals; None where nothing was held out.
    blend : Blend or None
        Weights of simple baselines in forecasts of recordings; None where the model forecasts
        alone.
    limits : Limits or None
        What recorded values came to time and again and never passed, nor do forecasts.
    notes : tuple of str
        What was chosen on the user's behalf.
    seconds : float
        How long the fit took.
    fitted_by : str
        The estimator as it was called.
    """

    coordinates: Coordinates
    selection: Selection
    recipe: Recipe
    history: Mapping[int, History]
    summary: Summary
    coupling: Coupling = field(default_factory=Coupling)
    calibration: Calibration | None = None
    blend: Blend | None = None
    limits: Limits | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    fitted_by: str = ""

    @property
    @abstractmethod
    def dtype(self) -> str:
        """Arithmetic of the flow maps."""

    @property
    @abstractmethod
    def has_code(self) -> bool:
        """Whether machine code can step what is coupled."""


def headline(model: Described) -> str:
    """Return the one line that stands for a model."""
    n = len(model.coordinates.feature_names)
    what = ", ".join(model.coordinates.feature_names) if n <= 6 else f"{n} features"
    grid = model.coordinates.grid
    what = what if grid is None else f"a field of {grid.size_name()}"
    step = model.coordinates.step_name
    sizes = ", ".join(map(str, model.selection.step_sizes))
    return printable(f"TimeStepper({what}; step {step}; step sizes {sizes} coupled)")


def text(model: Described) -> str:
    """Return the text that ``pyhits info`` prints."""
    lines = [f"{name:<12}  {value}" for name, value in facts(model).items()]
    parts = [lines, _scales(model), _choice(model), list(model.notes)]
    return printable("\n\n".join("\n".join(part) for part in parts))


def end_of_fit(model: Described) -> str:
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


def shown(model: Described) -> str:
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


def how_good(model: Described) -> str:
    """Return how large the error of the coupling was on data that no flow map was fitted to."""
    error = model.selection.error
    if not math.isfinite(error):
        return ""
    return f"Error in validation rollouts: {math.sqrt(error):.3g} standard deviations."


def _several(n: int) -> str:
    return f"{n} {'trajectory' if n == 1 else 'trajectories'}"


def facts(model: Described) -> dict[str, str]:
    """Return what a model steps, and what it was fitted to, by labels."""
    data, own = model.summary, model.coordinates
    encoder = "" if own.encoder is None else ", ".join(map(repr, own.encoder.encoders))
    found = {
        "features": _names(own.feature_names),
        "inputs": "" if own.inputs is None else _names(own.inputs.names),
        "encoded by": encoder,
        "coordinates": _names(own.names) if encoder else "",
        "dt": own.step_name,
        "trained on": f"{_several(data.n_trajectories)}, {data.n_rows} rows, "
        f"in {model.seconds:.0f} s, {model.dtype}",
        "fitted by": model.fitted_by,
        "coupled": f"step sizes {', '.join(map(str, model.selection.step_sizes))}"
        + (f", in {model.selection.dtype}" if model.selection.dtype else ""),
        "blended with": "" if model.blend is None else ", ".join(model.blend.kinds),
        "stepped by": stepped_by(model),
        "intervals": _intervals(model),
    }
    return {name: value for name, value in found.items() if value}


def _scales(model: Described) -> list[str]:
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


def _choice(model: Described) -> list[str]:
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
            "The cheapest couplings by nominal time, each more accurate than all cheaper ones, on",
            "a sample; seconds as measured there:",
            f"  {'error':>10}  {'seconds':>8}  {'stages':>6}  step sizes",
        ]
        lines += [
            f"  {c.error:>10.3e}  {c.seconds:>8.4f}  {c.depth:>6}  {_range(c.step_sizes)}"
            f"{_mark(c, selection)}"
            for c in selection.best
        ]
    return lines


def stepped_by(model: Described) -> str:
    """Return what forecasts of many states are stepped by on a CPU."""
    if not model.has_code:
        return "torch"
    if fused.is_installed():
        return "machine code (llvmlite), where it is worth making"
    return 'torch; with pip install "pyhits[fast]", machine code'


def _intervals(model: Described) -> str:
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
