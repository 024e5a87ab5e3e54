"""Gathers what the page shows, draws it, and fills the template."""

from __future__ import annotations

import io
import os
import platform
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyhits import plots
from pyhits._version import __version__
from pyhits.data.diagnostics import examine
from pyhits.data.files.guard import as_path
from pyhits.data.stretches import Stretches
from pyhits.data.trajectories import Trajectories
from pyhits.errors import PyHiTSWarning
from pyhits.evaluation.evaluation import Evaluation
from pyhits.forecasting.uncertainty.result import basis
from pyhits.timestepper import TimeStepper, as_stepper
from pyhits.util.atomic import write_bytes
from pyhits.util.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pyhits.hits import HiTS

#: Test trajectories drawn in the phase portrait.
_PORTRAIT = 12

#: Level of the intervals drawn.
_LEVEL = 0.9


def write_report(
    model: HiTS | TimeStepper,
    test: Any,
    path: str | Path,
    *,
    title: str = "PyHiTS report",
    evaluation: Evaluation | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write one HTML page, figures inside, that needs no other file and no network.

    Parameters
    ----------
    model : HiTS or TimeStepper
        Fitted.
    test : Trajectories, or anything that Trajectories accepts
        Data that the model has not seen.
    path : path
        The page; folders on the way are made.
    title : str
        Its heading.
    evaluation : Evaluation, optional
        The coupled model's, if it is known already; its horizon and its scales are the page's.
    progress : callable, optional
        Told in words what is being done.

    Returns
    -------
    Path
    """
    from jinja2 import Environment, PackageLoader

    say = progress or (lambda text: None)
    model = as_stepper(model)
    data = model.as_data(test)
    coupled = evaluation if evaluation is not None else model.evaluate(data)
    single = {}
    for size in model.flow_maps:
        say(f"evaluating step size {size} alone")
        single[size] = model.evaluate(
            data, n_steps=coupled.n_steps, step_sizes=[size], baselines=False
        )
    say("drawing")
    loader = PackageLoader("pyhits.report")
    page = Environment(loader=loader, autoescape=True).get_template("page.html.j2")
    text = page.render(title=title, **_content(model, data, coupled, single))
    file = as_path(path)
    write_bytes(file, printable(text).encode())
    return file


def _content(
    model: TimeStepper, data: Trajectories, coupled: Evaluation, single: dict[int, Evaluation]
) -> dict[str, Any]:
    """Return what the template shows, by the names that it has there."""
    figures = _figures(model, data, coupled, single)
    return {
        "model": model,
        "data": data,
        "coupled": coupled,
        "single": single,
        "figures": {name: _svg(figure, name) for name, figure in figures},
        "interval": _interval(model, data, coupled),
        "findings": _findings(model, data),
        "environment": environment(),
        "inf": float("inf"),
        "best_single": min(single.values(), key=lambda e: e.mse),
    }


def _findings(model: TimeStepper, data: Trajectories) -> dict[str, list[str]]:
    """Return what a person would object to in the training data and in the test data."""
    inputs = () if model.inputs is None else model.inputs.names
    odd = [str(finding) for finding in examine(data, inputs=inputs)]
    found = {"training data": list(model.summary.findings), "test data": odd}
    return {where: sentences for where, sentences in found.items() if sentences}


def _figures(
    model: TimeStepper, data: Any, coupled: Evaluation, single: dict[int, Evaluation]
) -> list[tuple[str, Figure]]:
    beside = {f"step size {size} alone": result for size, result in single.items()}
    drawn: dict[str, Callable[[Figure], Any]] = {
        "error": lambda ax: coupled.plot(beside, ax=ax),
        "baselines": lambda ax: coupled.plot(ax=ax),
        "selection": lambda ax: model.selection.plot("path", ax=ax),
        "front": lambda ax: model.selection.plot(ax=ax),
        "scales": lambda ax: model.plot_scales(ax=ax),
    }
    if any(history.curve for history in model.history.values()):
        drawn["training"] = lambda ax: plots.training_curves(model.history, ax=ax)
    drawn |= _figures_of_states(model, data, coupled)
    found = []
    for name, draw in drawn.items():
        figure = plots.blank()
        draw(figure)
        found.append((name, figure))
    return found


def _figures_of_states(
    model: TimeStepper, data: Any, coupled: Evaluation
) -> dict[str, Callable[[Figure], Any]]:
    """Return what draws forecasts of the test data: lines and portraits, or pictures of fields."""
    history = model.start_rows
    some, shown, states = _compared(model, data, coupled.n_steps, _PORTRAIT)
    truth, names = shown.gather(states.values), states.feature_names
    forecast = model.forecast(
        some, truth.shape[1] - 1, step_sizes=coupled.step_sizes, on_divergence="return"
    ).reshape(truth.shape)
    first = int(shown.lengths[0]) + 1
    x = some.dates()[history - 1 : history - 1 + first]
    if not data.axis.has_dates:
        x = x - x[0]
    recorded, ahead = truth[0, :first], forecast[0, :first]
    drawn: dict[str, Callable[[Figure], Any]] = {}
    if states.grid is not None:
        field = (recorded, ahead, x, states.grid)
        drawn["field"] = lambda ax: plots.compared_fields(*field, unit=data.axis.unit, ax=ax)
        drawn["statistics"] = lambda ax: plots.field_statistics(*field, unit=data.axis.unit, ax=ax)
        return drawn
    band = None
    if _is_calibrated(model, coupled):
        assert model.calibration is not None
        widths = model.calibration.widths(np.arange(first, dtype=float), _LEVEL)
        low, high = (
            model.within_bounds(edge[None], recorded[:1])[0]
            for edge in (ahead - widths, ahead + widths)
        )
        band = low, high
    drawn["portrait"] = lambda ax: plots.portrait(truth, names, forecasts=forecast, ax=ax)
    drawn["sample"] = lambda ax: plots.forecast_lines(
        plots.Rows(x, ahead),
        names,
        band=band,
        level=_LEVEL,
        truth=plots.Rows(x, recorded),
        unit=data.axis.unit,
        ax=ax,
    )
    is_finite = np.isfinite(forecast[np.isfinite(truth)]).all()
    if coupled.spectral_distance is not None and is_finite:
        drawn["spectra"] = lambda ax: plots.spectra(truth, forecast, data.dt, names, ax=ax)
    return drawn


def _compared(
    model: TimeStepper, data: Trajectories, n_steps: int, most: int | None = None
) -> tuple[Trajectories, Stretches, Trajectories]:
    """Return trajectories that are long enough, what of them is compared, and their states."""
    long = np.flatnonzero(data.lengths > model.start_rows)[:most]
    some = data[long]
    states, _ = model.coordinates.split(some)
    return some, Stretches.whole(states.offsets, model.start_rows).cut(n_steps), states


def _is_calibrated(model: TimeStepper, coupled: Evaluation) -> bool:
    """Whether intervals are known of the coupling that is shown."""
    known = model.calibration
    return known is not None and known.step_sizes == coupled.step_sizes


def _interval(model: TimeStepper, data: Trajectories, coupled: Evaluation) -> dict[str, Any]:
    """Return what the page says of intervals: a note, their level and reach, and their coverage.

    The coverage is the share of recorded values inside, up to where intervals are finite; None
    where they never are.
    """
    if not _is_calibrated(model, coupled):
        return {"note": "There are no prediction intervals: nothing was held out for them."}
    assert model.calibration is not None
    facts: dict[str, Any] = {"note": basis(model.calibration, _LEVEL), "level": _LEVEL}
    reach = min(coupled.n_steps, model.calibration.reach(_LEVEL))
    facts |= {"reach": reach, "whole": reach == coupled.n_steps, "coverage": None}
    if reach:
        some, stretches, states = _compared(model, data, reach)
        truth = stretches.gather(states.values)[:, 1:]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PyHiTSWarning)
            found = model.forecast(some, reach, interval=_LEVEL, on_divergence="return")
        low, high = (bound[:, 1:].reshape(truth.shape) for bound in (found.low, found.high))
        known = np.isfinite(truth)
        inside = (low <= truth) & (truth <= high)
        facts |= {"coverage": float(inside[known].mean()), "outside": int(found.outside.sum())}
    return facts


def _svg(figure: Figure, name: str) -> str:
    """Return the figure as SVG text that can stand inside a page."""
    import matplotlib as mpl

    from pyhits.plots.powers import with_plain_powers

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": f"pyhits-{name}", "svg.fonttype": "path"}):
        with_plain_powers(figure).savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "safetensors")


def environment() -> dict[str, str]:
    """Return versions, processor and threads, by name."""
    import torch

    facts = {"pyhits": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "unknown"
    facts["system"] = f"{platform.system()} {platform.machine()}"
    facts["cores"] = str(os.cpu_count())
    facts["torch threads"] = str(torch.get_num_threads())
    return facts
