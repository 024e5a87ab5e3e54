"""Gathers what the page holds, and writes it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.guard import as_path
from pyhits.errors import ArgumentError
from pyhits.hits import HiTS
from pyhits.report.explorer.maps import described, packed
from pyhits.timestepper import TimeStepper, as_stepper
from pyhits.util.atomic import write_bytes
from pyhits.util.checks import as_count
from pyhits.util.printable import printable

#: Features of a model that a page has room for, recordings that it holds, and rows of each.
_FEATURES, _RECORDINGS, _ROWS = 8, 12, 4000

#: Steps of a forecast where nobody says how many; of the check against Python, at most.
_STEPS, _CHECKED = 400, 100

#: Steps that a page computes and draws at every move of the mouse, at most.
_MOST_STEPS = 100_000

#: Level of the intervals.
_LEVEL = 0.9


def write_explorer(
    model: HiTS | TimeStepper,
    path: str | Path,
    data: Any = None,
    *,
    n_steps: int = _STEPS,
    title: str = "PyHiTS explorer",
) -> Path:
    """Write one HTML page that holds a model and steps it: no other file, no network, no Python.

    Drag the initial state in the phase portrait, or move the sliders; switch scales on and off;
    watch Algorithm 1 fill in. The page says how far its own forecast is from Python's.

    Parameters
    ----------
    model : HiTS or TimeStepper
        Fitted: polynomials, tables, kernels or nets, of up to 8 features, without an encoder but
        for a scaling, and without inputs.
    path : path
        The page.
    data : Trajectories, or anything that Trajectories accepts, optional
        Recordings to start from and to compare with.
    n_steps : int
        Steps of the forecast at first, at most 100,000.
    title : str
        Heading of the page.

    Returns
    -------
    Path

    Raises
    ------
    ArgumentError
        The page cannot step the model.
    """
    model, file = as_stepper(model), as_path(path)
    _check(model)
    held = _held(model, data, as_count(n_steps, "n_steps", most=_MOST_STEPS), title)
    template = (resources.files("pyhits.report.explorer") / "page.html").read_text(encoding="utf-8")
    text = json.dumps(held).replace("<", "\\u003c")
    write_bytes(file, template.replace("{{ model }}", text).encode())
    return file


def _check(model: TimeStepper) -> None:
    """Raise an ArgumentError that says why a page cannot hold a model."""
    d = len(model.feature_names)
    if model.encoder is not None:
        raise ArgumentError("The page cannot hold an encoder; fit on encoded data, or without.")
    if model.inputs is not None:
        raise ArgumentError("The page has no place for inputs.")
    if d > _FEATURES:
        raise ArgumentError(f"The page has room for {_FEATURES} features, the model has {d}.")


def _held(model: TimeStepper, data: Any, n_steps: int, title: str) -> dict[str, Any]:
    """Return what the page holds, as JSON values."""
    start = np.asarray((model.summary.low + model.summary.high) / 2, dtype=np.float64)
    recordings = []
    if data is not None:
        recorded = model.as_data(data)
        recordings = [rows[:_ROWS] for rows in list(recorded)[:_RECORDINGS]]
        start = np.asarray(recordings[0][0], dtype=np.float64)
    sizes = list(model.selection.step_sizes)
    steps = min(n_steps, _CHECKED)
    own = model.forecast(start, steps, step_sizes=sizes, on_divergence="return")
    finite = np.isfinite(own).all()
    known = model.calibration
    return {
        "title": printable(title),
        "names": [printable(name) for name in model.feature_names],
        "dt": model.dt,
        "step": model.axis.step_name(model.dt),
        "interpolation": model.interpolation,
        "mean": packed(model.scaling.mean_),
        "scale": packed(model.scaling.scale_),
        "low": packed(model.summary.low),
        "high": packed(model.summary.high),
        "maps": {str(size): described(one) for size, one in model.flow_maps.items()},
        "coupled": sizes,
        "blended": model.blend is not None,
        "steps": n_steps,
        "start": start.tolist(),
        "level": _LEVEL,
        "widths": None if known is None else _widths(model),
        "recordings": [{"n": len(rows), "values": packed(rows)} for rows in recordings],
        "check": {"steps": steps, "states": packed(own), "sizes": sizes} if finite else None,
    }


def _widths(model: TimeStepper) -> dict[str, Any]:
    known = model.calibration
    assert known is not None
    reach = known.reach(_LEVEL)
    return {"reach": reach, "values": packed(known.widths(np.arange(reach + 1.0), _LEVEL))}
