"""Flow maps for few points: closed forms of several families, chosen by rollouts.

With some hundred to some thousand points a net alone loses to a regression that is solved for.
Which one does best differs from system to system, and one-step errors do not tell: so polynomials
of several degrees and penalties, and kernels of several shapes, are fitted to the training part and
stepped through the held-out part, from many of its states at once.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pyhits.data.stretches import Stretches
from pyhits.errors import DataError
from pyhits.flowmaps import FlowMap, PolynomialMap, ScaledNet
from pyhits.numerics.rollout import iterate
from pyhits.training.forms import Form, Regression, Steps, stretched
from pyhits.training.history import History
from pyhits.training.jobs import Progress, ScaleJob
from pyhits.training.nets import NET, TrainedNet, best_net, trained_again
from pyhits.training.stages import describe
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock

#: Windows that forms are compared on, and solved for in the end, at most.
_N_SEARCH, _N_SOLVE = 1_000, 2_000

#: Degrees of polynomials; terms at most, alone and as a share of the windows.
_DEGREES, _MOST_TERMS, _SHARE = range(7), 260, 0.6

#: The same of the polynomial below a kernel.
_BASE_DEGREES, _BASE_SHARE = (1, 2, 3), 0.2

#: Lengths of kernels, powers of the principal axes, and kernels, in the order of their trial.
_LENGTHS, _WHITENINGS, _KERNELS = (
    (0.25, 0.5, 1.0, 2.0, 4.0),
    (0.0, 0.5, 1.0),
    ("matern", "gaussian"),
)

#: Factors by which single axes of the best kernel are stretched, passes over them, the part of the
#: score that a stretch must reach, and the most axes.
_FACTORS, _PASSES, _GAIN, _MOST_AXES = (3.0, 1 / 3), 2, 0.97, 12

#: Rollouts of the held-out part and steps of each, at most; a state's error counts up to that many
#: standard deviations: beyond, a forecast is lost, and how far does not matter.
_ROLLOUTS, _STEPS, _LOST = 12, 100, 2.0**0.5

#: Part of a scale's time that its search has; the rest is for nets, and to solve for what is found.
_FOR_SEARCH = 0.5

#: Multiply-adds of the axes of a kernel, over the cube of the dimension, and a second's.
_AXES, _SPEED = 10, 2e9

#: Forms that a search usually tries.
_USUAL = 60

#: Windows up to which blocks of the training part are held out in turn as well; how many blocks;
#: and windows that must be left to fit to.
_FEW_WINDOWS, _BLOCKS, _LEAST_WINDOWS = 200, 4, 3

#: Score below which rounding decides, and no form is better than another.
_EXACT = 1e-12

#: Score below which closed forms do well enough that no net is tried; and steps that the training
#: part must be long in all, since nets of fewer did not win.
_NEAR_EXACT, _LEAST_STEPS = 0.02, 100

#: Multiple of the best closed form's score that a net may have. That score is the best of some
#: hundred, so it flatters: on rows that chose neither, nets up to the multiple mostly err less
#: (benchmarks/few_nets.py). And the score from which on rollouts are about lost, whatever steps
#: them, so that nets have nothing to show.
_NET_HANDICAP, HOPELESS = 1.5, 0.8

#: Multiple of the best closed form's score up to which a polynomial is a net's base.
_SENSIBLE = 2.0


@dataclass
class Found:
    """The form that a search ended with.

    Attributes
    ----------
    form : Form
    score : float
        Mean error of the rollouts in standard deviations, each error at most 1.4 of them.
    """

    form: Form
    score: float


def train_few(job: ScaleJob, progress: Progress | None = None) -> tuple[FlowMap, History]:
    """Return the flow map of one scale in the family that rollouts of the held-out part prefer.

    Raises
    ------
    DataError
        No trajectory is long enough for the step size.
    """
    history = History(job.step_size, n_windows=job.train.n_windows, stopped_by="closed form")
    clock = Clock.start(job.time_limit)
    search = Search(
        job.train,
        job.validation,
        job.recipe.flow_map,
        max_degree=job.recipe.polynomial_degree,
        history=history,
        progress=progress,
        clock=clock.part(_FOR_SEARCH),
    )
    found = search.run()
    history.scores = {family: best.score for family, best in search.best.items()}
    other = rival(job, search, found, history, progress, clock)
    flow_map: FlowMap
    if other is not None and other.score < min(_NET_HANDICAP * found.score, HOPELESS):
        flow_map, history.flow_map = other.net, describe(other.net)
        if other.net.base is not None:
            history.form = search.best["polynomial"].form.as_dict()
    else:
        history.stopped_by = "closed form"
        dtype = getattr(torch, job.dtype)
        if clock.is_over:
            flow_map = search.regression.solve(found.form).to(dtype).eval()
        else:
            flow_map = solve(job.train, found.form, dtype)
        history.form = found.form.as_dict() | {"score": found.score}
        history.flow_map = str(found.form)
        if flow_map.outputs > 1:
            history.flow_map += f", {flow_map.outputs} outputs"
    _measure(history, flow_map, job)
    if search.clock.shortened:
        history.stopped_by = "time"
    history.seconds = clock.elapsed
    return flow_map, history


def may_try_nets(job: ScaleJob) -> bool:
    """Whether nets are asked for, and there is enough to train one on."""
    few = job.train.n_windows <= _FEW_WINDOWS
    long = len(job.train.values) >= _LEAST_STEPS * job.step_size
    return job.recipe.with_nets and long and not few


def rival(
    job: ScaleJob,
    search: Search,
    found: Found,
    history: History,
    progress: Progress | None = None,
    clock: Clock = UNLIMITED,
) -> TrainedNet | None:
    """Return a net where it is asked for and closed forms leave something to gain.

    Its score is put into the history.
    """
    if len(search.folds) > 1 or not may_try_nets(job) or found.score < _NEAR_EXACT:
        return None
    polynomial, base = search.best.get("polynomial"), None
    if polynomial is not None and polynomial.score < _SENSIBLE * found.score:
        fitted = search.regression.solve(polynomial.form)
        base = fitted if isinstance(fitted, PolynomialMap) and fitted.degree > 0 else None
    made = best_net(job, search.judge, history, base=base, clock=clock, progress=progress)
    if made is not None:
        history.scores[NET] = made.score
    return made


def fit_again(
    job: ScaleJob, chosen: FlowMap, history: History, *, clock: Clock = UNLIMITED
) -> FlowMap:
    """Return the flow map that was chosen for a scale, fitted to all the windows of a job.

    Parameters
    ----------
    chosen : FlowMap
        Returned as it is where there is no time to train another net.
    history : History
        Of its choice.
    clock : Clock, optional
        That of this scale.
    """
    form = solve(job.train, Form.from_dict(history.form)) if history.form else None
    if isinstance(chosen, ScaledNet):
        base = form if isinstance(form, PolynomialMap) else None
        return trained_again(job, base, clock=clock) or chosen
    return chosen if form is None else form.to(getattr(torch, job.dtype))


def solve(windows: WindowSampler, form: Form, dtype: torch.dtype = torch.float64) -> FlowMap:
    """Return a form fitted to all windows, or to as many evenly chosen ones as are affordable."""
    return Regression(*_pairs(windows, _N_SOLVE)).solve(form).to(dtype).eval()


class Search:
    """Tries forms of one scale, the cheap ones first, and remembers the best.

    Parameters
    ----------
    train, held : WindowSampler
        To fit to, and to step through.
    families : {"closed", "polynomial", "kernel"}
    max_degree : int
        Of polynomials, at most; below kernels too.
    history : History
        Receives one record a form.
    progress : callable, optional
    clock : Clock, optional
        The search ends with it, but for one form at least.
    """

    def __init__(
        self,
        train: WindowSampler,
        held: WindowSampler,
        families: str = "closed",
        *,
        max_degree: int = _DEGREES[-1],
        history: History | None = None,
        progress: Progress | None = None,
        clock: Clock = UNLIMITED,
    ) -> None:
        self.folds = [_Fold(*pair) for pair in _folds(train, held)]
        self.regression = self.folds[0].regression
        self.families = families
        self.max_degree = max_degree
        self.history = history or History(train.step_size)
        self.progress = progress
        self.clock = clock
        self.begin = clock.now()
        self.best: dict[str, Found] = {}

    def run(self) -> Found:
        """Return the best form of all families asked for."""
        if self.families != "kernel":
            self.polynomials()
        if self.families != "polynomial" and not self._settled():
            work = _AXES * self.regression.states.shape[1] ** 3
            if self.best and not self.clock.affords(work / _SPEED):
                self.clock.cut("the search for closed forms")
            else:
                self.kernels()
        return min(self.best.values(), key=lambda found: found.score)

    def judge(self, flow_map: FlowMap) -> float:
        """Return the score of a flow map that was fitted to the training part."""
        with torch.inference_mode():
            return self.folds[0].rate(lambda states: flow_map(states[0])[None], 1)[0]

    def polynomials(self) -> None:
        """Try polynomials of rising degree."""
        for degree in range(min(self.max_degree, _DEGREES[-1]) + 1):
            if degree and not self.regression.affords(degree, _SHARE, _MOST_TERMS):
                break
            self._try(Form(degree))
            if self._settled():
                break

    def kernels(self) -> None:
        """Try kernels: one property after the other, from the best so far, then single axes."""
        dimension = self.regression.states.shape[1]
        allowed = [degree for degree in _BASE_DEGREES if degree <= self.max_degree]
        degrees = [d for d in allowed if self.regression.affords(d, _BASE_SHARE, _MOST_TERMS)]
        start = Form(degrees[0] if degrees else 0, kernel=_KERNELS[0], whitening=_WHITENINGS[-1])
        self._try(start, reach=None)
        if "kernel" not in self.best:
            return
        before = math.inf
        for _ in range(_PASSES):
            for name, values in (
                ("length", _LENGTHS),
                ("whitening", _WHITENINGS),
                ("degree", degrees),
                ("kernel", _KERNELS),
                ("length", _LENGTHS),
            ):
                best = self.best["kernel"].form
                for value in values:
                    if value != getattr(best, name):
                        self._try(best.but(name, value))
            if self.best["kernel"].score > _GAIN * before:
                break
            before = self.best["kernel"].score
        for _ in range(_PASSES if dimension <= _MOST_AXES else 0):
            before = self.best["kernel"].score
            for axis in range(dimension):
                best = self.best["kernel"].form
                for factor in _FACTORS:
                    if self._try(stretched(best, axis, factor, dimension), gain=_GAIN):
                        break
            if self.best["kernel"].score > _GAIN * before:
                break

    def _settled(self) -> bool:
        exact = bool(self.best) and min(f.score for f in self.best.values()) < _EXACT
        return exact or self._is_late()

    def _is_late(self) -> bool:
        """Whether time is over, and there is a form."""
        late = bool(self.best) and self.clock.is_over
        if late:
            self.clock.cut("the search for closed forms")
        return late

    def _try(self, form: Form, *, gain: float = 1.0, reach: int | None = 1) -> bool:
        """Fit and step a form with penalties near its own; return whether it is the best so far."""
        if self._is_late():
            return False
        found: dict[Form, list[float]] = {}
        for fold in self.folds:
            for one, error in fold.scores(form, reach).items():
                found.setdefault(one, []).append(error)
        # What cannot be solved for in one of the folds is lost there.
        lacking = {one: len(self.folds) - len(errors) for one, errors in found.items()}
        scores = {one: sum(errors) + _LOST * lacking[one] for one, errors in found.items()}
        chosen = min(scores, key=lambda one: scores[one])
        score = scores[chosen] / len(self.folds)
        family = "kernel" if form.kernel else "polynomial"
        known = self.best.get(family)
        better = known is None or score < gain * known.score
        if better:
            self.best[family] = Found(chosen, score)
        self.history.records.append(
            {
                "step": len(self.history.records) + 1,
                "seconds": self.clock.now() - self.begin,
                "validation_error": score,
                "penalty": chosen.penalty,
            }
        )
        if self.progress is not None:
            best = min(found.score for found in self.best.values())
            tried = len(self.history.records)
            self.progress(tried, max(tried + 1, _USUAL), best)
        return better


class _Fold:
    """A part of the data to fit to, and another to step through."""

    def __init__(self, train: WindowSampler, held: WindowSampler) -> None:
        self.regression = Regression(*_pairs(train, _N_SEARCH))
        self.starts, self.truth = _rollouts(held)
        self.n_inputs = held.n_inputs

    @torch.inference_mode()
    def scores(self, form: Form, reach: int | None) -> dict[Form, float]:
        """Return the score of a form with each of the penalties that are worth trying."""
        forms, steps = self.regression.family(form, reach)
        return dict(zip(forms, self.rate(steps, len(forms)), strict=True))

    def rate(self, steps: Steps, n: int) -> list[float]:
        """Return the scores of ``n`` flow maps that step together."""
        starts = self.starts.expand(n, *self.starts.shape)
        total = torch.zeros(n, dtype=torch.float64)
        own = self.starts.shape[1] - self.n_inputs
        # The next step takes the inputs of its own time.
        inputs = self.truth[..., own:] if self.n_inputs else None
        rollout = iterate(steps, starts, len(self.truth), inputs=inputs)
        for states, truth in zip(rollout, self.truth, strict=True):
            errors = (states - truth)[..., :own].square().mean(dim=2).sqrt()
            total += errors.nan_to_num(nan=_LOST).clamp(max=_LOST).mean(dim=1)
        scores: list[float] = (total / len(self.truth)).tolist()
        return scores


def _folds(train: WindowSampler, held: WindowSampler) -> list[tuple[WindowSampler, WindowSampler]]:
    """Return what to fit to and what to step through: the held-out part, and blocks of few rows.

    Where nothing is held out, blocks of the training data stand in: a kernel meets every row that
    it was fitted to.
    """
    same = train.values.shape == held.values.shape and np.array_equal(train.values, held.values)
    found = [] if same else [(train, held)]
    if same or train.n_windows <= _FEW_WINDOWS:
        found += _blocks(train)
    return found or [(train, held)]


def _blocks(data: WindowSampler) -> list[tuple[WindowSampler, WindowSampler]]:
    """Return the data without each of some blocks of rows, and that block."""
    edges = np.linspace(0, len(data.values), _BLOCKS + 1).astype(int)
    found = []
    for low, high in itertools.pairwise(edges):
        inside, outside = [], []
        for begin, end in itertools.pairwise(data.offsets):
            # A block starts from the row before it.
            inside.append((max(begin, low - 1), min(end, high)))
            outside += [(begin, min(end, low)), (max(begin, high), end)]
        pair = _part(data, outside), _part(data, inside)
        if pair[0] is not None and pair[1] is not None and pair[0].n_windows >= _LEAST_WINDOWS:
            found.append((pair[0], pair[1]))
    return found


def _part(data: WindowSampler, spans: list[tuple[int, int]]) -> WindowSampler | None:
    """Return the windows of some spans of rows, None if there are none."""
    span = data.rollout_steps * data.step_size
    kept = [(begin, end) for begin, end in spans if end - begin > span]
    if not kept:
        return None
    values = np.concatenate([data.values[begin:end] for begin, end in kept])
    lengths = [end - begin for begin, end in kept]
    return replace(data, values=values, offsets=np.concatenate([[0], np.cumsum(lengths)]))


def _pairs(windows: WindowSampler, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return states and their changes at all outputs, ``(n, d)`` and ``(n, outputs * d)``."""
    rows = windows.all_rows()
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
    found = windows.gather(rows)
    changes = found[1 : 1 + windows.outputs] - found[0]
    return found[0], changes.swapaxes(0, 1).reshape(len(rows), -1)


