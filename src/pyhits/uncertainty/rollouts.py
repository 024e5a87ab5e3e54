"""Calibration rollouts: which stretches of held-out data are forecast, and how far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from pyhits.data.trajectories import Trajectories
from pyhits.uncertainty.conformal import Calibration, from_errors

#: Forecasts starts over n_steps and returns the states at some steps, shape (n, k, d); the last
#: argument is the rows of the data that the starts are.
ForecastAt = Callable[[np.ndarray, int, np.ndarray, np.ndarray], np.ndarray]

#: Fewer trajectories than this are cut into overlapping rollouts: one each would give no 90 %.
_FEW = 9

#: Rollouts of held-out trajectories from which on those of training trajectories are not looked at,
#: and without which nothing tells whether they are alike.
_ENOUGH, _TELLING = 1024, 4

#: Parts of the horizon in each of which the errors of both are compared; and by how many standard
#: deviations held-out errors may rank above and below those of training trajectories.
_COMPARED, _ABOVE, _BELOW = 4, 1.5, 2.0

#: Overlapping rollouts, at most, and rollouts of any kind: more change widths by a percent.
_MOST_OVERLAPPING, _MOST = 256, 2048

#: States stepped through, at most, unless that leaves fewer rollouts than the second number.
_MOST_STATES, _LEAST = 6_000_000, 64

#: Rollouts that there are room for at least where time allows few states: they are shorter then;
#: and the longest without such a limit.
_FEWEST, _FARTHEST = 16, 1 << 62

#: Numbers decoded, at most, as for films; and those held in memory at a time.
_MOST_NUMBERS, _BATCH = 400_000_000, 1 << 24

#: Features whose errors say how much overlapping rollouts have in common, at most.
_RANKED = 8

#: In place of the error of a diverged forecast, where only its rank counts.
_WORST = float(np.finfo(np.float32).max)

#: Steps at which errors are kept: so many spread evenly, and so many by equal ratios.
_EVEN, _BY_RATIO = 40, 24


@dataclass(frozen=True)
class Stretches:
    """Stretches of recordings that forecasts are compared with.

    Attributes
    ----------
    starts : array of int, shape (n,)
        Rows of the data that forecasts start from.
    lengths : array of int, shape (n,)
        Steps that each reaches.
    first : array of bool, shape (n,), or None
        Which begin at a trajectory's first state; None if all do, and so share no rows.
    """

    starts: np.ndarray
    lengths: np.ndarray
    first: np.ndarray | None

    def some(self, most: int) -> Stretches:
        """Return at most so many of them, evenly chosen."""
        if len(self.starts) <= most:
            return self
        which = np.linspace(0, len(self.starts) - 1, most).astype(int)
        first = None if self.first is None else self.first[which]
        return Stretches(self.starts[which], self.lengths[which], first)


def calibration_steps(horizon: int) -> np.ndarray:
    """Return at most 64 steps from 1 to ``horizon``, dense at first, then even; increasing."""
    even = np.linspace(1, horizon, min(horizon, _EVEN))
    ratio = np.geomspace(1, horizon, min(horizon, _BY_RATIO))
    return np.unique(np.round(np.concatenate([even, ratio])).astype(np.int64))


def stretches(data: Trajectories, history: int, most_states: int = _MOST_STATES) -> Stretches:
    """Choose the calibration rollouts.

    Many trajectories give one rollout each, from its first state: fresh trajectories that start
    like these are exchangeable with them. Later states of the same trajectories are not, unless the
    process is stationary, so they do not count. One or a few recordings are cut into overlapping
    stretches of half the longest recording, as many as fit.

    Parameters
    ----------
    data : Trajectories
    history : int
        Rows that a forecast starts from. Trajectories with no row beyond them are left out.
    most_states : int
        States stepped through, at most.
    """
    whole = whole_stretches(data, history, most_states)
    first, room = whole.starts, whole.lengths
    if len(room) == 0:
        return whole
    if len(room) >= _FEW:
        return whole.some(affordable(room.max(), most_states))
    whole_room = data.lengths - history
    room = whole_room[whole_room >= 1]
    span = min(max(1, int(room.max()) // 2), _farthest(most_states))
    most = min(affordable(span, most_states), _MOST_OVERLAPPING)
    each = max(1, most // len(room))
    starts, lengths = [], []
    for begin, steps in zip(first, room, strict=True):
        shifts = np.unique(np.linspace(0, max(0, steps - span), each).astype(int))
        starts.append(begin + shifts)
        lengths.append(np.minimum(span, steps - shifts))
    begins = np.concatenate(starts)
    return Stretches(begins, np.concatenate(lengths), np.isin(begins, first))


def whole_stretches(data: Trajectories, history: int, most_states: int = _MOST_STATES) -> Stretches:
    """Return every trajectory from its first state, but those with no row beyond ``history``.

    Where few states are affordable they are cut, so that there are several.
    """
    room = np.minimum(data.lengths - history, _farthest(most_states))
    first = data.offsets[:-1] + history - 1
    return Stretches(first[room >= 1], room[room >= 1], None)


def affordable(horizon: int, most_states: int = _MOST_STATES) -> int:
    """Return how many rollouts of a horizon are stepped through, at most."""
    least = _LEAST if most_states >= _MOST_STATES else 1
    return int(np.clip(most_states // horizon, least, _MOST))


def _farthest(most_states: int) -> int:
    """Return the longest horizon of a rollout."""
    return _FARTHEST if most_states >= _MOST_STATES else max(1, most_states // _FEWEST)


@dataclass(frozen=True)
class Source:
    """Recordings, and what forecasts them.

    Attributes
    ----------
    data : Trajectories
    forecast : callable
        In the user's units; NaN where it diverged.
    """

    data: Trajectories
    forecast: ForecastAt

    def errors(
        self, found: Stretches, steps: np.ndarray, unit: np.ndarray, history: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ``|truth - forecast| / unit``, shape (n, k, d), and which are known, (n, k)."""
        data, horizon = self.data, int(steps[-1])
        starts, known = found.starts, steps <= found.lengths[:, None]
        errors = np.empty((*known.shape, data.n_features), dtype=np.float32)
        batch = max(1, _BATCH // ((horizon + 1) * data.n_features))
        for begin in range(0, len(starts), batch):
            part = slice(begin, begin + batch)
            rows = np.where(known[part], starts[part, None] + steps, starts[part, None])
            before = starts[part, None] + np.arange(1 - history, 1)
            states = data.values[before]
            begins = states[:, 0] if history == 1 else states
            ahead = self.forecast(begins, horizon, steps, starts[part])
            with np.errstate(invalid="ignore", over="ignore"):
                difference = np.subtract(ahead, data.values[rows], dtype=np.float64)
                difference /= unit
                errors[part] = np.abs(difference, out=difference)
        return errors, known


def calibrate(
    held: Source,
    unit: np.ndarray,
    *,
    trained: Source | None = None,
    history: int = 1,
    cross_fitted: bool = False,
    step_sizes: Sequence[int] = (),
    interpolation: str = "cubic",
    most_states: int | None = None,
) -> Calibration | None:
    """Forecast held-out data and rank the errors.

    Parameters
    ----------
    held : Source
        Neither trained on nor, for the exact promise, used to choose anything.
    unit : array, shape (d,)
        Positive sizes that errors are measured in, such as the spread of each feature.
    trained : Source, optional
        What was trained on. Its errors are ranked together with the others where these do not tell
        them apart: a model of few parameters and many windows errs alike on both, and more rollouts
        leave less to the luck of the draw.
    history : int
        Rows that a forecast starts from.
    cross_fitted, step_sizes, interpolation
        For the record; the last two are those of the forecasts.
    most_states : int, optional
        States stepped through, at most, where time is short.

    Returns
    -------
    Calibration or None
        None where no trajectory is long enough to be forecast.
    """
    most = _MOST_STATES if most_states is None else min(most_states, _MOST_STATES)
    facts: dict[str, Any] = {
        "cross_fitted": cross_fitted,
        "step_sizes": step_sizes,
        "interpolation": interpolation,
    }
    if trained is not None:
        pooled = _pooled(held, trained, unit, history, most)
        if pooled is not None:
            errors, known, steps, n_trained = pooled
            return from_errors(errors, known, steps, unit, n_trained=n_trained, **facts)
    found = stretches(held.data, history, most)
    if len(found.starts) == 0:
        return None
    steps = calibration_steps(int(found.lengths.max()))
    found = found.some(max(1, _MOST_NUMBERS // (len(steps) * held.data.n_features)))
    errors, known = held.errors(found, steps, unit, history)
    worth = None if found.first is None else independent(errors, known, found.first)
    return from_errors(errors, known, steps, unit, first=found.first, worth=worth, **facts)


def _pooled(
    held: Source, trained: Source, unit: np.ndarray, history: int, most_states: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int] | None:
    """Return errors of held-out and training trajectories, if these are alike; else None.

    They come with which are known, the steps, and the number of training trajectories.
    """
    first = [whole_stretches(source.data, history, most_states) for source in (held, trained)]
    n_held, n_trained = (len(found.starts) for found in first)
    if not _TELLING <= n_held < _ENOUGH or n_held + n_trained < _FEW or n_trained == 0:
        return None
    steps = calibration_steps(max(int(found.lengths.max()) for found in first))
    most = min(
        affordable(int(steps[-1]), most_states),
        max(1, _MOST_NUMBERS // (len(steps) * held.data.n_features)),
    )
    if n_held >= most:
        return None
    of_held, known_held = held.errors(first[0], steps, unit, history)
    some = first[1].some(most - n_held)
    of_trained, known_trained = trained.errors(some, steps, unit, history)
    if not alike(of_held, known_held, of_trained, known_trained):
        return None
    return (
        np.concatenate([of_held, of_trained]),
        np.concatenate([known_held, known_trained]),
        steps,
        len(some.starts),
    )


def alike(
    errors: np.ndarray, known: np.ndarray, others: np.ndarray, others_known: np.ndarray
) -> bool:
    """Whether errors do not rank clearly above or below others, in any part of the horizon.

    The share of pairs in which one of ``errors`` is the larger (Mann and Whitney 1947), on average
    over the steps of a part and over features, is held against the standard deviation that it has
    at one step where both have the same distribution.

    Parameters
    ----------
    errors, others : array, shape (n, k, d) and (m, k, d)
    known, others_known : array of bool, shape (n, k) and (m, k)
    """
    from scipy.stats import rankdata  # takes a third of a second to import

    d = errors.shape[2]
    some = np.linspace(0, d - 1, min(d, _RANKED)).astype(int)
    both = np.concatenate([errors[:, :, some], others[:, :, some]])
    both = np.nan_to_num(both, nan=_WORST, posinf=_WORST)
    reached = np.concatenate([known, others_known])
    # What is not known ranks last and is then left out of the sum.
    ranks = rankdata(np.where(reached[:, :, None], both, np.inf), axis=0)
    n, m = known.sum(axis=0), others_known.sum(axis=0)
    pairs = np.maximum(n * m, 1)
    own = np.where(known[:, :, None], ranks[: len(known)], 0.0).sum(axis=0)
    above = (own.mean(axis=1) - n * (n + 1) / 2) / pairs - 0.5
    spread = np.sqrt((n + m + 1) / (12 * pairs))
    parts = np.array_split(np.where((n > 0) & (m > 0), above / spread, 0.0), _COMPARED)
    shifts = [float(part.mean()) for part in parts if len(part)]
    return max(shifts) <= _ABOVE and min(shifts) >= -_BELOW


def independent(errors: np.ndarray, known: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return about how many independent rollouts overlapping ones are worth, shape ``(k,)``.

    Their number over the integrated autocorrelation time of the errors' ranks, along the starts
    within each recording, summed up to where the correlation vanishes (Sokal 1997, Functional
    Integration, 131).

    Parameters
    ----------
    errors : array, shape (n, k, d)
        Along the starts, recording after recording.
    known : array of bool, shape (n, k)
    first : array of bool, shape (n,)
        Which begin a recording.
    """
    n, k, d = errors.shape
    some = errors[:, :, np.linspace(0, d - 1, min(d, _RANKED)).astype(int)]
    # Diverged ones are the worst that are known; beyond a recording's end is after all of them.
    some = np.nan_to_num(some, nan=_WORST, posinf=_WORST)
    ranks = np.where(known[:, :, None], some, np.inf).argsort(axis=0).argsort(axis=0)
    reached = known.sum(axis=0)
    centred = np.where(known[:, :, None], ranks - (reached[:, None] - 1) / 2, 0.0)
    size = next_fast_len(2 * n)
    products = np.zeros((n, k))
    pairs = np.zeros((n, k))
    for part in np.split(np.arange(n), np.flatnonzero(first)[1:]):
        spectrum = rfft(centred[part], size, axis=0)
        products += irfft(np.square(np.abs(spectrum)), size, axis=0)[:n].sum(axis=2)
        spectrum = rfft(known[part].astype(float), size, axis=0)
        pairs += np.round(irfft(np.square(np.abs(spectrum)), size, axis=0)[:n])
    variance = np.maximum(products[0], 1e-300)
    correlation = products / variance * reached / np.maximum(pairs, 1)
    positive = np.logical_and.accumulate((correlation > 0) & (pairs > 0), axis=0)
    time = 2 * np.where(positive, correlation, 0.0).sum(axis=0) - 1
    return np.asarray(np.clip(reached / np.maximum(time, 1.0), 1.0, np.maximum(reached, 1)))
