"""Flow maps as plain values that a page can step: arrays as base64 of their bytes."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch

from pyhits.errors import ArgumentError
from pyhits.flowmaps import CellMap, FlowMap, KernelMap, ODEMap, PolynomialMap, ResidualNet


def packed(values: Any) -> dict[str, str]:
    """Return an array as the page reads it; infinite numbers are among its bytes."""
    array = np.asarray(values.detach().cpu().numpy() if torch.is_tensor(values) else values)
    kind = {"float32": "f4", "int32": "i4"}.get(array.dtype.name, "f8")
    made = np.ascontiguousarray(array, dtype=f"<{kind}")
    return {kind: base64.b64encode(made.tobytes()).decode("ascii")}


def described(flow_map: FlowMap) -> dict[str, Any]:
    """Return what the page needs to take a step.

    Raises
    ------
    ArgumentError
        The page cannot step a map of this family.
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
