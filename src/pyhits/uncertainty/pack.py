"""What a model knows of its errors, as tensors and plain values for its file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyhits.baselines.fitted import FittedBaselines
from pyhits.uncertainty.conformal import Calibration
from pyhits.uncertainty.region import Region
from pyhits.util.stored import under


def pack_trust(
    calibration: Calibration | None, region: Region | None, baselines: FittedBaselines | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what is known as named tensors and plain values."""
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for name, part in (("calibration", calibration), ("region", region), ("baseline", baselines)):
        if part is not None:
            for key, array in part.state().items():
                tensors[f"trust.{name}.{key}"] = torch.from_numpy(np.ascontiguousarray(array))
    if calibration is not None:
        facts["calibration"] = calibration.plain()
    if region is not None:
        facts["region"] = region.plain()
    if baselines is not None:
        facts["baselines"] = list(baselines.by_kind)
    return tensors, facts


def unpack_trust(
    tensors: dict[str, Tensor],
    facts: dict[str, Any],
    names: tuple[str, ...],
    n_features: int,
    dt: float,
) -> tuple[Calibration | None, Region | None, FittedBaselines | None]:
    """Undo :func:`pack_trust`; what an older file lacks is None."""
    arrays = {k: t.numpy() for k, t in under("trust.", tensors).items()}
    calibration = region = baselines = None
    if "calibration" in facts:
        own = under("calibration.", arrays)
        calibration = Calibration.from_stored(facts["calibration"], own)
    if "region" in facts:
        region = Region.from_stored(facts["region"], under("region.", arrays))
        region = replace(region, names=names)
    if "baselines" in facts:
        about = {"kinds": facts["baselines"], "dt": dt}
        baselines = FittedBaselines.from_stored(about, under("baseline.", arrays))
        for one in baselines.by_kind.values():
            if one.n_features_in_ - one.n_inputs != len(names):
                raise ValueError("a baseline is of other coordinates")
    return calibration, region, baselines
