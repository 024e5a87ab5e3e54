"""Fitting what was chosen on a part of the data to all of them, encoders and flow maps alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from pyhits.baselines.fitted import FittedBaselines
from pyhits.coordinates.coordinates import Coordinates
from pyhits.data.matching import joined
from pyhits.data.trajectories import Trajectories
from pyhits.fit.problem import Problem
from pyhits.flowmaps import FlowMap
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.uncertainty import Region
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.noise import Denoised, denoise
from pyhits.training.closed import fit_again
from pyhits.training.history import History
from pyhits.training.jobs import JobSettings, ScaleJob, TrainingData, make_jobs
from pyhits.util.clock import Clock
from pyhits.util.progress import Advance, bar

M = TypeVar("M", bound=FittedModel)

#: Encoders are fitted again where there is time for so many times what they took before.
_ENCODERS = 2.0


@dataclass(frozen=True)
class AllRows:
    """All data as flow maps are fitted to them."""

    states: Trajectories  # encoded, noise taken off
    inputs: np.ndarray | None  # (n_rows, k), or None: scaled
    noise: Denoised | None  # what was taken off


def refit(model: M, problem: Problem, clock: Clock) -> M:
    """Return the model fitted to all data, what was held out included.

    Closed forms are solved for; nets are trained again where they are coupled, which takes seconds
    each. The encoders are fitted to all data, too, in the sizes that were chosen: unless a net is
    kept, which knows its own coordinates alone.

    Parameters
    ----------
    model : FittedModel
        Fitted to the training part.
    clock : Clock
        Of the whole fit.
    """
    own = model.coordinates
    coupled = model.selection.step_sizes
    kept = {
        size
        for size, flow_map in model.flow_maps.items()
        if flow_map.trained and (size not in coupled or flow_map.trained_once)
    }
    ways = [own]
    has_time = clock.affords(_ENCODERS * clock.seconds.get("encoders", 0.0))
    if problem.split.how != "none" and not kept and has_time and not clock.is_over:
        ways.insert(0, own.refitted(_rows(problem)))
    with bar("fitting to all rows", verbose=model.verbose) as progress:
        for coordinates in ways:
            data = _encoded(problem, coordinates, own, clock)
            jobs = [job for job in _jobs(model, coordinates, data) if job.step_size not in kept]
            solved = _solved(jobs, model.flow_maps, model.history, clock, progress)
            maps = {**model.flow_maps, **dict(solved)}
            is_done = all(maps[job.step_size] is not model.flow_maps[job.step_size] for job in jobs)
            if coordinates is own or is_done:
                break
    if clock.is_limited and not is_done:
        clock.cut("the fit of what was chosen to the held-out part as well")
    model = replace(model, hierarchy=Hierarchy(maps), coordinates=coordinates)
    return model if coordinates is own else _renewed(model, problem, data, own, clock)


def _jobs(model: FittedModel, coordinates: Coordinates, data: AllRows) -> list[ScaleJob]:
    """Return what is to be fitted to all rows, one job a scale."""
    inputs = None if data.inputs is None else (data.inputs, data.inputs)
    return make_jobs(
        TrainingData(data.states, data.states, coordinates.scaling, inputs, coordinates.trends),
        JobSettings(model.recipe, dense=model.dense, dtype=model.dtype),
        list(model.flow_maps),
    )


def _solved(
    jobs: Sequence[ScaleJob],
    chosen: Mapping[int, FlowMap],
    histories: Mapping[int, History],
    clock: Clock,
    progress: Advance | None,
) -> Iterator[tuple[int, FlowMap]]:
    """Fit one scale after the other to all data, as long as there is time."""
    longest = 0.0
    finest: tuple[FlowMap, History] | None = None
    for done, job in enumerate(jobs, start=1):
        if clock.is_over or not clock.affords(longest):
            return
        size, begin = job.step_size, clock.now()
        is_net = chosen[size].trained
        limit = clock.part(1 / (len(jobs) - done + 1)) if is_net else clock
        own = histories[size]
        found = fit_again(job, chosen[size], own, finest=finest, clock=limit)
        finest = finest or (found, own)
        yield size, found
        longest = longest if is_net else max(longest, clock.now() - begin)
        if progress is not None:
            progress(done, len(jobs))


def _renewed(model: M, problem: Problem, data: AllRows, own: Coordinates, clock: Clock) -> M:
    """Return the model with all that follows from coordinates that were fitted to all rows."""
    new, split = model.coordinates, problem.split
    noise = np.zeros(data.states.n_features) if data.noise is None else data.noise.sigma
    shown = data.states if problem.encoder is None else new.split(split.whole)[0]
    seen, unseen, every = (
        new.encode(part).states for part in (split.train, split.validation, split.whole)
    )
    region = Region.of(seen, unseen, new.scaling.scale_, every) if model.region else None
    baselines = model.baselines
    if baselines is not None and problem.encoder is not None:
        parts = (data.states, data.states) if data.noise is not None else (seen, unseen)
        inputs = problem.inputs if data.noise is None else None
        baselines = FittedBaselines.fit(*parts, inputs, clock=clock)
    return replace(
        model,
        summary=model.summary.of_all(shown.with_grid(new.grid), noise),
        region=region,
        baselines=baselines,
        notes=_renewed_notes(model.notes, own, new),
    )


def _rows(problem: Problem) -> Trajectories:
    """Return all rows as encoders are fitted to them: without noise if it was taken off before."""
    if problem.noise is not None and problem.encoder is None:
        return joined(list(problem.states))
    return problem.split.whole


def _encoded(problem: Problem, coordinates: Coordinates, own: Coordinates, clock: Clock) -> AllRows:
    """Return all data in some coordinates, without their noise."""
    if problem.split.how == "none":
        scaled = problem.scaled_inputs
        return AllRows(problem.states.train, scaled.train if scaled else None, problem.noise)
    if problem.noise is None:
        encoded = coordinates.encode(problem.split.whole)
        return AllRows(encoded.states, coordinates.scaled_inputs(encoded), None)
    if coordinates is own or problem.encoder is None:
        return AllRows(joined(list(problem.states)), None, problem.noise)
    # In other coordinates the noise is another.
    noisy = coordinates.encode(problem.split.whole).states
    found = denoise(noisy, noisy, shortest=2 * max(problem.step_sizes), clock=clock)
    if found is None:
        return AllRows(noisy, None, None)
    return AllRows(found.train, None, replace(found, validation=found.train))


def _renewed_notes(notes: Sequence[str], own: Coordinates, again: Coordinates) -> tuple[str, ...]:
    """Return notes with what encoders that were fitted again say now, and that they were."""
    found = list(notes)
    if own.encoder is not None and again.encoder is not None:
        pairs = zip(own.encoder.notes(), again.encoder.notes(), strict=False)
        now = dict(pairs)
        found = [now.get(note, note) for note in found]
        sentence = "In the end all rows were fitted to, by the encoder as well."
        found.insert(len(found) - 1, sentence)
    return tuple(found)
