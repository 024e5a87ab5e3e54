"""Gathers what the page holds, and writes it."""

from __future__ import annotations

import base64
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pyhits.data.files.guard import as_path
from pyhits.errors import ArgumentError
from pyhits.flowmaps import CellMap, FlowMap, KernelMap, ODEMap, PolynomialMap, ResidualNet
from pyhits.hits import HiTS
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
        Fitted: polynomials, ODEs, tables, kernels or nets, of up to 8 features, without an encoder
        but for a scaling, and without inputs.
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


def packed(values: Any) -> dict[str, str]:
    """Return an array as the page reads it; infinite numbers are among its bytes."""
    array = np.asarray(values.detach().cpu().numpy() if torch.is_tensor(values) else values)
    kind = {"float32": "f4", "int32": "i4"}.get(array.dtype.name, "f8")
    made = np.ascontiguousarray(array, dtype=f"<{kind}")
    return {kind: base64.b64encode(made.tobytes()).decode("ascii")}


def described(flow_map: FlowMap) -> dict[str, Any]:
    """Return what the page needs to take a step.

    Raises ArgumentError: the page cannot step a map of this family.
    """
    own = {"outputs": flow_map.outputs, "parts": getattr(flow_map, "parts", flow_map.kind)}
    if isinstance(flow_map, PolynomialMap):
        return own | _polynomial(flow_map)
    if isinstance(flow_map, ODEMap):
        scheme = {"stages": packed(flow_map.scheme.A), "last": packed(flow_map.scheme.b)}
        steps = {"type": "ode", "substeps": flow_map.substeps} | scheme
        functions = [function._asdict() for function in flow_map.functions]
        terms = {"terms": flow_map.terms.size, "monomials": flow_map.basis.size}
        return own | _polynomial(flow_map) | steps | terms | {"functions": functions}
    if isinstance(flow_map, ResidualNet):
        layers = [
            {"weight": packed(layer.weight), "bias": packed(layer.bias), "n": layer.out_features}
            for layer in flow_map.layers
            if isinstance(layer, torch.nn.Linear)
        ]
        base = None if flow_map.base is None else described(flow_map.base)
        net = {"type": "net", "layers": layers, "activation": flow_map.activation, "base": base}
        return own | net | {"scale": packed(flow_map.scale)}
    if isinstance(flow_map, KernelMap):
        arrays = {
            name: packed(getattr(flow_map, name)) for name in ("metric", "centres", "weights")
        }
        kernel = {"type": "kernel", "kernel": flow_map.kernel, "base": described(flow_map.base)}
        return own | kernel | arrays
    if isinstance(flow_map, CellMap):
        names = ("low", "high", "origin", "per_box", "table", "child", "axis", "threshold", "leaf",
                 "centre", "per_half", "coefficients")  # fmt: skip
        arrays = {name: packed(getattr(flow_map, name)) for name in names}
        sizes = {"grid": list(flow_map.grid), "depth": flow_map.depth}
        return own | {"type": "cells", **sizes, **_monomials(flow_map)} | arrays
    raise ArgumentError(
        f"A page cannot step {own['parts']}; it can step polynomials, ODEs, tables, kernels and "
        "nets."
    )


def _monomials(flow_map: PolynomialMap | ODEMap | CellMap) -> dict[str, Any]:
    return {
        "blocks": [list(block) for block in flow_map.basis.blocks],
        "terms": flow_map.basis.size,
    }


def _polynomial(flow_map: PolynomialMap | ODEMap) -> dict[str, Any]:
    arrays = {name: packed(getattr(flow_map, name)) for name in ("coefficients", "low", "high")}
    return {"type": "polynomial", "degree": flow_map.degree, **_monomials(flow_map)} | arrays
