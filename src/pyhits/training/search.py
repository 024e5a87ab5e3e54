"""The search for closed forms: fitted to one part of the data, stepped through another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from pyhits.errors import ArgumentError
from pyhits.flowmaps import FlowMap
from pyhits.flowmaps.form import Finer, Form, Increments, closed_forms
from pyhits.training.comparison import Comparison, in_turn, splits
from pyhits.training.history import History
from pyhits.training.jobs import Progress
from pyhits.training.rollouts import LOST
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError

#: Windows that a search begins with where its family grows costly with them.
_N_BEGIN = 350

#: Highest degree of polynomials.
_MOST_DEGREE = 14

#: Multiply-adds a second, at least.
_SPEED = 2e9

#: Forms that a search usually tries.
_USUAL = 60

#: Score below which rounding decides, and no form is better than another; of fields, whose forms
#: take longer, below which none is worth trying.
_EXACT, _EXACT_FIELDS = 1e-8, 1e-6

#: Multiple of the best family's score at the finest scale that others may have.
_FAR_BEHIND = 30.0

#: Score from which on it matters which trajectories choose.
_INEXACT = 1e-3

#: Parts of the mean's error: from which on rollouts tell nothing, and below which shorter ones do;
#: how much shorter, and steps of these at least.
_UNTOLD, _TOLD, _SHORTER, _LEAST_STEPS = 0.6, 0.1, (0.25, 0.06), 3

#: Multiple of the best score up to which forms are compared on other trajectories too, and how many
#: of a family.
_NEAR_BEST, _FINALISTS = 3.0, 4

#: Multiple of another family's score that more trials, or more windows, hardly make up for.
_FAR = 20.0


@dataclass(frozen=True)
class ScoredForm:
    """A form and how well it steps."""

    form: Form
    #: Mean error of the rollouts in standard deviations, each error at most 1.4 of them.
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
    clock : Clock, optional
        The search ends with it, but for one form at least.
    finer : Finer, optional
        What the finest scale has come to: families that were far behind there are not tried.

    Attributes
    ----------
    best : dict of str to ScoredForm
        By the name of the family.
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
        self.comparisons = [Comparison(*pair, finer) for pair in splits(train, validation)]
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
        self._tried: dict[Form, float] = {}
        self._others = partial(in_turn, train, validation, self.comparisons[0], finer)

    def run(self) -> ScoredForm:
        """Return the best form of all families asked for.

        Where all forecasts are lost long before the rollouts end, as of maps that are chaotic from
        row to row, luck decides among them: they are searched again by the first steps of these.
        """
        best = self._best_of_all()
        shorter = self._that_tell_more(best)
        if shorter is None or self._is_late():
            return self._on_other_trajectories(best)
        self.comparisons, self.best = shorter, {}
        return self._best_of_all()

    def _on_other_trajectories(self, best: ScoredForm) -> ScoredForm:
        """Return which of the best forms steps best through other trajectories too.

        Those of a few of them choose by chance: that they stay within what the others visit, say.
        Forms that lead far away from a little beyond the data are left out.
        """
        if self.settled or best.score < _INEXACT:
            return best
        others = self._others()
        finalists = self._finalists(best.score, others[-1]) if others else []
        if not finalists:
            return best
        first, found = self.comparisons, self.best
        self.comparisons, self.best = first + others, {}
        for form in finalists:
            self.trial(form, near=True, gain=1.0)
        winner = min(self.best.values(), key=lambda scored: scored.score, default=best).form
        # What nets are compared with stays the best score on the validation part, and its form.
        self.comparisons, self.best = first, found | {winner.kind: ScoredForm(winner, best.score)}
        return self.best[winner.kind]

    def _finalists(self, least: float, beyond: Comparison) -> list[Form]:
        """Return the best forms of each family that stay near the data; one that is near the best.

        Where none of those does, the next best that does.
        """
        looked_at = set()
        found: dict[str, list[Form]] = {}
        for form, score in sorted(self._tried.items(), key=lambda of: of[1]):
            if self._is_late() or (found and score > _NEAR_BEST * least):
                break
            shape = replace(form, penalty=0.0)
            own = found.get(form.kind, [])
            if shape not in looked_at and len(own) < _FINALISTS and self._stays(form, beyond):
                found[form.kind] = [*own, form]
            looked_at.add(shape)
        return [form for own in found.values() for form in own]

    def _stays(self, form: Form, beyond: Comparison) -> bool:
        """Whether a form stays near the data with one of its penalties."""
        try:
            return min(beyond.scores(form, near=True, clock=self.clock).values()) < LOST
        except (TimeIsUpError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
            return False

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
            self._go_through(family, FamilyTrials(self, family.kind, data))
            return
        every = self.comparisons
        self.comparisons = [comparison.of_few(_N_BEGIN) for comparison in every]
        trials = FamilyTrials(self, family.kind, self.comparisons[0].data)
        self._go_through(family, trials)
        self.comparisons = every
        if trials.is_far:
            return
        best = self.best.pop(family.kind).form
        for form in (best, *best.neighbours()):
            self.trial(form, near=True, gain=1.0)

    def _go_through(self, family: type[Form], trials: FamilyTrials) -> None:
        """Search one family until time is over."""
        try:
            family.search(trials)
        except TimeIsUpError:
            self.clock.cut("the search for closed forms")

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
        self._tried |= scores
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
    #: What has been tried, and is no better when it is tried again.
    tried: set[tuple[Form, bool]] = field(default_factory=set)

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
        if (form, near) in self.tried:
            return False
        self.tried.add((form, near))
        return self.search.trial(form, near=near, gain=gain)


def _not_far_behind(families: list[type[Form]], finer: Finer | None) -> list[type[Form]]:
    """Return the families that were near the best at the finest scale; all without one."""
    if finer is None:
        return families
    scores = {of: finer.scores.get(of.kind, math.inf) for of in families}
    return [of for of in families if scores[of] <= _FAR_BEHIND * min(scores.values())]
