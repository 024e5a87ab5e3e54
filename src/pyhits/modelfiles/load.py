"""Reading model files: what they declare is checked before anything is built of it."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pyhits._version import __version__
from pyhits.coordinates.coordinates import Coordinates
from pyhits.data.packing import default_names
from pyhits.data.times import TimeAxis
from pyhits.errors import ArgumentError, FileFormatError, warn
from pyhits.hierarchy import Selection
from pyhits.hierarchy.disagreement import Agreement
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.modelfiles.consistency import check_model
from pyhits.modelfiles.modelfile import FORMAT, UNCHECKED, check_content, parts
from pyhits.policies import Coupling
from pyhits.timestepper import TimeStepper
from pyhits.training import History, Recipe
from pyhits.util.atomic import first_line
from pyhits.util.checks import check_device
from pyhits.util.stored import TensorSpec
from pyhits.util.tensorfile import read_tensors


def load(path: str | Path, *, device: str = "cpu", verbose: bool = False) -> TimeStepper:
    """Read a model file.

    Parameters
    ----------
    path : path
    device : str
        Where to forecast; a model trained on a GPU loads on a CPU.
    verbose : bool
        Show the progress of forecasts, on standard error.

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
    if facts["format"] == UNCHECKED:
        warn(
            f"{path} is of a version that wrote no checksum: whether it has changed since cannot "
            "be told. Save the model again to have one."
        )
    try:
        with np.errstate(all="ignore"):
            model = _build(tensors, facts)
            check_model(model)
    except MemoryError:
        raise
    # What was declared is there by now; how it fits together is for those who use it to say.
    except Exception as error:
        raise FileFormatError(f"{path} is damaged: {first_line(error)}.") from None
    return replace(model, device=device, verbose=verbose)


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
    if version < UNCHECKED:
        raise FileFormatError(
            f"{path} is of layout {version}, which was never released and is not read any more; "
            "fit the model again."
        )
    if version > UNCHECKED and not has_checksum:
        raise ValueError("it has lost its checksum")
    check_content(facts, found)


def _build(tensors: dict[str, Tensor], facts: dict[str, Any]) -> TimeStepper:
    """Return the model that tensors and plain values, checked one by one, are."""
    declared = parts(facts, len(tensors["data.low"]), len(tensors["encoder.mean"]))
    built = {prefix: part.build(tensors, prefix) for prefix, part in declared.items()}
    coordinates = _coordinates(built, facts)
    scales = {int(scale["step_size"]): scale for scale in facts["scales"]}
    region = built.get("trust.region.")
    return TimeStepper(
        coordinates=coordinates,
        hierarchy=Hierarchy({size: built[f"scale.{size}."] for size in scales}),
        selection=Selection.from_dict(facts["selection"]),
        recipe=Recipe.from_dict(facts["recipe"]),
        history={s: History.from_dict(of["history"]) for s, of in scales.items()},
        summary=built["data."],
        coupling=Coupling(**facts["coupling"]),
        agreement={int(s): Agreement(*of) for s, of in facts["data"].get("agreement", {}).items()},
        calibration=built.get("trust.calibration."),
        region=None if region is None else replace(region, names=coordinates.names),
        baselines=built.get("trust.baseline."),
        recording_baselines=built.get("trust.recording."),
        blend=built.get("trust.blend."),
        notes=tuple(facts["notes"]),
        seconds=float(facts["seconds"]),
        fitted_by=facts.get("fitted_by", ""),
        interrupted=tuple(facts.get("interrupted", ())),
    )


def _coordinates(built: dict[str, Any], facts: dict[str, Any]) -> Coordinates:
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
