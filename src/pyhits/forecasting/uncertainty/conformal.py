"""Split-conformal prediction: errors on validation data, ranked, as the widths of intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.forecasting.uncertainty.ranking import (
    ROUNDING,
    RolloutErrors,
    conformal_ranks,
    ranked_scores,
    smoothed_scores,
)
from pyhits.hierarchy.coupling import STEP_SIZE
from pyhits.hierarchy.interpolate import METHODS
from pyhits.util.checks import shown
from pyhits.util.schema import Flag, Many, Maybe, Record, Text, Whole
from pyhits.util.stored import StoredRecord, TensorSpec, check_specs

#: Calibrations in nine of ten lie within these quantiles of the coverage that they give.
_LUCK = (0.05, 0.95)


@dataclass(frozen=True, eq=False)
class Calibration(StoredRecord):
    """Errors of forecasts of validation data, sorted: the widths of intervals at any level.

    A score is ``|truth - forecast| / unit``. With n calibration rollouts the half width of an
    interval of some level is the score of rank ``ceil((n + 1) * level)``: it then covers a fresh
    rollout, exchangeable with those n, with that probability or more, whatever the errors'
    distribution (Vovk, Gammerman, Shafer 2005; Lei et al. 2018, JASA 113, 1094, Theorem 2.2).

    Where features are too many for that, their scores are pooled. An interval then covers the level
    on average over the features: the rule of conformal risk control (Angelopoulos et al. 2024,
    ICLR, Theorem 1), whose loss is the share of the features that are missed.

    Attributes
    ----------
    steps : array of int, shape (k,)
        Steps of ``dt`` since the initial state at which errors were measured, increasing.
    counts : array of int, shape (k,)
        Rollouts whose recordings reach each of the steps.
    scores : array of float32, shape (m, k, g)
        Sorted along the first axis; infinite where a forecast diverged, and beyond the counts. g is
        the number of features, or 1 if they are pooled, m then being rollouts times ``pool``.
    unit : array, shape (d,)
        What scores are measured in, in the user's units.
    pool : int
        Features pooled of each rollout; 1 where every feature has its own widths.
    step_sizes : tuple of int
        The coupling that made the forecasts.
    interpolation : str
        The interpolation that made them.
    worth : int or None
        Where rollouts are overlapping stretches of the same recordings: about how many independent
        ones tell as much, at the step at which they tell least. None where they do not overlap.
    n_trained : int
        How many of the rollouts are of training data, which the errors of the others are like.
    cross_fitted : bool
        Whether each rollout was forecast by flow maps fitted without it, to the other parts.
    """

    schema: ClassVar[Record] = Record(
        {
            "pool": Whole(1),
            "step_sizes": Many(STEP_SIZE),
            "interpolation": Text(choices=tuple(METHODS)),
            "worth": Maybe(Whole()),
        },
        {"n_trained": Whole(), "cross_fitted": Flag()},
    )

    steps: np.ndarray
    counts: np.ndarray
    scores: np.ndarray
    unit: np.ndarray
    pool: int
    step_sizes: tuple[int, ...] = ()
    interpolation: str = "cubic"
    worth: int | None = None
    n_trained: int = 0
    cross_fitted: bool = False

    @classmethod
    def from_errors(
        cls,
        errors: RolloutErrors,
        unit: np.ndarray,
        *,
        worth: np.ndarray | None = None,
        smooth: bool = False,
        most_scores: int = 1 << 20,
    ) -> Calibration:
        """Rank the errors of calibration rollouts; see :func:`ranked_scores`.

        Parameters
        ----------
        errors : RolloutErrors
        unit : array, shape (d,)
        worth : array, shape (k,), optional
            About how many independent rollouts tell as much as overlapping ones.
        smooth : bool
            Whether neighbouring steps tell of each other; see :func:`smoothed_scores`.
        most_scores : int
            Numbers kept, at most: 4 MB in a model file. Beyond it features are pooled.
        """
        independent = errors.counts if worth is None else worth
        if smooth and errors.values.size <= most_scores:
            scores, pool = smoothed_scores(errors, independent), 1
        else:
            scores, pool = ranked_scores(errors, worth, most_scores)
        return cls(
            steps=np.asarray(errors.steps, dtype=np.int64),
            counts=errors.counts,
            scores=scores.astype(np.float32),
            unit=np.asarray(unit, dtype=np.float64),
            pool=pool,
            worth=int(np.floor(independent.min())) if errors.overlapping else None,
            n_trained=errors.n_trained,
        )

    @property
    def n_rollouts(self) -> int:
        """Rollouts that the calibration rests on, at the steps that most of them reach."""
        return int(self.counts.max())

    @property
    def overlapping(self) -> bool:
        """Whether rollouts are overlapping stretches of the same recordings."""
        return self.worth is not None

    @property
    def horizon(self) -> int:
        """Last step at which errors were measured."""
        return int(self.steps[-1])

    @property
    def highest_level(self) -> float:
        """Highest level that there are rollouts enough for, where most of them reach."""
        return self.n_rollouts / (self.n_rollouts + 1)

    def quantiles(self, level: float) -> np.ndarray:
        """Return the half widths at :attr:`steps`, in :attr:`unit`, shape ``(k, g)``.

        They are infinite where the rollouts are too few for the level, or too many diverged.
        """
        ranks = conformal_ranks(self.counts, level, self.pool)
        known = ranks <= self.counts * self.pool
        taken = self.scores[np.where(known, ranks, 1) - 1, np.arange(len(ranks))]
        return np.where(known[:, None], taken.astype(np.float64), np.inf)

    def widths(self, positions: np.ndarray, level: float) -> np.ndarray:
        """Return the half widths at any times, in the user's units, shape ``(m, d)``.

        Between the calibrated steps they are interpolated linearly, from 0 at the initial state.
        Beyond :meth:`reach` nothing is known: they are infinite.

        Parameters
        ----------
        positions : array, shape (m,)
            Times since the initial state, in multiples of ``dt``.
        level : float
        """
        at = np.concatenate([[0], self.steps])
        heights = self.quantiles(level)
        heights = np.concatenate([np.zeros_like(heights[:1]), heights])
        right = np.clip(np.searchsorted(at, positions), 1, len(at) - 1)
        share = (positions - at[right - 1]) / (at[right] - at[right - 1])
        # 0 times infinity is nothing here: at a step itself its neighbours do not count.
        with np.errstate(invalid="ignore"):
            left = np.where(share[:, None] < 1, (1 - share)[:, None] * heights[right - 1], 0.0)
            between = left + np.where(share[:, None] > 0, share[:, None] * heights[right], 0.0)
        between[positions > self.reach(level)] = np.inf
        return np.asarray(between * self.unit)

    def bounds(
        self, states: np.ndarray, positions: np.ndarray, level: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return both bounds of intervals around states ``(n, m, d)``; see :meth:`widths`."""
        widths = self.widths(positions, level).astype(states.dtype)
        return states - widths, states + widths

    def reach(self, level: float) -> int:
        """Return the last step up to which intervals of this level are finite; 0 if none is."""
        lost = ~np.isfinite(self.quantiles(level)).all(axis=1)
        if not lost.any():
            return self.horizon
        first = int(lost.argmax())
        return int(self.steps[first - 1]) if first else 0

    def luck(self, level: float) -> tuple[float, float]:
        """Return between which coverages nine in ten calibrations with so many rollouts lie.

        Over the draw of the calibration data the coverage of one feature at one time has a beta
        distribution (Vovk 2012, ACML, Proposition 2a). A level out of reach gives (1, 1).
        """
        from scipy.special import betaincinv  # what shows a model does without SciPy

        n = self.n_rollouts
        rank = int(conformal_ranks(np.array([n]), level)[0])
        if rank > n:
            return 1.0, 1.0
        low, high = betaincinv(rank, n + 1 - rank, _LUCK)  # quantiles of the distribution
        return float(low), float(high)

    def shortfall(self, n_steps: int, level: float) -> str | None:
        """Return why intervals are not finite up to a step, and what to do; None if they are."""
        reach = self.reach(level)
        if n_steps <= reach:
            return None
        if level > self.highest_level:
            needed = math.ceil(level / (1 - level) - ROUNDING)
            most = math.floor(100 * self.highest_level) / 100
            return (
                f"Intervals of level {level:g} need {needed} calibration rollouts, there are "
                f"{self.n_rollouts}: ask for {most:g} or less, or calibrate on more data."
            )
        if reach < self.horizon:
            return (
                f"Intervals of level {level:g} reach step {reach}: beyond it too many calibration "
                "rollouts end or diverge. Ask for a lower level, or calibrate on more and longer "
                "data."
            )
        return (
            f"Intervals reach step {reach}, the last that was calibrated: nothing is known of the "
            f"errors up to step {n_steps}. Calibrate on longer data."
        )

    @classmethod
    def check_state(
        cls, plain: Mapping[str, Any], found: Mapping[str, TensorSpec], where: str = ""
    ) -> None:
        """Compare arrays with each other's lengths."""
        k, d = (found[name].shape[:1] if name in found else () for name in ("steps", "unit"))
        scores = found.get("scores", TensorSpec("F32", ())).shape
        shape = (scores[0], *k, scores[2]) if len(scores) == 3 else (1, *k, *d)
        expected = {
            "steps": TensorSpec("I64", k or (1,)),
            "counts": TensorSpec("I64", k or (1,)),
            "scores": TensorSpec("F32", shape),
            "unit": TensorSpec("F64", d or (1,)),
        }
        check_specs(expected, found, where)

    def _check(self) -> None:
        scores, k = self.scores, len(self.steps)
        groups = len(self.unit) if self.pool == 1 and scores.shape[-1] > 1 else 1
        if scores.shape[1:] != (k, groups):
            raise ValueError("its calibration does not fit together")
        increasing = k > 0 and (np.diff(self.steps, prepend=0) > 0).all()
        if not increasing or self.counts.min() < 1 or self.counts.max() * self.pool > len(scores):
            raise ValueError("its calibration counts what it does not hold")
        if not 0 <= self.n_trained <= self.n_rollouts:
            raise ValueError("its calibration counts more training rollouts than there are")
        if np.isnan(scores).any() or (scores < 0).any() or (scores[1:] < scores[:-1]).any():
            raise ValueError("its calibration is not sorted")
        if not (np.isfinite(self.unit).all() and (self.unit > 0).all()):
            raise ValueError("its calibration is of other features")


def as_level(level: object) -> float:
    """Return the level of an interval as a float.

    Raises ArgumentError: it is not between 0 and 1.
    """
    number = isinstance(level, (int, float, np.number)) and not isinstance(level, bool)
    if not number or not 0 < level < 1:  # type: ignore[operator]
        raise ArgumentError(
            f"Expected interval to be a level between 0 and 1, such as 0.9, got {shown(level)}."
        )
    return float(level)  # type: ignore[arg-type]
