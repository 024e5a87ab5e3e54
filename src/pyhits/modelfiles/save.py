"""Model files: one safetensors file, tensors plus JSON, readable without running any code."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pyhits._version import __version__
from pyhits.coordinates.input_steps import PER_INPUT
from pyhits.coordinates.inputs import Inputs
from pyhits.data.files.guard import as_path
from pyhits.data.packing import default_names
from pyhits.encoders import Chain, Standardise
from pyhits.encoders.chain import from_plain, links, to_plain
from pyhits.errors import ArgumentError, FileFormatError, warn
from pyhits.fit.settings import Settings
from pyhits.flowmaps import FlowMap
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.hierarchy import Selection, chain, resolution
from pyhits.hits import HiTS
from pyhits.modelfiles.modelfile import check_content
from pyhits.modelfiles.settings import settings_from_plain, settings_to_plain
from pyhits.training import History, Recipe
from pyhits.uncertainty.pack import pack_trust, unpack_trust
from pyhits.util.atomic import first_line
from pyhits.util.checks import LARGEST_MAGNITUDE, as_positive, check_device
from pyhits.util.stored import TensorSpec, same_names, under
from pyhits.util.tensorfile import as_tensors, read_tensors, write_tensors

#: Version of the layout. Files of another one are refused, but for those of version 5, which differ
#: in that they have no checksum.
FORMAT, _UNCHECKED = 6, 5

#: What the model tells of its training data as tensors, by feature, and of its noise by coordinate.
_BY_FEATURE = ("low", "std", "high")
_BY_COLUMN = (*_BY_FEATURE, "noise")

#: What it knows of its inputs, by input.
_OF_INPUTS = ("mean", "scale", "low", "high")

#: Rows that a forecast may start from.
_MOST_START = 1_000_000


def save_model(model: HiTS, path: str | Path) -> Path:
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
    tensors = {
        "encoder.mean": torch.from_numpy(model.encoder_.mean_.copy()),
        "encoder.scale": torch.from_numpy(model.encoder_.scale_.copy()),
    }
    data = dict(model.data_)
    for name in _BY_COLUMN:
        if name in data:
            tensors[f"data.{name}"] = torch.tensor(data.pop(name), dtype=torch.float64)
    encoding: dict[str, Any] = {}
    if model.feature_names_ != default_names(model.n_features_in_):
        encoding["feature_names"] = list(model.feature_names_)
    if model.preprocessor_ is not None:
        for name, array in model.preprocessor_.state().items():
            tensors[f"preprocessor.{name}"] = torch.from_numpy(array.copy())
        encoding["preprocessor"] = to_plain(links(model.preprocessor_))
    if model.snapshot_ is not None:
        encoding["snapshot"] = list(model.snapshot_)
    if model.inputs_ is not None:
        encoding["inputs"] = list(model.inputs_.names)
        for name in _OF_INPUTS:
            tensors[f"inputs.{name}"] = torch.from_numpy(getattr(model.inputs_, name).copy())
    scales = []
    for size, flow_map in model.flow_maps_.items():
        tensors |= as_tensors(flow_map.state(), f"scale.{size}.")
        facts = FLOW_MAPS.plain(flow_map)
        scales.append({"step_size": size, "map": facts, "history": model.history_[size].as_dict()})
    packed, trust = pack_trust(model.calibration_, model.region_, model.baselines_)
    tensors |= packed
    write_tensors(
        path,
        tensors,
        {
            "format": FORMAT,
            "pyhits_version": __version__,
            "dt": model.dt_,
            "scales": scales,
            "selection": model.selection_.as_dict(),
            "standardise": model.encoder_.enabled,
            "common_scale": model.encoder_.common,
            **encoding,
            "settings": settings_to_plain(model),
            "recipe": model.recipe_.as_dict(),
            "data": data,
            "trust": trust,
            "notes": model.notes_,
            "seconds": model.seconds_,
            "interrupted": list(model.interrupted_),
        },
    )
    return path


def load(path: str | Path, *, device: str = "cpu") -> HiTS:
    """Read a model file.

    Parameters
    ----------
    path : path
    device : str
        Where to forecast; a model trained on a GPU loads on a CPU.

    Raises
    ------
    FileFormatError
        The file is missing, truncated, of another kind, or of a newer version.
    """
    check_device(device)
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"Expected the path of a model file, got {path!r}.")
    path = Path(path).expanduser()
    tensors, facts = read_tensors(
        path, what="a PyHiTS model file", check=partial(_check_facts, path)
    )
    if facts["format"] == _UNCHECKED:
        warn(
            f"{path} is of a version that wrote no checksum: whether it has changed since cannot "
            "be told. Save the model again to have one."
        )
    try:
        with np.errstate(all="ignore"):
            model = _build(tensors, facts, device)
            _check(model)
    except MemoryError:
        raise
    # What was declared is there by now; how it fits together is for those who use it to say.
    except Exception as error:
        raise FileFormatError(f"{path} is damaged: {first_line(error)}.") from None
    return model


def _check_facts(
    path: Path, facts: dict[str, Any], found: dict[str, TensorSpec], has_checksum: bool
) -> None:
    """Check what a file says, and that its tensors are those that this calls for."""
    version = facts.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FileFormatError(f"{path} is a PyHiTS file, but not a model.")
    if version > FORMAT:
        by = " ".join(str(facts.get("pyhits_version"))[:40].split())
        raise FileFormatError(
            f"{path} was written by PyHiTS {by}, in a layout newer than this version "
            f"({__version__}) knows; upgrade pyhits to read it."
        )
    if version < _UNCHECKED:
        raise FileFormatError(
            f"{path} is of layout {version}, which was never released and is not read any more; "
            "fit the model again."
        )
    if version > _UNCHECKED and not has_checksum:
        raise ValueError("it has lost its checksum")
    check_content(facts, found)


def _build(tensors: dict[str, torch.Tensor], facts: dict[str, Any], device: str) -> HiTS:
    model = HiTS(**{**settings_from_plain(facts["settings"]), "device": device})
    Settings.of(model)
    model.encoder_ = Standardise(
        facts["standardise"], common=facts.get("common_scale", False)
    ).set_statistics(tensors["encoder.mean"].numpy(), tensors["encoder.scale"].numpy())
    if "preprocessor" in facts:
        start = "preprocessor."
        arrays = {
            k.removeprefix(start): t.numpy() for k, t in tensors.items() if k.startswith(start)
        }
        model.preprocessor_ = Chain(from_plain(facts["preprocessor"])).set_state(**arrays)
        same_names(model.preprocessor_.state(), arrays, "its encoder")
        if model.preprocessor_.n_features_out_ != len(model.encoder_.mean_):
            raise ValueError("its encoder has other coordinates than its scaling")
        curves = ("e1", "errors", "information")  # of a choice of delays, which may be infinite
        sizes = {k.split(".")[-1]: np.abs(a).max(initial=0) for k, a in arrays.items()}
        if any(size >= LARGEST_MAGNITUDE for k, size in sizes.items() if k not in curves):
            raise ValueError("its encoder holds numbers beyond those of any data")
    if "snapshot" in facts:
        model.snapshot_ = tuple(int(n) for n in facts["snapshot"])
    if "inputs" in facts:
        names = tuple(str(name) for name in facts["inputs"])
        model.inputs_ = Inputs(names, *(tensors[f"inputs.{n}"].numpy() for n in _OF_INPUTS))
    model.recipe_ = Recipe.from_dict(facts["recipe"])
    model.dt_ = float(facts["dt"])
    data = dict(facts["data"])
    for name in _BY_COLUMN:
        if f"data.{name}" in tensors:
            data[name] = tensors[f"data.{name}"].tolist()
    n_features = len(data["low"])
    model.feature_names_ = tuple(facts.get("feature_names", default_names(n_features)))
    model.n_features_in_ = len(model.feature_names_)
    model.flow_maps_ = {}
    model.history_ = {}
    for scale in facts["scales"]:
        size = int(scale["step_size"])
        model.flow_maps_[size] = FLOW_MAPS.from_stored(
            scale["map"], under(f"scale.{size}.", tensors)
        )
        model.history_[size] = History.from_dict(scale["history"])
    model.selection_ = Selection.from_dict(facts["selection"])
    model.data_ = data
    model.noise_ = np.array(data.get("noise", [0.0] * model.n_features_in_))
    model.calibration_, model.region_, model.baselines_ = unpack_trust(
        tensors,
        facts.get("trust", {}),
        model.coordinate_names_,
        n_features,
        model.dt_,
    )
    model.notes_ = list(facts["notes"])
    model.seconds_ = float(facts["seconds"])
    model.interrupted_ = tuple(facts.get("interrupted", ()))
    return model


def _check(model: HiTS) -> None:
    """Raise a ValueError if the parts of a model file do not fit together."""
    d = n = model.n_features_in_
    if model.preprocessor_ is not None:
        n = model.preprocessor_.n_features_out_
        if model.preprocessor_.n_features_in_ != d:
            raise ValueError("its encoder is of other features")
    if model.snapshot_ is not None and math.prod(model.snapshot_) != d:
        raise ValueError("its snapshots are of another size")
    scale, mean = model.encoder_.scale_, model.encoder_.mean_
    as_positive(model.dt_, "dt")
    if len(set(model.feature_names_)) != d or d == 0:
        raise ValueError("its feature names are missing or repeat")
    if mean.shape != (n,) or scale.shape != (n,):
        raise ValueError(f"its scaling has shape {mean.shape}, its coordinates are {n}")
    if not (_sound(mean, scale) and (scale > 0).all()):
        raise ValueError("its scaling is not finite and positive")
    if model.inputs_ is not None:
        k = len(model.inputs_.names)
        statistics = [getattr(model.inputs_, name) for name in _OF_INPUTS]
        if any(of.shape != (k,) or not _sound(of) for of in statistics):
            raise ValueError("its inputs do not fit together")
        if set(model.inputs_.names) & set(model.feature_names_):
            raise ValueError("inputs: one of them is a feature as well")
        if k == 0 or not (model.inputs_.scale > 0).all():
            raise ValueError("its inputs are not scaled")
        n += PER_INPUT * k
    if any(flow_map.dimension != n for flow_map in model.flow_maps_.values()):
        raise ValueError("its flow maps are of another dimension than its features")
    if len(set().union(*(_float_dtypes(of) for of in model.flow_maps_.values()))) > 1:
        raise ValueError("its flow maps are of more than one dtype")
    chain(model.flow_maps_)
    if not set(model.selection_.step_sizes) <= set(model.flow_maps_):
        raise ValueError("it couples step sizes that it does not hold")
    resolution({size: model.flow_maps_[size] for size in model.selection_.step_sizes})
    _check_data(model)


def _float_dtypes(flow_map: FlowMap) -> set[torch.dtype]:
    """Return the dtypes of a flow map's numbers; its tables of whole numbers have others."""
    return {t.dtype for t in flow_map.state_dict().values() if t.is_floating_point()}


