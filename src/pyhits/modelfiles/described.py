"""Models in files, as far as they are shown: read without what steps, which takes torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.forecasting.described import Described
from pyhits.hierarchy import Selection
from pyhits.modelfiles.consistency import check_coordinates
from pyhits.modelfiles.facts import check_facts, coordinates_of
from pyhits.modelfiles.modelfile import parts
from pyhits.numerics.fused.numbers import spells_out
from pyhits.policies import Coupling
from pyhits.training.history import History
from pyhits.training.recipe import Recipe
from pyhits.util.arrayfile import read_arrays
from pyhits.util.schema import Named, Plain, Record, Schema, Text
from pyhits.util.stored import TensorSpec


@dataclass(frozen=True)
class StoredMap:
    """A flow map as its file says it."""

    kind: str
    config: Mapping[str, Any]  # arguments of its constructor
    dtype: str
    arrays: Mapping[str, np.ndarray]

    @property
    def has_code(self) -> bool:
        """Whether machine code can step it, as :meth:`pyhits.flowmaps.FlowMap.numbers` says."""
        kind, config = self.kind, self.config
        if kind == "bounded":
            if self.arrays["fixed"].any():
                return False
            kind, config = config["map"]["kind"], config["map"]["config"]
        if kind in ("polynomial", "ode"):
            return spells_out(int(config["dimension"]), int(config["degree"]))
        return kind == "cells"


class _StoredMaps:
    """Leaves flow maps as files say them."""

    schema: Schema = Record(
        {
            "kind": Text(1, 100),
            "config": Named(Plain()),
            "dtype": Text(choices=("float32", "float64")),
        }
    )

    def check_state(
        self, plain: Mapping[str, Any], found: Mapping[str, TensorSpec], where: str = ""
    ) -> None:
        """Take what there is."""

    def from_stored(self, plain: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> StoredMap:
        """Return what the file says."""
        return StoredMap(plain["kind"], plain["config"], plain["dtype"], state)


@dataclass(frozen=True, eq=False, kw_only=True)
class StoredModel(Described):
    """A model as its file says it."""

    maps: Mapping[int, StoredMap]  # flow maps, by step size

    @property
    def dtype(self) -> str:
        """Arithmetic of the flow maps."""
        return next(iter(self.maps.values())).dtype

    @property
    def has_code(self) -> bool:
        """Whether machine code can step what is coupled."""
        return all(self.maps[size].has_code for size in self.selection.step_sizes)


def read_described(path: Path) -> StoredModel:
    """Read a model file but for its flow maps, whose numbers the checksum alone has checked.

    Raises Exception: it is not such a file, or of a version without checksums: :func:`pyhits.load`
    says what is wrong, or reads it.
    """
    maps = _StoredMaps()
    arrays, facts = read_arrays(
        path, what="a PyHiTS model file", check=partial(check_facts, path, maps)
    )
    declared = parts(facts, len(arrays["data.low"]), len(arrays["encoder.mean"]), maps)
    with np.errstate(all="ignore"):
        built = {prefix: part.build(arrays, prefix) for prefix, part in declared.items()}
        coordinates = coordinates_of(built, facts)
        check_coordinates(coordinates)
    scales = {int(scale["step_size"]): scale for scale in facts["scales"]}
    return StoredModel(
        coordinates=coordinates,
        maps={size: built[f"scale.{size}."] for size in scales},
        selection=Selection.from_dict(facts["selection"]),
        coupling=Coupling(**facts["coupling"]),
        recipe=Recipe.from_dict(facts["recipe"]),
        history={size: History.from_dict(of["history"]) for size, of in scales.items()},
        summary=built["data."],
        calibration=built.get("trust.calibration."),
        blend=built.get("trust.blend."),
        limits=built.get("trust.limits."),
        notes=tuple(facts["notes"]),
        seconds=float(facts["seconds"]),
        fitted_by=facts.get("fitted_by", ""),
    )
