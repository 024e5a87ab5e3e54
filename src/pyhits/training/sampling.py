"""How recorded windows are drawn for nets: evenly, early, by density or by error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pyhits.training.windows import WindowSampler

#: Windows in a pool, and numbers in the states that are looked at to weigh them, at most.
_N_DENSITY, _N_RESIDUAL, _MOST_NUMBERS = 262_144, 65_536, 8_000_000

#: Windows in a pool of short trainings.
_LEAST_RESIDUAL = 1_024

#: Number of the first batch that pools are drawn as; no training has so many batches.
_POOL_BATCH = 2**29

#: Cells of a histogram: one for so many windows, at most so many, of at most so many directions,
#: each cut into so many at most.
_PER_CELL, _MOST_CELLS, _MOST_DIRECTIONS, _MOST_BINS = 32, 4_096, 3, 64

#: A cell counts as holding so many windows at least, so that no window is drawn all the time.
_LEAST_COUNT = 8

#: Histograms of states with more features, each of other random directions.
_N_VIEWS = 8

#: Part of the windows that is drawn evenly, however small the error there.
_EVENLY = 0.25

#: Squared errors of windows ``(p * outputs + 1, n, d)``, shape ``(n,)``.
Errors = Callable[[np.ndarray], Tensor]


class Sampling:
    """Draws windows just as its sampler does; what follows the training overrides this.

    Batches are a function of the sampler's seed, their number and, where errors steer them, of
    :attr:`number` and :attr:`focus`, which a checkpoint keeps.

    Attributes
    ----------
    number : int
        Of the pool that errors were looked up in.
    focus : Tensor, shape (n,), or None
        Cumulative probability of its windows; None: errors steer nothing, or not yet.
    """

    def __init__(self, sampler: WindowSampler) -> None:
        self.sampler = sampler
        self.number = 0
        self.focus: Tensor | None = None

    def draw(self, n: int, batch: int) -> np.ndarray:
        """Return ``n`` windows as :meth:`WindowSampler.draw` does."""
        return self.sampler.draw(n, batch)

    def refresh(self, number: int, errors: Errors) -> None:
        """Take note of where the errors are; ``number`` is another at each call."""

    def resume(self, number: int, focus: Tensor | None) -> None:
        """Go on drawing as the sampling whose ``number`` and ``focus`` these are did."""


class Density(Sampling):
    """Draws windows so that the region they begin in is covered evenly.

    A pool of windows is weighted by the inverse numbers of windows in the cells of a histogram
    (:func:`even_weights`).
    """

    def __init__(self, sampler: WindowSampler) -> None:
        super().__init__(sampler)
        self._rows = pool(sampler, min(_N_DENSITY, _affordable(sampler, 1)), 0)
        weights = even_weights(sampler.states(self._rows), sampler.seed)
        self._spread = torch.from_numpy(np.cumsum(weights / weights.sum()))

    def draw(self, n: int, batch: int) -> np.ndarray:
        """Return ``n`` windows of the pool, by weight."""
        return _draw(self.sampler, self._rows, self._spread, n, batch)


class Residual(Sampling):
    """Draws windows where the net's errors are: by their root, and a quarter of them evenly.

    Every refresh looks at another pool, so that all windows have their turn. Before the first,
    windows are those of the sampler.

    Parameters
    ----------
    size : int
        Windows in a pool.
    """

    _rows: np.ndarray

    def __init__(self, sampler: WindowSampler, size: int = _N_RESIDUAL) -> None:
        super().__init__(sampler)
        states = sampler.rollout_steps * sampler.outputs + 1
        self.size = min(size, _affordable(sampler, states))

    def draw(self, n: int, batch: int) -> np.ndarray:
        """Return ``n`` windows of the pool by their errors, or of the sampler without a pool."""
        if self.focus is None:
            return self.sampler.draw(n, batch)
        return _draw(self.sampler, self._rows, self.focus, n, batch)

    def refresh(self, number: int, errors: Errors) -> None:
        """Draw from now on where ``errors`` are, among the windows of pool ``number``."""
        rows = self._pool(number)
        focus = focused(errors(self.sampler.gather(rows)))
        if focus is not None:
            self._rows, self.number, self.focus = rows, number, focus

    def resume(self, number: int, focus: Tensor | None) -> None:
        """Go on drawing as the sampling whose ``number`` and ``focus`` these are did."""
        if focus is not None:
            self._rows, self.number, self.focus = self._pool(number), number, focus

    def _pool(self, number: int) -> np.ndarray:
        return pool(self.sampler, self.size, number)


def make_sampling(name: str, sampler: WindowSampler, shown: int) -> Sampling:
    """Return the sampling of one of the names in :data:`pyhits.training.recipe.SAMPLINGS`.

    Raises DataError: no window fits any trajectory.

    Parameters
    ----------
    name : str
        ``uniform``: every window equally often. ``early``: windows as the sampler has them, at
        ``T u**early_bias``. ``density``: :class:`Density`. ``residual``: :class:`Residual`.
    shown : int
        Windows that the net is shown from one refresh to the next: errors are looked up at an
        eighth of that, so that they take little of the time.
    """
    if name == "uniform":
        return Sampling(replace(sampler, early_bias=1.0))
    if name == "density":
        return Density(sampler)
    if name == "residual":
        return Residual(sampler, min(_N_RESIDUAL, max(_LEAST_RESIDUAL, shown // 8)))
    return Sampling(sampler)


def pool(sampler: WindowSampler, n: int, number: int) -> np.ndarray:
    """Return the rows at which different windows begin, about ``n``; all if there are no more.

    Half of them are drawn evenly over all windows, half as the sampler has them, so that regions
    that trajectories soon leave are among them.

    Parameters
    ----------
    number : int
        Other numbers give other pools.
    """
    if sampler.n_windows <= n:
        return sampler.all_rows()
    first = _POOL_BATCH + 2 * number
    drawn = sampler.rows(n // 2, first, early_bias=1.0), sampler.rows(n - n // 2, first + 1)
    return np.unique(np.concatenate(drawn))


def _affordable(sampler: WindowSampler, states: int) -> int:
    return max(1024, _MOST_NUMBERS // (states * len(sampler.encoder.mean_)))


def _draw(
    sampler: WindowSampler, rows: np.ndarray, cumulative: Tensor, n: int, batch: int
) -> np.ndarray:
    rng = np.random.default_rng([sampler.seed, sampler.step_size, batch, 1])
    return sampler.gather(rows[pick(cumulative, n, rng)])


def pick(focus: Tensor, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``n`` indices whose cumulative probability is ``focus``, drawn with replacement."""
    index = np.searchsorted(focus.numpy(), rng.random(n), side="right")
    return np.asarray(np.minimum(index, len(focus) - 1))


