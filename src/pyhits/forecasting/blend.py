"""A model's forecasts of recordings, and those of simple baselines, weighted by horizon."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from pyhits.baselines.recordings import RecordingBaselines
from pyhits.baselines.simple import BASELINES
from pyhits.util.schema import Many, Record
from pyhits.util.stored import Array, StoredRecord

#: Part of the range that any forecast may leave it by.
_BEYOND = 0.5


class Bounds(NamedTuple):
    """The range of training data, which moves on no faster than it was crossed."""

    low: np.ndarray  # (d,)
    high: np.ndarray  # (d,)
    rows: float  # of a recording: those that its range was crossed in

    def around(self, known: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how low and how high forecasts may be, ``(n, m, d)`` each.

        The range of the training data and the known rows, half of it, and as much of it as a
        straight line would cross from the last row on.

        Parameters
        ----------
        known : array, shape (n, time, d)
            Rows up to the initial states.
        positions : array, shape (m,)
            Times since these, in multiples of ``dt``.
        """
        low = np.minimum(known.min(axis=1, keepdims=True), self.low)
        high = np.maximum(known.max(axis=1, keepdims=True), self.high)
        margin = (_BEYOND + positions / self.rows)[:, None] * (high - low)
        return low - margin, high + margin

    def is_lost(self, states: np.ndarray, known: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return from where on forecasts ``(n, m, d)`` are beyond the bounds, ``(n, m, 1)``."""
        low, high = self.around(known, positions)
        with np.errstate(invalid="ignore"):
            far = ((states < low) | (states > high)).any(axis=2, keepdims=True)
        return np.asarray(np.logical_or.accumulate(far, axis=1))

    def held(self, states: np.ndarray, known: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return forecasts within the bounds; what has diverged to no number stays as it is."""
        return np.where(
            np.isfinite(states), np.clip(states, *self.around(known, positions)), states
        )


#: Weight of those that can be asked below which the model forecasts alone.
_ENOUGH = 0.5

#: Weights that a sentence tells, at least.
_TOLD = 0.05


@dataclass(frozen=True, eq=False)
class Blend(StoredRecord):
    """Weights of a model and of baselines of recordings at every horizon, for each feature."""

    kind: ClassVar[str] = "blend"
    schema: ClassVar[Record] = Record({"kinds": Many(BASELINES.kinds, 1, unique=True)})
    arrays: ClassVar[Mapping[str, Array]] = {
        "steps": Array(1, ("I64",)),
        "weights": Array(3),
        "errors": Array(2),
    }

    kinds: tuple[str, ...]  # of the baselines
    #: Int, (k,): horizons that errors were measured at, increasing; between them weights are
    #: interpolated, beyond the last they stay.
    steps: np.ndarray
    weights: np.ndarray  # (k, 1 + kinds, d): the model's first; they add up to 1
    #: (k, 3): normalised root mean squared errors of the model, of the baselines together and of
    #: both, at the origins that the weights were chosen on.
    errors: np.ndarray

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the weights at times in multiples of ``dt``; ``(m,)`` to ``(m, 1 + kinds, d)``."""
        return weights_at(self.weights, self.steps, positions)

    def rows(self, baselines: RecordingBaselines) -> int:
        """Return the rows of a recording that are looked at, at most.

        Two at least, where the baselines look at the last alone: one row is a state, no recording.
        """
        return max(2, *(baselines.by_kind[kind].most_rows for kind in self.kinds))

    def blended(
        self,
        states: np.ndarray,
        known: Sequence[np.ndarray] | np.ndarray,
        positions: np.ndarray,
        baselines: RecordingBaselines,
        bounds: Bounds | None = None,
    ) -> np.ndarray:
        """Return a model's forecasts with those of the baselines that the known rows allow.

        Weights are renormalised where some cannot be asked, or have diverged; the model forecasts
        alone where these would have decided, and from single rows.

        Parameters
        ----------
        states : array, shape (n, m, d)
            The model's forecasts.
        known : sequence of array, shape (rows, d)
            What is known of each up to its initial state.
        positions : array, shape (m,)
            Times since the initial state, in multiples of ``dt``.
        bounds : Bounds, optional
            A forecast that leaves them has no weight from there on; where all have left them, the
            model's goes on at their edge.
        """
        kept, found = states, np.array(states)
        most = self.rows(baselines)
        lengths = np.array([min(len(rows), most) for rows in known])
        for length in np.unique(lengths):
            some = np.flatnonzero(lengths == length).tolist()
            if length == 1:
                continue
            rows = np.stack([known[k][-length:] for k in some])
            blended = self._blended(states[some], rows, positions, baselines, bounds)
            instead = kept[some] if bounds is None else bounds.held(kept[some], rows, positions)
            found[some] = np.where(np.isfinite(blended), blended, instead)
        found[:, positions == 0] = kept[:, positions == 0]
        return found

    def _blended(
        self,
        states: np.ndarray,
        rows: np.ndarray,
        positions: np.ndarray,
        baselines: RecordingBaselines,
        bounds: Bounds | None,
    ) -> np.ndarray:
        """Return the blend of forecasts from as many rows each."""
        n_steps = max(1, math.ceil(positions.max()))
        if bounds is not None:
            states = np.where(bounds.is_lost(states, rows, positions), np.nan, states)
        weights = self.at(positions)
        sums, total = np.zeros(states.shape), np.zeros(states.shape)

        def add(forecast: np.ndarray, weight: np.ndarray) -> None:
            sound = np.isfinite(forecast).all(axis=2, keepdims=True)
            if bounds is not None:
                sound &= ~bounds.is_lost(forecast, rows, positions)
            own = np.where(sound, weight, 0.0)
            np.add(sums, own * np.where(own > 0, forecast, 0.0), out=sums)
            np.add(total, own, out=total)

        add(states, weights[:, 0])
        asked = baselines.forecasters(rows)
        for column, kind in enumerate(self.kinds, start=1):
            if kind in asked and weights[:, column].any():
                ahead = asked[kind].forecaster(rows[:, -1], n_steps)
                add(_between(ahead, positions), weights[:, column])
        is_enough = (total >= _ENOUGH) | ~np.isfinite(states).all(axis=2, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(is_enough & (total > 0), sums / total, states))

    def sentence(self, step_name: str) -> str:
        """Return what forecasts of recordings are made of, and what that has brought."""
        parts = []
        for k in sorted({0, len(self.steps) // 2, len(self.steps) - 1}):
            named = zip(self.weights[k], ("the model", *self.kinds), strict=True)
            own = sorted(named, key=lambda one: -float(one[0].mean()))
            told = ", ".join(f"{name} {_told(w)}" for w, name in own if w.max() >= _TOLD)
            parts.append(f"at step {self.steps[k]} {told}")
        model, simple, both = np.sqrt(np.mean(np.square(self.errors), axis=0))
        return (
            f"Forecasts from recordings are blended: {'; '.join(parts)} (step {step_name}). "
            f"Validation nRMSE: model {model:.3g}, baselines {simple:.3g}, blend {both:.3g}."
        )

    def _check(self) -> None:
        k = len(self.steps)
        if self.weights.shape[:2] != (k, 1 + len(self.kinds)) or self.errors.shape != (k, 3):
            raise ValueError("its blend does not fit together")
        if k == 0 or (np.diff(self.steps, prepend=0) <= 0).any():
            raise ValueError("its blend is of steps that do not follow each other")
        sums = self.weights.sum(axis=1)
        if (
            not (self.weights >= 0).all()
            or not np.allclose(sums, 1.0)
            or not (self.errors >= 0).all()
        ):
            raise ValueError("its blend has weights that are none")


def weights_at(weights: np.ndarray, steps: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return weights ``(k, m, d)`` of some steps at positions ``(p,)``: ``(p, m, d)``.

    By straight lines; before the first step and beyond the last they stay.
    """
    place = np.interp(positions, steps, np.arange(len(steps)))
    before = place.astype(np.int64)
    after = np.minimum(before + 1, len(steps) - 1)
    share = (place - before)[:, None, None]
    return np.asarray((1 - share) * weights[before] + share * weights[after])


def _told(weights: np.ndarray) -> str:
    """Return the weights of all features in words."""
    low, high = weights.min(), weights.max()
    return f"{high:.0%}" if high - low < _TOLD else f"{low:.0%} to {high:.0%}"


def _between(ahead: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return forecasts ``(n, n_steps + 1, d)`` at times between steps, by straight lines."""
    before = np.minimum(positions.astype(np.int64), ahead.shape[1] - 1)
    share = (positions - before)[:, None]
    if not share.any():
        return ahead[:, before]
    after = np.minimum(before + 1, ahead.shape[1] - 1)
    return np.asarray((1 - share) * ahead[:, before] + share * ahead[:, after])
