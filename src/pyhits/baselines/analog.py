"""What followed the most similar stretches of the past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from pyhits.baselines.chosen import ChosenBaseline, Option, Tried
from pyhits.baselines.origins import FEW, Origins
from pyhits.baselines.simple import BASELINES
from pyhits.util.stored import Array

#: Windows tried, beside whole periods, and how many of the nearest are averaged.
_WINDOWS, _NEAREST = (2, 4, 8, 16, 32, 64), (12, 6, 3, 1)

#: Numbers of the past that are kept, at most, and distances that are in memory at a time.
_MOST_KEPT, _AT_ONCE = 200_000, 1 << 21


@BASELINES.register
class Analog(ChosenBaseline):
    """The mean of what followed the nearest stretches of the past (Lorenz 1969, J. Atmos. Sci. 26).

    Of many trajectories the stretches may be as long as what is given, and are then the nearest
    trajectories. How long they are, how many, and whether they are shifted to the last row is
    chosen; where the past ends before the horizon, it goes on from its own forecasts.

    Attributes
    ----------
    option_ : tuple of int
        Rows of a stretch, how many are averaged, whether they are shifted.
    past_ : array, shape (rows, d)
        Scaled; recordings one below the other.
    lengths_ : array of int
        Rows of each.
    """

    kind: ClassVar[str] = "analog"
    arrays: ClassVar[Mapping[str, Array]] = {
        **ChosenBaseline.arrays,
        "past": Array(2),
        "lengths": Array(1, ("I64",)),
    }
    default = (1, 1, 0)
    limits = (1, 1 << 16), (1, max(_NEAREST)), (0, 1)
    cost = 3

    @property
    def label(self) -> str:
        """Name in a table, with how many stretches of how many rows."""
        return f"{self.kind} ({self.option_[1]} of {self.option_[0]} rows)"

    @property
    def n_rows(self) -> int:
        """Rows that a forecast looks at."""
        return self.option_[0]

    def _tried(self, train: Sequence[np.ndarray], origins: Origins) -> Iterator[Tried]:
        longest = len(max(train, key=len))
        most = longest // 2 if len(train) < FEW else longest - 1
        sizes = {*_WINDOWS, *self._seasons(train, 1)}
        if len(train) >= FEW:
            sizes |= {longest // 4, longest // 2}
        for window in sorted(size for size in sizes if 0 < size <= min(origins.rows, most)):
            follow = min(origins.horizon, _follow(list(map(len, train)), window))
            for shifted in (0, 1):
                library = _Library(train, window, follow, shifted)
                if library.n == 0:
                    continue
                found = library.ahead(origins.history, origins.horizon, _NEAREST)
                for count, ahead in zip(_NEAREST, found, strict=True):
                    yield Tried((window, count, shifted), ahead)

    def _solve(self, train: Sequence[np.ndarray], option: Option) -> None:
        kept, room = [], max(_MOST_KEPT // train[0].shape[1], 2)
        for rows in reversed(train):
            kept.append(rows[-room:])
            room -= len(kept[-1])
            if room < 2:
                break
        kept = kept[::-1]
        self.past_, self.lengths_ = np.concatenate(kept), np.array([len(rows) for rows in kept])

    def _on(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        window, count, shifted = self.option_
        parts = np.split(self.past_, np.cumsum(self.lengths_)[:-1])
        follow = min(n_steps, _follow(self.lengths_.tolist(), window))
        library = _Library(parts, window, follow, shifted)
        return library.ahead(rows, n_steps, (count,))[0]

    def _fits(self) -> bool:
        is_whole = self.lengths_.sum() == len(self.past_) and self.lengths_.min(initial=1) >= 1
        is_enough = self.lengths_.max(initial=0) > self.option_[0]
        return bool(is_whole and is_enough) and self.past_.shape[1] == self.n_features_in_


def _follow(lengths: Sequence[int], window: int) -> int:
    """Return the rows that are followed at a time: enough stretches have so many after them."""
    rest = max(lengths) - window
    return max(1, rest if len(lengths) >= FEW else rest // 3)


class _Library:
    """Stretches of the past, and what followed them.

    Parameters
    ----------
    parts : sequence of array, shape (time, d)
    window, follow : int
        Rows of a stretch, and rows after it that there must be.
    shifted : int
        Whether stretches are taken relative to their last rows.
    """

    def __init__(self, parts: Sequence[np.ndarray], window: int, follow: int, shifted: int) -> None:
        self._rows = np.concatenate(parts)
        self._window, self._follow, self._shifted = window, follow, shifted
        begins = np.cumsum([0, *map(len, parts)])[:-1]
        self._begins = np.concatenate(
            [
                begin + np.arange(max(len(part) - window - follow + 1, 0))
                for begin, part in zip(begins, parts, strict=True)
            ]
        )
        #: Number of stretches.
        self.n = len(self._begins)
        view = np.lib.stride_tricks.sliding_window_view
        stretches = view(self._rows, window, axis=0)[self._begins].transpose(0, 2, 1)
        self._stretches = self._as_compared(stretches)
        self._sizes = np.square(self._stretches).sum(axis=1)

    def _as_compared(self, stretches: np.ndarray) -> np.ndarray:
        """Return stretches ``(n, window, d)`` as the vectors whose distances count."""
        if self._shifted:
            stretches = stretches - stretches[:, -1:]
        return stretches.reshape(len(stretches), -1)

    def ahead(self, rows: np.ndarray, n_steps: int, counts: Sequence[int]) -> list[np.ndarray]:
        """Return the forecasts of scaled rows ``(n, time, d)`` by so many of the nearest."""
        size = max(1, _AT_ONCE // max(self.n, 1))
        blocks = [
            self._block(rows[begin : begin + size, -self._window :], n_steps, counts)
            for begin in range(0, len(rows), size)
        ]
        return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]

    def _block(self, rows: np.ndarray, n_steps: int, counts: Sequence[int]) -> list[np.ndarray]:
        nearest, close = self._nearest(rows, max(counts))
        found = [self._followed(rows, nearest, close, count) for count in counts]
        if n_steps <= self._follow:
            return [ahead[:, :n_steps] for ahead in found]
        longer = []
        for count, ahead in zip(counts, found, strict=True):
            seen = np.concatenate([rows, ahead], axis=1)
            while (missing := n_steps + self._window - seen.shape[1]) > 0:
                last = seen[:, -self._window :]
                more = self._followed(last, *self._nearest(last, count), count)
                seen = np.concatenate([seen, more[:, :missing]], axis=1)
            longer.append(seen[:, self._window :])
        return longer

    def _nearest(self, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest stretches, and weights that fall with their distances."""
        asked = self._as_compared(rows)
        squares = (
            self._sizes + np.square(asked).sum(axis=1)[:, None] - 2 * asked @ self._stretches.T
        )
        count = min(count, self.n)
        some = np.argpartition(squares, count - 1, axis=1)[:, :count]
        own = np.take_along_axis(squares, some, axis=1)
        order = np.argsort(own, axis=1, kind="stable")
        near = np.maximum(np.take_along_axis(own, order, axis=1), 0.0)
        floor = 1e-12 * rows[0].size + 0.1 * near.mean(axis=1, keepdims=True)
        return np.take_along_axis(some, order, axis=1), 1.0 / (near + floor)

    def _followed(
        self, rows: np.ndarray, nearest: np.ndarray, close: np.ndarray, count: int
    ) -> np.ndarray:
        """Return the weighted mean of what followed the first ``count`` of the nearest."""
        first = self._begins[nearest[:, :count]] + self._window
        after = self._rows[first[..., None] + np.arange(self._follow)]
        if self._shifted:
            after = after - self._rows[first - 1][:, :, None] + rows[:, None, -1:]
        weights = close[:, :count] / close[:, :count].sum(axis=1, keepdims=True)
        return np.asarray(np.einsum("nk,nktd->ntd", weights, after))
