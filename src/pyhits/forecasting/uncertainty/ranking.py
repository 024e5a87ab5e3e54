"""Errors of calibration rollouts, and their ranks, of few by what neighbouring steps tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyhits.data.stretches import evenly

#: What rounding may add to (n + 1) * level, which is often meant to be whole.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class RolloutErrors:
    """Errors of calibration rollouts."""

    #: (n, k, d): ``|truth - forecast| / unit``, NaN or infinite where a forecast diverged. A
    #: ``unit`` that differs between rollouts, such as an indicator of their difficulty, may be
    #: divided out.
    values: np.ndarray
    known: np.ndarray  # bool, (n, k): whether the recording reaches the step
    #: Int, (k,): steps since the initial state at which errors were measured, increasing.
    steps: np.ndarray
    #: Bool, (n,): which rollouts begin at the first state of a trajectory; the others overlap with
    #: these.
    leading: np.ndarray
    n_trained: int = 0  # how many of them are of training data

    @property
    def counts(self) -> np.ndarray:
        """Rollouts that reach each step, shape ``(k,)``."""
        return np.asarray(self.known.sum(axis=0))

    @property
    def overlapping(self) -> bool:
        """Whether rollouts are overlapping stretches of the same recordings."""
        return not bool(self.leading.all())

    def with_trained(self, others: RolloutErrors) -> RolloutErrors:
        """Return these together with the errors of training data at the same steps."""
        return RolloutErrors(
            np.concatenate([self.values, others.values]),
            np.concatenate([self.known, others.known]),
            self.steps,
            np.concatenate([self.leading, others.leading]),
            len(others.values),
        )

    def with_other(self, errors: np.ndarray) -> RolloutErrors:
        """Return these together with errors along other starts, (n, horizon, d), NaN if unknown."""
        n, horizon, d = errors.shape
        values = np.full((n, len(self.steps), d), np.nan, dtype=self.values.dtype)
        near = self.steps <= horizon
        values[:, near] = errors[:, self.steps[near] - 1]
        known = ~np.isnan(values).all(axis=2)
        return RolloutErrors(
            np.concatenate([self.values, values]),
            np.concatenate([self.known, known]),
            self.steps,
            np.concatenate([self.leading, np.arange(n) == 0]),
            self.n_trained,
        )

    def pooled(self, pool: int) -> RolloutErrors:
        """Return ``pool`` features of each rollout, evenly chosen, as rollouts of one feature."""
        n, k, d = self.values.shape
        some = self.values[:, :, evenly(d, pool)].transpose(0, 2, 1).reshape(n * pool, k, 1)
        return RolloutErrors(
            some, np.repeat(self.known, pool, 0), self.steps, np.repeat(self.leading, pool)
        )


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks along the first axis, from 1; equal values share the mean of theirs.

    (Importing SciPy's takes a third of a second. A stable sort numbers equal values as they come;
    one of the reversed values, the other way round.)
    """

    def numbered(some: np.ndarray) -> np.ndarray:
        return some.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")

    ranks: np.ndarray = 1 + (numbered(values) + numbered(values[::-1])[::-1]) / 2
    return ranks


def conformal_ranks(counts: np.ndarray, level: float, pool: int = 1) -> np.ndarray:
    """Return ``ceil((n + 1) * level * pool)`` for each number n of rollouts."""
    return np.ceil((counts + 1) * level * pool - ROUNDING).astype(np.int64)