def _sound(*arrays: np.ndarray) -> bool:
    """Tell whether all numbers are finite, and no larger than those of data may be."""
    return all(bool((np.abs(array) < LARGEST_MAGNITUDE).all()) for array in arrays)


def _check_data(model: HiTS) -> None:
    """Raise a ValueError if a model's summary of its training data cannot be one."""
    for name in _BY_COLUMN:
        values = np.array(model.data_[name])
        if not _sound(values) or (name in ("std", "noise") and (values < 0).any()):
            raise ValueError(f"its summary of the training data ({name}) cannot be one")
    rows = model.data_["n_rows"]
    if model.data_["n_trajectories"] > rows or max(model.flow_maps_) >= rows:
        raise ValueError(f"data.n_rows: {rows} rows hold no step of its sizes")
    if not model.start_rows_ <= min(rows, _MOST_START):
        raise ValueError("its encoder takes more rows than there were")
    sizes = set(map(str, model.flow_maps_))
    if not set(model.data_.get("agreement", {})) <= sizes:
        raise ValueError("data.agreement: it is of other step sizes")
    if model.baselines_ is not None:
        k = 0 if model.inputs_ is None else len(model.inputs_.names)
        if any(of.n_inputs not in (0, k) for of in model.baselines_.by_kind.values()):
            raise ValueError("trust.baselines: they take other inputs")
