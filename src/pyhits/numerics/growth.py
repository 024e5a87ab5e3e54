"""Whether what moves around a level grows with it, as sales or populations do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Blocks of rows that a trajectory is cut into, at least, and rows of each.
_BLOCKS, _LEAST_ROWS = 6, 4

#: Trajectories that are looked at, at most, evenly chosen.
_MOST = 1000

#: Ratio of the highest to the lowest level, the power of it that the spread grows by, and the
#: correlation of their logarithms, at least.
_LEVELS, _POWER, _CORRELATION = 1.5, 0.5, 0.6


def spread_grows(trajectories: Sequence[np.ndarray], period: int = 1) -> bool:
    """Whether the spread of every feature grows with its level, and no value is 0 or less.

    Level and spread are those of blocks of whole periods, each about its own line.

    Parameters
    ----------
    trajectories : sequence of array, each (time, d)
    period : int
        In rows.
    """
    if not all((rows > 0).all() for rows in trajectories):
        return False
    levels, spreads = [], []
    for rows in trajectories[:: -(-len(trajectories) // _MOST)]:
        size = max(period, _LEAST_ROWS)
        size *= max(1, len(rows) // (2 * _BLOCKS) // size)
        n = len(rows) // size
        if n == 0:
            continue
        blocks = rows[: n * size].reshape(n, size, -1)
        t = np.linspace(-1, 1, size)
        centred = blocks - blocks.mean(axis=1, keepdims=True)
        slope = np.einsum("t,ntd->nd", t, centred) / np.square(t).sum()
        levels.append(blocks.mean(axis=1))
        spreads.append((centred - t[:, None] * slope[:, None]).std(axis=1))
    if sum(map(len, levels)) < _BLOCKS or not all((of > 0).all() for of in spreads):
        return False
    level, spread = np.log(np.concatenate(levels)), np.log(np.concatenate(spreads))
    level, spread = level - level.mean(axis=0), spread - spread.mean(axis=0)
    power = (level * spread).sum(axis=0) / np.maximum(np.square(level).sum(axis=0), 1e-300)
    size = np.sqrt(np.square(level).sum(axis=0) * np.square(spread).sum(axis=0))
    correlation = (level * spread).sum(axis=0) / np.maximum(size, 1e-300)
    wide = np.ptp(level, axis=0) > np.log(_LEVELS)
    return bool((wide & (power > _POWER) & (correlation > _CORRELATION)).all())
