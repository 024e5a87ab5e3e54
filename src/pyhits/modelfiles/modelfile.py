"""What a model file holds: plain values as declared here, and the tensors that they call for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyhits.coordinates.input_steps import PER_INPUT
from pyhits.data.times.declared import TIME_AXIS
from pyhits.encoders.chain import ENCODERS
from pyhits.flowmaps.stored import FLOW_MAP, flow_map_specs
from pyhits.hierarchy.coupling import SELECTION, STEP_SIZE, STEP_SIZES
from pyhits.hierarchy.interpolate import METHODS
from pyhits.training.history import HISTORY
from pyhits.training.recipe import RECIPE
from pyhits.uncertainty.pack import TRUST
from pyhits.util.schema import (
    Either,
    Flag,
    Many,
    Maybe,
    Named,
    Plain,
    Real,
    Record,
    SchemaError,
    Text,
    Whole,
)
from pyhits.util.tensorfile import TensorSpec

_COUNT, _YES = Whole(loose=True), Flag(loose=True)
_WIDTHS = Many(Whole(1, loose=True), 0, 1000)

#: The estimator's arguments, as their checks leave them.
SETTINGS = Record(
    {},
    {
        "step_sizes": Maybe(Many(STEP_SIZE)),
        "dense": Whole(1, loose=True),
        "recipe": Either({str: Text(1, 100), dict: RECIPE}, "a recipe's name, or a recipe"),
        "flow_map": Maybe(Text(1, 1000)),
        "encoder": Maybe(Either({str: Text(choices=("auto",)), list: ENCODERS}, "encoders")),
        "hidden_sizes": Maybe(Either({list: _WIDTHS, dict: Named(_WIDTHS)}, "widths")),
        "activation": Maybe(Text(most=100)),
        "polynomial_degree": Maybe(_COUNT),
        "optimizer": Maybe(Text(most=100)),
        "learning_rate": Maybe(Real(positive=True)),
        "batch_size": Maybe(_COUNT),
        "max_steps": Maybe(_COUNT),
        "rollout_steps": Maybe(_COUNT),
        "sampling": Maybe(Text(most=100)),
        "early_bias": Maybe(Real(positive=True)),
        "denoise": Maybe(_YES),
        "target_error": Maybe(Real(0.0)),
        "schedule": Text(most=100),
        "patience": Real(),
        "windows": Text(most=100),
        "taught": Real(),
        "tables": _YES,
        "standardise": _YES,
        "time_limit": Maybe(Real(positive=True)),
        "validation_fraction": Real(0.0, 1.0, positive=True),
        "select": Either({str: Text(1, 100), list: STEP_SIZES}, "a way to select, or step sizes"),
        "tolerance": Real(positive=True),
        "interpolation": Text(choices=tuple(METHODS)),
        "dtype": Maybe(Text(choices=("float32", "float64"))),
        "device": Text(1, 100),
        "n_jobs": Maybe(Whole(-1, loose=True)),
        "random_state": Maybe(_COUNT),
        "verbose": Plain(),
    },
)

_SCALE = Record({"step_size": STEP_SIZE, "map": FLOW_MAP, "history": HISTORY})

_MODEL = Record(
    {
        "format": Whole(1),
        "dt": Real(positive=True),
        "scales": Many(
            Record({"step_size": STEP_SIZE, "map": FLOW_MAP, "history": HISTORY}), 1, 1000
        ),
        "selection": SELECTION,
        "standardise": _YES,
        "settings": SETTINGS,
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
        "preprocessor": Many(ENCODERS.each, 1, 100),
        "snapshot": Many(Whole(1), 1, 64),
        "inputs": Many(Text(), 1, unique=True),
        "trust": TRUST,
        "interrupted": Many(Text(1, 100), most=100),
    },
)


@dataclass(frozen=True)
class _Any:
    """Tensors of which no more is known than their names, dtype and number of axes.

    ``start`` is the beginning of the names, ``ends`` what may follow.
    """

    start: str
    ends: re.Pattern[str]
    dtypes: tuple[str, ...]
    most_axes: int = 2

    def knows(self, name: str) -> bool:
        """Tell whether a tensor of this name may be there."""
        own = name.startswith(self.start)
        return own and self.ends.fullmatch(name.removeprefix(self.start)) is not None


#: What encoders and baselines keep, each of which says what it wants of them when it is loaded.
_OF_ENCODERS = re.compile(
    r"\d+\.(modes|mean|scale|singular_values|energy|n_features|delays|choice|information|e1|errors"
    r"|scales|energies|weight\.\d+|bias\.\d+)"
)
_OF_BASELINES = re.compile(r"mean|scale|value|template|map|shape|starter|starter_shape|inputs")


def check_content(facts: dict[str, Any], found: dict[str, TensorSpec]) -> None:
    """Replace ``facts`` by what they say, and compare tensors with it, before any is read.

    Raises
    ------
    ValueError
        Something is not as declared; its place is named.
    """
    facts.update(_MODEL.read(facts, ""))
    exact, free = _expected(facts, found)
    for name, spec in exact.items():
        if name not in found:
            raise SchemaError(f"the tensor {name} is missing")
        if found[name] != spec:
            raise SchemaError(
                f"the tensor {name} is {_shown(found[name])}, expected {_shown(spec)}"
            )
    for name, spec in found.items():
        if name in exact:
            continue
        kinds = [kind for kind in free if kind.knows(name)]
        if not kinds:
            raise SchemaError(f"there is a tensor {name[:60]!r} that nothing asks for")
        if spec.dtype not in kinds[0].dtypes or len(spec.shape) > kinds[0].most_axes:
            raise SchemaError(f"the tensor {name} cannot be {_shown(spec)}")


def _shown(spec: TensorSpec) -> str:
    return f"{spec.dtype} of shape {spec.shape}"


def _length(found: Mapping[str, TensorSpec], name: str) -> int:
    spec = found.get(name)
    if spec is None:
        raise SchemaError(f"the tensor {name} is missing")
    if len(spec.shape) != 1 or not spec.shape[0]:
        raise SchemaError(f"the tensor {name} is {_shown(spec)}, expected one axis")
    return spec.shape[0]


def _expected(
    facts: dict[str, Any], found: dict[str, TensorSpec]
) -> tuple[dict[str, TensorSpec], list[_Any]]:
    """Return the tensors that there must be, and the kinds of those that there may be."""
    d, n = _length(found, "data.low"), _length(found, "encoder.mean")
    exact = {f"encoder.{name}": TensorSpec("F64", (n,)) for name in ("mean", "scale")}
    exact |= {f"data.{name}": TensorSpec("F64", (d,)) for name in ("low", "std", "high")}
    exact["data.noise"] = TensorSpec("F64", (n,))
    if len(facts.get("feature_names", ())) not in (0, d):
        raise SchemaError(f"feature_names: there are {len(facts['feature_names'])}, of {d}")
    free: list[_Any] = []
    if "preprocessor" in facts:
        free.append(_Any("preprocessor.", _OF_ENCODERS, ("F64", "F32", "I64")))
    elif n != d:
        raise SchemaError(f"the tensor encoder.mean has {n} numbers, there are {d} features")
    k = len(facts.get("inputs", ()))
    if k:
        exact |= {
            f"inputs.{name}": TensorSpec("F64", (k,)) for name in ("mean", "scale", "low", "high")
        }
    exact |= _of_scales(facts["scales"], found, n + PER_INPUT * k)
    more, baselines = _of_trust(facts.get("trust", {}), found, d, n)
    return exact | more, free + baselines


def _of_scales(
    scales: list[dict[str, Any]], found: dict[str, TensorSpec], dimension: int
) -> dict[str, TensorSpec]:
    """Return the tensors of all flow maps."""
    exact: dict[str, TensorSpec] = {}
    seen: set[int] = set()
    for k, scale in enumerate(scales):
        size = scale["step_size"]
        if size in seen or scale["history"]["step_size"] != size:
            raise SchemaError(f"scales[{k}].step_size: {size} is there twice, or of another scale")
        seen.add(size)
        start = f"scale.{size}."
        own = {name.removeprefix(start): s for name, s in found.items() if name.startswith(start)}
        specs = flow_map_specs(scale["map"], own, dimension, f"scales[{k}].map")
        exact |= {start + name: spec for name, spec in specs.items()}
    return exact


def _of_trust(
    trust: dict[str, Any], found: dict[str, TensorSpec], d: int, n: int
) -> tuple[dict[str, TensorSpec], list[_Any]]:
    """Return the tensors of what is known of the errors."""
    exact: dict[str, TensorSpec] = {}
    if "calibration" in trust:
        steps = _length(found, "trust.calibration.steps")
        scores = found.get("trust.calibration.scores", TensorSpec("F32", ())).shape
        least = (scores[0], steps, scores[2]) if len(scores) == 3 else (1, steps, d)
        exact |= {
            "trust.calibration.steps": TensorSpec("I64", (steps,)),
            "trust.calibration.counts": TensorSpec("I64", (steps,)),
            "trust.calibration.scores": TensorSpec("F32", least),
            "trust.calibration.unit": TensorSpec("F64", (d,)),
        }
    if "region" in trust:
        points = found.get("trust.region.points", TensorSpec("F32", ())).shape
        exact |= {f"trust.region.{x}": TensorSpec("F64", (n,)) for x in ("low", "high", "scale")}
        exact["trust.region.points"] = TensorSpec("F32", (points[0] if points else 1, n))
    kinds = trust.get("baselines", [])
    return exact, [_Any(f"trust.baseline.{kind}.", _OF_BASELINES, ("F64", "I64")) for kind in kinds]