def ranked_scores(
    errors: RolloutErrors, worth: np.ndarray | None = None, most: int = 1 << 20
) -> tuple[np.ndarray, int]:
    """Sort errors, pooled over features where they are too many.

    Where rollouts overlap, transients may make the errors of those that begin at the first state of
    a trajectory larger than those of the many others: no score is then less than what they alone
    would give, as far as their number goes.

    Parameters
    ----------
    worth : array, shape (k,), optional
        About how many independent rollouts tell as much as overlapping ones. Ranks are those of so
        many, as far as they go: with few of them widths are nearer to the largest error.
    most : int
        Numbers kept, at most.

    Returns
    -------
    scores : array, shape (m, k, g)
    pool : int
        Features pooled of each rollout.
    """
    n, k, d = errors.values.shape
    pool = 1
    if errors.values.size > most and d > 1:
        pool = min(d, max(1, most // (n * k)))
        errors = errors.pooled(pool)
    reached, leading = errors.counts, errors.leading
    known = errors.known[:, :, None] & ~np.isnan(errors.values)
    scores = np.where(known, errors.values, np.inf)
    ranked = np.sort(scores, axis=0)
    if errors.overlapping:
        alone = np.sort(scores[leading], axis=0)
        least = _no_less(ranked, reached, alone, errors.known[leading].sum(axis=0), pool)
        if worth is not None:
            ranked = _as_of_fewer(ranked, reached, worth, pool)
        ranked = np.maximum(ranked, least)
    return ranked, pool


def _as_of_fewer(
    ranked: np.ndarray, reached: np.ndarray, worth: np.ndarray, pool: int
) -> np.ndarray:
    """Return sorted scores in the places that so many fewer independent ones would give them.

    A rank r of n stands for a level r / (n + 1); of w independent scores that level has the rank
    ``ceil((w + 1) * level)``, which is a share of them, and here the same share of the n.
    """
    ranks = np.arange(1, len(ranked) + 1)[:, None]
    share = np.ceil((worth + 1) * ranks / (reached + pool) - ROUNDING) / worth
    places = np.ceil(np.minimum(share, 1) * reached - ROUNDING).astype(np.int64)
    places = np.where(ranks <= reached, np.maximum(places, ranks), ranks)
    return np.asarray(ranked[np.maximum(places, 1) - 1, np.arange(len(reached))])


def _no_less(
    ranked: np.ndarray, reached: np.ndarray, alone: np.ndarray, few: np.ndarray, pool: int
) -> np.ndarray:
    """Return sorted scores raised to those that few rollouts alone have at the same levels.

    Parameters
    ----------
    ranked, alone : array, shape (m, k, g) and (l, k, g)
        Sorted along the first axis.
    reached, few : array of int, shape (k,)
        How many of each are known.
    pool : int
        Scores of one rollout at one step.
    """
    ranks = np.arange(1, len(ranked) + 1)[:, None]
    same = np.ceil(ranks * (few + pool) / (reached + pool) - ROUNDING).astype(np.int64)
    floor = alone[np.clip(same, 1, np.maximum(few, 1)) - 1, np.arange(len(few))]
    return np.asarray(np.where((few > 0)[:, None], np.maximum(ranked, floor), ranked))


#: Steps within this factor of each other tell the size of errors together.
_NEAR = 2.0

#: Independent rollouts from which on errors tell more of their distribution's shape than that it is
#: normal.
_SHAPE = 10.0

#: By how much errors are larger where they have not chosen weights and settings, about.
_CHOSEN = 1.1


def smoothed_scores(errors: RolloutErrors, worth: np.ndarray) -> np.ndarray:
    """Return sorted scores that a few overlapping rollouts stand for.

    The size of errors at a step is the root mean square at the steps near it, and no less than at
    earlier ones. In that unit all steps have one distribution: between a normal one and that of the
    errors themselves, the nearer to this the more independent rollouts there are. Quantiles are
    widened as those of Student's distribution are, whose degrees of freedom are so many rollouts,
    and a tenth more, as the errors have chosen what is blended.

    Returns array, shape (n, k, d): sorted along the first axis; infinite beyond the rollouts that
    reach a step.

    Parameters
    ----------
    errors : RolloutErrors
        Of n rollouts at k steps.
    worth : array, shape (k,)
        About how many independent ones they are worth at each step.
    """
    from scipy.special import ndtri, stdtrit  # not needed to load and forecast

    counts = errors.counts
    known = errors.known[:, :, None] & ~np.isnan(errors.values)
    lost = errors.known[:, :, None] & ~np.isfinite(errors.values)
    values = np.where(known & ~lost, errors.values, 0.0).astype(np.float64)
    size = _sizes(values, known & ~lost, errors.steps)
    ranks = np.arange(1, len(values) + 1)[:, None]
    level = np.minimum(ranks / (counts + 1), 1 - 1e-9)
    normal = ndtri((1 + level) / 2)
    student = stdtrit(np.maximum(worth, 1.0), (1 + level) / 2)
    scores = np.empty(values.shape)
    share = worth / (worth + _SHAPE)
    for feature in range(values.shape[2]):
        own = known[:, :, feature] & ~lost[:, :, feature]
        unit = np.maximum(size[:, feature], 1e-300)
        shape = np.sort((values[:, :, feature] / unit)[own])
        at = (np.arange(len(shape)) + 0.5) / max(len(shape), 1)
        empirical = np.interp(level, at, shape) if len(shape) else normal
        mixed = share * empirical + (1 - share) * normal
        scores[:, :, feature] = _CHOSEN * size[:, feature] * mixed * student / normal
    # What diverged ranks above all others.
    least = counts[None, :, None] - lost.sum(axis=0)
    return np.where(ranks[:, :, None] <= least, scores, np.inf)


def _sizes(values: np.ndarray, known: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return root mean squares of errors ``(n, k, d)`` about each step, rising; ``(k, d)``."""
    squares = np.cumsum(np.square(values).sum(axis=0), axis=0)
    numbers = np.cumsum(known.sum(axis=0), axis=0)
    first = np.searchsorted(steps, steps / _NEAR)
    last = np.searchsorted(steps, steps * _NEAR, side="right") - 1
    before = np.maximum(first - 1, 0)
    is_first = (first == 0)[:, None]
    total = squares[last] - np.where(is_first, 0.0, squares[before])
    count = numbers[last] - np.where(is_first, 0, numbers[before])
    return np.asarray(np.maximum.accumulate(np.sqrt(total / np.maximum(count, 1)), axis=0))
