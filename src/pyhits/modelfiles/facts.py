"""What a model file says, checked, and the coordinates that it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyhits._version import __version__
from pyhits.coordinates.coordinates import Coordinates
from pyhits.data.packing import default_names
from pyhits.data.times import TimeAxis
from pyhits.errors import FileFormatError
from pyhits.modelfiles.modelfile import FORMAT, UNCHECKED, Maps, check_content
from pyhits.util.stored import TensorSpec


def check_facts(
    path: Path, maps: Maps, facts: dict[str, Any], found: dict[str, TensorSpec], has_checksum: bool
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
    if version < UNCHECKED:
        raise FileFormatError(
            f"{path} is of layout {version}, which was never released and is not read any more; "
            "fit the model again."
        )
    if version > UNCHECKED and not has_checksum:
        raise ValueError("it has lost its checksum")
    check_content(facts, found, maps)


def coordinates_of(built: dict[str, Any], facts: dict[str, Any]) -> Coordinates:
    """Return the coordinates of parts that have been built."""
    names = facts.get("feature_names", default_names(len(built["data."].low)))
    return Coordinates(
        feature_names=tuple(names),
        dt=float(facts["dt"]),
        scaling=built["encoder."],
        encoder=built.get("preprocessor."),
        inputs=built.get("inputs."),
        axis=TimeAxis.from_dict(facts["data"].get("time_axis", {})),
        grid=built.get("grid."),
    )
