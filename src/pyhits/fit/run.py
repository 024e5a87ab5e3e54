"""A fit from beginning to end: a row of stages, all of them under one clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pyhits.baselines.fitted import FittedBaselines
from pyhits.baselines.recordings import RecordingBaselines
from pyhits.data.natural_limits import Limits
from pyhits.data.summary import Summary
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, InterruptedWarning, warn
from pyhits.fit.blending import blend
from pyhits.fit.calibrating import calibrated, held_out
from pyhits.fit.choice import couple
from pyhits.fit.modes import RIGHT, ModesModel, finest_error, forecast_error, may_have_modes, poor
from pyhits.fit.preparing import prepare
from pyhits.fit.problem import Problem, pose
from pyhits.fit.refitting import refit
from pyhits.fit.settings import Settings
from pyhits.fit.shares import UNTIL, UNTIL_ALL
from pyhits.fit.training import Watched, train
from pyhits.flowmaps import ODEMap, bare
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.tolerance import measure_agreement
from pyhits.forecasting.uncertainty import Region
from pyhits.hierarchy import Selection
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.timestepper import TimeStepper
from pyhits.training.callbacks import Callback, Callbacks
from pyhits.training.nets import nets_taken
from pyhits.training.parallel import TrainedScales
from pyhits.training.recipe import FEW_TRAJECTORIES
from pyhits.util.clock import Clock
from pyhits.util.progress import say
from pyhits.util.threads import SMALL, one_blas_thread

M = TypeVar("M", bound=FittedModel)

#: Characters of equations that a note holds, at most.
_READ = 400


def fit_stepper(
    settings: Settings,
    X: Any,
    *,
    validation: Any = None,
    dt: float | None = None,
    inputs: Any = None,
    grid: Any = None,
    checkpoint: str | Path | None = None,
    callbacks: Callback | Sequence[Callback] = (),
) -> TimeStepper:
    """Fit a time-stepper; the arguments are those of :meth:`pyhits.HiTS.fit`."""
    clock = Clock.start(settings.time_limit)
    told = Callbacks(callbacks)
    seed = settings.draw_seed(with_checkpoint=checkpoint is not None)
    with one_blas_thread() as limited:
        posed = pose(settings, seed, X, validation, dt, inputs, grid)
        if posed.given.values.size > SMALL:
            limited.close()
        model: TimeStepper | None = None
        try:
            told.on_fit_begin()
            model = _fitted(posed, clock, Watched(checkpoint, told or None))
        finally:
            told.on_fit_end(model)
    return model


def _fitted(posed: Problem, clock: Clock, watched: Watched) -> TimeStepper:
    """Return the fitted model of a posed problem."""
    modes: ModesModel[TimeStepper] | None = None
    if may_have_modes(posed):
        below = watched.below("modes")
        modes = ModesModel(posed, lambda problem, own: _coupled(problem, own, below), clock)
    problem, model = _coupled(posed, clock, watched, modes)
    if modes is not None and not model.interrupted and (poor(model) or modes.is_fitted):
        problem, model = _or_by_modes(modes, problem, model)
    until = UNTIL_ALL if problem.fits_all_rows else UNTIL
    if problem.inputs is None:
        with clock.stage("agreement of scales"):
            found = measure_agreement(
                model, problem.states.validation, clock.until(until["agreement"])
            )
        model = replace(model, agreement=found)
    model = measure(model, problem, clock, until)
    if problem.fits_all_rows:
        model = fit_to_all(model, problem, clock)
    last = posed.split.whole[-1][:, : posed.given.n_features]  # inputs are behind
    model = replace(model, summary=model.summary.ending_as(last))
    limits = limits_of(problem, posed.split.whole.select(model.feature_names))
    model = replace(model, limits=limits)
    if limits is not None:
        model = model.noted(limits.sentence(model.feature_names))
    return finish(_read(model), clock)


def _read(model: TimeStepper) -> TimeStepper:
    """Return the model with its differential equations as a note, if anybody would read them."""
    if not isinstance(bare(model.flow_maps[min(model.selection.step_sizes)]), ODEMap):
        return model
    try:
        *lines, units = model.equations().splitlines()
    except ArgumentError:
        return model
    text = f"{'; '.join(lines)} {units}."
    return model.noted(f"Equations: {text}") if len(text) <= _READ else model


def _coupled(
    posed: Problem, clock: Clock, watched: Watched, rival: ModesModel[TimeStepper] | None = None
) -> tuple[Problem, TimeStepper]:
    """Return a posed problem prepared, and its model with the scales coupled that serve best."""
    problem = prepare(posed, clock)
    until = UNTIL_ALL if problem.fits_all_rows else UNTIL
    with clock.stage("training"):
        trained = train(problem, clock.until(until["training"]), watched, rival)
    model = assemble(problem, trained, clock)
    say("Choosing which scales to couple.", verbose=problem.settings.verbose)
    with clock.stage("choice of scales"):
        model = couple(model, problem, clock.until(until["choice"]))
    return problem, model


def _or_by_modes(
    modes: ModesModel[TimeStepper], problem: Problem, model: TimeStepper
) -> tuple[Problem, TimeStepper]:
    """Return the better of maps of points and a model of the field's modes."""
    say("Looking whether modes serve better than maps of points.", verbose=model.verbose)
    try:
        found = modes.fitted()
    except KeyboardInterrupt:
        what = "the model is whole, but modes were not compared with maps of points."
        return problem, interrupted(model, "modes", what)
    if found is None:
        return problem, model.noted(f"Modes of the field were not compared: {modes.failure}")
    errors = [forecast_error(m, p) for p, m in ((problem, model), found)]
    said = "a map of neighbours {:.2g}, modes {:.2g} of the variance in validation forecasts."
    note = said.format(*errors)
    if errors[1] < errors[0]:
        return found[0], found[1].noted(f"Modes rather than maps of points: {note}")
    return problem, model.noted(f"Maps of points rather than modes: {note}")


