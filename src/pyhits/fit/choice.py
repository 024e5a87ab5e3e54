"""The stage that couples scales: chosen on validation data, or among what was measured before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from pyhits.coordinates.coordinates import Encoded
from pyhits.data.trajectories import Trajectories
from pyhits.errors import TrainingError, warn
from pyhits.fit.calibrating import calibrated
from pyhits.fit.chooser import Chooser
from pyhits.fit.problem import Problem
from pyhits.fit.settings import check_selection
from pyhits.flowmaps import FlowMap
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.heldout import HeldOut
from pyhits.forecasting.tolerance import measure_agreement
from pyhits.hierarchy import Candidate, Selection, chain, fastest, select
from pyhits.hierarchy.coupling import SINGLE
from pyhits.hierarchy.disagreement import Agreement
from pyhits.policies import Coupling
from pyhits.util.clock import UNLIMITED, Clock

M = TypeVar("M", bound=FittedModel)


def couple(model: M, problem: Problem, clock: Clock) -> M:
    """Return the model with the scales coupled that serve best on the validation data."""
    asked = _among(model.coupling.how, model.flow_maps)
    how = _as_trained(asked, model)
    if how is not asked:
        model = model.noted(
            "Coupled: all scales, since each was trained for the rows that it steps then."
        )
    inputs = None if problem.inputs is None else problem.inputs.validation
    chooser = _chooser(model, Encoded(problem.states.validation, inputs), clock)
    model = replace(model, selection=chooser.choose(how, model.coupling.tolerance))
    try:
        if not (chooser.interrupted or clock.is_over):
            model = _in_single(model, chooser)
    except KeyboardInterrupt:
        chooser.interrupted = True
    if chooser.interrupted:
        model = replace(model, interrupted=(*model.interrupted, "choice"))
    if model.selection.n_steps is not None:
        model = model.noted(model.selection.note())
    return model


def couple_anew(model: M, selection: Coupling | str | Sequence[int], data: Any) -> M:
    """Return a model of the same flow maps, coupled anew; see :meth:`TimeStepper.coupled`.

    Raises ArgumentError: a step size was not trained, or the sizes do not nest.
    Raises TrainingError: what the choice needs was not measured.
    """
    if not isinstance(selection, Coupling):
        selection = replace(model.coupling, how=selection)
    check_selection(selection, model.flow_maps)
    recorded = None if data is None else model.coordinates.recorded(data)
    chosen, agreement = _chosen(model, selection, recorded)
    found = replace(model, selection=chosen, coupling=selection, agreement=agreement)
    held_out = model.held_out if recorded is None else HeldOut(recorded)
    if chosen.step_sizes != model.selection.step_sizes and model.blend is not None:
        found = replace(found, blend=None).noted(
            "Coupled anew: forecasts from recordings are the model's alone, no longer blended."
        )
        # Errors of earlier parts are those of the blend.
        held_out = held_out and replace(held_out, earlier=())
    known = model.calibration
    same = known is None or known.step_sizes == chosen.step_sizes
    if recorded is None and same and chosen.dtype == model.selection.dtype:
        return found
    found = calibrated(found, held_out)
    if found.calibration is None:
        warn(
            "The prediction intervals were those of another coupling, and the held-out "
            "data are not in the model file: call calibrate with recordings to have some."
        )
    return found


def _chosen(
    model: FittedModel, coupling: Coupling, data: Trajectories | None
) -> tuple[Selection, Mapping[int, Agreement]]:
    """Return another selection, on data or from what was measured, and how the scales agree."""
    how, tolerance = _as_trained(coupling.how, model), coupling.tolerance
    known, source = model.selection, data
    if data is None and how == "speed" and known.front and model.held_out is not None:
        source = model.held_out.data  # the front was measured on a sample
    if source is None:
        return choose_again(known, list(model.flow_maps), how, tolerance), model.agreement
    encoded = model.coordinates.encode(source)
    chooser = _chooser(model, encoded, UNLIMITED)
    if data is None:
        found = replace(chooser.fastest(known.front, tolerance), path=known.path, front=known.front)
    else:
        found = chooser.choose(how, tolerance)
    chosen = _in_single(replace(model, selection=found, coupling=coupling), chooser)
    if data is None or encoded.inputs is not None:
        return chosen.selection, model.agreement
    return chosen.selection, measure_agreement(chosen, encoded.states)


def _in_single(model: M, chooser: Chooser) -> M:
    """Return a model coupled for speed in single precision, where its error stays within bounds."""
    coupling, chosen = model.coupling, model.selection
    if coupling.how != "speed" or chosen.dtype == SINGLE or model.dtype == SINGLE:
        return model
    quick = replace(model, selection=replace(chosen, dtype=SINGLE))
    error = chooser.error_of(partial(quick.maps.ahead, encoded=True), chosen.step_sizes)
    return quick if error <= max(coupling.tolerance, chosen.error) else model


def _among(select: str | Sequence[int], trained: Mapping[int, FlowMap]) -> str | Sequence[int]:
    """Return how to select among the scales that an interruption has left."""
    if isinstance(select, str):
        return select
    return [size for size in select if size in trained] or "accuracy"


def _as_trained(select: str | Sequence[int], model: FittedModel) -> str | Sequence[int]:
    """Return ``"all"`` for ``"accuracy"`` where no other coupling was trained for."""
    is_coupled = model.recipe.windows == "coupled"
    return "all" if is_coupled and isinstance(select, str) and select == "accuracy" else select


def _chooser(model: FittedModel, encoded: Encoded, clock: Clock) -> Chooser:
    return Chooser(
        partial(model.maps.ahead, encoded=True),
        model.flow_maps,
        encoded,
        model.coordinates.scaling.scale_,
        clock=clock,
        verbose=model.verbose,
        reproduce=model.recipe.windows == "coupled",
    )


def choose_again(
    selection: Selection, sizes: Sequence[int], how: str | Sequence[int], tolerance: float
) -> Selection:
    """Return another selection from what was measured when the model was fitted.

    Raises ArgumentError: the step sizes asked for do not nest.
    Raises TrainingError: what the choice needs was not measured.
    """
    known = {c.step_sizes: c for c in [*selection.front, *selection.path]}

    def recall(step_sizes: tuple[int, ...]) -> Candidate:
        if step_sizes not in known:
            raise TrainingError(
                f"The coupling {list(step_sizes)} was not measured when this model was fitted; "
                "give validation data to measure it."
            )
        return known[step_sizes]

    if how == "accuracy":
        if selection.n_steps is not None:
            sizes = [size for size in sizes if size <= selection.n_steps] or sizes[:1]
        chosen = select(sizes, recall)
        return replace(chosen, front=selection.front, n_steps=selection.n_steps)
    if how == "speed":
        within = fastest(selection.front, tolerance)
        if not within:
            least = min((c.error for c in selection.front), default=math.inf)
            raise TrainingError(
                f"No coupling has a validation error within the tolerance of {tolerance:g}; the "
                f"least is {least:.2g}: give a larger one."
            )
        best = within[0]
        return replace(selection, step_sizes=best.step_sizes, error=best.error, dtype=None)
    asked = tuple(sizes) if how == "all" else tuple(chain(int(s) for s in how))
    error = known[asked].error if asked in known else math.nan
    return replace(selection, step_sizes=asked, error=error, dtype=None)
