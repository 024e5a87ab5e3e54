"""Ranked errors of few overlapping rollouts, with what neighbouring steps tell of each other."""

from __future__ import annotations

import numpy as np

from pyhits.forecasting.uncertainty.ranking import RolloutErrors

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

    Parameters
    ----------
    errors : RolloutErrors
        Of n rollouts at k steps.
    worth : array, shape (k,)
        About how many independent ones they are worth at each step.

    Returns
    -------
    array, shape (n, k, d)
        Sorted along the first axis; infinite beyond the rollouts that reach a step.
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
