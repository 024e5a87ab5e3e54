"""Fitting a model to other rows with all that was chosen before: nothing is searched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from pyhits.baselines.fitted import FittedBaselines
from pyhits.coordinates.coordinates import Coordinates
from pyhits.data.natural_limits import Limits
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError
from pyhits.flowmaps import FlowMap, ODEMap, bare
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.maps import FittedMaps
from pyhits.forecasting.uncertainty import Region
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.noise import denoise
from pyhits.training.closed import fit_again
from pyhits.training.history import History
from pyhits.training.jobs import JobSettings, TrainingData, make_jobs
from pyhits.util.threads import one_blas_thread

M = TypeVar("M", bound=FittedModel)


def fitted_to(
    model: FittedModel,
    coordinates: Coordinates,
    states: Trajectories,
    inputs: np.ndarray | None,
    sizes: Iterable[int],
) -> FittedMaps:
    """Return flow maps in the forms chosen, fitted to other states in other coordinates.

    Raises DataError: no trajectory is long enough for a step.

    Parameters
    ----------
    model : FittedModel
        What was chosen.
    states : Trajectories
        Encoded.
    inputs : array, shape (n_rows, k), or None
        Scaled.
    sizes : iterable of int
        Scales.
    """
    wanted = set(sizes)
    # That of flow maps which were made elsewhere is still open.
    recipe = model.recipe.resolve(states.n_features, len(states), states.n_rows)
    jobs = make_jobs(
        TrainingData(
            states,
            states,
            coordinates.scaling,
            None if inputs is None else (inputs, inputs),
            coordinates.trends,
        ),
        JobSettings(recipe, dense=model.dense, dtype=model.dtype),
        sorted({min(model.flow_maps), *wanted}),
    )
    maps: dict[int, FlowMap] = {}
    finest: tuple[FlowMap, History] | None = None
    for job in jobs:
        size = job.step_size
        chosen, history = model.flow_maps[size], model.history[size]
        if size in wanted or isinstance(bare(chosen), ODEMap):  # coarser ones follow from it
            found = fit_again(job, chosen, history, finest=finest)
            finest = finest or (found, history)
            maps |= {size: found} if size in wanted else {}
    return replace(model.maps, hierarchy=Hierarchy(maps), coordinates=coordinates)


def updated(model: M, data: Any) -> M:
    """Return the model fitted to other rows; see :meth:`pyhits.TimeStepper.updated`.

    Raises DataError: the data do not match the model, or are too short for its steps.
    """
    recorded = model.coordinates.recorded(data)
    coupled = set(model.selection.step_sizes)
    longest = int(recorded.lengths.max()) - model.start_rows
    if longest < 2 * max(coupled):
        raise DataError(
            f"The longest trajectory has {recorded.lengths.max()} rows; steps of {max(coupled)} "
            "need more to be fitted to. Give all rows that the model is to learn from, the old "
            "ones included."
        )
    with one_blas_thread(recorded.values.size):
        return _updated(model, recorded, coupled)


def _updated(model: M, recorded: Trajectories, coupled: set[int]) -> M:
    """Return the model fitted to recordings that are long enough."""
    # Nets that are trained once know the coordinates that they were trained in alone.
    once = any(model.flow_maps[size].trained_once for size in coupled)
    coordinates = model.coordinates if once else model.coordinates.refitted(recorded)
    encoded = coordinates.encode(recorded)
    states, noise = encoded.states, np.zeros(encoded.states.n_features)
    found = denoise(states, states, shortest=2 * max(coupled)) if model.noise.any() else None
    if found is not None:
        states, noise = found.train, found.sigma
    # Nets that are not coupled are not trained again, and know the old coordinates alone.
    sizes = [
        size
        for size, flow_map in model.flow_maps.items()
        if size in coupled or not flow_map.trained
    ]
    inputs = coordinates.scaled_inputs(encoded)
    longest = int(recorded.lengths.max()) - model.start_rows
    fit_here = [size for size in sizes if size <= longest // 2]
    maps = fitted_to(model, coordinates, states, inputs, fit_here)
    own, _ = coordinates.split(recorded)
    shown = states if coordinates.encoder is None else own
    known, simple = model.recording_baselines, model.baselines
    if simple is not None:
        both = None if encoded.inputs is None else (encoded.inputs, encoded.inputs)
        simple = FittedBaselines.fit(states, states, both)
    scale = coordinates.scaling.scale_
    return replace(
        model,
        coordinates=coordinates,
        hierarchy=maps.hierarchy,
        history={size: model.history[size] for size in maps.hierarchy.flow_maps},
        summary=model.summary.of_all(shown, noise).ending_as(own[-1]),
        limits=None if model.limits is None else Limits.of(own, coordinates.turned),
        region=None if model.region is None else Region.of(states, states, scale),
        baselines=simple,
        recording_baselines=None if known is None else known.refitted(own),
        agreement={s: a for s, a in model.agreement.items() if s in maps.hierarchy.flow_maps},
        held_out=None,
    )
