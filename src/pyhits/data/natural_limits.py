"""Limits that recorded values come to again and again, as no rain, no light, an empty tank."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from pyhits.util.printable import listing
from pyhits.util.stored import Array, StoredRecord

#: Part of the values that lie at a limit, and how many times they came and went, at least.
_SHARE, _VISITS = 0.02, 3

#: How many times as many values lie at a limit as next to it: quantised waves dwell at their
#: extremes, too. Zero is a limit of many things, and so are few needed there.
_PILED = 3.0

#: What lies within this part of the range from zero is next to it: positive values that come so
#: close time and again are of something that cannot be negative.
_NEAR = 0.01

#: Part of the range within which values are the same but for rounding.
_SAME = 1e-6

#: Features of tables that have limits; and rows, the last ones, that are looked at.
_MOST_FEATURES, _MOST_ROWS = 1024, 1_000_000


@dataclass(frozen=True, eq=False)
class Limits(StoredRecord):
    """The least and the largest values that features can have, by what was recorded."""

    arrays: ClassVar[Mapping[str, Array]] = {"low|high": Array()}

    #: low, high: (d,); in the user's units; infinite where there is no limit.
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, recordings: Iterable[np.ndarray], but: Sequence[int] = ()) -> Self | None:
        """Return the limits of recordings ``(time, d)``; None if they show none.

        A value is a limit if many rows have exactly that, if recordings came to it and left again
        at least three times, and if it is not just the edge of what they sweep over: waves have
        more values at their crests than beside them, but not several times as many. Both values of
        what is on or off are limits. Zero is one if positive values come within a hundredth of
        their range, and as often as a little above.

        Parameters
        ----------
        recordings : iterable of array, shape (time, d)
        but : sequence of int
            Features that have none, such as angles.
        """
        rows = [one[-_MOST_ROWS:] for one in recordings]
        d = rows[0].shape[1]
        if d > _MOST_FEATURES:
            return None
        low, high = np.full(d, -np.inf), np.full(d, np.inf)
        for feature in sorted({*range(d)} - {*but}):
            columns = [one[:, feature] for one in rows]
            low[feature] = _floor(columns)
            high[feature] = -_floor([-column for column in columns])
        is_any = np.isfinite(low).any() or np.isfinite(high).any()
        return cls(low, high) if is_any else None

    def held(self, states: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return forecasts ``(n, m, d)`` within the limits, unless they start beyond.

        Parameters
        ----------
        states : array, shape (n, m, d)
        starts : array, shape (n, d)
            What they start from.
        """
        low = np.where(starts < self.low, -np.inf, self.low)[:, None]
        high = np.where(starts > self.high, np.inf, self.high)[:, None]
        return np.asarray(np.clip(states, low, high))

    def sentence(self, names: Sequence[str]) -> str:
        """Return what is held, in words."""
        sides = (("above", self.low), ("below", self.high))
        told = [
            f"{names[k]} at or {side} {values[k]:g}"
            for side, values in sides
            for k in np.flatnonzero(np.isfinite(values)).tolist()
        ]
        return (
            f"Forecasts hold {listing(told)}, as recorded values came there time and again and "
            "turned back; limits=False does without."
        )

    def _check(self) -> None:
        if self.low.shape != self.high.shape or not (self.low <= self.high).all():
            raise ValueError("its limits cannot be such")


def _floor(columns: Sequence[np.ndarray]) -> float:
    """Return the least value that one feature of recordings can have, or minus infinity."""
    least = float(min(column.min() for column in columns))
    reach = float(max(column.max() for column in columns)) - least
    if not reach > 0:
        return -np.inf
    for limit, width, piled in _candidates(least, reach):
        at = [column <= limit + width for column in columns]
        n_at, n = sum(int(one.sum()) for one in at), sum(map(len, columns))
        if n_at < _SHARE * n or sum(map(_visits, at)) < _VISITS:
            continue
        on_or_off = sum(int((one == least + reach).sum()) for one in columns) == n - n_at
        if on_or_off or n_at >= piled * _beside(columns, limit, width, reach):
            return limit
    return -np.inf


def _candidates(least: float, reach: float) -> list[tuple[float, float, float]]:
    """Return limits to be tried, how wide they are, and how piled up values must be there."""
    found = [(least, 0.0, 1.0 if least == 0 else _PILED)]
    if 0 < least <= _NEAR * reach:
        found.append((0.0, _NEAR * reach, 1.0))
    return found


def _beside(columns: Sequence[np.ndarray], limit: float, width: float, reach: float) -> int:
    """Return how many values lie next to a limit: in as wide a range, or about the next value."""
    above = [column[column > limit + width] for column in columns]
    following = min((float(one.min()) for one in above if len(one)), default=np.inf)
    last = limit + 2 * width if width > 0 else max(limit + _NEAR * reach, following + _SAME * reach)
    return sum(int((one <= last).sum()) for one in above)


def _visits(at: np.ndarray) -> int:
    """Return how many times a limit was come to and left again within one recording."""
    came = np.flatnonzero(at[1:] & ~at[:-1])
    left = np.flatnonzero(at[:-1] & ~at[1:])
    return 0 if len(came) == 0 else int((left > came[0]).sum())
