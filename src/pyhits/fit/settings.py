"""Checks of the estimator's settings, made when fitting begins, as scikit-learn's do."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.hierarchy import chain
from pyhits.hierarchy.interpolate import METHODS
from pyhits.training import Recipe, get_recipe
from pyhits.util.checks import (
    as_choice,
    as_count,
    as_positive,
    as_seed,
    check_device,
)

if TYPE_CHECKING:
    from pyhits.hits import HiTS


def check_selection(
    select: str | Sequence[int], tolerance: float, step_sizes: Iterable[int] | None = None
) -> None:
    """Check how scales are to be chosen, and among ``step_sizes`` if these are known."""
    as_positive(tolerance, "tolerance")
    if isinstance(select, str):
        as_choice(select, "select", ("accuracy", "speed", "all"))
        return
    asked = chain(select)
    known = asked if step_sizes is None else sorted(step_sizes)
    missing = [size for size in asked if size not in known]
    if missing:
        raise ArgumentError(
            f"Step size {missing[0]} cannot be selected; there are {', '.join(map(str, known))}."
        )


def widths_by_scale(
    hidden_sizes: Sequence[int] | Mapping[int, Sequence[int]] | None,
    step_sizes: Iterable[int] | None = None,
) -> dict[int, tuple[int, ...]]:
    """Return the widths that are given for single step sizes, each of which must be learned.

    Without ``step_sizes``, which may still follow from the data, only the values are checked.
    """
    if not isinstance(hidden_sizes, Mapping):
        return {}
    widths: dict[int, tuple[int, ...]] = {}
    for given, layers in hidden_sizes.items():
        size = as_count(given, "a step size of hidden_sizes")
        checked = Recipe().override(hidden_sizes=layers).hidden_sizes
        if checked is None:
            raise ArgumentError(f"hidden_sizes has no widths for step size {size}; leave it out.")
        widths[size] = checked
    known = None if step_sizes is None else sorted(step_sizes)
    unknown = [size for size in widths if known is not None and size not in known]
    if known is not None and unknown:
        raise ArgumentError(
            f"hidden_sizes has an entry for step size {unknown[0]}; there are "
            f"{', '.join(map(str, known))}."
        )
    return widths


def check_arguments(**arguments: Any) -> None:
    """Check arguments of :class:`~pyhits.HiTS`, all of them, before what trains is imported.

    Raises
    ------
    ArgumentError
        As :meth:`HiTS.fit` would.
    """
    check_settings(cast("HiTS", SimpleNamespace(**arguments)), with_checkpoint=False)


def as_time_limit(value: Any) -> float | None:
    """Return ``time_limit`` as a positive number of seconds, or None."""
    return None if value is None else as_positive(value, "time_limit")


def check_settings(model: HiTS, *, with_checkpoint: bool) -> tuple[Recipe, int | None, int]:
    """Check the constructor's values; return the recipe, the processes and the seed."""
    recipe = get_recipe(model.recipe).override(
        flow_map=model.flow_map,
        hidden_sizes=None if isinstance(model.hidden_sizes, Mapping) else model.hidden_sizes,
        activation=model.activation,
        polynomial_degree=model.polynomial_degree,
        optimizer=model.optimizer,
        learning_rate=model.learning_rate,
        batch_size=model.batch_size,
        max_steps=model.max_steps,
        rollout_steps=model.rollout_steps,
        sampling=model.sampling,
        early_bias=model.early_bias,
        denoise=model.denoise,
        target_error=model.target_error,
    )
    nets = ("hidden_sizes", "activation", "optimizer", "learning_rate", "batch_size", "max_steps")
    asked = any(getattr(model, name) is not None for name in nets) or model.dtype == "float32"
    if recipe.flow_map == "auto" and asked:
        # Whoever says how nets are trained wants nets, and so does who wants their arithmetic.
        recipe = recipe.override(flow_map="residual")
    if recipe.is_closed and model.dtype == "float32":
        raise ArgumentError(
            f"flow_map={recipe.flow_map!r} is solved for and stepped in float64, since large terms "
            "cancel; leave dtype out."
        )
    widths_by_scale(model.hidden_sizes)
    if as_count(model.dense, "dense") > 1:
        from pyhits.flowmaps import family  # torch, for dense flow maps alone

        is_net = not recipe.is_closed and recipe.flow_map != "auto"
        if is_net and "outputs" not in inspect.signature(family(recipe.flow_map)).parameters:
            raise ArgumentError(
                f"The flow map {recipe.flow_map!r} cannot be dense: its constructor takes no "
                "outputs."
            )
    if model.dtype is not None:
        as_choice(model.dtype, "dtype", ("float32", "float64"))
    check_selection(model.select, model.tolerance)
    as_choice(model.interpolation, "interpolation", METHODS)
    if not 0 < as_positive(model.validation_fraction, "validation_fraction") < 1:
        raise ArgumentError(
            f"Expected validation_fraction between 0 and 1, got {model.validation_fraction!r}."
        )
    as_time_limit(model.time_limit)
    check_device(model.device)
    n_jobs = model.n_jobs
    if n_jobs is not None:
        n_jobs = -1 if n_jobs == -1 else as_count(n_jobs, "n_jobs")
    if model.random_state is not None:
        return recipe, n_jobs, as_seed(model.random_state)
    seed = 0 if with_checkpoint else int(np.random.SeedSequence().generate_state(1)[0])
    return recipe, n_jobs, seed
