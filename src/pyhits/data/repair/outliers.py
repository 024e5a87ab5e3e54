"""Values that do not belong where they stand: far outside of what their neighbours say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pyhits.data.trajectories import Trajectories

#: An outlier lies this many robust standard deviations beyond all that its neighbours allow. The
#: neighbours of white noise allow a wide range, so not one in 1e10 of its values does.
THRESHOLD = 8.0

#: Share of a feature's range below which nothing stands out.
_LEAST_SHARE = 0.01

#: Rows in a row that may be outliers together, if they are alike.
_LONGEST_RUN = 3

#: Rows in a row are alike if they differ by less than this share of their distance.
_ALIKE = 0.1

#: What stands out more often than this share of a feature's rows is how the feature moves.
_MOST_SHARE = 0.02

#: Rows on either side, beyond those that an outlier itself disturbs, that show how rough it is.
_NEAR = np.arange(3, 11)

#: Rows between two trajectories that keep each one's neighbours its own.
_PAD = 4

#: From this magnitude on a number is one of the marks that file formats have for missing values.
_MARK_MAGNITUDE = 1e20

#: Shortest row of nines that counts as a mark for missing values: -99 or 999, but not 9.
_FEWEST_NINES = 2

#: Numbers examined at once, so that long rows do not need many times their memory.
_BLOCK = 1 << 21

#: Values that show a robust spread.
_ENOUGH = 1 << 17

_ROBUST = 1.4826  # median absolute deviation to standard deviation, for Gaussian numbers


@dataclass(frozen=True)
class Outlier:
    """One value that stands out."""

    #: trajectory, row, feature: Where it is, all from 0.
    trajectory: int
    row: int
    feature: int
    #: value, expected: What it is, and what the rows before and behind say.
    value: float
    expected: float


def outliers_of(data: Trajectories) -> list[Outlier]:
    """Return what stands out of trajectories; see :func:`find_outliers`."""
    return find_outliers(data.values, data.lengths)


def find_outliers(
    values: np.ndarray, lengths: Sequence[int] | np.ndarray, times: np.ndarray | None = None
) -> list[Outlier]:
    """Point out values that their neighbours contradict.

    The rules are those of ``docs/data.md``, "Outliers": by more than :data:`THRESHOLD` times the
    larger of two robust spreads, that of the deviation from the line between the neighbours over
    the whole feature, and over the rows nearby.

    Returns list of Outlier: by feature, then by row.

    Parameters
    ----------
    values : array, shape (n_rows, n_features)
        Trajectories, one below the other; NaN where a value is missing.
    lengths : sequence of int
        Rows of each.
    times : array, shape (n_rows,), optional
        Where they are not uniform.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    if len(values) == 0:
        return []
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    number = np.repeat(np.arange(len(lengths)), lengths)
    at = np.arange(len(values)) + _PAD * (number + 1)
    n_padded = len(values) + _PAD * (len(lengths) + 1) + len(_NEAR) + _PAD
    clock = np.full(n_padded, np.nan)
    clock[at] = np.arange(len(values)) if times is None else times
    row_of = np.full(n_padded, -1, dtype=np.int64)
    row_of[at] = np.arange(len(values))
    found: list[Outlier] = []
    width = max(1, _BLOCK // max(1, len(values)))
    for first in range(0, values.shape[1], width):
        block = np.full((n_padded, min(width, values.shape[1] - first)), np.nan)
        block[at] = values[:, first : first + width]
        for column in range(block.shape[1]):
            for place, expected in _in_column(block[:, column], clock):
                row = int(row_of[place])
                k = int(number[row])
                value = float(block[place, column])
                found.append(Outlier(k, row - int(offsets[k]), first + column, value, expected))
    return found


def _in_column(x: np.ndarray, clock: np.ndarray) -> list[tuple[int, float]]:
    """Return where a padded feature stands out, and what its neighbours say."""
    known = x[np.isfinite(x)]
    if len(known) == 0:
        return []
    marks = _marks(known)
    is_mark = np.isin(x, marks) if len(marks) else np.zeros(len(x), dtype=bool)
    if is_mark.any():
        x = np.where(is_mark, np.nan, x)
        known = x[np.isfinite(x)]
    low, high = np.quantile(_some(known), [0.01, 0.99])
    deviation = np.full(len(x), np.nan)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        share = (clock[1:-1] - clock[:-2]) / (clock[2:] - clock[:-2])
        deviation[1:-1] = np.abs(x[1:-1] - (x[:-2] + (x[2:] - x[:-2]) * share))
    limit = THRESHOLD * max(
        _ROBUST * _median(_some(deviation)), _LEAST_SHARE * (high - low), _quantum(x)
    )
    # Nothing lies further outside of its neighbours than off the line between them.
    places = [(1, np.flatnonzero(deviation > limit))]
    limit_of_runs = max(limit, 2 * (high - low))
    if known.max() - known.min() > limit_of_runs:
        with np.errstate(over="ignore"):
            leaps = np.flatnonzero(np.abs(np.diff(x)) > limit_of_runs) + 1
        places += [(length, leaps) for length in range(2, _LONGEST_RUN + 1)]
    stands_out = np.zeros(len(x), dtype=bool)
    for length, candidates in places:
        beyond = _beyond(x, clock, candidates, length)
        with np.errstate(invalid="ignore"):
            far = beyond > (limit if length == 1 else limit_of_runs)
        for place, distance in zip(candidates[far].tolist(), beyond[far].tolist(), strict=True):
            near = max(
                _median(deviation[np.maximum(place - _NEAR, 0)]),
                _median(deviation[np.minimum(place + length - 1 + _NEAR, len(x) - 1)]),
            )
            if distance > THRESHOLD * near and not stands_out[place - 1]:
                stands_out[place : place + length] = True
    if stands_out.sum() > max(_LONGEST_RUN, _MOST_SHARE * len(known)):
        stands_out[:] = False
    return list(_with_expected(x, clock, stands_out | is_mark))


def _beyond(x: np.ndarray, clock: np.ndarray, places: np.ndarray, length: int) -> np.ndarray:
    """Return how far runs of rows from ``places`` on lie outside of what stands around them.

    Runs of several rows count only if they are alike; others, and those without two neighbours,
    are NaN.
    """
    earlier, before = x[places - 2], x[places - 1]
    behind, later = x[places + length], x[places + length + 1]
    start, end = clock[places - 1], clock[places + length]
    rows = x[places[:, None] + np.arange(length)]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        rise = (before - earlier) / (start - clock[places - 2])
        fall = (later - behind) / (clock[places + length + 1] - end)
        above, below = np.full(len(places), np.inf), np.full(len(places), np.inf)
        width = np.zeros(len(places))
        for j in range(length):
            t = clock[places + j]
            forward, backward = before + rise * (t - start), behind + fall * (t - end)
            highest = np.fmax(np.fmax(before, behind), np.fmax(forward, backward))
            lowest = np.fmin(np.fmin(before, behind), np.fmin(forward, backward))
            above = np.minimum(above, rows[:, j] - highest)
            below = np.minimum(below, lowest - rows[:, j])
            width = np.maximum(width, highest - lowest)
        beyond = np.maximum(above, below)
        # What comes behind goes on from what was before; a burst leads elsewhere.
        beyond[~(beyond > width)] = np.nan
        beyond[~(np.isfinite(before) & np.isfinite(behind))] = np.nan
        beyond[~(np.ptp(rows, axis=1) <= _ALIKE * beyond)] = np.nan
    return np.asarray(beyond)


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0


def _some(values: np.ndarray) -> np.ndarray:
    """Return values evenly through the rows, as many as a robust spread takes."""
    return values[:: 1 + len(values) // _ENOUGH]


def _quantum(x: np.ndarray) -> float:
    """Return about the least by which values differ: 1 for whole numbers, near 0 for others."""
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.abs(_some(x[1:]) - _some(x[:-1]))
    steps = steps[np.isfinite(steps) & (steps > 0)]
    few = len(_NEAR)
    return float(np.partition(steps, few)[few]) if len(steps) > few else 0.0


def _marks(known: np.ndarray) -> list[float]:
    """Return the marks for missing values among the extremes of a feature."""
    found = []
    for value in (known.min(), known.max()):
        magnitude = abs(float(value))
        is_nines = magnitude >= 10**_FEWEST_NINES - 1 and set(f"{magnitude:.10g}") == {"9"}
        rest = known[known != value]
        if not (is_nines or magnitude >= _MARK_MAGNITUDE) or len(rest) == 0:
            continue
        low, high = float(rest.min()), float(rest.max())
        if max(low - value, value - high) > high - low:
            found.append(float(value))
    return found


def _with_expected(
    x: np.ndarray, clock: np.ndarray, chosen: np.ndarray
) -> Iterator[tuple[int, float]]:
    """Give the chosen places with the straight line between the nearest others."""
    places = np.flatnonzero(chosen)
    if len(places) == 0:
        return
    others = np.flatnonzero(~chosen & np.isfinite(x))
    if len(others) == 0:
        yield from ((int(place), float("nan")) for place in places)
        return
    expected = np.interp(clock[places], clock[others], x[others])
    yield from zip(places.tolist(), expected.tolist(), strict=True)


#: Outliers that a note shows, at most.
_MOST_SHOWN = 3

#: Numbers, and features, up to which a fit looks for outliers by itself: a second of work.
_MOST_EXAMINED, _MOST_FEATURES = 1 << 24, 1 << 10


def outlier_note(found: Sequence[Outlier], names: Sequence[str], *, dropped: str = "keep") -> str:
    """Return one sentence on outliers: how many, the first of them, and what is done."""
    shown = [
        f"{o.value:.4g} in trajectory {o.trajectory}, row {o.row}, {names[o.feature]!r}, where "
        f"{o.expected:.4g} was to be expected"
        for o in found[:_MOST_SHOWN]
    ]
    more = "; ..." if len(found) > _MOST_SHOWN else "."
    stand = "value stands" if len(found) == 1 else "values stand"
    done = (
        "Taken as missing."
        if dropped == "drop"
        else 'Kept; outliers="drop" of pyhits.repair (or --drop-outliers) takes them as missing.'
    )
    return f"{len(found)} {stand} out: {'; '.join(shown)}{more} {done}"


def outlier_notes(data: Trajectories) -> list[str]:
    """Return what a fit says about outliers: at most one sentence, none about very large data."""
    if data.values.size > _MOST_EXAMINED or data.n_features > _MOST_FEATURES:
        return []
    found = outliers_of(data)
    return [outlier_note(found, data.feature_names)] if found else []
