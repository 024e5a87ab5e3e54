"""Models that are fitted once: found in the cache, or fitted there and continued after a kill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyhits._version import __version__
from pyhits.data.trajectories import Trajectories
from pyhits.errors import CheckpointError, FileFormatError
from pyhits.fit.settings import Settings
from pyhits.hits import HiTS
from pyhits.modelfiles.load import load
from pyhits.paper.cache import Cache, forget
from pyhits.policies import arguments
from pyhits.timestepper import TimeStepper, as_stepper

#: Raised whenever equal settings and data begin to give other models.
VERSION = 1

#: Makes the data to train and to validate on.
MakeData = Callable[[], tuple[Trajectories, Trajectories]]


def fit_or_load(
    cache: Cache,
    settings: Mapping[str, Any],
    data_settings: Mapping[str, Any],
    make_data: MakeData,
    *,
    verbose: bool = False,
) -> TimeStepper:
    """Return a fitted model, from the cache if it is there.

    Parameters
    ----------
    cache : Cache
    settings : mapping
        Arguments of :class:`~pyhits.HiTS`, plain JSON values.
    data_settings : mapping
        All that the data depend on, plain JSON values.
    make_data : callable
        Makes them; called if a fit is needed.
    verbose : bool
        Show progress on standard error.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C. Finished and unfinished scales are kept, and the next call continues from them.
    """
    path = _path(cache, settings, data_settings)
    checkpoint = path.parent / "checkpoint"
    try:
        model = load(path)
    except FileFormatError:  # missing, or damaged
        train, validation = make_data()
        try:
            model = _fitted(settings, verbose, train, validation, checkpoint)
        except CheckpointError:  # damaged, or left by another version
            forget(checkpoint)
            model = _fitted(settings, verbose, train, validation, checkpoint)
        if model.interrupted:
            raise KeyboardInterrupt from None
        model.save(path)
        forget(checkpoint)
    return replace(model, verbose=False)


def is_stored(cache: Cache, settings: Mapping[str, Any], data_settings: Mapping[str, Any]) -> bool:
    """Whether the cache holds this model; it may yet turn out to be damaged."""
    return _path(cache, settings, data_settings).exists()


def _path(cache: Cache, settings: Mapping[str, Any], data_settings: Mapping[str, Any]) -> Path:
    entry = cache.entry("models", {"data": dict(data_settings), **_facts(settings)})
    return entry / "model.safetensors"


def _arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a fit; states are single rows where nothing is said."""
    return arguments(**{"encoder": [], **settings})


def _facts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that a fit depends on but the data, defaults included."""
    own = Settings.of(HiTS(**(_arguments(settings) | {"n_jobs": 1, "verbose": False})))
    recipe = own.recipe.as_dict()
    return {"fit": repr(own), "recipe": recipe, "version": VERSION, "pyhits": __version__}


def _fitted(
    settings: Mapping[str, Any],
    verbose: bool,
    train: Trajectories,
    validation: Trajectories,
    checkpoint: Path,
) -> TimeStepper:
    model = HiTS(**_arguments(settings), verbose=verbose)
    return as_stepper(model.fit(train, validation=validation, checkpoint=checkpoint))