def _rollouts(held: WindowSampler) -> tuple[Tensor, Tensor]:
    """Return states to start from ``(n, d)``, and those to be met, ``(steps, n, d)``.

    Starts are spread over all trajectories; each rollout spans up to half of its trajectory.
    """
    size, lengths = held.step_size, np.diff(held.offsets)
    steps = min(_STEPS, max(1, int(np.median(lengths) - 1) // 2 // size))
    found = Stretches.anywhere(held.offsets, steps * size)
    if len(found) == 0:
        steps, found = 1, Stretches.anywhere(held.offsets, size)
    if len(found) == 0:
        raise DataError(f"The validation data: {held.too_short()}")
    visited = found.at_most(_ROLLOUTS).starts + size * np.arange(steps + 1)[:, None]
    states = torch.from_numpy(np.asarray(held.encoder.transform(held.values[visited])))
    return states[0], states[1:]


def _measure(history: History, flow_map: FlowMap, job: ScaleJob) -> None:
    """Note the one-step errors of a flow map on the held-out windows."""
    states, changes = _pairs(job.validation, _N_SEARCH)
    with torch.inference_mode():
        like = next(flow_map.buffers())
        after = flow_map.increment(torch.from_numpy(states).to(like.dtype)).double().numpy()
    squares = np.square(after - changes)
    size = np.square(changes).mean(axis=0)
    history.one_step_mse = float(squares.mean())
    changing = size > 0
    relative = squares.mean(axis=0)[changing] / size[changing]
    history.validation_error = float(relative.mean()) if changing.any() else 0.0
