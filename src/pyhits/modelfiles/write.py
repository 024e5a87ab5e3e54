"""Writing model files: one safetensors file, tensors plus JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyhits._version import __version__
from pyhits.coordinates.coordinates import Coordinates
from pyhits.data.files.guard import as_path
from pyhits.data.packing import default_names
from pyhits.encoders.chain import links, to_plain
from pyhits.errors import ArgumentError
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.forecasting.fitted import FittedModel
from pyhits.modelfiles.modelfile import FORMAT, OF_DATA, OF_INPUTS
from pyhits.policies import Coupling
from pyhits.uncertainty.pack import pack_trust
from pyhits.util.tensorfile import as_tensors, write_tensors


def save_model(model: FittedModel, path: str | Path) -> Path:
    """Write a fitted model; the extension must be ``.safetensors``. Returns the path.

    The file holds all scales, the selection with every candidate, scaling, names, settings, the
    training histories and a fingerprint of the training data.

    Raises
    ------
    ArgumentError
        Another extension, or names of more than 80 MB.
    """
    path = as_path(path)
    if path.suffix != ".safetensors":
        raise ArgumentError(f"Model files end in .safetensors, got {str(path)!r}.")
    tensors, facts = _coordinates(model.coordinates)
    for name in OF_DATA:
        tensors[f"data.{name}"] = torch.from_numpy(getattr(model.summary, name).copy())
    scales = []
    for size, flow_map in model.flow_maps.items():
        tensors |= as_tensors(flow_map.state(), f"scale.{size}.")
        about = FLOW_MAPS.plain(flow_map)
        scales.append({"step_size": size, "map": about, "history": model.history[size].as_dict()})
    packed, trust = pack_trust(model.calibration, model.region, model.baselines)
    tensors |= packed
    facts |= {
        "format": FORMAT,
        "pyhits_version": __version__,
        "scales": scales,
        "selection": model.selection.as_dict(),
        "coupling": _coupling(model.coupling),
        "recipe": model.recipe.as_dict(),
        "data": describe_data(model),
        "trust": trust,
        "notes": list(model.notes),
        "seconds": model.seconds,
        "fitted_by": model.fitted_by,
        "interrupted": list(model.interrupted),
    }
    write_tensors(path, tensors, facts)
    return path


def describe_data(model: FittedModel) -> dict[str, Any]:
    """Return what a model remembers of its training data as JSON values, but for the arrays."""
    known = model.summary
    return {
        "fingerprint": known.fingerprint,
        "n_trajectories": known.n_trajectories,
        "n_rows": known.n_rows,
        "time_axis": model.coordinates.axis.as_dict(),
        "findings": list(known.findings),
        "agreement": {str(size): list(one) for size, one in model.agreement.items()},
    }


def _coupling(coupling: Coupling) -> dict[str, Any]:
    """Return how scales were asked to be coupled as JSON values."""
    how = coupling.how if isinstance(coupling.how, str) else [int(size) for size in coupling.how]
    plain = {"how": how, "tolerance": coupling.tolerance}
    return plain | {"interpolation": coupling.interpolation}


def _coordinates(own: Coordinates) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return coordinates as tensors and plain values."""
    tensors = {
        "encoder.mean": torch.from_numpy(own.scaling.mean_.copy()),
        "encoder.scale": torch.from_numpy(own.scaling.scale_.copy()),
    }
    facts: dict[str, Any] = {
        "dt": own.dt,
        "standardise": own.scaling.enabled,
        "common_scale": own.scaling.common,
    }
    if own.feature_names != default_names(own.n_features):
        facts["feature_names"] = list(own.feature_names)
    if own.encoder is not None:
        for name, array in own.encoder.state().items():
            tensors[f"preprocessor.{name}"] = torch.from_numpy(array.copy())
        facts["preprocessor"] = to_plain(links(own.encoder))
    if own.snapshot is not None:
        facts["snapshot"] = list(own.snapshot)
    if own.inputs is not None:
        facts["inputs"] = list(own.inputs.names)
        for name in OF_INPUTS:
            tensors[f"inputs.{name}"] = torch.from_numpy(getattr(own.inputs, name).copy())
    return tensors, facts
