"""One step far beyond all others, after which a feature goes on as before at another level."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: The step is longer than every other one of the recording by this factor, and as long as this
#: share of the range of either side at least.
_LONGER, _RANGE = 5.0, 0.4

#: The two sides' medians are as far from each other as the step is long, within these factors: a
#: spike comes back, and a drift does not need the step.
_LEAST, _MOST = 0.5, 1.6

#: Share of the rows on either side, and times that the feature turns there, at least: what goes one
#: way, leaps, and goes on is a relaxation.
_SIDE, _TURNS = 0.1, 3

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
        if not _SIDE * len(x) < at < (1 - _SIDE) * len(x):
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
        if _LEAST <= moved <= _MOST and turns >= _TURNS:
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
