"""The search for closed forms: fitted to one part of the data, stepped through another."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pyhits.errors import ArgumentError
from pyhits.flowmaps import FlowMap
from pyhits.flowmaps.form import Finer, Form, Increments, closed_forms
from pyhits.training.history import History
from pyhits.training.jobs import Progress
from pyhits.training.rollouts import LOST, Rollouts
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError

#: Windows of a field that forms are compared on, at most, and windows that errors are measured on.
N_SEARCH = 1_000

#: Windows that a search begins with where its family grows costly with them.
_N_BEGIN = 350

#: Highest degree of polynomials.
_MOST_DEGREE = 14

#: Multiply-adds a second, at least.
_SPEED = 2e9

#: Forms that a search usually tries.
_USUAL = 60

#: Windows up to which blocks of the training part are left out in turn as well; how many blocks;
#: and windows that must be left to fit to.
FEW_WINDOWS, _BLOCKS, _LEAST_WINDOWS = 200, 4, 3

#: Numbers in the states that forms are fitted to, at most, but for so many states at least.
_MOST_NUMBERS, _LEAST_FIELDS = 1 << 23, 4

#: Score below which rounding decides, and no form is better than another; of fields, whose forms
#: take longer, below which none is worth trying.
_EXACT, _EXACT_FIELDS = 1e-8, 1e-6

#: Multiple of the best family's score at the finest scale that others may have.
_FAR_BEHIND = 30.0


#: Parts of the mean's error: from which on rollouts tell nothing, and below which shorter ones do;
#: how much shorter, and steps of these at least.
_UNTOLD, _TOLD, _SHORTER, _LEAST_STEPS = 0.6, 0.1, (0.25, 0.06), 3

#: Multiple of another family's score that more trials, or more windows, hardly make up for.
_FAR = 20.0


@dataclass(frozen=True)
class ScoredForm:
    """A form and how well it steps.

    Attributes
    ----------
    form : Form
    score : float
        Mean error of the rollouts in standard deviations, each error at most 1.4 of them.
    """

    form: Form
    score: float


class FormSearch:
    """Tries forms of one scale, the cheap families first, and remembers the best of each.

    Parameters
    ----------
    train, validation : WindowSampler
        To fit to, and to step through.
    families : str or sequence of str
        ``closed`` or ``best`` for all of them, or the names of some.
    max_degree : int
        Of polynomials, at most; below kernels too.
    history : History
        Receives one record a form.
    progress : callable, optional
    clock : Clock, optional
        The search ends with it, but for one form at least.
    finer : Finer, optional
        What the finest scale has come to: families that were far behind there are not tried.

    Attributes
    ----------
    best : dict of str to ScoredForm
        By the name of the family.
    comparisons : list of Comparison
    """

    def __init__(
        self,
        train: WindowSampler,
        validation: WindowSampler,
        families: str | Sequence[str] = "closed",
        *,
        max_degree: int = _MOST_DEGREE,
        history: History | None = None,
        progress: Progress | None = None,
        clock: Clock = UNLIMITED,
        finer: Finer | None = None,
    ) -> None:
        self.comparisons = [Comparison(*pair, finer) for pair in _splits(train, validation)]
        self.data = self.comparisons[0].data
        known = closed_forms()
        wide = self.data.dimension
        chosen = [of for of in known.values() if of.in_every_search and wide <= of.widest]
        named = [families] if isinstance(families, str) else families
        some = [known[name] for name in named if name in known]
        chosen = some or _not_far_behind(chosen, finer)
        self.families = sorted(chosen, key=lambda of: of.work(self.data.dimension))
        self.max_degree = min(max_degree, _MOST_DEGREE)
        self.history = history or History(train.step_size)
        self.progress = progress
        self.clock = clock
        self.begin = clock.now()
        self.best: dict[str, ScoredForm] = {}

    def run(self) -> ScoredForm:
        """Return the best form of all families asked for.

        Where all forecasts are lost long before the rollouts end, as of maps that are chaotic from
        row to row, luck decides among them: they are searched again by the first steps of these.
        """
        best = self._best_of_all()
        shorter = self._that_tell_more(best)
        if shorter is None or self._is_late():
            return best
        self.comparisons, self.best = shorter, {}
        return self._best_of_all()

    def _that_tell_more(self, best: ScoredForm) -> list[Comparison] | None:
        """Return comparisons by fewer steps, if forms err by little there and by much in all."""
        if best.score < _UNTOLD * self.of_mean or self.data.grid is not None:
            return None
        for share in _SHORTER:
            few = [comparison.of_first(share) for comparison in self.comparisons]
            if min(len(comparison.rollouts.truth) for comparison in few) < _LEAST_STEPS:
                return None
            known = (few[0].scores(one.form, near=True) for one in self.best.values())
            if min(min(own.values()) for own in known) < _TOLD * few[0].rollouts.of_mean:
                return few
        return None

    def _best_of_all(self) -> ScoredForm:
        """Search all families, and return the best form."""
        for family in self.families:
            if self.settled:
                break
            if self.best and not self.clock.affords(family.work(self.data.dimension) / _SPEED):
                self.clock.cut("the search for closed forms")
                break
            self._search(family)
        if not self.best:
            family = self.families[-1]
            raise ArgumentError(
                f"flow_map={family.kind!r} is for {family.needs}, or leave flow_map out."
            )
        return min(self.best.values(), key=lambda scored: scored.score)

    def _search(self, family: type[Form]) -> None:
        """Search one family: where that is costly, among few windows first."""
        data = self.data_of(family)
        if not family.begins_with_few or len(data) < 2 * _N_BEGIN:
            family.search(FamilyTrials(self, family.kind, data))
            return
        every = self.comparisons
        self.comparisons = [comparison.of_few(_N_BEGIN) for comparison in every]
        trials = FamilyTrials(self, family.kind, self.comparisons[0].data)
        family.search(trials)
        self.comparisons = every
        if trials.is_far:
            return
        best = self.best.pop(family.kind).form
        for form in (best, *best.neighbours()):
            self.trial(form, near=True, gain=1.0)

    def judge(self, flow_map: FlowMap, clock: Clock = UNLIMITED) -> float:
        """Return the score of a flow map that was fitted to the training part.

        Raises
        ------
        TimeIsUpError
        """
        return self.comparisons[0].rollouts.score(flow_map, clock)

    def data_of(self, family: type[Form]) -> Increments:
        """Return the windows that a family is chosen on."""
        return self.comparisons[0].data_of(family)

    @property
    def of_mean(self) -> float:
        """The score of forecasts that stay at the mean."""
        return self.comparisons[0].rollouts.of_mean

    @property
    def settled(self) -> bool:
        """Whether a form is exact, or time is over."""
        enough = _EXACT if self.data.grid is None else _EXACT_FIELDS
        exact = any(scored.score < enough for scored in self.best.values())
        return exact or self._is_late()

    def _is_late(self) -> bool:
        """Whether time is over, and there is a form."""
        late = bool(self.best) and self.clock.is_over
        if late:
            self.clock.cut("the search for closed forms")
        return late

    def trial(self, form: Form, *, near: bool, gain: float) -> bool:
        """Fit and step a form with penalties near its own; return whether it is its family's best.

        A better one than the best so far has a score below ``gain`` times that.
        """
        if self._is_late():
            return False
        # Something must be found, however late.
        clock = self.clock if self.best else UNLIMITED
        errors: dict[Form, list[float]] = {}
        try:
            for comparison in self.comparisons:
                for one, error in comparison.scores(form, near=near, clock=clock).items():
                    errors.setdefault(one, []).append(error)
        except TimeIsUpError:
            self.clock.cut("the search for closed forms")
            return False
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            return False  # normal equations that nothing can be made of
        # What cannot be solved for in one of the comparisons is lost there.
        n = len(self.comparisons)
        scores = {one: (sum(own) + LOST * (n - len(own))) / n for one, own in errors.items()}
        chosen = min(scores, key=lambda one: scores[one])
        known = self.best.get(form.kind)
        better = known is None or scores[chosen] < gain * known.score
        if better:
            self.best[form.kind] = ScoredForm(chosen, scores[chosen])
        self._record(chosen, scores[chosen])
        return better

    def _record(self, form: Form, score: float) -> None:
        tried = len(self.history.records) + 1
        self.history.records.append(
            {
                "step": tried,
                "seconds": self.clock.now() - self.begin,
                "validation_error": score,
                "penalty": form.penalty,
            }
        )
        if self.progress is not None:
            best = min(scored.score for scored in self.best.values())
            self.progress(tried, max(tried + 1, _USUAL), best)


@dataclass(frozen=True)
class FamilyTrials:
    """The trials of one family in a search; see :class:`~pyhits.flowmaps.form.Trials`."""

    search: FormSearch
    kind: str
    data: Increments

    @property
    def max_degree(self) -> int:
        """Highest degree that may be tried."""
        return self.search.max_degree

    @property
    def best(self) -> Form | None:
        """The best form of the family so far."""
        return self.search.best[self.kind].form if self.kind in self.search.best else None

    @property
    def score(self) -> float:
        """Its score; infinite without one."""
        return self.search.best[self.kind].score if self.kind in self.search.best else math.inf

    @property
    def score_of_any(self) -> float:
        """The lowest score of any family so far; infinite without one."""
        return min((one.score for one in self.search.best.values()), default=math.inf)

    @property
    def is_far(self) -> bool:
        """Whether a family searched before does so much better that this one will not win."""
        known = self.search.best.items()
        others = [one.score for kind, one in known if kind != self.kind]
        return self.score > _FAR * min(others, default=math.inf)

    @property
    def settled(self) -> bool:
        """Whether a form of any family is exact, or time is over."""
        return self.search.settled

    def __call__(self, form: Form, *, near: bool = True, gain: float = 1.0) -> bool:
        """Try a form; return whether it is the best of its family by ``gain``."""
        return self.search.trial(form, near=near, gain=gain)


class Comparison:
    """A part of the data to fit forms to, and another to step them through.

    Attributes
    ----------
    data : Increments
    rollouts : Rollouts
    """

    def __init__(
        self, train: WindowSampler, validation: WindowSampler, finer: Finer | None = None
    ) -> None:
        most = max(of.most_states[0] for of in closed_forms().values())
        self.data = increments(train, N_SEARCH if train.grid is not None else most, finer)
        self.rollouts = Rollouts.of(validation)

    def of_few(self, count: int) -> Comparison:
        """Return the same with ``count`` of the windows to fit to, evenly chosen."""
        found = copy.copy(self)
        found.data = self.data.at_most(count)
        return found

    def of_first(self, share: float) -> Comparison:
        """Return the same by rollouts of the first part of their steps."""
        found = copy.copy(self)
        steps = max(1, round(share * len(self.rollouts.truth)))
        found.rollouts = replace(self.rollouts, truth=self.rollouts.truth[:steps])
        return found

    def data_of(self, family: type[Form]) -> Increments:
        """Return as many of the windows as a family is chosen on."""
        most = family.most_states[0]
        if len(self.data) <= most:
            return self.data
        return self.data.once(("at most", most), lambda: self.data.at_most(most))

    @torch.inference_mode()
    def scores(self, form: Form, *, near: bool, clock: Clock = UNLIMITED) -> dict[Form, float]:
        """Return the score of a form with each of the penalties that are worth trying."""
        data = self.data_of(type(form))
        data.clock = clock
        forms, steps = form.candidates(data, near=near)
        return dict(zip(forms, self.rollouts.rate(steps, len(forms), clock), strict=True))


def _not_far_behind(families: list[type[Form]], finer: Finer | None) -> list[type[Form]]:
    """Return the families that were near the best at the finest scale; all without one."""
    if finer is None:
        return families
    scores = {of: finer.scores.get(of.kind, math.inf) for of in families}
    return [of for of in families if scores[of] <= _FAR_BEHIND * min(scores.values())]


def increments(
    windows: WindowSampler, most: int, finer: Finer | None = None, clock: Clock = UNLIMITED
) -> Increments:
    """Return states and their changes at all outputs, of evenly chosen windows."""
    rows = windows.even_rows(
        max(_LEAST_FIELDS, min(most, _MOST_NUMBERS // windows.values.shape[1]))
    )
    found = windows.gather(rows)
    changes = found[1 : 1 + windows.outputs] - found[0]
    if windows.n_inputs:
        changes[..., -windows.n_inputs :] = 0.0
    changes = changes.swapaxes(0, 1).reshape(len(rows), -1)
    zero = windows.encoder.transform(np.zeros((1, windows.values.shape[1])))[0]
    return Increments(found[0], changes, windows.grid, windows.moves(rows), finer, zero, clock)


def _splits(
    train: WindowSampler, validation: WindowSampler
) -> list[tuple[WindowSampler, WindowSampler]]:
    """Return what to fit to and what to step through: validation data, and blocks of few rows.

    Without validation data, blocks of the training data stand in: a kernel meets every row that it
    was fitted to.
    """
    shapes = train.values.shape, validation.values.shape
    same = shapes[0] == shapes[1] and np.array_equal(train.values, validation.values)
    splits = [] if same else [(train, validation)]
    points = 1 if train.grid is None else train.grid.n_points  # each is a window of its own
    if same or train.n_windows * points <= FEW_WINDOWS:
        splits += _blocks(train)
    return splits or [(train, validation)]


def _blocks(data: WindowSampler) -> list[tuple[WindowSampler, WindowSampler]]:
    """Return the data without each of some blocks of rows, and that block."""
    edges = np.linspace(0, len(data.values), _BLOCKS + 1).astype(int)
    blocks = []
    for low, high in itertools.pairwise(edges):
        inside, outside = [], []
        for begin, end in itertools.pairwise(data.offsets):
            # A block starts from the row before it.
            inside.append((max(begin, low - 1), min(end, high)))
            outside += [(begin, min(end, low)), (max(begin, high), end)]
        rest, block = _part(data, outside), _part(data, inside)
        if rest is not None and block is not None and rest.n_windows >= _LEAST_WINDOWS:
            blocks.append((rest, block))
    return blocks


def _part(data: WindowSampler, spans: Sequence[tuple[int, int]]) -> WindowSampler | None:
    """Return the windows of some spans of rows, None if there are none."""
    span = data.rollout_steps * data.step_size
    long = [(begin, end) for begin, end in spans if end - begin > span]
    if not long:
        return None
    values = np.concatenate([data.values[begin:end] for begin, end in long])
    lengths = [end - begin for begin, end in long]
    return replace(data, values=values, offsets=np.concatenate([[0], np.cumsum(lengths)]))
