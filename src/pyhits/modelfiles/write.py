"""Writing model files: one safetensors file, tensors plus JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from pyhits._version import __version__
from pyhits.coordinates.coordinates import Coordinates
from pyhits.data.files.guard import as_path
from pyhits.data.packing import default_names
from pyhits.errors import ArgumentError
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.forecasting.fitted import FittedModel
from pyhits.modelfiles.modelfile import FORMAT, MOST_TEXT
from pyhits.policies import Coupling
from pyhits.util.stored import Stored
from pyhits.util.tensorfile import as_tensors, write_tensors


def save_model(model: FittedModel, path: str | Path) -> Path:
    """Write a fitted model; the extension must be ``.safetensors``. Returns the path.

    The file holds all scales, the selection with every candidate, scaling, names, settings, the
    training histories and a fingerprint of the training data.

    Raises ArgumentError: another extension, or names of more than 80 MB.
    """
    path = as_path(path)
    if path.suffix != ".safetensors":
        raise ArgumentError(f"Model files end in .safetensors, got {str(path)!r}.")
    tensors: dict[str, Tensor] = {}
    for prefix, part in _parts(model).items():
        tensors |= as_tensors(part.state(), prefix)
    facts = {
        "format": FORMAT,
        "pyhits_version": __version__,
        **_coordinates(model.coordinates),
        "scales": [_scale(model, size) for size in model.flow_maps],
        "selection": model.selection.as_dict(),
        "coupling": _coupling(model.coupling),
        "recipe": model.recipe.as_dict(),
        "data": model.describe_data(),
        "trust": _uncertainty(model),
        "notes": list(model.notes),
        "seconds": model.seconds,
        "fitted_by": model.fitted_by[:MOST_TEXT],
        "interrupted": list(model.interrupted),
    }
    write_tensors(path, tensors, facts)
    return path


def _parts(model: FittedModel) -> dict[str, Stored]:
    """Return what has tensors, by what their names begin with."""
    own = model.coordinates
    found: dict[str, Stored | None] = {
        "encoder.": own.scaling,
        "preprocessor.": own.encoder,
        "inputs.": own.inputs,
        "grid.": own.grid,
        "data.": model.summary,
        "trust.calibration.": model.calibration,
        "trust.region.": model.region,
        "trust.baseline.": model.baselines,
        "trust.recording.": model.recording_baselines,
        "trust.blend.": model.blend,
        "trust.limits.": model.limits,
    }
    found |= {f"scale.{size}.": flow_map for size, flow_map in model.flow_maps.items()}
    return {prefix: part for prefix, part in found.items() if part is not None}


def _scale(model: FittedModel, size: int) -> dict[str, Any]:
    """Return what a scale is, and how its training went, as JSON values."""
    own, history = FLOW_MAPS.plain(model.flow_maps[size]), model.history[size].as_dict()
    return {"step_size": size, "map": own, "history": history}


def _uncertainty(model: FittedModel) -> dict[str, Any]:
    """Return what is known of the errors as JSON values."""
    found: dict[str, Any] = {}
    if model.calibration is not None:
        found["calibration"] = model.calibration.plain()
    if model.region is not None:
        found["region"] = model.region.plain()
    if model.baselines is not None:
        found["baselines"] = list(model.baselines.by_kind)
    if model.recording_baselines is not None:
        found["recording_baselines"] = list(model.recording_baselines.by_kind)
        if model.recording_baselines.logarithms:
            found["logarithms"] = True
    if model.blend is not None:
        found["blend"] = model.blend.plain()
    if model.limits is not None:
        found["limits"] = True
    return found


def _coupling(coupling: Coupling) -> dict[str, Any]:
    """Return how scales were asked to be coupled as JSON values."""
    how = coupling.how if isinstance(coupling.how, str) else [int(size) for size in coupling.how]
    plain = {"how": how, "tolerance": coupling.tolerance}
    return plain | {"interpolation": coupling.interpolation}


def _coordinates(own: Coordinates) -> dict[str, Any]:
    """Return coordinates as JSON values."""
    facts: dict[str, Any] = {
        "dt": own.dt,
        "standardise": own.scaling.enabled,
        "common_scale": own.scaling.common,
    }
    if own.scaling.channels:
        facts["channel_scale"] = own.scaling.channels
    if own.feature_names != default_names(own.n_features):
        facts["feature_names"] = list(own.feature_names)
    if own.encoder is not None:
        facts["preprocessor"] = own.encoder.plain()["encoders"]
    if own.grid is not None:
        facts["grid"] = own.grid.plain()
    if own.inputs is not None:
        facts |= own.inputs.plain()
    return facts