def assemble(problem: Problem, trained: TrainedScales, clock: Clock) -> TimeStepper:
    """Return the model of trained scales, none of them coupled yet but the finest."""
    settings, finished = problem.settings, sorted(trained.flow_maps)
    history = {size: trained.histories[size] for size in finished}
    short = [str(size) for size, one in history.items() if one.stopped_by == "time"]
    if short:
        clock.cut(f"the training of step sizes {', '.join(short)}")
    # Without an encoder the data are those that noise was taken off.
    states = problem.states.train
    shown = states if problem.encoder is None else problem.given
    model = TimeStepper(
        coordinates=problem.coordinates,
        hierarchy=Hierarchy({size: trained.flow_maps[size] for size in finished}),
        selection=Selection((finished[0],), float("nan")),
        recipe=problem.recipe,
        history=history,
        summary=Summary.of(shown, noise_of(problem, states), problem.findings),
        limits=limits_of(problem, problem.given),
        coupling=settings.selection,
        notes=problem.notes,
        interrupted=("training",) if trained.interrupted else (),
        device=settings.device,
        verbose=settings.verbose,
    )
    left = [str(size) for size in problem.step_sizes if size not in finished]
    if left and not trained.interrupted:
        model = model.noted(
            f"Step size(s) {', '.join(left)} not trained, as coarse ones no longer made forecasts "
            "better; selection='all' or step_sizes=... trains them."
        )
    return model.noted(nets_taken(history)) if problem.recipe.with_nets else model


def limits_of(problem: Problem, data: Trajectories) -> Limits | None:
    """Return what values of a table came to time and again; None of fields, or if not wanted."""
    if not problem.settings.limits or data.grid is not None:
        return None
    return Limits.of(data, problem.coordinates.turned)


def noise_of(problem: Problem, states: Trajectories) -> np.ndarray:
    """Return the standard deviation of the noise that was taken off, by coordinate."""
    return np.zeros(states.n_features) if problem.noise is None else problem.noise.sigma


def measure(
    model: TimeStepper, problem: Problem, clock: Clock, until: dict[str, float]
) -> TimeStepper:
    """Add the region of the data, the baselines and what intervals rest on.

    Ctrl-C keeps what is there.
    """
    data = None
    try:
        with clock.stage("baselines"):
            scale = model.coordinates.scaling.scale_
            model = replace(model, region=Region.of(*problem.observed, scale))
            limit = clock.until(until["baselines"])
            baselines = FittedBaselines.fit(*problem.states, problem.inputs, clock=limit)
            model = replace(
                model,
                baselines=baselines,
                recording_baselines=_of_recordings(model, problem, limit),
            )
        with clock.stage("blend"):
            model, earlier = blend(model, problem, clock.until(until["blend"]))
        with clock.stage("intervals"):
            data = held_out(problem, model, earlier)
            model = calibrated(model, data, clock.until(until["intervals"]))
    except KeyboardInterrupt:
        model = interrupted(
            replace(calibrated(model, None), held_out=data),
            "calibration",
            "the model is whole, but has no prediction intervals or baselines.",
        )
    say(model.notes[-1], verbose=model.verbose)
    return model


def _of_recordings(model: TimeStepper, problem: Problem, clock: Clock) -> RecordingBaselines | None:
    """Return what looks at many rows of recordings, where that may tell something.

    None of many trajectories, with inputs, and of a field whose equation is right: each of its
    points would be forecast by itself.
    """
    train = problem.given
    is_partial = train.n_features == 1 or problem.coordinates.history > 1
    if problem.input_names or (len(train) >= FEW_TRAJECTORIES and not is_partial):
        return None
    if problem.grid is not None and finest_error(model) <= RIGHT:
        return None
    whole = problem.split.whole.select(train.feature_names)
    return RecordingBaselines.fit(train, whole=whole, clock=clock)


def fit_to_all(model: TimeStepper, problem: Problem, clock: Clock) -> TimeStepper:
    """Fit what was chosen to all rows, the held-out part included; Ctrl-C keeps what is there."""
    try:
        with clock.stage("fit to all rows"):
            known = model.recording_baselines
            if known is not None and problem.split.how != "none":
                every = problem.split.whole.select(model.feature_names)
                model = replace(model, recording_baselines=known.refitted(every))
            return refit(model, problem, clock)
    except KeyboardInterrupt:
        what = "the model is whole, but its flow maps have not seen the held-out part."
        return interrupted(model, "refit", what)


def interrupted(model: M, stage: str, what: str) -> M:
    """Return the model with a stage that Ctrl-C has ended, and warn of it."""
    warn(f"Interrupted: {what}", InterruptedWarning)
    return replace(model, interrupted=(*model.interrupted, stage))


def finish(model: TimeStepper, clock: Clock) -> TimeStepper:
    """Return the model with what its time limit has cut, and how long it took."""
    shortened = clock.note()
    if shortened is not None:
        model = model.noted(shortened)
    sizes = ", ".join(map(str, model.selection.step_sizes))
    say(f"Coupled step sizes {sizes}; {clock.elapsed:.0f} s.", verbose=model.verbose)
    return replace(model, seconds=clock.elapsed, stage_seconds=dict(clock.seconds))