def focused(errors: Tensor) -> Tensor | None:
    """Return cumulative probabilities by the root of squared errors, a quarter of them even.

    Returns Tensor, shape (n,), or None: float64, on the CPU; None where errors are all 0 or not
    finite.

    Parameters
    ----------
    errors : Tensor, shape (n,)
    """
    weight = errors.double().cpu().clamp(min=0).sqrt()
    total = float(weight.sum())
    if not (np.isfinite(total) and total > 0):
        return None
    share = _EVENLY / len(weight) + (1 - _EVENLY) * weight / total
    return share.cumsum(0)


def even_weights(states: np.ndarray, seed: int) -> np.ndarray:
    """Return weights that spread states evenly over the cells of a histogram that they occupy.

    The histogram has at most three directions: the features themselves, if there are no more. For
    more features the weights are geometric means over histograms of random directions.

    Returns array, shape (n,): at most 1.

    Parameters
    ----------
    states : array, shape (n, d)
    seed : int
        Of the random directions.
    """
    low, high = states.min(axis=0), states.max(axis=0)
    varies = high > low
    scaled = (states - low)[:, varies] / (high - low)[varies]
    d = scaled.shape[1]
    if d == 0:
        return np.ones(len(states))
    if d <= _MOST_DIRECTIONS:
        logarithm = np.log(_crowd(scaled))
    else:
        rng = np.random.default_rng([seed, d])
        logarithm = np.zeros(len(states))
        for _ in range(_N_VIEWS):
            directions, _ = np.linalg.qr(rng.standard_normal((d, _MOST_DIRECTIONS)))
            logarithm += np.log(_crowd(scaled @ directions)) / _N_VIEWS
    return np.asarray(np.exp(logarithm.min() - logarithm))


def _crowd(points: np.ndarray) -> np.ndarray:
    """Return how many of the points ``(n, k)`` lie in the cell of each, bounded from below."""
    n, k = points.shape
    cells = min(max(1, n // _PER_CELL), _MOST_CELLS)
    bins = min(max(1, int(cells ** (1 / k) + 1e-9)), _MOST_BINS)
    low, high = points.min(axis=0), points.max(axis=0)
    place = np.minimum(((points - low) / (high - low) * bins).astype(np.int64), bins - 1)
    cell = place @ bins ** np.arange(k)
    counts = np.bincount(cell, minlength=bins**k)
    return np.asarray(np.maximum(counts[cell], _LEAST_COUNT))
