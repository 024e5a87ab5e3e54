"""Fitting what was chosen on a part of the data to all of them, encoders and flow maps alike."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyhits.baselines.fitted import FittedBaselines
from pyhits.coordinates.coordinates import Coordinates, Fitted
from pyhits.data.matching import joined
from pyhits.data.trajectories import Trajectories
from pyhits.fit.preparing import Prepared
from pyhits.flowmaps import FlowMap, ScaledNet
from pyhits.noise import Denoised, denoise
from pyhits.training.closed import fit_again
from pyhits.training.history import History
from pyhits.training.jobs import ScaleJob, make_jobs
from pyhits.uncertainty import Region
from pyhits.util.clock import Clock
from pyhits.util.progress import Advance

#: Encoders are fitted again where there is time for so many times what they took before.
_ENCODERS = 2.0


@dataclass(frozen=True)
class Refitted:
    """What was fitted to all data.

    Attributes
    ----------
    fitted : Fitted
    states : Trajectories
        All data in its coordinates, noise taken off.
    noise : Denoised or None
        What was taken off.
    """

    fitted: Fitted
    states: Trajectories
    noise: Denoised | None


def fit_to_all(
    ready: Prepared,
    own: Fitted,
    histories: Mapping[int, History],
    coupled: Collection[int],
    *,
    dense: int,
    dtype: str,
    clock: Clock,
    progress: Advance | None = None,
) -> Refitted:
    """Fit the forms that were chosen to all data, what was held out included.

    Closed forms are solved for; nets are trained again where they are coupled, which takes seconds
    each. The encoders are fitted to all data, too, in the sizes that were chosen: unless a net is
    kept, which knows its own coordinates alone.

    Parameters
    ----------
    ready : Prepared
    own : Fitted
        To the training part.
    histories : mapping of int to History
        Of the choice of each scale.
    coupled : collection of int
        Step sizes of the coupling.
    dense, dtype
        As the flow maps were fitted.
    clock : Clock
        Of the whole fit.
    progress : callable, optional
    """
    nets = {size for size, flow_map in own.maps.items() if isinstance(flow_map, ScaledNet)}
    again = nets & set(coupled)
    ways = [own.coordinates]
    # Nets that are kept know their own coordinates alone.
    has_time = clock.affords(_ENCODERS * clock.seconds.get("encoders", 0.0))
    if ready.split.how != "none" and nets == again and has_time and not clock.is_over:
        ways.insert(0, own.coordinates.refitted(_rows(ready)))
    for coordinates in ways:
        data = _encoded(ready, coordinates, own.coordinates, clock)
        jobs = make_jobs(
            data.states,
            data.states,
            coordinates.encoder,
            ready.recipe,
            list(own.maps),
            seed=0,
            dense=dense,
            dtype=dtype,
            inputs=None if data.inputs is None else (data.inputs, data.inputs),
        )
        todo = [job for job in jobs if job.step_size not in nets - again]
        maps = {**own.maps, **dict(_solved(todo, own.maps, histories, clock, progress))}
        if coordinates is own.coordinates or all(
            maps[job.step_size] is not own.maps[job.step_size] for job in todo
        ):
            break
    if clock.is_limited and any(maps[job.step_size] is own.maps[job.step_size] for job in todo):
        clock.cut("the fit of what was chosen to the held-out part as well")
    return Refitted(Fitted(maps, coordinates), data.states, data.noise)


def _solved(
    jobs: Sequence[ScaleJob],
    chosen: Mapping[int, FlowMap],
    histories: Mapping[int, History],
    clock: Clock,
    progress: Advance | None,
) -> Iterator[tuple[int, FlowMap]]:
    """Fit one scale after the other to all data, as long as there is time."""
    longest = 0.0
    for done, job in enumerate(jobs, start=1):
        if clock.is_over or not clock.affords(longest):
            return
        size, begin = job.step_size, clock.now()
        is_net = isinstance(chosen[size], ScaledNet)
        limit = clock.part(1 / (len(jobs) - done + 1)) if is_net else clock
        yield size, fit_again(job, chosen[size], histories[size], clock=limit)
        longest = longest if is_net else max(longest, clock.now() - begin)
        if progress is not None:
            progress(done, len(jobs))


def region_of_all(ready: Prepared, coordinates: Coordinates) -> Region:
    """Return where all data lie, in coordinates that were fitted to them."""
    split = ready.split
    seen, unseen, whole = (
        coordinates.encode(part).states for part in (split.train, split.validation, split.whole)
    )
    return Region.of(seen, unseen, coordinates.encoder.scale_, whole)


def baselines_of_all(ready: Prepared, again: Refitted, clock: Clock) -> FittedBaselines:
    """Return the baselines in coordinates that were fitted to all data."""
    if again.noise is not None:
        return FittedBaselines.fit(again.states, again.states, None, clock=clock)
    parts = [
        again.fitted.coordinates.encode(part)
        for part in (ready.split.train, ready.split.validation)
    ]
    return FittedBaselines.fit(parts[0].states, parts[1].states, ready.on_rows(), clock=clock)


@dataclass(frozen=True)
class _All:
    """All data as flow maps are fitted to them; the inputs scaled."""

    states: Trajectories
    inputs: np.ndarray | None
    noise: Denoised | None


def _rows(ready: Prepared) -> Trajectories:
    """Return all rows as encoders are fitted to them: without noise if it was taken off before."""
    if ready.noise is not None and ready.preprocessor is None:
        return joined([ready.train, ready.held])
    return ready.split.whole


def _encoded(ready: Prepared, coordinates: Coordinates, own: Coordinates, clock: Clock) -> _All:
    """Return all data in some coordinates, without their noise."""
    if ready.split.how == "none":
        scaled = ready.scaled()
        return _All(ready.train, None if scaled is None else scaled[0], ready.noise)
    if ready.noise is None:
        encoded = coordinates.encode(ready.split.whole)
        return _All(encoded.states, coordinates.scaled(encoded), None)
    if coordinates is own or ready.preprocessor is None:
        return _All(joined([ready.train, ready.held]), None, ready.noise)
    # In other coordinates the noise is another.
    noisy = coordinates.encode(ready.split.whole).states
    found = denoise(noisy, noisy, shortest=2 * max(ready.step_sizes), clock=clock)
    if found is None:
        return _All(noisy, None, None)
    return _All(found.train, None, replace(found, held=found.train))


def renewed(notes: Sequence[str], own: Coordinates, again: Coordinates) -> list[str]:
    """Return notes with what encoders that were fitted again say now, and that they were."""
    found = list(notes)
    if own.preprocessor is not None and again.preprocessor is not None:
        pairs = zip(own.preprocessor.notes(), again.preprocessor.notes(), strict=False)
        now = dict(pairs)
        found = [now.get(note, note) for note in found]
        sentence = "In the end all rows were fitted to, by the encoder as well."
        found.insert(len(found) - 1, sentence)
    return found
