"""Calibration rollouts: which stretches of held-out data are forecast, and how far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from pyhits.trajectories import Trajectories
from pyhits.trust.conformal import Calibration, from_errors

#: Forecasts starts over n_steps and returns the states at some steps, shape (n, k, d); the last
#: argument is the rows of the data that the starts are.
ForecastAt = Callable[[np.ndarray, int, np.ndarray, np.ndarray], np.ndarray]

#: Fewer trajectories than this are cut into overlapping rollouts: one each would give no 90 %.
_FEW = 9

#: Overlapping rollouts, at most, and rollouts of any kind: more change widths by a percent.
_MOST_OVERLAPPING, _MOST = 256, 2048

#: States stepped through, at most, unless that leaves fewer rollouts than the second number.
_MOST_STATES, _LEAST = 2_000_000, 64

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


def calibration_steps(horizon: int) -> np.ndarray:
    """Return at most 64 steps from 1 to ``horizon``, dense at first, then even; increasing."""
    even = np.linspace(1, horizon, min(horizon, _EVEN))
    ratio = np.geomspace(1, horizon, min(horizon, _BY_RATIO))
    return np.unique(np.round(np.concatenate([even, ratio])).astype(np.int64))


def stretches(data: Trajectories, history: int) -> Stretches:
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
    """
    room = data.lengths - history
    first = (data.offsets[:-1] + history - 1)[room >= 1]
    room = room[room >= 1]
    if len(room) == 0:
        return Stretches(first, room, None)
    if len(room) >= _FEW:
        most = int(np.clip(_MOST_STATES // room.max(), _LEAST, _MOST))
        some = np.linspace(0, len(room) - 1, min(len(room), most)).astype(int)
        return Stretches(first[some], room[some], None)
    span = max(1, int(room.max()) // 2)
    each = int(np.clip(_MOST_STATES // span, _LEAST, _MOST_OVERLAPPING)) // len(room)
    starts, lengths = [], []
    for begin, steps in zip(first, room, strict=True):
        shifts = np.unique(np.linspace(0, max(0, steps - span), each).astype(int))
        starts.append(begin + shifts)
        lengths.append(np.minimum(span, steps - shifts))
    begins = np.concatenate(starts)
    return Stretches(begins, np.concatenate(lengths), np.isin(begins, first))


def calibrate(
    forecast: ForecastAt,
    data: Trajectories,
    unit: np.ndarray,
    *,
    history: int = 1,
    step_sizes: Sequence[int] = (),
    interpolation: str = "cubic",
) -> Calibration | None:
    """Forecast held-out data and rank the errors.

    Parameters
    ----------
    forecast : callable
        In the user's units; NaN where it diverged.
    data : Trajectories
        Neither trained on nor, for the exact promise, used to choose anything.
    unit : array, shape (d,)
        Positive sizes that errors are measured in, such as the spread of each feature.
    history : int
        Rows that a forecast starts from.
    step_sizes, interpolation
        Those of the forecasts, for the record.

    Returns
    -------
    Calibration or None
        None where no trajectory is long enough to be forecast.
    """
    found = stretches(data, history)
    if len(found.starts) == 0:
        return None
    horizon, d = int(found.lengths.max()), data.n_features
    steps = calibration_steps(horizon)
    most = max(1, _MOST_NUMBERS // (len(steps) * d))
    some = np.linspace(0, len(found.starts) - 1, min(most, len(found.starts))).astype(int)
    starts, lengths = found.starts[some], found.lengths[some]
    known = steps <= lengths[:, None]
    errors = np.empty((len(starts), len(steps), d), dtype=np.float32)
    batch = max(1, _BATCH // ((horizon + 1) * d))
    for begin in range(0, len(starts), batch):
        part = slice(begin, begin + batch)
        rows = np.where(known[part], starts[part, None] + steps, starts[part, None])
        before = starts[part, None] + np.arange(1 - history, 1)
        states = data.values[before]
        begins = states[:, 0] if history == 1 else states
        ahead = forecast(begins, horizon, steps, starts[part])
        with np.errstate(invalid="ignore", over="ignore"):
            difference = np.subtract(ahead, data.values[rows], dtype=np.float64)
            difference /= unit
            errors[part] = np.abs(difference, out=difference)
    return from_errors(
        errors,
        known,
        steps,
        unit,
        step_sizes=step_sizes,
        interpolation=interpolation,
        first=None if found.first is None else found.first[some],
        worth=None if found.first is None else independent(errors, known, found.first[some]),
    )


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
