"""What a model file holds: plain values as declared here, and the tensors that they call for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pyhits.baselines.fitted import FittedBaselines
from pyhits.baselines.recordings import RecordingBaselines
from pyhits.coordinates.inputs import Inputs
from pyhits.data.declared_grid import DeclaredGrid
from pyhits.data.grid import MOST_AXES, Grid
from pyhits.data.natural_limits import Limits
from pyhits.data.summary import Summary
from pyhits.data.times.declared import TIME_AXIS
from pyhits.encoders import Standardise
from pyhits.encoders.chain import CHAIN, Chain
from pyhits.forecasting.blend import Blend
from pyhits.forecasting.uncertainty import Calibration, Region
from pyhits.hierarchy.coupling import SELECTION, STEP_SIZE, STEP_SIZES
from pyhits.hierarchy.interpolate import METHODS
from pyhits.training.history import HISTORY
from pyhits.training.recipe import RECIPE
from pyhits.util.schema import (
    Either,
    Flag,
    Many,
    Named,
    Plain,
    Real,
    Record,
    Schema,
    SchemaError,
    Text,
    Whole,
)
from pyhits.util.stored import Family, Stored, TensorSpec, check_specs, under

#: Version of the layout, and the oldest that is read, which has no checksum.
FORMAT, UNCHECKED = 8, 5

#: Characters that the estimator is described in, at most.
MOST_TEXT = 2000

#: What older files hold among all arguments of the estimator, and its name here.
_OF_SETTINGS = {"select": "how", "tolerance": "tolerance", "interpolation": "interpolation"}

_YES = Flag(loose=True)

_COUPLING = Record(
    {
        "how": Either({str: Text(1, 100), list: STEP_SIZES}, "a way to select, or step sizes"),
        "tolerance": Real(positive=True),
        "interpolation": Text(choices=tuple(METHODS)),
    }
)

#: What is known of the errors; files call it ``trust``.
_UNCERTAINTY = Record(
    {},
    {
        "calibration": Calibration.schema,
        "region": Region.schema,
        "baselines": FittedBaselines.schema,
        "recording_baselines": RecordingBaselines.schema,
        "logarithms": Flag(),
        "blend": Blend.schema,
        "limits": Flag(),
    },
)

_MODEL = Record(
    {
        "format": Whole(1),
        "dt": Real(positive=True),
        "scales": Many(Named(Plain()), 1, 1000),
        "selection": SELECTION,
        "standardise": _YES,
        "coupling": _COUPLING,
        "recipe": RECIPE,
        "data": Record(
            Summary.schema.needed,
            {
                **Summary.schema.optional,
                "agreement": Named(Many(Real(finite=False), 2, 2)),
                "time_axis": TIME_AXIS,
            },
        ),
        "notes": Many(Text()),
        "seconds": Real(0.0),
    },
    {
        "pyhits_version": Text(most=100),
        "common_scale": _YES,
        "channel_scale": Whole(0),
        "feature_names": Many(Text(), 1, unique=True),
        "preprocessor": Many(CHAIN.each, 1, 100),
        "grid": Grid.schema,
        "inputs": Inputs.schema,
        "trust": _UNCERTAINTY,
        "interrupted": Many(Text(1, 100), most=100),
        "fitted_by": Text(most=MOST_TEXT),
    },
)


class Maps(Protocol):
    """What checks and builds flow maps: their family, or what leaves them as they are."""

    @property
    def schema(self) -> Schema:
        """What a flow map is, as plain values."""

    def check_state(
        self, plain: Mapping[str, Any], found: Mapping[str, TensorSpec], where: str = ""
    ) -> None:
        """Compare the tensors of one with what there must be."""

    def from_stored(self, plain: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
        """Build one."""


def check_content(facts: dict[str, Any], found: dict[str, TensorSpec], maps: Maps) -> None:
    """Replace ``facts`` by what they say, and compare tensors with it, before any is read.

    Raises ValueError: something is not as declared; its place is named.

    Parameters
    ----------
    found : dict of str to TensorSpec
    """
    settings = facts.pop("settings", None)
    if facts["format"] < FORMAT and isinstance(settings, dict):
        facts["coupling"] = {ours: settings.get(name) for name, ours in _OF_SETTINGS.items()}
    if facts["format"] < FORMAT and "snapshot" in facts:
        facts["grid"] = _as_grid(facts.pop("snapshot"))
    facts.update(_MODEL.read(facts, ""))
    scale = Record({"step_size": STEP_SIZE, "map": maps.schema, "history": HISTORY})
    facts["scales"] = Many(scale).read(facts["scales"], "scales")
    d, n = _length(found, "data.low"), _length(found, "encoder.mean")
    if len(facts.get("feature_names", ())) not in (0, d):
        raise SchemaError(f"feature_names: there are {len(facts['feature_names'])}, of {d}")
    if "preprocessor" not in facts and n != d:
        raise SchemaError(f"the tensor encoder.mean has {n} numbers, there are {d} features")
    rest = dict(found)
    for prefix, part in parts(facts, d, n, maps).items():
        own = under(prefix, found)
        part.check(own, prefix)
        for name in own:
            del rest[prefix + name]
    check_specs({}, rest)


@dataclass(frozen=True)
class Part:
    """One part of a model in a file."""

    stored: type[Stored] | Family[Any] | Maps  # what checks and builds it
    plain: Mapping[str, Any]  # what it is, as plain values
    #: Vectors that it must have, and how many numbers the rest of the model makes them hold.
    lengths: Mapping[str, int] = field(default_factory=dict)

    def check(self, found: Mapping[str, TensorSpec], where: str) -> None:
        """Compare the tensors of a file with what there must be, before they are read."""
        self.stored.check_state(self.plain, found, where)
        for name, length in self.lengths.items():
            if name not in found:
                raise SchemaError(f"the tensor {where}{name} is missing")
            if found[name].shape != (length,):
                raise SchemaError(
                    f"the tensor {where}{name} is {found[name]}, expected F64 of shape ({length},)"
                )

    def build(self, tensors: Mapping[str, Any], where: str) -> Any:
        """Return the object of its tensors, whose names begin with ``where``."""
        return self.stored.from_stored(self.plain, under(where, tensors))


def parts(facts: dict[str, Any], d: int, n: int, maps: Maps) -> dict[str, Part]:
    """Return what the plain values of a model call for, by what their tensors' names begin with.

    Parameters
    ----------
    facts : dict
        Checked one by one.
    d, n : int
        Number of features, and of encoded coordinates.
    """
    scaling = {
        "enabled": facts["standardise"],
        "common": facts.get("common_scale", False),
        "channels": facts.get("channel_scale", 0),
    }
    data = dict.fromkeys(("low", "std", "high"), d) | {"noise": n}
    found = {
        "encoder.": Part(Standardise, scaling, {"mean": n, "scale": n}),
        "data.": Part(Summary, facts["data"], data),
    }
    if "preprocessor" in facts:
        found["preprocessor."] = Part(Chain, {"encoders": facts["preprocessor"]})
    inputs = facts.get("inputs", [])
    if inputs:
        lengths = dict.fromkeys(("mean", "scale", "low", "high"), len(inputs))
        found["inputs."] = Part(Inputs, {"inputs": inputs}, lengths)
    if "grid" in facts:
        found["grid."] = Part(Grid, facts["grid"])
    known = facts.get("trust", {})
    if "calibration" in known:
        found["trust.calibration."] = Part(Calibration, known["calibration"], {"unit": d})
    if "region" in known:
        found["trust.region."] = Part(Region, known["region"], {"low": n})
    if "baselines" in known:
        about = {"kinds": known["baselines"], "dt": float(facts["dt"])}
        found["trust.baseline."] = Part(FittedBaselines, about)
    if "recording_baselines" in known:
        about = {"kinds": known["recording_baselines"], "dt": float(facts["dt"])}
        about["logarithms"] = known.get("logarithms", False)
        found["trust.recording."] = Part(RecordingBaselines, about)
    if "blend" in known:
        found["trust.blend."] = Part(Blend, known["blend"])
    if known.get("limits"):
        found["trust.limits."] = Part(Limits, {}, {"low": d, "high": d})
    return found | _scales(facts["scales"], n, Inputs.counts(inputs), maps)


def _as_grid(snapshot: Any) -> dict[str, Any]:
    """Return the grid that the shape of a snapshot says, which older files hold."""
    shape = Many(Whole(1), 1, MOST_AXES + 1).read(snapshot, "snapshot")
    found = DeclaredGrid.of(tuple(shape)).of_rows(math.prod(shape), None)
    return {} if found is None else found.plain()


def _scales(
    scales: list[dict[str, Any]], n: int, counts: tuple[int, int], maps: Maps
) -> dict[str, Part]:
    """Return the flow maps, of ``n`` coordinates and of the means and trends of inputs.

    Files of format 7 give steps of one row trends, too.
    """
    found: dict[str, Part] = {}
    n_means, n_trends = counts
    dimension = n + n_means + n_trends
    for k, scale in enumerate(scales):
        size, own = scale["step_size"], scale["map"]["config"].get("dimension", dimension)
        prefix = f"scale.{size}."
        if prefix in found or scale["history"]["step_size"] != size:
            raise SchemaError(f"scales[{k}].step_size: {size} is there twice, or of another scale")
        if own != dimension and (size, own) != (1, n + n_means):
            raise SchemaError(
                f"scales[{k}].map.config.dimension: expected {dimension}, as many as the model has "
                f"coordinates, got {own}"
            )
        found[prefix] = Part(maps, scale["map"])
    return found


def _length(found: Mapping[str, TensorSpec], name: str) -> int:
    spec = found.get(name)
    if spec is None:
        raise SchemaError(f"the tensor {name} is missing")
    if len(spec.shape) != 1 or not spec.shape[0]:
        raise SchemaError(f"the tensor {name} is {spec}, expected one axis")
    return spec.shape[0]
