"""The polynomial vector field behind noisy trajectories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pyhits.noise.blocks import BlockAverages, left_by_steps, of_slopes, of_steps
from pyhits.noise.field import PolynomialField
from pyhits.noise.observations import Observations, misfits, spreading, substeps_needed
from pyhits.noise.shooting import ShootingFit, fit_field, fit_initial_states
from pyhits.numerics.basis import n_monomials
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError
from pyhits.util.progress import Advance

#: Highest degree of the field, and coefficients at most.
_MOST_DEGREE, _MOST_COEFFICIENTS = 5, 200

#: Stages that progress counts: the degrees, the lengths, the last fit, its use.
_STAGES = _MOST_DEGREE + 3

#: Observed numbers that each coefficient takes at least.
_NUMBERS_EACH = 10

#: Degrees tried in vain before the search ends: odd ones add nothing to a field that is even.
_PATIENCE = 2

#: Mean squared residual below which one degree tried in vain ends the search.
_EXPLAINED = 1.1

#: Growth of a small difference over a segment that is too much: the sum of squares would have many
#: minima.
MOST_SPREADING = 30.0

#: Multiply-adds of one Gauss-Newton iteration while degrees and lengths are compared, and in the
#: last fit. They decide how many of the trajectories are used.
_WORK_SEARCH, _WORK_FINAL = 5e8, 2e10

#: Multiply-adds a second at least, and iterations that a search takes about: with a limit in time
#: they decide how much one iteration may cost.
_SPEED, _ITERATIONS = 5e8, 60

#: Steps one after another that the search for degrees may take, that for lengths, and the last fit:
#: all of them together took 115,000 for fields that were found in 800 rows.
_MOST_WORK = 100_000

#: Blocks of a trajectory that are fitted to at least.
_LEAST_BLOCKS = 64

#: Times that terms are left out and the rest is fitted again, at most.
_ROUNDS = 3


@dataclass(frozen=True)
class Identified:
    """A field, and over how many blocks its solutions follow the observations."""

    fit: ShootingFit
    length: int  # blocks of a segment
    score: float  # bayesian information criterion, of the coefficients and all initial states
    #: Mean squared residual, in units of the observations' variance: near 1 where nothing is left
    #: to explain.
    misfit: float
    #: Whether segments as long as the rows that were looked at explain them, too: no shorter ones
    #: had to do.
    longest: bool = False

    @classmethod
    def of(cls, fit: ShootingFit, length: int, observed: Observations) -> Identified:
        """Judge a fit; its score is infinite where a segment cannot be followed."""
        segments = int(np.isfinite(observed.states).any(axis=(1, 2)).sum())
        free = int(fit.field.active.sum()) + segments * observed.states.shape[2]
        total = float(fit.misfits.sum())
        count = observed.count
        return cls(fit, length, total + float(np.log(count)) * free, total / count)

    @property
    def field(self) -> PolynomialField:
        """The field."""
        return self.fit.field


def identify(
    pieces: BlockAverages,
    *,
    most_misfit: float = np.inf,
    n_threads: int = 1,
    progress: Advance | None = None,
    clock: Clock = UNLIMITED,
) -> Identified | None:
    """Find degree, terms and coefficients of the field, and the longest segments it explains.

    Degree, terms and the length of the segments are those of the least Bayesian information
    criterion (Schwarz 1978, Ann. Stat. 6, 461).

    Returns Identified or None: None where no field can be fitted: too few rows, or too many
    features; or where none explains enough.
    Raises TimeIsUpError: there was no field in time.

    Parameters
    ----------
    most_misfit : float
        Mean squared residual of the shortest segments, in units of the observations' variance,
        beyond which a field serves nothing: longer ones and fewer terms have more of it.
    n_threads : int
        Blocks of segments worked on side by side.
    progress : callable, optional
        Called with how many stages of how many are done.
    clock : Clock, optional
        The best field when it is over is returned.
    """
    best: Identified | None = None
    try:
        for better in _better_and_better(pieces, most_misfit, n_threads, progress, clock):
            best = better
    except TimeIsUpError:
        if best is None:
            raise
        clock.cut("the search for a vector field beneath the noise")
    return best if best is None or best.misfit <= most_misfit else None


def knows_noise(pieces: BlockAverages, least: float, clock: Clock) -> bool:
    """Whether a field knows what was taken for noise: its steps leave less than a part of that.

    Raises TimeIsUpError.
    """
    observed = pieces.observed
    for degree in _degrees(pieces.smoothed.shape[2], observed.count):
        left = left_by_steps(pieces, degree, clock)
        if left is not None and np.square(left / observed.sigma).mean() < 2 * least:
            return True
    return False


def _better_and_better(
    pieces: BlockAverages,
    most_misfit: float,
    n_threads: int,
    progress: Advance | None,
    clock: Clock,
) -> Iterator[Identified]:
    """Yield fields of rising degree that gain, of longer segments, and of the terms needed."""
    d = pieces.smoothed.shape[2]
    degrees = _degrees(d, pieces.observed.count)
    if not degrees:
        return

    def begin(stage: int) -> None:
        if progress is not None:
            progress(stage, _STAGES)
        clock.check()

    search, final = (
        min(work, _SPEED * clock.left / _ITERATIONS) for work in (_WORK_SEARCH, _WORK_FINAL)
    )
    sample = _some(pieces, n_monomials(d, degrees[-1]) * d, search)
    best: Identified | None = None
    for gained in _bounded(clock, partial(_of_degrees, sample, degrees, begin, n_threads)):
        best = gained
        yield best
    if best is None or not best.misfit <= most_misfit:
        return
    begin(_MOST_DEGREE)
    for longer in _bounded(clock, partial(_lengthened, sample, best, n_threads)):
        best = longer
        yield best
    begin(_MOST_DEGREE + 1)
    more = _some(pieces, best.field.coefficients.size, final)
    for finished in _bounded(clock, partial(_finished, more, best, n_threads)):
        best = finished
    yield replace(best, longest=best.length == sample.lengths()[-1])


def _bounded(clock: Clock, search: Callable[[Clock], Iterator[Identified]]) -> Iterator[Identified]:
    """Yield what a search finds until its work is too much.

    Raises TimeIsUpError: the time is over as well.
    """
    try:
        yield from search(clock.allowing(_MOST_WORK))
    except TimeIsUpError:
        clock.check()


def follow(
    field: PolynomialField,
    pieces: BlockAverages,
    length: int,
    *,
    n_threads: int = 1,
    clock: Clock = UNLIMITED,
) -> ShootingFit:
    """ShootingFit the initial states of all segments of ``length`` blocks to the field as it is."""
    starts: np.ndarray | None = None
    before = 0
    for now in pieces.lengths(length):
        begin = pieces.starts(now, starts, before)
        fit = fit_initial_states(
            field, begin, pieces.segments(now), n_threads=n_threads, clock=clock
        )
        starts, before = fit.starts, now
    return fit


def affordable(dimension: int, n_observed: int) -> bool:
    """Whether a field of any degree could be fitted to so many observed numbers."""
    return bool(_degrees(dimension, n_observed))


def _degrees(dimension: int, n_observed: int) -> list[int]:
    """Return the degrees whose terms are few enough, and have observations enough.

    Terms are counted before any is made: of many variables there are more than memory holds.
    """
    most = min(_MOST_COEFFICIENTS, n_observed // _NUMBERS_EACH)
    free = {k: n_monomials(dimension, k) * dimension for k in range(1, _MOST_DEGREE + 1)}
    return [degree for degree, count in free.items() if count <= most]


def _some(pieces: BlockAverages, p: int, work: float) -> BlockAverages:
    """Return as many of the pieces, evenly chosen, as the work on them allows."""
    d = pieces.smoothed.shape[2]
    each = 8.0 * d * d * (d + p) * np.isfinite(pieces.observed.states[..., 0]).sum(axis=1)
    n = int(np.clip(work / each.mean(), 1, len(pieces)))
    some = pieces[np.linspace(0, len(pieces) - 1, n).astype(int)]
    # Of trajectories each of which is too much, the begin.
    share = work / (n * each.mean())
    n_times = pieces.smoothed.shape[1]
    return some if share >= 1 else some.cut(max(_LEAST_BLOCKS, int(share * n_times)))


def _of_degrees(
    pieces: BlockAverages,
    degrees: list[int],
    begin: Callable[[int], None],
    n_threads: int,
    clock: Clock,
) -> Iterator[Identified]:
    """Yield the fields of rising degree that gain; ``begin`` is told each."""
    best: Identified | None = None
    failures = -1  # that of the first degree does not count
    for degree in degrees:
        begin(degree - 1)
        tried = _of_degree(pieces, degree, n_threads, clock)
        if np.isfinite(tried.score) and (best is None or tried.score < best.score):
            best, failures = tried, 0
            yield best
        else:
            failures += 1
            explained = best is not None and best.misfit <= _EXPLAINED
            if failures > (0 if explained else _PATIENCE):
                break


def _of_degree(pieces: BlockAverages, degree: int, n_threads: int, clock: Clock) -> Identified:
    """Fit a field with all terms up to a degree to the shortest segments.

    It begins from slopes or from steps, whichever explains these better: slopes of slow motion have
    less noise, steps of fast motion no bias.
    """
    length = pieces.lengths()[0]
    observed, starts = pieces.segments(length), pieces.starts(length)
    empty = PolynomialField.zero(pieces.smoothed.shape[2], degree)
    fields = [of_slopes(pieces, empty), of_steps(pieces, empty, clock)]
    field = min(fields, key=lambda one: _misfit(one, starts, observed))
    fit = fit_field(field, starts, observed, n_threads=n_threads, clock=clock)
    return Identified.of(fit, length, observed)


def _misfit(field: PolynomialField, starts: np.ndarray, observed: Observations) -> float:
    """Return the median misfit of segments that a field is followed over."""
    found = misfits(field, starts, observed, substeps_needed(field, observed))
    return float(np.median(found))


def _lengthened(
    pieces: BlockAverages, found: Identified, n_threads: int, clock: Clock
) -> Iterator[Identified]:
    """Leave out terms and fit to ever longer segments, as long as that pays; yield what gains."""
    best = found
    for length in pieces.lengths():
        observed = pieces.segments(length)
        begin = pieces.starts(length, best.fit.starts, best.length)
        if spreading(best.field, begin, observed) > MOST_SPREADING:
            break
        field = best.fit.without_idle_terms(float(np.log(observed.count)))
        now = Identified.of(
            fit_field(field, begin, observed, n_threads=n_threads, clock=clock), length, observed
        )
        if not now.score < best.score:
            begin = fit_initial_states(
                field, begin, observed, n_threads=n_threads, clock=clock
            ).starts
            again = fit_field(field, begin, observed, n_threads=n_threads, clock=clock)
            now = Identified.of(again, length, observed)
        if not now.score < best.score:
            break
        best = now
        yield best


def _finished(
    pieces: BlockAverages, found: Identified, n_threads: int, clock: Clock
) -> Iterator[Identified]:
    """Fit all terms again, to more trajectories, and leave out those that are not needed.

    Over segments so long that a chaotic field loses them, shorter ones are taken.
    """
    for length in reversed(pieces.lengths(found.length)):
        start = follow(found.field, pieces, length, n_threads=n_threads, clock=clock).starts
        observed = pieces.segments(length)
        fit = fit_field(
            found.field.with_all_free(), start, observed, n_threads=n_threads, clock=clock
        )
        for _ in range(_ROUNDS):
            field = fit.without_idle_terms(float(np.log(observed.count)))
            fewer = int(field.active.sum()) < int(fit.field.active.sum())
            fit = fit_field(field, fit.starts, observed, n_threads=n_threads, clock=clock)
            if not fewer:
                break
        finished = Identified.of(fit, length, observed)
        if finished.misfit < _EXPLAINED * max(found.misfit, 1.0):
            yield finished
            return
