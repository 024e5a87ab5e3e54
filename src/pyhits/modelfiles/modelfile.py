"""What a model file holds: plain values as declared here, and the tensors that they call for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from pyhits.baselines.fitted import FittedBaselines
from pyhits.coordinates.input_steps import PER_INPUT
from pyhits.data.times.declared import TIME_AXIS
from pyhits.encoders.chain import CHAIN, Chain
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.hierarchy.coupling import SELECTION, STEP_SIZE, STEP_SIZES
from pyhits.hierarchy.interpolate import METHODS
from pyhits.training.history import HISTORY
from pyhits.training.recipe import RECIPE
from pyhits.uncertainty import Calibration, Region
from pyhits.util.schema import (
    Either,
    Flag,
    Many,
    Named,
    Real,
    Record,
    SchemaError,
    Text,
    Whole,
)
from pyhits.util.stored import Stored, TensorSpec, check_specs, under

#: Version of the layout, and the oldest that is read, which has no checksum.
FORMAT, UNCHECKED = 7, 5

#: What files hold of a model's training data by feature, of its noise by coordinate, and of its
#: inputs by input.
OF_DATA = ("low", "std", "high", "noise")
OF_INPUTS = ("mean", "scale", "low", "high")

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

_SCALE = Record({"step_size": STEP_SIZE, "map": FLOW_MAPS.schema, "history": HISTORY})

#: What is known of the errors; files call it ``trust``.
_UNCERTAINTY = Record(
    {},
    {
        "calibration": Calibration.schema,
        "region": Region.schema,
        "baselines": FittedBaselines.schema,
    },
)

_MODEL = Record(
    {
        "format": Whole(1),
        "dt": Real(positive=True),
        "scales": Many(_SCALE, 1, 1000),
        "selection": SELECTION,
        "standardise": _YES,
        "coupling": _COUPLING,
        "recipe": RECIPE,
        "data": Record(
            {"fingerprint": Text(1, 1000), "n_trajectories": Whole(1), "n_rows": Whole(1)},
            {
                "agreement": Named(Many(Real(finite=False), 2, 2)),
                "findings": Many(Text(), 0, 1000),
                "time_axis": TIME_AXIS,
            },
        ),
        "notes": Many(Text()),
        "seconds": Real(0.0),
    },
    {
        "pyhits_version": Text(most=100),
        "common_scale": _YES,
        "feature_names": Many(Text(), 1, unique=True),
        "preprocessor": Many(CHAIN.each, 1, 100),
        "snapshot": Many(Whole(1), 1, 64),
        "inputs": Many(Text(), 1, unique=True),
        "trust": _UNCERTAINTY,
        "interrupted": Many(Text(1, 100), most=100),
        "fitted_by": Text(most=10_000),
    },
)


def check_content(facts: dict[str, Any], found: dict[str, TensorSpec]) -> None:
    """Replace ``facts`` by what they say, and compare tensors with it, before any is read.

    Raises
    ------
    ValueError
        Something is not as declared; its place is named.
    """
    settings = facts.pop("settings", None)
    if facts["format"] < FORMAT and isinstance(settings, dict):
        facts["coupling"] = {ours: settings.get(name) for name, ours in _OF_SETTINGS.items()}
    facts.update(_MODEL.read(facts, ""))
    d, n = _length(found, "data.low"), _length(found, "encoder.mean")
    if len(facts.get("feature_names", ())) not in (0, d):
        raise SchemaError(f"feature_names: there are {len(facts['feature_names'])}, of {d}")
    if "preprocessor" not in facts and n != d:
        raise SchemaError(f"the tensor encoder.mean has {n} numbers, there are {d} features")
    rest = dict(found)
    for prefix, check in _parts(facts, d, n):
        own = under(prefix, found)
        check(own, prefix)
        for name in own:
            del rest[prefix + name]
    check_specs({}, rest)


#: Compares the tensors of one part of a model with what there must be.
_CheckPart = Callable[[Mapping[str, TensorSpec], str], None]


def _parts(facts: dict[str, Any], d: int, n: int) -> Iterator[tuple[str, _CheckPart]]:
    """Yield what the names of each part's tensors begin with, and what these must be."""
    yield "encoder.", _exactly(mean=n, scale=n)
    yield "data.", _exactly(low=d, std=d, high=d, noise=n)
    if "preprocessor" in facts:
        yield "preprocessor.", partial(Chain.check_state, {"encoders": facts["preprocessor"]})
    k = len(facts.get("inputs", ()))
    if k:
        yield "inputs.", _exactly(mean=k, scale=k, low=k, high=k)
    seen: set[int] = set()
    for number, scale in enumerate(facts["scales"]):
        size = scale["step_size"]
        if size in seen or scale["history"]["step_size"] != size:
            raise SchemaError(
                f"scales[{number}].step_size: {size} is there twice, or of another scale"
            )
        seen.add(size)
        dimension = scale["map"]["config"].get("dimension", n + PER_INPUT * k)
        if dimension != n + PER_INPUT * k:
            raise SchemaError(
                f"scales[{number}].map.config.dimension: expected {n + PER_INPUT * k}, as many as "
                f"the model has coordinates, got {dimension}"
            )
        yield f"scale.{size}.", partial(FLOW_MAPS.check_state, scale["map"])
    uncertainty = facts.get("trust", {})
    if "calibration" in uncertainty:
        yield "trust.calibration.", _of_length("unit", d, Calibration, uncertainty["calibration"])
    if "region" in uncertainty:
        yield "trust.region.", _of_length("low", n, Region, uncertainty["region"])
    about = {"kinds": uncertainty.get("baselines", [])}
    yield "trust.baseline.", partial(FittedBaselines.check_state, about)


def _exactly(**lengths: int) -> _CheckPart:
    """Return the check for vectors in float64 of these lengths."""
    expected = {name: TensorSpec("F64", (length,)) for name, length in lengths.items()}
    return partial(check_specs, expected)


def _of_length(name: str, length: int, cls: type[Stored], plain: dict[str, Any]) -> _CheckPart:
    """Return the check of a part, one array of which has as many numbers as the model has."""

    def check(found: Mapping[str, TensorSpec], where: str) -> None:
        cls.check_state(plain, found, where)
        if found[name].shape != (length,):
            raise SchemaError(f"the tensor {where}{name} is {found[name]}, of other features")

    return check


def _length(found: Mapping[str, TensorSpec], name: str) -> int:
    spec = found.get(name)
    if spec is None:
        raise SchemaError(f"the tensor {name} is missing")
    if len(spec.shape) != 1 or not spec.shape[0]:
        raise SchemaError(f"the tensor {name} is {spec}, expected one axis")
    return spec.shape[0]
