"""Solutions of an identified vector field through all rows: one way to take noise off."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from joblib import cpu_count

from pyhits.data.trajectories import Trajectories
from pyhits.noise.blocks import BlockAverages
from pyhits.noise.field import PolynomialField
from pyhits.noise.identify import (
    MOST_SPREADING,
    Identified,
    affordable,
    follow,
    identify,
    knows_noise,
)
from pyhits.noise.observations import Observations, advance, spreading, strays, substeps_needed
from pyhits.noise.smooth import Window, choose_window, equal, smooth
from pyhits.numerics.local_polynomials import weights
from pyhits.util.clock import Clock
from pyhits.util.progress import Advance

#: Part of the rows that a field may fail to follow; they are smoothed instead.
_MOST_LOST = 0.05

#: A field that leaves so many times the error that the smoother leaves, where it was found, is not
#: followed.
_HOPELESS = 2.0

#: Blocks are this part of the best quadratic smoothing window: their bias, which grows with its
#: fourth power, then disappears beneath their noise.
_BLOCK_PART = 8

#: Windows narrower than this leave no rows that could be averaged.
_NARROW = 7

#: Segments last this many smoothing windows at least.
_SHORTEST_WINDOWS = 3

#: A feature without noise counts as if it had this part of the noisiest one's.
_LEAST_SHARE = 0.01

#: A field is looked for where trajectories padded to equal lengths hold so many times the numbers
#: of the data at most, or few numbers.
_PADDED, _LITTLE = 4, 1 << 20

#: Segments integrated together, whose states stay in a core's cache; and as many as a further
#: thread is worth: those of fewer would wait for one another's Python.
_ROWS_AT_ONCE, _WORTH_A_THREAD = 4096, 512

#: Coarsest integration step's error, in units of the noise, of the states that are returned.
_INTEGRATED = 1e-6


@dataclass(frozen=True)
class CleanStates:
    """What one way to take noise off makes of training and validation data."""

    method: str  # {"field", "window"}
    risk: float  # estimated mean squared error that is left, in units of the noise variance
    states: tuple[np.ndarray, np.ndarray]  # (n_rows, d): encoded
    span: int  # rows of one solution; 0 where there are none
    how: str  # for people


@dataclass(frozen=True)
class FieldSolutions:
    """Looks for a polynomial vector field beneath noise, and follows it through all rows."""

    noisy: tuple[Trajectories, Trajectories]  # training and validation data, encoded
    smoothed: tuple[np.ndarray, np.ndarray]  # (n_rows, d): the same rows, smoothed
    window: Window  # that smoothed them
    sigma: np.ndarray  # (d,): standard deviation of the noise, encoded
    clock: Clock

    def best(
        self, progress: Advance | None = None, *, least_noise: float = 0.0
    ) -> CleanStates | None:
        """Return the states of least risk; None where there is no field, or room for none.

        Nor where a field leaves less than the part ``least_noise`` of the noise's variance.

        Raises
        ------
        TimeIsUpError
        """
        spacing = self._block()
        numbers = sum(data.values.size for data in self.noisy)
        if not affordable(self.noisy[0].n_features, numbers // spacing):
            return None
        if any(_padded(data) > max(_PADDED * data.values.size, _LITTLE) for data in self.noisy):
            return None
        pieces = [
            self._pieces(data, rows, spacing)
            for data, rows in zip(self.noisy, self.smoothed, strict=True)
        ]
        if least_noise and knows_noise(pieces[0], least_noise, self.clock):
            return None
        # What the smoother leaves tells by how much a field may miss the rows: following one that
        # misses them by far more through all of them would only show the same.
        averaged = float(np.square(weights(spacing, 2)).sum())
        identified = identify(
            pieces[0],
            most_misfit=1 + _HOPELESS * self.window.risk / averaged,
            n_threads=cpu_count(),
            progress=progress,
            clock=self.clock,
        )
        if identified is None or any(
            strays(identified.field, part.starts(part.smoothed.shape[1]), part.observed)
            for part in pieces
        ):
            return None
        ways = [
            self._along(identified.field, length, pieces, spacing)
            for length in _lengths(identified, pieces[0])
        ]
        return min(ways, key=lambda way: way.risk)

    def _block(self) -> int:
        """Return the number of rows, odd, that are averaged to one observation."""
        best = choose_window(self.noisy[0], self.sigma, degrees=(2,), clock=self.clock)
        return max(1 if best.width < _NARROW else 3, best.width // _BLOCK_PART | 1)

    def _pieces(self, data: Trajectories, smoothed: np.ndarray, spacing: int) -> BlockAverages:
        """Average the rows by blocks; a last block that is not full has no observation."""
        d = data.n_features
        average = weights(spacing, 2)
        n_times = -(-int(data.lengths.max()) // spacing)
        shape = (len(data), n_times, d)
        states, starts, slopes = (np.full(shape, np.nan) for _ in range(3))
        rising = smooth(data, self.window, 1, clock=self.clock)
        for same in equal(data.lengths):
            self.clock.check()
            length = int(data.lengths[same[0]])
            rows = data.offsets[same, None] + np.arange(length)
            full = length // spacing
            blocks = data.values[rows[:, : full * spacing]].reshape(len(same), full, spacing, d)
            states[same, :full] = np.einsum("nkcd,c->nkd", blocks, average)
            first = rows[:, ::spacing]
            known = data.values if spacing == 1 else smoothed  # of fast motion windows miss peaks
            starts[same, : first.shape[1]] = known[first]
            slopes[same, : first.shape[1]] = rising[first]
        level = np.maximum(self.sigma, _LEAST_SHARE * self.sigma.max())
        level = level * np.sqrt(np.square(average).sum())
        observed = Observations(states, spacing // 2 * data.dt, spacing * data.dt, level)
        shortest = max(2, _SHORTEST_WINDOWS * self.window.width // spacing)
        return BlockAverages(observed, starts, slopes, shortest)

    def _along(
        self, field: PolynomialField, length: int, pieces: Sequence[BlockAverages], spacing: int
    ) -> CleanStates:
        """Follow a field over ``length`` blocks; its risk is infinite if it loses many rows."""
        train, validation = (
            _solutions(field, length, part, data, self.clock)
            for part, data in zip(pieces, self.noisy, strict=True)
        )
        share = float(np.isnan(train[:, 0]).mean())
        for rows, instead in zip((train, validation), self.smoothed, strict=True):
            lost = np.isnan(rows[:, 0])
            rows[lost] = instead[lost]
        span = length * spacing
        risk = np.inf
        if share <= _MOST_LOST:
            risk = _risk(self.noisy[0], train, field, self.sigma, span)
        how = (
            f"solutions of a polynomial vector field with {int(field.active.sum())} terms of "
            f"degree up to {_degree(field)}, over {span} rows"
        )
        return CleanStates("field", risk, (train, validation), span, how)


def _padded(data: Trajectories) -> int:
    """Return the numbers of an array that holds all trajectories, each as long as the longest."""
    return len(data) * int(data.lengths.max()) * data.n_features


def _degree(field: PolynomialField) -> int:
    used = field.active.any(axis=1)
    return int(field.basis.exponents[used].sum(axis=1).max(initial=0))


def _lengths(identified: Identified, pieces: BlockAverages) -> list[int]:
    """Return over how many blocks solutions are to reach: all, or what was fitted.

    A field that is known follows far longer segments than it takes to find it, unless it is
    chaotic, or misses the rows of somewhat longer ones already.
    """
    longest = pieces.smoothed.shape[1]
    if longest > identified.length and identified.longest:
        starts, observed = pieces.starts(longest), pieces.segments(longest)
        if spreading(identified.field, starts, observed) <= MOST_SPREADING:
            return [longest, identified.length]
    return [identified.length]


def _solutions(
    field: PolynomialField, length: int, pieces: BlockAverages, data: Trajectories, clock: Clock
) -> np.ndarray:
    """Return the field's solutions at all rows, ``(n_rows, d)``; NaN where it fails."""
    n_threads = cpu_count()
    fit = follow(field, pieces, length, n_threads=n_threads, clock=clock)
    n, d = len(data), data.n_features
    span = length * round(pieces.observed.spacing / data.dt)
    near = Observations(pieces.observed.states, 0.0, data.dt, pieces.observed.sigma)
    substeps = substeps_needed(field, near, enough=_INTEGRATED)
    rows = np.empty((len(fit.starts), span, d))

    def run(part: np.ndarray) -> None:
        x = np.ascontiguousarray(fit.starts[part].T)
        with np.errstate(all="ignore"):
            for row in range(span):
                clock.check()
                rows[part, row] = x.T
                x = advance(field, x, data.dt / substeps, substeps)

    blocks = max(-(-len(rows) // _ROWS_AT_ONCE), min(n_threads, len(rows) // _WORTH_A_THREAD))
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(run, np.array_split(np.arange(len(rows)), blocks)))
    rows[~fit.followed(pieces.segments(length))] = np.nan
    rows = rows.reshape(n, -1, d)
    if data.is_even:
        states = rows[:, : data.lengths[0]].reshape(-1, d)
    else:
        states = np.concatenate([rows[k, :length] for k, length in enumerate(data.lengths)])
    states[~np.isfinite(states).all(axis=1)] = np.nan
    return np.ascontiguousarray(states)


def _risk(
    data: Trajectories, states: np.ndarray, field: PolynomialField, sigma: np.ndarray, span: int
) -> float:
    """Return the estimated mean squared error of the solutions, in units of the noise variance."""
    noisy = sigma > 0
    count = data.n_rows * int(noisy.sum())
    squared = float(np.square((data.values - states)[:, noisy] / sigma[noisy]).sum())
    segments = int((-(-data.lengths // span)).sum())
    free = int(field.active.sum()) + segments * data.n_features
    return squared / count - 1 + 2 * free / count
