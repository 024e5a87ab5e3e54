"""How much noise recorded rows carry, from their high differences."""

from __future__ import annotations

import itertools
from math import comb, isfinite, sqrt

import numpy as np

from pyhits.data.trajectories import Trajectories

#: Orders of the differences compared. A smooth motion vanishes from the higher ones, noise stays.
_ORDERS = range(2, 11)

#: Two successive orders that agree to this factor show noise alone.
_PLATEAU = 1.1

#: Rows, numbers in them, and trajectories looked at, at most.
_MOST_ROWS, _MOST_NUMBERS, _MOST_TRAJECTORIES = 400_000, 1 << 23, 4096

#: Rows of each trajectory that are looked at in any case.
_LEAST_ROWS = 64


def noise_level(data: Trajectories) -> np.ndarray:
    """Estimate the standard deviation of white noise on each feature.

    The mean square of the p-th differences of white noise is its variance times the central
    binomial coefficient; the share of a smooth motion falls quickly with p (von Neumann et al.
    1941, Ann. Math. Stat. 12, 153, for p = 1). The estimate is taken at the first order from which
    on the next one says the same.

    Returns array, shape (n_features,): in the units of the data; NaN where motion and noise cannot
    be told apart, because the rows are too far apart or too few.
    """
    d = data.n_features
    found = np.full((len(_ORDERS), d), np.nan)
    pieces = _some(data)
    for k, order in enumerate(_ORDERS):
        total, count = np.zeros(d), 0
        for values in pieces:
            if len(values) <= order:
                continue
            change = np.diff(values, n=order, axis=0)
            total += np.einsum("nd,nd->d", change, change)
            count += len(change)
        if count >= 30:
            found[k] = total / count / comb(2 * order, order)
    return np.array([_plateau(column) for column in found.T])


def _some(data: Trajectories) -> list[np.ndarray]:
    """Return some of the trajectories, evenly chosen, centred, in float64."""
    most = min(_MOST_ROWS, _MOST_NUMBERS // data.n_features)
    step = max(1, data.n_rows // max(1, most), -(-len(data) // _MOST_TRAJECTORIES))
    chosen = range(0, len(data), step)
    rows = max(_LEAST_ROWS, most // len(chosen))
    mean = data.values.mean(axis=0, dtype=np.float64)
    return [data[k][:rows].astype(np.float64) - mean for k in chosen]


def _plateau(variances: np.ndarray) -> float:
    for here, after in itertools.pairwise(variances.tolist()):
        if not isfinite(after):
            break
        if here == after == 0:
            return 0.0
        if here / _PLATEAU <= after <= here * _PLATEAU:
            return sqrt(after)
    return float("nan")
