"""What a model knows of its errors, as tensors and plain values for its file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyhits.baselines.fitted import KINDS, Rivals
from pyhits.hierarchy.coupling import STEP_SIZE
from pyhits.hierarchy.interpolate import METHODS
from pyhits.uncertainty.conformal import Calibration
from pyhits.uncertainty.region import Region
from pyhits.util.checks import LARGEST_MAGNITUDE
from pyhits.util.schema import (
    Flag,
    Many,
    Maybe,
    Real,
    Record,
    Text,
    Whole,
)
from pyhits.util.tensorfile import same_names

#: First part of the names of tensors.
_PREFIX = "trust."

#: What :func:`pack_trust` returns as plain values.
TRUST = Record(
    {},
    {
        "calibration": Record(
            {
                "pool": Whole(1),
                "step_sizes": Many(STEP_SIZE),
                "interpolation": Text(choices=tuple(METHODS)),
                "worth": Maybe(Whole()),
            },
            {"n_trained": Whole(), "cross_fitted": Flag()},
        ),
        "region": Record({"radius": Real(positive=True)}),
        "baselines": Many(Text(choices=tuple(KINDS)), unique=True),
    },
)


def pack_trust(
    calibration: Calibration | None, region: Region | None, rivals: Rivals | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what is known as named tensors and plain values."""
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {}
    if calibration is not None:
        for name in ("steps", "counts", "scores", "unit"):
            arrays[f"calibration.{name}"] = getattr(calibration, name)
        facts["calibration"] = {
            "pool": calibration.pool,
            "step_sizes": list(calibration.step_sizes),
            "interpolation": calibration.interpolation,
            "worth": calibration.worth,
            "n_trained": calibration.n_trained,
            "cross_fitted": calibration.cross_fitted,
        }
    if region is not None:
        for name in ("low", "high", "scale", "points"):
            arrays[f"region.{name}"] = getattr(region, name)
        facts["region"] = {"radius": region.radius}
    if rivals is not None:
        for kind, baseline in rivals.fitted.items():
            arrays |= {f"baseline.{kind}.{k}": v for k, v in baseline.state().items()}
        facts["baselines"] = list(rivals.fitted)
    tensors = {_PREFIX + k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}
    return tensors, facts


def unpack_trust(
    tensors: dict[str, Tensor],
    facts: dict[str, Any],
    names: tuple[str, ...],
    n_features: int,
    dt: float,
) -> tuple[Calibration | None, Region | None, Rivals | None]:
    """Undo :func:`pack_trust`; what an older file lacks is None.

    Parameters
    ----------
    names : tuple of str
        The coordinates of the flow maps.
    n_features : int
        Features of the user.
    dt : float

    Raises
    ------
    ValueError, KeyError, TypeError
        The parts do not fit together.
    """
    arrays = {k.removeprefix(_PREFIX): t.numpy() for k, t in tensors.items() if k[:6] == _PREFIX}
    calibration = region = rivals = None
    if "calibration" in facts:
        about = facts["calibration"]
        calibration = Calibration(
            **{k: arrays[f"calibration.{k}"] for k in ("steps", "counts", "scores", "unit")},
            pool=int(about["pool"]),
            step_sizes=tuple(int(s) for s in about["step_sizes"]),
            interpolation=str(about["interpolation"]),
            worth=None if about["worth"] is None else int(about["worth"]),
            n_trained=int(about.get("n_trained", 0)),
            cross_fitted=bool(about.get("cross_fitted", False)),
        )
        _check_calibration(calibration, n_features)
    if "region" in facts:
        region = Region(
            names=names,
            **{k: arrays[f"region.{k}"] for k in ("low", "high", "scale", "points")},
            radius=float(facts["region"]["radius"]),
        )
        _check_region(region, len(names))
    if "baselines" in facts:
        fitted = {}
        for kind in facts["baselines"]:
            start = f"baseline.{kind}."
            own = {k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)}
            fitted[kind] = KINDS[kind]().set_state(dt, **own)
            same_names(fitted[kind].state(), own, f"the baseline {kind}")
            if fitted[kind].n_features_in_ - fitted[kind].n_inputs != len(names):
                raise ValueError("a baseline is of other coordinates")
        rivals = Rivals(fitted)
    return calibration, region, rivals


def _check_calibration(c: Calibration, n_features: int) -> None:
    k = len(c.steps)
    groups = n_features if c.pool == 1 and c.scores.shape[-1] > 1 else 1
    if c.scores.ndim != 3 or c.scores.shape[1:] != (k, groups) or c.counts.shape != (k,):
        raise ValueError("its calibration does not fit together")
    increasing = k > 0 and (np.diff(c.steps, prepend=0) > 0).all()
    if not increasing or c.counts.min() < 1 or c.counts.max() * c.pool > len(c.scores):
        raise ValueError("its calibration counts what it does not hold")
    if not 0 <= c.n_trained <= c.n_rollouts:
        raise ValueError("its calibration counts more training rollouts than there are")
    scores = c.scores
    if np.isnan(scores).any() or (scores < 0).any() or (scores[1:] < scores[:-1]).any():
        raise ValueError("its calibration is not sorted")
    if c.unit.shape != (n_features,) or not (np.isfinite(c.unit).all() and (c.unit > 0).all()):
        raise ValueError("its calibration is of other features")


def _check_region(region: Region, d: int) -> None:
    shapes = {region.low.shape, region.high.shape, region.scale.shape}
    if shapes != {(d,)} or region.points.shape[1:] != (d,) or not len(region.points):
        raise ValueError("the region of its training data is of other coordinates")
    if not (region.scale > 0).all():
        raise ValueError("the region of its training data has no size")
    arrays = (region.low, region.high, region.scale, region.points)
    # Beyond that, distances in units of the scale overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        spans = (*arrays, (region.high - region.low) / region.scale)
    if (
        not all((np.abs(array) < LARGEST_MAGNITUDE).all() for array in spans)
        or (region.low > region.high).any()
    ):
        raise ValueError("the region of its training data is not finite")
