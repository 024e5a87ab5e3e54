"""Rolling origins: the rows of recordings that forecasts are tried from, before and after."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyhits.data.stretches import evenly

#: Fewer recordings than this are cut by time; of more some are left out.
FEW = 5

#: Shares of a recording that are fitted to before what follows is forecast.
_CUTS = (0.6, 0.8)

#: Share of the rows to be forecast that those recordings hold which decide how far back all look.
_MOST_OF = 2 / 3

#: Squared error, in variances, beyond which a forecast is no worse.
_WORST = 16.0

#: What may be given away in any case for a simpler choice.
_TIE = 0.02


@dataclass(frozen=True)
class OriginLimits:
    """How many origins there are, and how much around them is looked at."""

    rows: int  # rows up to an origin, at most
    horizon: int  # rows after it, at most
    most: int  # origins in all, at most; one of each recording at least
    longest: int = 6_000  # rows of a recording that are looked at, at most: its last ones


@dataclass(frozen=True, eq=False)
class Origins:
    """Rows up to some origins, and those that follow."""

    history: np.ndarray  # (n, rows, d): the last is the origin
    truth: np.ndarray  # (n, horizon, d): NaN beyond the end of a recording
    #: recording, at: int, (n,); the recording of each, and its row there.
    recording: np.ndarray
    at: np.ndarray

    @classmethod
    def of(
        cls, recordings: Sequence[np.ndarray], begins: Sequence[int], limits: OriginLimits
    ) -> Origins:
        """Take origins spread evenly over the rows from ``begins`` on.

        Recordings with little before their first origin are left out, where others hold most rows.

        Parameters
        ----------
        recordings : sequence of array, shape (time, d)
        begins : sequence of int
            First origin of each recording.
        """
        last = [len(one) - 2 for one in recordings]
        usable = [k for k, begin in enumerate(begins) if 0 <= begin <= last[k]]
        before, after = [begins[k] + 1 for k in usable], [last[k] + 1 - begins[k] for k in usable]
        rows = _looked_back(before, after, limits.rows)
        usable = [k for k in usable if begins[k] + 1 >= rows]
        usable = [usable[k] for k in evenly(len(usable), limits.most)] if usable else []
        d = recordings[0].shape[1]
        if not usable:
            none = np.empty(0, dtype=np.int64)
            return cls(np.empty((0, 1, d)), np.empty((0, 1, d)), none, none)
        each = max(1, limits.most // len(usable))
        longest = max(len(recordings[k]) - 1 - begins[k] for k in usable)
        horizon = max(1, min(limits.horizon, longest))
        histories, truths, places = [], [], []
        for k in usable:
            one = recordings[k]
            at = np.unique(np.linspace(begins[k], last[k], each).astype(np.int64))
            padded = np.concatenate([one, np.full((horizon, d), np.nan)])
            histories.append(one[at[:, None] + np.arange(1 - rows, 1)])
            truths.append(padded[at[:, None] + np.arange(1, horizon + 1)])
            places.append(at)
        owner = np.repeat(usable, list(map(len, places)))
        return cls(np.concatenate(histories), np.concatenate(truths), owner, np.concatenate(places))

    def __len__(self) -> int:
        return len(self.history)

    @property
    def rows(self) -> int:
        """Rows up to an origin."""
        return int(self.history.shape[1])

    @property
    def horizon(self) -> int:
        """Rows after an origin."""
        return int(self.truth.shape[1])

    def errors(self, ahead: np.ndarray) -> np.ndarray:
        """Return bounded mean squared errors of each origin; ``(n, horizon, d)`` to ``(n,)``."""
        with np.errstate(invalid="ignore", over="ignore"):
            squares = np.square(ahead - self.truth)
        known = np.isfinite(self.truth)
        squares = np.where(np.isfinite(squares), np.minimum(squares, _WORST), _WORST)
        sums = np.where(known, squares, 0.0).sum(axis=(1, 2))
        return np.asarray(sums / np.maximum(known.sum(axis=(1, 2)), 1))


def _looked_back(before: Sequence[int], after: Sequence[int], most: int) -> int:
    """Return the rows up to an origin, at most, that recordings with most rows after it have."""
    if not before:
        return 1
    known = np.minimum(before, most)
    order = np.argsort(-known, kind="stable")
    reached = np.cumsum(np.array(after)[order])
    return int(known[order[np.searchsorted(reached, _MOST_OF * reached[-1])]])


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows to fit to, and origins in others."""

    train: list[np.ndarray]
    origins: Origins


def folds_of(train: Sequence[np.ndarray], limits: OriginLimits) -> list[Fold]:
    """Return parts of the rows with origins in what follows, or in the others.

    Recordings are cut twice, and what follows a cut up to the next is forecast. Of many
    trajectories every third is forecast, from half its length on.

    Parameters
    ----------
    train : sequence of array, shape (time, d)
    limits : OriginLimits
        Of all folds together.
    """
    if len(train) >= FEW:
        is_left_out = np.arange(len(train)) % 3 == 2
        first = [one for one, out in zip(train, is_left_out, strict=True) if not out]
        rest = [one for one, out in zip(train, is_left_out, strict=True) if out]
        begins = [max(len(one) // 2 - 1, 0) for one in rest]
        origins = Origins.of(rest, begins, limits)
        return [Fold(first, origins)] if len(origins) else []
    found = []
    for cut, end in itertools.pairwise([*_CUTS, 1.0]):
        ends = [max(round(end * len(one)), 3) for one in train]
        begins = [max(round(cut * len(one)) - 1, 1) for one in train]
        seen = [one[:stop] for one, stop in zip(train, ends, strict=True)]
        origins = Origins.of(seen, begins, replace(limits, most=max(1, limits.most // len(_CUTS))))
        if len(origins):
            first = [one[: begin + 1] for one, begin in zip(train, begins, strict=True)]
            found.append(Fold(first, origins))
    return found


def simplest_as_good(errors: np.ndarray, independent: float) -> int:
    """Return the first candidate whose errors are within a standard error of the best.

    Parameters
    ----------
    errors : array, shape (candidates, n)
        The simplest first, at the same origins.
    independent : float
        About how many origins far from each other tell as much.
    """
    means = errors.mean(axis=1)
    best = int(means.argmin())
    spread = (errors - errors[best]).std(axis=1) / np.sqrt(independent)
    allowed = np.where(means <= 2 * means[best], spread, 0.0)
    return int((means <= means[best] + np.maximum(allowed, _TIE * means[best])).argmax())
