"""Noisy trajectories as averages over blocks of rows, and first guesses of the field in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pyhits.flowmaps.odes.paths import Steps
from pyhits.flowmaps.odes.terms import Terms
from pyhits.noise.field import PolynomialField
from pyhits.noise.observations import Observations
from pyhits.numerics.ridge import Ridge
from pyhits.util.clock import Clock

#: Blocks of a segment at most: longer ones say hardly more of the field.
_LONGEST = 512

#: Each longer segment holds as many of those before.
_LONGER = 2

#: Least singular value of a regression of slopes, relative to the largest; and penalty of one of
#: steps.
_REGRESSED, _PENALTY = 1e-6, 1e-9


@dataclass(frozen=True)
class BlockAverages:
    """Noisy trajectories as averages over blocks of rows, with a first guess of the motion."""

    observed: Observations  # one row a trajectory
    #: smoothed, slopes: (n_trajectories, n_times, d); smoothed states at the beginning of each
    #: block, and their time derivatives; NaN beyond a trajectory's end.
    smoothed: np.ndarray
    slopes: np.ndarray
    shortest: int  # blocks of the shortest segments worth fitting

    def __len__(self) -> int:
        """Return the number of trajectories."""
        return len(self.smoothed)

    def __getitem__(self, pieces: np.ndarray) -> BlockAverages:
        """Return some of them."""
        return BlockAverages(
            self.observed[pieces], self.smoothed[pieces], self.slopes[pieces], self.shortest
        )

    def cut(self, n_times: int) -> BlockAverages:
        """Return the first blocks of each."""
        given = self.observed
        states = given.states[:, :n_times]
        observed = Observations(states, given.first, given.spacing, given.sigma)
        return BlockAverages(
            observed, self.smoothed[:, :n_times], self.slopes[:, :n_times], self.shortest
        )

    def lengths(self, longest: int | None = None) -> list[int]:
        """Return the lengths of segments to go through, in blocks."""
        longest = min(self.smoothed.shape[1], _LONGEST) if longest is None else longest
        found = [min(self.shortest, longest)]
        while found[-1] < longest:
            found.append(min(_LONGER * found[-1], longest))
        return found

    def segments(self, length: int) -> Observations:
        """Cut into segments of ``length`` blocks."""
        given = self.observed
        return Observations(_cut(given.states, length), given.first, given.spacing, given.sigma)

    def starts(self, length: int, known: np.ndarray | None = None, before: int = 0) -> np.ndarray:
        """Return first guesses of the segments' initial states, shape ``(n_segments, d)``.

        Parameters
        ----------
        known : array, shape (n_shorter_segments, d), optional
            Initial states of segments ``before`` blocks long; the smoothed ones otherwise.
        """
        if known is None:
            return np.asarray(np.nan_to_num(_cut(self.smoothed, length)[:, 0]))
        n, d = len(self), known.shape[1]
        each = -(-self.smoothed.shape[1] // length)
        chosen = known.reshape(n, -1, d)[:, :: max(1, length // before)][:, :each]
        return np.asarray(chosen.reshape(-1, d))


def _cut(states: np.ndarray, length: int) -> np.ndarray:
    n, n_times, d = states.shape
    each = -(-n_times // length)
    if each * length > n_times:
        padded = np.full((n, each * length, d), np.nan)
        padded[:, :n_times] = states
        states = padded
    return states.reshape(n * each, length, d)


def of_slopes(pieces: BlockAverages, field: PolynomialField) -> PolynomialField:
    """Regress the slopes of the smoothed states on the field's terms."""
    sound = np.isfinite(pieces.slopes).all(axis=2)
    states, slopes = pieces.smoothed[sound], pieces.slopes[sound]
    terms, rates = (
        torch.from_numpy(a) for a in (field.basis(np.ascontiguousarray(states.T)).T, slopes)
    )
    solution = Ridge(terms, rates, scaled=True, cutoff=_REGRESSED).solve(0.0)
    return field.with_free(solution.numpy()[field.active])


def of_steps(pieces: BlockAverages, field: PolynomialField, clock: Clock) -> PolynomialField:
    """Regress the changes between observations on the integrals of the field's terms."""
    steps = _steps(pieces, field.basis.degree, clock)
    if steps is None:
        return field
    solution = steps.coefficients([_PENALTY])[0].numpy() / pieces.observed.spacing
    return field.with_free(solution[field.active])


def left_by_steps(pieces: BlockAverages, degree: int, clock: Clock) -> np.ndarray | None:
    """Return the root mean square of what such a regression leaves of each column's changes.

    None where there are too few.
    """
    steps = _steps(pieces, degree, clock)
    if steps is None:
        return None
    return steps.left_of_each(steps.coefficients([_PENALTY])[0]).numpy()


def _steps(pieces: BlockAverages, degree: int, clock: Clock) -> Steps | None:
    """Return the steps from one observation to the next, if there are enough for the terms."""
    before, after = pieces.observed.states[:, :-1], pieces.observed.states[:, 1:]
    sound = np.isfinite(before).all(axis=2) & np.isfinite(after).all(axis=2)
    terms = Terms(before.shape[2], degree)
    if sound.sum() <= terms.size:
        return None
    states, changes = (torch.from_numpy(a[sound]) for a in (before, after - before))
    low, high = states.amin(dim=0), states.amax(dim=0)
    return Steps(terms, (low - (high - low), high + (high - low)), states, changes, clock)
