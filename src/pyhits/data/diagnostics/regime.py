"""Recordings of which one part moves otherwise than the other.

Three signs are looked for, all for one change alone, and all sharp: slow drifts, transients and
what goes to and fro are how systems move. A feature makes one step far beyond all others and stays
there; or the level or the size of the steps is another in all blocks of rows before some place than
in all blocks behind it; or the same states go on elsewhere before it than behind it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyhits.data.diagnostics.finding import Finding, place
from pyhits.data.diagnostics.sample import Sample
from pyhits.data.stretches import evenly
from pyhits.numerics.neighbours import nearest

#: Rows that it takes, blocks of them, and the share of them on either side at least.
_FEWEST, _BLOCKS, _SIDE = 200, 20, 0.2

#: Difference of the two sides, in standard deviations of the blocks of a side; and as a level, in
#: standard deviations of rows; and of the size of steps, as a logarithm.
_DISTINCT, _LEVEL, _SIZE = 6.0, 4.0, float(np.log(2))

#: Times that a feature turns on either side, at least: what goes one way, fast and then slowly, is
#: a transient, and a spike is a spike.
_TURNS = 5

#: Standard deviation of a side's block means, by that of the means of white noise, at most: what
#: drifts before it leaps is how relaxation oscillators move.
_STEADY = 6.0

#: Part of the difference that comes at once, at least.
_SHARP = 0.7

#: Recordings looked at, and features.
_MOST_PIECES, _MOST_FEATURES = 4, 8

#: Rows asked for their neighbours, rows among which; neighbours; how near, in a feature's bulk.
_ASKED, _AMONG, _NEIGHBOURS, _NEARNESS = 600, 4000, 24, 0.06

#: Of what like states do later, three quarters of the differences across the change are larger by
#: this factor than three quarters of those on its sides.
_OTHERWISE = 1.3

#: Pairs of like states across, and on the sides, at least.
_FEWEST_PAIRS = 60

#: Stretches of rows, on each side, in which such states are met, at least.
_FEWEST_VISITS = 8


def regime(sample: Sample) -> list[Finding]:
    """Look for one sharp change of level, of spread or of law."""
    moving = sample.moving()
    if not moving:
        return []
    long_ones = [j for j, piece in enumerate(sample.pieces) if len(piece) >= _FEWEST]
    for j in long_ones[:: max(1, len(long_ones) // _MOST_PIECES)][:_MOST_PIECES]:
        change = _change(sample, j, moving)
        if change is None:
            continue
        number, row = sample.trajectories[j], sample.first_rows[j] + change.row
        at = place(number, row, sample.n_trajectories)
        return [
            Finding(
                "regime",
                f"From about {at} on {change.what}: one part of the recording seems to be made "
                "under other conditions than the other.",
                "Train on the part that is to be forecast (data[:row] or data[row:], "
                "--without-last), or give what changed as an input (inputs=, --input).",
                number,
                row,
            )
        ]
    return []


def _change(sample: Sample, j: int, moving: list[int]) -> Change | None:
    piece = sample.pieces[j]
    set_there = [k for k in sample.set_levels() if (np.diff(piece[:, k]) != 0).any()]
    columns = [moving[k] for k in evenly(len(moving), _MOST_FEATURES)]
    names = [sample.names[k] for k in columns]
    change = None
    if not set_there:
        change = level_step(piece[:, columns], names) or _by_blocks(piece[:, columns], names)
    if change is None:
        state = piece[:, columns + [k for k in range(piece.shape[1]) if k in set_there]]
        change = _by_neighbours(state, len(columns))
    return change


def _by_blocks(x: np.ndarray, names: list[str]) -> Change | None:
    """Compare levels and step sizes of blocks of rows."""
    size = len(x) // _BLOCKS
    parts = x[: size * _BLOCKS].reshape(_BLOCKS, size, -1)
    steps = np.diff(parts, axis=1)
    with np.errstate(divide="ignore"):
        sizes = np.log(np.square(steps).mean(axis=1)) / 2
    levels = parts.mean(axis=1)
    best = None
    for k, name in enumerate(names):
        if not np.isfinite(sizes[:, k]).all():
            continue
        cut, gap, spread = _two_levels(sizes[:, k])
        sides = steps[:cut, :, k].ravel(), steps[cut:, :, k].ravel()
        to_and_fro = min(count_turns(side) for side in sides) >= _TURNS
        if gap >= _SIZE and gap >= _DISTINCT * spread and to_and_fro:
            factor = np.exp(abs(gap))
            more = "larger" if sizes[cut:, k].mean() > sizes[:cut, k].mean() else "smaller"
            what = f"the steps of {name!r} are {factor:.3g} times {more}"
            if best is None or gap / spread > best.strength:
                best = Change(cut * size, what, gap / max(spread, 1e-12))
        cut, gap, spread = _two_levels(levels[:, k])
        within = np.median(parts[:, :, k].std(axis=1))
        drift = max(float(levels[:cut, k][:-1].std()), float(levels[cut:, k].std()))
        is_distinct = gap >= _LEVEL * within and gap >= _DISTINCT * spread
        is_distinct &= bool(drift <= _STEADY * within / np.sqrt(size))
        if is_distinct and _sharpest(x[:, k], size) > _SHARP * gap:
            first, last = levels[:cut, k].mean(), levels[cut:, k].mean()
            what = f"{name!r} lies about {last:.4g} instead of {first:.4g}"
            if best is None or gap / spread > best.strength:
                best = Change(cut * size, what, gap / max(spread, 1e-12))
    return best


def _sharpest(x: np.ndarray, size: int) -> float:
    """Return the largest difference of the levels of a quarter block before a row and behind it."""
    width = max(3, size // 4)
    level = np.convolve(x, np.ones(width) / width, mode="valid")
    return float(np.abs(level[width:] - level[:-width]).max())


def _two_levels(x: np.ndarray) -> tuple[int, float, float]:
    """Return where a series is best cut into two levels, their distance, and the spread of each.

    The block of the change itself may lie between. The spread is the larger of the two, slopes
    included.
    """
    n, least = len(x), max(3, int(_SIDE * len(x)))
    best = (least, 0.0, np.inf)
    for cut in range(least, n - least + 1):
        a, b = x[: cut - 1], x[cut:]
        gap = max(b.min() - a.max(), a.min() - b.max())
        if gap <= 0:
            continue
        distance = abs(b.mean() - a.mean())
        if abs(b[0] - a[-1]) < _SHARP * distance:
            continue
        spread = max(float(np.ptp(a)), float(np.ptp(b))) / 3 + 1e-12 * np.abs(x).max()
        if distance / spread > best[1] / best[2]:
            best = (cut, float(distance), float(spread))
    return best


def _by_neighbours(x: np.ndarray, d: int) -> Change | None:
    """Compare what like states do later; the first ``d`` columns are states, others are known."""
    low, high = np.quantile(x, [0.05, 0.95], axis=0)
    width = np.where(high > low, high - low, 1.0)
    x = (x - low) / width
    ahead = _ahead(x[:, :d])
    if ahead is None:
        return None
    # A row and the one some steps before show a state of which not all is recorded.
    back = max(1, ahead // 2)
    states = np.hstack([x[back:-ahead], x[: -ahead - back]]) if d < 3 else x[back:-ahead]
    later = x[back + ahead :, :d] - x[back:-ahead, :d]
    n = len(states)
    if n < _FEWEST // 2:
        return None
    among, asked = evenly(n, _AMONG), evenly(n, _ASKED)
    limit = _NEARNESS * np.sqrt(states.shape[1])
    k = min(_NEIGHBOURS, len(among))
    distance, index = nearest(states[among], states[asked], k, within=limit)
    near, other = np.isfinite(distance), among[index]
    first = np.broadcast_to(asked[:, None], other.shape)
    near &= np.abs(first - other) > 2 * ahead
    i, j = np.minimum(first, other)[near], np.maximum(first, other)[near]
    if len(i) < 2 * _FEWEST_PAIRS:
        return None
    off = np.linalg.norm(later[i] - later[j], axis=1)
    best = None
    for cut in range(int(_SIDE * n), int((1 - _SIDE) * n) + 1, max(1, n // 40)):
        reach = int(0.25 * n)
        across = (i < cut) & (j >= cut) & (j - i < 2 * reach)
        inside = ((j < cut) | (i >= cut)) & (j - i > reach // 2)
        before = inside & (j < cut)
        behind = inside & (i >= cut)
        if min(across.sum(), before.sum(), behind.sum()) < _FEWEST_PAIRS:
            continue
        visits = [len(np.unique(of[across] // (2 * ahead))) for of in (i, j)]
        if min(visits) < _FEWEST_VISITS:
            continue
        usual = max(float(np.quantile(off[part], 0.75)) for part in (before, behind)) + 1e-3
        ratio = float(np.quantile(off[across], 0.25)) / usual
        if ratio > _OTHERWISE and (best is None or ratio > best.strength):
            best = Change(cut + back, "the same states go on elsewhere than before", ratio)
    return best


def _ahead(x: np.ndarray) -> int | None:
    """Return how many rows later a state has moved on clearly; None where it takes too long."""
    for steps in (1, 2, 3, 5, 8, 12, 20, 30, 50):
        if steps > len(x) // 20:
            return None
        moved = np.linalg.norm(x[steps:] - x[:-steps], axis=1)
        if np.median(moved) > 0.25:
            return steps
    return None


#: The step is longer than every other one of the recording by this factor, and as long as this
#: share of the range of either side at least.
_LONGER, _RANGE = 5.0, 0.4

#: The two sides' medians are as far from each other as the step is long, within these factors: a
#: spike comes back, and a drift does not need the step.
_LEAST, _MOST = 0.5, 1.6

#: Share of the rows on either side, and times that the feature turns there, at least: what goes one
#: way, leaps, and goes on is a relaxation.
_STEP_SIDE, _STEP_TURNS = 0.1, 3

#: Share of neighbouring steps of one sign, at least: random walks with heavy tails leap as well.
_SAME_SIGN = 0.6

#: Steps below this share of their usual size do not count as turns.
_SMALL = 0.3


class Change(NamedTuple):
    """Where something changes, and what: a name of a feature, and words."""

    row: int
    what: str
    strength: float


def level_step(x: np.ndarray, names: list[str]) -> Change | None:
    """Look for the step, in rows of features ``(n, d)``; the first feature with one is named."""
    for k, name in enumerate(names):
        steps = np.diff(x[:, k])
        size = np.abs(steps)
        at = int(size.argmax())
        if not _STEP_SIDE * len(x) < at < (1 - _STEP_SIDE) * len(x):
            continue
        second = float(np.delete(size, at).max())
        if size[at] < _LONGER * second or _same_sign(steps) < _SAME_SIGN:
            continue
        before, behind = x[: at + 1, k], x[at + 1 :, k]
        if size[at] < _RANGE * max(np.ptp(before), np.ptp(behind)):
            continue
        first, last = float(np.median(before)), float(np.median(behind))
        moved = (last - first) / steps[at]
        turns = min(count_turns(steps[:at]), count_turns(steps[at + 1 :]))
        if _LEAST <= moved <= _MOST and turns >= _STEP_TURNS:
            what = f"{name!r} lies about {last:.4g} instead of {first:.4g}"
            return Change(at + 1, what, float(size[at] / max(second, 1e-300)))
    return None


def count_turns(steps: np.ndarray) -> int:
    """Return how often steps change their sign, small ones left out."""
    large = steps[np.abs(steps) > _SMALL * np.sqrt(np.square(steps).mean())]
    return int((large[1:] * large[:-1] < 0).sum())


def _same_sign(steps: np.ndarray) -> float:
    moving = steps[steps != 0]
    return float((moving[1:] * moving[:-1] > 0).mean()) if len(moving) > 1 else 0.0
