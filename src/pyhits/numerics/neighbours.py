"""Nearest neighbours: of few points by all distances, of many by a tree."""

from __future__ import annotations

import numpy as np

#: Differences of coordinates up to which all are taken: importing a tree takes longer.
_FEW = 1_000_000


def nearest(
    points: np.ndarray, asked: np.ndarray, k: int, within: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and numbers of the ``k`` nearest points of each point asked for.

    ``(m, d)`` and ``(n, d)`` to two arrays ``(n, k)``, nearest first; k is at most m. Those that
    are not ``within`` a distance are infinitely far.
    """
    if len(points) * asked.size > _FEW:
        from scipy.spatial import KDTree

        distance, index = KDTree(points).query(
            asked, k=np.arange(1, k + 1), distance_upper_bound=within
        )
        return np.asarray(distance), np.minimum(index, len(points) - 1)
    each = np.sqrt(np.square(asked[:, None] - points).sum(axis=2))
    some = np.sort(np.argpartition(each, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(np.take_along_axis(each, some, axis=1), axis=1, kind="stable")
    index = np.take_along_axis(some, order, axis=1)
    distance = np.take_along_axis(each, index, axis=1)
    return np.where(distance < within, distance, np.inf), index
