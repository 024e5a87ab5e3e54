"""One scale from its windows to its flow map: closed forms first, then the training of a net."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pyhits.errors import TrainingError
from pyhits.flowmaps import FlowMap
from pyhits.flowmaps.tabulate import MOST_FEATURES, tabulate
from pyhits.training.closed import fit_closed_form
from pyhits.training.history import History
from pyhits.training.jobs import Progress, ScaleJob
from pyhits.training.last_layer import solve_last_layer
from pyhits.training.run import BLEW_UP, NetTraining, TrainingState, train
from pyhits.training.stages import Stages, prepare
from pyhits.training.synthetic import SyntheticWindows, synthesise
from pyhits.util.clock import Clock, TimeIsUpError
from pyhits.util.threads import one_blas_thread

#: Fraction of the steps that two nets are trained for where it is open which is better.
PILOT = 0.1

#: Parts of the learning rate that are tried until the error stays finite.
FACTORS = (1.0, 0.3, 0.1)

#: A table takes up to about half a minute. Refinement stops at the first relative mean squared
#: error; below the second, which nets of coarse steps do not reach, none is trained.
_LEAST_TABLE_SECONDS, _TABLE_TOLERANCE, _TABLE_SUFFICES = 60.0, 1e-11, 1e-7

#: Parts of a scale's time after which the polynomial, synthetic windows and tables end.
_FOR_POLYNOMIAL, _FOR_SYNTHETIC, _FOR_TABLE = 0.15, 0.3, 0.65

#: Recorded states that show a table where states occur, and the number of their batch.
_N_POPULATION, _POPULATION_BATCH = 32_768, 2**30 - 1


def train_scale(job: ScaleJob, progress: Progress | None = None) -> tuple[FlowMap, History]:
    """Train the flow map of one scale.

    Raises TrainingError: the loss was not finite, whatever the learning rate.
    Raises DataError: no trajectory is long enough for the step size.

    Returns
    -------
    flow_map : FlowMap
        On the CPU, in evaluation mode; weights of the best validation error.
    """
    if job.recipe.is_closed:
        return fit_closed_form(job, progress)
    scale = Scale.prepare(job, progress)
    found = scale.closed_form()
    if found is None and job.polynomial_only and scale.stages.polynomial is not None:
        found = scale.choose(TrainingState())
        scale.history.stopped_by = "closed form"
    return scale.finish(found or train_net(scale, progress))


def train_alone(job: ScaleJob, report: Progress | None = None) -> tuple[FlowMap, History]:
    """Train one scale in one thread, so that results do not depend on the number of cores.

    One of torch's, and one of BLAS in NumPy and SciPy: products that threads share round otherwise.
    """
    threads = torch.get_num_threads()
    if job.device == "cpu":
        torch.set_num_threads(1)
    try:
        with one_blas_thread():
            return train_scale(job, report)
    finally:
        torch.set_num_threads(threads)


@dataclass
class Scale:
    """One scale before and after its net is trained."""

    job: ScaleJob
    stages: Stages  # what was settled before
    history: History  # filled as training goes
    clock: Clock  # of this scale

    @classmethod
    def prepare(cls, job: ScaleJob, progress: Progress | None = None) -> Scale:
        """Do what precedes the net: increments, polynomial, synthetic windows, table."""
        clock = Clock.start(job.time_limit)
        stages = prepare(job, clock.until(_FOR_POLYNOMIAL))
        if _worth_synthesising(job, stages):
            with contextlib.suppress(TimeIsUpError):
                stages.synthetic = synthesise(
                    job.train,
                    job.validation,
                    degree=job.recipe.polynomial_degree,
                    sigma=stages.sigma,
                    n=job.tuning.n_synthetic,
                    clock=clock.until(_FOR_SYNTHETIC),
                )
        if stages.synthetic is not None and _worth_a_table(job, stages):
            own = clock.until(_FOR_TABLE)
            with contextlib.suppress(TimeIsUpError):
                _tabulate(job, stages, stages.synthetic, progress, own)
        job = _in_time(job, clock)
        history = History(job.step_size, n_windows=job.train.n_windows)
        history.polynomial_error = stages.polynomial_error
        return cls(job, stages, history, clock)

    def closed_form(self) -> FlowMap | None:
        """Return the polynomial or the table if it leaves nothing to learn."""
        stages, dtype = self.stages, self.job.torch_dtype
        target = stages.relative_target(dtype, self.job.recipe.target_error)
        exact: FlowMap
        if stages.polynomial is not None and stages.polynomial_error <= target:
            exact, error = stages.polynomial.to(dtype), stages.polynomial_error
        elif stages.table is not None and stages.table_error <= max(target, _TABLE_SUFFICES):
            exact, error = stages.table, stages.table_error
        else:
            return None
        self.history.stopped_by = "closed form"
        self.history.validation_error = error
        return exact

    def contest(self) -> list[Scale]:
        """Return the short trainings that decide between the two nets, if there is one."""
        stages, job = self.stages, self.job
        assert job.recipe.max_steps is not None
        if stages.alternative is None:
            return []
        recipe = job.recipe.override(max_steps=max(1, round(PILOT * job.recipe.max_steps)))
        nets = stages, replace(stages, net=stages.alternative)
        briefs = (replace(job, recipe=recipe, checkpoint=None) for _ in nets)
        return [
            Scale(brief, s, History(job.step_size), self.clock.part(PILOT))
            for brief, s in zip(briefs, nets, strict=True)
        ]

    def settle(self, winner: Scale) -> None:
        """Go on with the net that won."""
        self.stages.net = winner.stages.net

    def choose(self, state: TrainingState) -> FlowMap:
        """Return the net at its best, or a closed form if that is better."""
        history, stages = self.history, self.stages
        history.records, history.seconds = state.records, state.seconds
        polynomial = stages.polynomial
        error = state.best_error
        if math.isfinite(error):
            stages.net.load_state_dict(state.best)
            if self.job.recipe.rollout_steps > 1:
                # Errors over several steps do not compare with the polynomial's over one.
                error = stages.one_step_error(stages.net)
        if stages.table is not None and stages.table_error < min(error, stages.polynomial_error):
            history.validation_error = stages.table_error
            return stages.table
        if polynomial is not None and not error < stages.polynomial_error:
            history.validation_error = stages.polynomial_error
            return polynomial.to(self.job.torch_dtype)
        if math.isfinite(error):
            history.validation_error = error
            return stages.net
        raise TrainingError(
            f"The loss of step size {self.job.step_size} was not finite at any learning rate; look "
            "for outliers in the data, or lower learning_rate."
        )

    def finish(self, flow_map: FlowMap) -> tuple[FlowMap, History]:
        """Complete the history of what was chosen."""
        history, validation = self.history, self.stages.validation
        history.flow_map = flow_map.describe()
        with torch.inference_mode():
            states = torch.from_numpy(validation[0]).to(self.job.torch_dtype)
            predicted = flow_map.within(states).double().numpy()
        truth = validation[1 : 1 + flow_map.outputs].swapaxes(0, 1)
        history.one_step_mse = float(np.mean(np.square(predicted - truth)))
        history.seconds = max(self.clock.elapsed, history.seconds)
        return flow_map.eval(), history


def _worth_synthesising(job: ScaleJob, stages: Stages) -> bool:
    """Whether a net will be trained, long enough to be short of recorded windows."""
    recipe, tuning = job.recipe, job.tuning
    enough = not job.polynomial_only and (recipe.max_steps or 0) >= tuning.synthetic_steps
    enough &= job.time_limit is None or job.time_limit >= tuning.synthetic_seconds
    possible = (
        recipe.synthetic > 0 and recipe.polynomial_degree > 0 and recipe.windows == "anywhere"
    )
    return enough and possible and stages.polynomial_error > tuning.synthetic_above


def _worth_a_table(job: ScaleJob, stages: Stages) -> bool:
    few = stages.validation.shape[-1] <= MOST_FEATURES
    return few and job.recipe.tables and (job.time_limit or math.inf) >= _LEAST_TABLE_SECONDS


def _tabulate(
    job: ScaleJob,
    stages: Stages,
    synthetic: SyntheticWindows,
    progress: Progress | None,
    clock: Clock,
) -> None:
    """Tabulate the composed fine map, and measure the table as it will be stepped."""
    size = float(np.square(stages.sigma).mean())
    recorded = job.train.draw(_N_POPULATION, batch=_POPULATION_BATCH)[0]
    table = tabulate(
        synthetic.step,
        np.concatenate([synthetic.windows[0], recorded]),
        synthetic.fine.low.numpy(),
        synthetic.fine.high.numpy(),
        tolerance=_TABLE_TOLERANCE * size,
        progress=alive(job, progress),
        clock=clock,
    )
    stages.table = table.to(job.torch_dtype)
    stages.table_error = stages.one_step_error(stages.table)


def train_net(scale: Scale, progress: Progress | None) -> FlowMap:
    """Train the net; fall back on smaller learning rates, and on the polynomial if it is better."""
    if scale.job.recipe.optimizer == "ridge":
        state = solve_last_layer(_in_time(scale.job, scale.clock), scale.stages, progress)
        scale.history.stopped_by = "closed form"
        return scale.choose(state)
    nets = scale.contest()
    if nets:
        quiet = alive(scale.job, progress)
        errors = [
            attempt(replace(net, clock=scale.clock.part(PILOT)), FACTORS[:1], quiet).best_error
            for net in nets
        ]
        scale.settle(nets[errors[1] < errors[0]])
    return scale.choose(attempt(scale, FACTORS, progress))


def alive(job: ScaleJob, progress: Progress | None) -> Callable[..., None] | None:
    """Return the progress of what precedes training: that the scale is at its beginning."""
    if progress is None:
        return None
    return lambda *_: progress(0, job.recipe.max_steps or 1, math.inf)


def attempt(
    scale: Scale,
    factors: Sequence[float],
    progress: Progress | None,
    state: TrainingState | None = None,
) -> TrainingState:
    """Train with falling learning rates until errors stay finite; return the best or ``state``."""
    state = state or TrainingState()
    for factor in factors:
        if scale.clock.is_over and state.best:
            break
        job = _in_time(scale.job, scale.clock)
        tried = train(NetTraining(job, scale.stages, factor, scale.history, progress))
        if tried.best_error < state.best_error:
            state = tried
        if scale.history.stopped_by != BLEW_UP:
            break
    return state


def _in_time(job: ScaleJob, clock: Clock) -> ScaleJob:
    """Return the job with the seconds that its clock has left."""
    return replace(job, time_limit=max(clock.left, 1e-9)) if clock.is_limited else job
