"""The estimator's settings as files hold them: one by one, under the names of formats 5 and 6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyhits.encoders.chain import from_plain, links, to_plain
from pyhits.errors import ArgumentError
from pyhits.modelfiles.modelfile import SETTINGS
from pyhits.policies import (
    CLOSED_FORMS,
    Best,
    Nets,
    arguments,
    as_coupling,
    as_flow_map,
    as_noise,
    as_training,
    as_validation,
)
from pyhits.util.schema import SchemaError
from pyhits.util.tensorfile import strict

if TYPE_CHECKING:
    from pyhits.hits import HiTS

#: Names in files, and those of :func:`pyhits.policies.arguments`, where they differ.
_NAMES = {
    "recipe": "training",
    "denoise": "noise",
    "taught": "synthetic",
    "select": "selection",
    "validation_fraction": "validation",
}


def settings_to_plain(model: HiTS) -> dict[str, Any]:
    """Return the estimator's arguments as JSON values.

    Raises
    ------
    ArgumentError
        They may have been set since the fit; a file that holds them would be refused.
    """
    flow_map, training = as_flow_map(model.flow_map), as_training(model.training)
    coupling, encoder = as_coupling(model.selection), model.encoder
    said = {name: value for name, value in training.given().items() if name != "preset"}
    widths = flow_map.hidden_sizes if isinstance(flow_map, (Nets, Best)) else None
    plain = {
        "step_sizes": None if model.step_sizes is None else [int(s) for s in model.step_sizes],
        "dense": flow_map.dense,
        "training": training.preset,
        **said,
        "flow_map": None if flow_map.kind == "auto" else flow_map.kind,
        "encoder": encoder if isinstance(encoder, (str, type(None))) else to_plain(links(encoder)),
        "hidden_sizes": (
            {str(size): list(of) for size, of in widths.items()}
            if isinstance(widths, Mapping)
            else widths and list(widths)
        ),
        "activation": flow_map.activation if isinstance(flow_map, (Nets, Best)) else None,
        "polynomial_degree": flow_map.polynomial_degree,
        "noise": as_noise(model.noise),
        "time_limit": model.time_limit,
        "validation": as_validation(model.validation).fraction,
        "selection": coupling.how if isinstance(coupling.how, str) else list(coupling.how),
        "tolerance": coupling.tolerance,
        "interpolation": coupling.interpolation,
        "dtype": flow_map.dtype,
        "device": "cpu",
        "n_jobs": model.n_jobs,
        "random_state": model.random_state,
        "verbose": model.verbose,
    }
    in_files = {ours: name for name, ours in _NAMES.items()}
    found = {in_files.get(name, name): value for name, value in plain.items()}
    try:
        SETTINGS.read(strict(found), "")
    except SchemaError as error:
        raise ArgumentError(f"The setting {error}; a model with it cannot be saved.") from None
    return found


def settings_from_plain(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of :class:`~pyhits.HiTS` that a file holds."""
    recipe = plain.get("recipe")
    # Files of before held a whole recipe in place of a preset's name.
    given = dict(recipe) if isinstance(recipe, dict) else {}
    given |= {name: v for name, v in plain.items() if v is not None and v is not recipe}
    given |= {} if isinstance(recipe, dict) else {"recipe": recipe}
    settings = {_NAMES.get(name, name): value for name, value in given.items()}
    if isinstance(settings.get("hidden_sizes"), dict):
        settings["hidden_sizes"] = {int(k): v for k, v in settings["hidden_sizes"].items()}
    if isinstance(settings.get("encoder"), list):
        settings["encoder"] = from_plain(settings["encoder"])
    if settings.get("flow_map") in CLOSED_FORMS:
        for name in ("hidden_sizes", "activation"):
            settings.pop(name, None)
    return arguments(**settings)
