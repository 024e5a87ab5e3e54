"""The stage that trains the flow maps of all step sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyhits.errors import TrainingError
from pyhits.fit.modes import ModesModel
from pyhits.fit.paying import Paying
from pyhits.fit.problem import Problem
from pyhits.fit.settings import widths_by_scale
from pyhits.training.callbacks import Callback
from pyhits.training.checkpoint import CheckpointFolder
from pyhits.training.jobs import JobSettings, TrainingData, fingerprint, make_jobs
from pyhits.training.parallel import TrainedScales, train_scales, warn_interrupted
from pyhits.util.clock import Clock
from pyhits.util.progress import scale_bars


@dataclass(frozen=True)
class Watched:
    """Who keeps and hears of what is trained."""

    checkpoint: str | Path | None = None  # folder in which finished and unfinished scales are kept
    callbacks: Callback | None = None  # are told of progress and of finished scales

    def below(self, name: str) -> Watched:
        """Return the same with a folder inside the checkpoint's."""
        if self.checkpoint is None:
            return self
        return replace(self, checkpoint=Path(self.checkpoint) / name)


def train(
    problem: Problem, clock: Clock, watched: Watched, rival: ModesModel[Any] | None = None
) -> TrainedScales:
    """Train one flow map a step size, but for coarse ones that nobody would couple.

    Raises KeyboardInterrupt: before any scale was finished; later ones end the training with what
    is.
    Raises TrainingError, CheckpointError.

    Parameters
    ----------
    problem : Problem
        Prepared.
    clock : Clock
        Of the training.
    watched : Watched
        Who keeps and hears of it.
    rival : ModesModel, optional
        What would be taken in place of poor maps of points.
    """
    settings, sizes = problem.settings, list(problem.step_sizes)
    own = problem.coordinates
    data = TrainingData(*problem.states, own.scaling, problem.scaled_inputs, own.trends)
    how = JobSettings(
        problem.recipe,
        problem.seed,
        settings.dense,
        problem.dtype,
        settings.device,
        widths_by_scale(settings.hidden_sizes, sizes),
    )
    jobs = make_jobs(data, how, sizes)
    if rival is not None and len(jobs) > 1:  # a single one may be trained on another machine
        jobs[0].rival = rival.error
    folder = None
    if watched.checkpoint is not None:
        key = fingerprint(data, how, sizes)
        folder = CheckpointFolder(watched.checkpoint, key)
        for job in jobs:
            job.checkpoint = folder.progress_file(job.step_size)
    with scale_bars(sizes, verbose=settings.verbose) as watch:
        paying = Paying.of(problem, clock, rival)
        trained = train_scales(
            jobs,
            n_jobs=settings.n_jobs,
            folder=folder,
            watch=watch,
            callbacks=watched.callbacks,
            clock=clock,
            enough=None if paying is None else paying.enough,
            exact=None if paying is None else paying.exact,
        )
    finished = sorted(trained.flow_maps)
    if trained.interrupted:
        if not finished:
            raise KeyboardInterrupt
        warn_interrupted(finished, [size for size in sizes if size not in trained.flow_maps])
    elif not finished:
        raise TrainingError("No scale was trained.")
    return trained
