"""Reading model files: what they declare is checked before anything is built of it."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pyhits.errors import ArgumentError, FileFormatError, warn
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.hierarchy import Selection
from pyhits.hierarchy.disagreement import Agreement
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.modelfiles.consistency import check_model
from pyhits.modelfiles.facts import check_facts, coordinates_of
from pyhits.modelfiles.modelfile import UNCHECKED, parts
from pyhits.policies import Coupling
from pyhits.timestepper import TimeStepper
from pyhits.training import History, Recipe
from pyhits.util.atomic import first_line
from pyhits.util.checks import check_device
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
        path, what="a PyHiTS model file", check=partial(check_facts, path, FLOW_MAPS)
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


def _build(tensors: dict[str, Tensor], facts: dict[str, Any]) -> TimeStepper:
    """Return the model that tensors and plain values, checked one by one, are."""
    maps = ("scale.",)
    found = {k: v if k.startswith(maps) else v.numpy() for k, v in tensors.items()}
    declared = parts(facts, len(found["data.low"]), len(found["encoder.mean"]), FLOW_MAPS)
    built = {prefix: part.build(found, prefix) for prefix, part in declared.items()}
    coordinates = coordinates_of(built, facts)
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
        limits=built.get("trust.limits."),
        notes=tuple(facts["notes"]),
        seconds=float(facts["seconds"]),
        fitted_by=facts.get("fitted_by", ""),
        interrupted=tuple(facts.get("interrupted", ())),
    )
