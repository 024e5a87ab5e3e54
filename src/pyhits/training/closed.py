"""Flow maps for few points: closed forms of several families, chosen by rollouts.

With some hundred to some thousand points a net alone loses to a regression that is solved for.
Which one does best differs from system to system, and one-step errors do not tell: so forms of
several families are fitted to the training part and stepped through the validation part, from many
of its states at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from pyhits.data.grid import Grid
from pyhits.errors import FileFormatError, TrainingError
from pyhits.flowmaps import BoundedMap, Bounds, FlowMap, PolynomialMap, ScaledNet, bare
from pyhits.flowmaps.form import Finer, Form, closed_forms
from pyhits.training.comparison import FEW_WINDOWS, N_SEARCH, increments
from pyhits.training.convolution import USUAL_CONVOLUTION, train_convolution
from pyhits.training.history import History
from pyhits.training.jobs import Progress, ScaleJob
from pyhits.training.nets import NET, TrainedNet, best_net, trained_again
from pyhits.training.search import FormSearch, ScoredForm
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError

#: Part of a scale's time that its search has; the rest is for nets, and to solve for the best form.
_FOR_SEARCH = 0.5

#: Score below which closed forms do well enough that no net is tried; and steps that the training
#: part must be long in all, since nets of fewer did not win; and of coarse steps, since of fewer
#: forecasts with their nets erred no less than with the finest alone.
_NEAR_EXACT, _LEAST_STEPS, _LEAST_COARSE_STEPS = 0.02, 100, 1000

#: Coordinates of states, at most: nets of few points make nothing of more.
_MOST_OF_NETS = 16

#: Multiple of the best closed form's score that a net may have. That score is the best of some
#: hundred, so it flatters: on rows that chose neither, nets up to the multiple mostly err less
#: (benchmarks/few_nets.py). And the score from which on rollouts are about lost, whatever steps
#: them, so that nets have nothing to show.
_NET_HANDICAP, HOPELESS = 1.5, 0.8

#: Part of the mean's score that a closed form must reach for nets to be tried: where nothing is
#: known of the future, they know no more.
_NOISE = 0.75

#: Part of the best closed form's score that a net of the finest scale must reach for coarser ones
#: to have any.
_GAIN = 0.8

#: Error of the finest map of points, in deviations, up to which a fit looks at nothing else.
GOOD = 0.1

#: Parts of its time that a convolutional net first has where something else does better than poor
#: closed forms, and seconds without which one is left out. A net is given up whose error is so many
#: times the other's, or larger than it and hardly smaller than after half the time.
_BRIEF, _LEAST_BRIEF, _FAR_BEHIND, _STALLED = (1 / 16, 1 / 8), 2.0, 3.0, 0.9

#: Part of the inner points that never move from which on something else is asked for in any case.
_LAND = 0.01

#: Numbers in the windows of a field from which on a convolutional net has its whole time to train;
#: and the seconds that one has at least.
_NUMBERS_FOR_ALL, _LEAST_SECONDS = 400_000, 3.0

#: Numbers of the states that errors of one step are measured on, at most, but of so many states.
_NUMBERS_MEASURED, _FEWEST_MEASURED = 1 << 19, 8

#: Multiple of the best closed form's score up to which a polynomial is a net's base.
_SENSIBLE = 2.0

#: The same up to which a linear map is as good, since the best of some hundred flatters, and the
#: part of the mean's score that it must reach.
_AS_GOOD, _WELL = 1.5, 0.3


def fit_closed_form(job: ScaleJob, progress: Progress | None = None) -> tuple[FlowMap, History]:
    """Return the flow map of one scale in the family that rollouts of the validation part prefer.

    Raises
    ------
    DataError
        No trajectory is long enough for the step size.
    """
    history = History(job.step_size, n_windows=job.train.n_windows, stopped_by="closed form")
    clock = Clock.start(job.time_limit)
    search = FormSearch(
        job.train,
        job.validation,
        job.recipe.flow_map,
        max_degree=job.recipe.polynomial_degree,
        history=history,
        progress=progress,
        clock=clock.part(_FOR_SEARCH),
        finer=job.finer,
    )
    best = search.run()
    history.scores = {family: scored.score for family, scored in search.best.items()}
    net = competing_net(job, search, best, history, progress, clock)
    flow_map: FlowMap
    if net is not None and net.score < min(_NET_HANDICAP * best.score, HOPELESS):
        flow_map = net.net
        if net.base is not None:
            history.form = search.best["polynomial"].form.as_dict()
    else:
        history.stopped_by = "closed form"
        data = first = search.data_of(type(best.form))
        if not clock.is_over:
            data = increments(job.train, best.form.most_states[1], job.finer, clock)
        flow_map = best.form.solve_again(data, lambda: best.form.solve(first))
        flow_map = _bounded(flow_map.to(job.torch_dtype).eval(), job)
        history.form = best.form.as_dict() | {"score": best.score}
    history.flow_map = flow_map.describe()
    _measure(history, flow_map, job)
    if search.clock.shortened:
        history.stopped_by = "time"
    history.seconds = clock.elapsed
    return flow_map, history


def may_try_nets(job: ScaleJob) -> bool:
    """Whether nets are asked for, and there is enough to train one on."""
    n_rows, is_field = len(job.train.values), field_of(job) is not None
    if not job.recipe.with_nets or n_rows < _LEAST_STEPS * job.step_size:
        return False
    if is_field:
        return True
    if job.finer is not None and n_rows < _LEAST_COARSE_STEPS * job.step_size:
        return False
    return job.train.n_windows > FEW_WINDOWS and job.train.values.shape[1] <= _MOST_OF_NETS


def field_of(job: ScaleJob) -> Grid | None:
    """Return the grid of a scale whose net is convolutional; None of other nets."""
    return None if job.train.n_inputs else job.train.grid


def competing_net(
    job: ScaleJob,
    search: FormSearch,
    best: ScoredForm,
    history: History,
    progress: Progress | None = None,
    clock: Clock = UNLIMITED,
) -> TrainedNet | None:
    """Return a net where it is asked for and closed forms leave something to gain.

    Its score is put into the history.
    """
    grid, finer = field_of(job), job.finer
    if not may_try_nets(job) or best.score < _NEAR_EXACT:
        return None
    if finer is not None and not _may_gain(finer):
        return None
    if grid is not None:
        # Where the finest scale's net was given up, coarser ones have none.
        if finer is not None and NET not in finer.scores:
            return None
        return _convolution(job, grid, search, best, history, progress, clock)
    if len(search.comparisons) > 1 or best.score > _NOISE * search.of_mean:
        return None
    polynomial, base = search.best.get("polynomial"), None
    if polynomial is not None and _is_linear(search, polynomial, best):
        return None
    if polynomial is not None and polynomial.score < _SENSIBLE * best.score:
        solved = polynomial.form.solve(search.data)
        base = solved if isinstance(solved, PolynomialMap) and solved.degree > 0 else None
    bases = [None] if base is None else [base, None]  # that upon a base takes less time
    if finer is not None and NET in finer.scores:
        bases = bases[:1] if finer.form else bases[-1:]  # as the finest scale's
    net = best_net(
        job, search.judge, history, bases=bases, bar=best.score, clock=clock, progress=progress
    )
    if net is not None:
        history.scores[NET] = net.score
    return net


def _is_linear(search: FormSearch, polynomial: ScoredForm, best: ScoredForm) -> bool:
    """Whether a linear map does well, and nothing curved clearly better: nets learn the noise."""
    score = polynomial.score
    if polynomial.form.degree > 1:
        score = search.judge(replace(polynomial.form, degree=1).solve(search.data))
    return score < min(_AS_GOOD * best.score, _WELL * search.of_mean)


def _may_gain(finer: Finer) -> bool:
    """Whether nets of coarse steps may do better than closed forms, by what the finest has shown.

    They come near no closed form that does well there, and where a net did not do clearly better
    at the finest scale, which has the most rows, others will not.
    """
    closed = min(score for family, score in finer.scores.items() if family != NET)
    if closed < _NEAR_EXACT and finer.form:
        return False
    return finer.scores.get(NET, 0.0) < _GAIN * closed


def _convolution(
    job: ScaleJob,
    grid: Grid,
    search: FormSearch,
    best: ScoredForm,
    history: History,
    progress: Progress | None,
    clock: Clock,
) -> TrainedNet | None:
    """Return a convolutional net, of coarse steps a brief one.

    None where its loss blew up, or something else does so much better that it will not win.

    It is kept within the bounds of the data: what meets these is lost, and never far beyond them.
    """
    if not clock.affords(2 * _LEAST_SECONDS):
        clock.cut("the training of convolutional nets")
        return None
    share = min(1.0, job.train.n_windows * grid.n_features / _NUMBERS_FOR_ALL)
    seconds = max(_LEAST_SECONDS, USUAL_CONVOLUTION.seconds * share / job.step_size**0.5)
    trained = partial(
        train_convolution,
        job.train,
        job.validation,
        grid,
        judge=partial(search.judge, clock=clock),
        clock=clock,
        seed=job.seed,
        progress=progress,
    )
    try:
        is_open = best.score > GOOD or has_land(job.train.values, grid)
        if job.rival is not None and is_open and _falls_behind(job.rival(), trained, seconds):
            return None
        net, made = trained(recipe=replace(USUAL_CONVOLUTION, seconds=seconds))
    except (TrainingError, TimeIsUpError):
        return None
    done = len(history.records)
    history.records += [record | {"step": done + record["step"]} for record in made.records]
    history.stopped_by = made.stopped_by
    history.scores[NET] = made.validation_error
    bounded = BoundedMap.around(net.to(job.torch_dtype), bounds_of(job.train))
    return TrainedNet(bounded, made.validation_error)


def has_land(values: np.ndarray, grid: Grid) -> bool:
    """Whether fields have points that never move, as land or an obstacle, which no map expects."""
    moving = (np.ptp(grid.array(values), axis=0) > 0).any(axis=-1)
    inside = tuple(slice(1, -1) if n > 2 else slice(None) for n in grid.shape)
    return bool(moving.any() and 1 - moving[inside].mean() > _LAND)


def _falls_behind(
    rival: float, trained: Callable[..., tuple[FlowMap, History]], seconds: float
) -> bool:
    """Whether a net that is trained briefly, then twice as long, does not come near a rival.

    None comes near one that is right.
    """
    if rival < _NEAR_EXACT:
        return True
    before, is_stalled = math.inf, False
    for brief in (part * seconds for part in _BRIEF if part * seconds >= _LEAST_BRIEF):
        error = trained(recipe=replace(USUAL_CONVOLUTION, seconds=brief))[1].validation_error
        if error > _FAR_BEHIND * rival:
            return True
        is_stalled, before = error > max(rival, _STALLED * before), error
    return is_stalled


def fit_again(
    job: ScaleJob,
    chosen: FlowMap,
    history: History,
    *,
    finest: tuple[FlowMap, History] | None = None,
    clock: Clock = UNLIMITED,
) -> FlowMap:
    """Return the flow map that was chosen for a scale, fitted to all the windows of a job.

    Parameters
    ----------
    chosen : FlowMap
        Returned as it is where there is no time to train another net.
    history : History
        Of its choice.
    finest : FlowMap and History, optional
        What the finest scale has come to, for coarser ones.
    clock : Clock, optional
        That of this scale.
    """
    if chosen.trained_once:
        return chosen
    inner = bare(chosen)
    if isinstance(inner, ScaledNet):
        base = None
        if history.form and inner.base is not None:
            below = form_of(inner.base, history.form)
            base = below.solve(increments(job.train, below.most_states[1]))
        assert base is None or isinstance(base, PolynomialMap)
        return trained_again(job, base, clock=clock) or chosen
    if not history.form:
        return chosen
    form = form_of(inner, history.form)
    if finest is not None and form.led_by_finest:
        job = job.after(*finest)
    data = increments(job.train, form.most_states[1], job.finer, clock)
    found = form.solve_again(data, lambda: inner)
    return _bounded(found.to(job.torch_dtype).eval(), job)


def _bounded(flow_map: FlowMap, job: ScaleJob) -> FlowMap:
    """Return a closed form that fields and states of many variables keep within wide bounds."""
    windows = job.train
    if windows.n_inputs or (windows.grid is None and windows.values.shape[1] <= _MOST_OF_NETS):
        return flow_map
    bounds = bounds_of(windows).widened()
    return BoundedMap.around(flow_map, bounds) if bounds.bind else flow_map


def bounds_of(windows: WindowSampler) -> Bounds:
    """Return the bounds of the states that windows are drawn from."""
    channels = None if windows.grid is None else windows.grid.n_channels
    return Bounds.of(windows.values, windows.offsets, channels, windows.encoder.transform)


def form_of(flow_map: FlowMap, values: dict[str, Any]) -> Form:
    """Return the form of a flow map, as its history says.

    Raises
    ------
    FileFormatError
        It comes from a file that was changed.
    """
    try:
        form = closed_forms()[flow_map.kind].from_dict(values)
        if form.may_be(flow_map):
            return form
        reason = "its flow map is another"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise FileFormatError(
        f"the model says that its {flow_map.kind} was found as {values}, which cannot be: "
        f"{reason}; fit the model anew"
    )


def _measure(history: History, flow_map: FlowMap, job: ScaleJob) -> None:
    """Note the one-step errors of a flow map on the validation windows."""
    most = max(_FEWEST_MEASURED, _NUMBERS_MEASURED // job.validation.values.shape[1])
    data = increments(job.validation, min(N_SEARCH, most))
    changes = data.changes.numpy()
    with torch.inference_mode():
        like = next(flow_map.buffers())
        after = flow_map.increment(data.states.to(like.dtype)).double().numpy()
    squares = np.square(after - changes)
    size = np.square(changes).mean(axis=0)
    history.one_step_mse = float(squares.mean())
    changing = size > 0
    relative = squares.mean(axis=0)[changing] / size[changing]
    history.validation_error = float(relative.mean()) if changing.any() else 0.0
