"""Whether the parts of a model file fit together, once they have been built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pyhits.coordinates.coordinates import Coordinates
from pyhits.hierarchy import chain, resolution
from pyhits.util.checks import LARGEST_MAGNITUDE, as_positive

if TYPE_CHECKING:
    import torch

    from pyhits.flowmaps import FlowMap
    from pyhits.forecasting.fitted import FittedModel

#: Rows that a forecast may start from.
_MOST_START = 1_000_000


def check_model(model: FittedModel) -> None:
    """Raise a ValueError if the parts of a model do not fit together."""
    check_coordinates(model.coordinates)
    _check_scales(model)
    _check_data(model)


def check_coordinates(own: Coordinates) -> None:
    """Raise a ValueError if the parts of coordinates do not fit together."""
    d = n = own.n_features
    mean, scale = own.scaling.mean_, own.scaling.scale_
    if own.encoder is not None:
        n = own.encoder.n_features_out_
        if n != len(mean):
            raise ValueError("its encoder has other coordinates than its scaling")
        if own.encoder.n_features_in_ != d:
            raise ValueError("its encoder is of other features")
        if not _sound(*own.encoder.state().values()):
            raise ValueError("its encoder holds numbers beyond those of any data")
    if own.grid is not None and own.grid.n_features != d:
        raise ValueError("its grid is of another size")
    as_positive(own.dt, "dt")
    if len(set(own.feature_names)) != d or d == 0:
        raise ValueError("its feature names are missing or repeat")
    if mean.shape != (n,) or scale.shape != (n,):
        raise ValueError(f"its scaling has shape {mean.shape}, its coordinates are {n}")
    if not (_sound(mean, scale) and (scale > 0).all()):
        raise ValueError("its scaling is not finite and positive")
    if own.inputs is None:
        return
    k = len(own.inputs.names)
    if any(of.shape != (k,) or not _sound(of) for of in own.inputs.state().values()):
        raise ValueError("its inputs do not fit together")
    if len(set(own.inputs.names)) < k:
        raise ValueError("inputs: a name repeats")
    if set(own.inputs.names) & set(own.feature_names):
        raise ValueError("inputs: one of them is a feature as well")
    if k == 0 or not (own.inputs.scale > 0).all():
        raise ValueError("its inputs are not scaled")


def _check_scales(model: FittedModel) -> None:
    own = model.coordinates
    means, trends = (own.inputs.n_columns, len(own.inputs.trends)) if own.inputs else (0, 0)
    few = len(own.scaling.mean_) + means
    n = few + trends
    known = model.flow_maps.items()
    if any(one.dimension != n and (size, one.dimension) != (1, few) for size, one in known):
        raise ValueError("its flow maps are of another dimension than its features")
    if len(set().union(*(_float_dtypes(of) for of in model.flow_maps.values()))) > 1:
        raise ValueError("its flow maps are of more than one dtype")
    chain(model.flow_maps)
    if not set(model.selection.step_sizes) <= set(model.flow_maps):
        raise ValueError("it couples step sizes that it does not hold")
    resolution({size: model.flow_maps[size] for size in model.selection.step_sizes})


def _float_dtypes(flow_map: FlowMap) -> set[torch.dtype]:
    """Return the dtypes of a flow map's numbers; its tables of whole numbers have others."""
    return {t.dtype for t in flow_map.state_dict().values() if t.is_floating_point()}


def _sound(*arrays: np.ndarray) -> bool:
    """Tell whether all numbers are finite, and no larger than those of data may be."""
    return all(bool((np.abs(array) < LARGEST_MAGNITUDE).all()) for array in arrays)


def _check_data(model: FittedModel) -> None:
    """Raise a ValueError if a model's summary of its training data cannot be one."""
    known = model.summary
    for name, values in known.state().items():
        if not _sound(values) or (name in ("std", "noise") and (values < 0).any()):
            raise ValueError(f"its summary of the training data ({name}) cannot be one")
    rows = known.n_rows
    if known.n_trajectories > rows or max(model.flow_maps) >= rows:
        raise ValueError(f"data.n_rows: {rows} rows hold no step of its sizes")
    if not model.start_rows <= min(rows, _MOST_START):
        raise ValueError("its encoder takes more rows than there were")
    if not set(model.agreement) <= set(model.flow_maps):
        raise ValueError("data.agreement: it is of other step sizes")
    if model.baselines is not None:
        k = 0 if model.inputs is None else model.inputs.n_columns
        if any(of.n_inputs not in (0, k) for of in model.baselines.by_kind.values()):
            raise ValueError("trust.baselines: they take other inputs")
        n = len(model.scaling.mean_)
        if any(of.n_features_in_ - of.n_inputs != n for of in model.baselines.by_kind.values()):
            raise ValueError("a baseline is of other coordinates")
    if model.recording_baselines is not None:
        known_kinds = model.recording_baselines.by_kind.values()
        if any(of.n_features_in_ != model.n_features_in or of.n_inputs for of in known_kinds):
            raise ValueError("a baseline of recordings is of other features")
    if model.blend is not None:
        there = () if model.recording_baselines is None else model.recording_baselines.by_kind
        if not set(model.blend.kinds) <= set(there):
            raise ValueError("its blend is of baselines that it does not hold")
        if model.blend.weights.shape[2] != model.n_features_in:
            raise ValueError("its blend is of other features")
