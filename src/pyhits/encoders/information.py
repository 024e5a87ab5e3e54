"""What recordings say about lags: mutual information, correlation, and Cao's nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyhits.encoders.delay_rollout import embedded
from pyhits.util.clock import UNLIMITED, Clock

#: Rows that neighbours are looked up among, at most, and those that a comparison takes at least.
MOST_LIBRARY, LEAST_TARGETS = 6_000, 20

#: Minima of the information count from the lag at which rows correlate less: those of a slow
#: motion ripple before.
_CORRELATED = 0.9


def mutual_information(
    trajectories: Sequence[np.ndarray], max_lag: int, *, clock: Clock = UNLIMITED
) -> np.ndarray:
    """Return the average mutual information of rows at distances 1 to ``max_lag``, in bits.

    From histograms of equally filled bins, as many as leave five rows to a cell on average; the
    mean over the features. Features that take a few values alone have bins of these.

    Returns
    -------
    array, shape (max_lag,)
        Shorter where trajectories are, or where the clock is over before.
    """
    n = sum(len(x) for x in trajectories)
    bins = int(np.clip(np.sqrt(n / 5), 2, 32))
    quantiles = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.quantile(np.concatenate(trajectories), quantiles, axis=0)
    codes = [
        np.stack([np.searchsorted(e, x[:, k], side="right") for k, e in enumerate(edges.T)], 1)
        for x in trajectories
    ]
    longest = max(len(x) for x in trajectories)
    found: list[float] = []
    for lag in range(1, min(max_lag, longest - 2) + 1):
        if found and clock.is_over:
            clock.cut("the look at long lags")
            break
        pairs = [c[:-lag] * bins + c[lag:] for c in codes if len(c) > lag]
        joint = np.stack(
            [np.bincount(column, minlength=bins * bins) for column in np.concatenate(pairs).T]
        )
        p = joint.reshape(-1, bins, bins) / joint.sum(axis=1)[:, None, None]
        alone = p.sum(axis=2, keepdims=True) * p.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(p > 0, p * np.log2(p / alone), 0.0)
        found.append(float(terms.sum(axis=(1, 2)).mean()))
    return np.array(found)


def correlation(trajectories: Sequence[np.ndarray], max_lag: int) -> np.ndarray:
    """Return the correlation of rows 1 to ``max_lag`` later, from their mean squared differences.

    Shape ``(max_lag,)``, all features together.
    """
    variance = np.concatenate(trajectories).var(axis=0).mean()
    found = np.zeros(max_lag)
    for lag in range(1, max_lag + 1):
        changes = [np.square(x[lag:] - x[:-lag]).ravel() for x in trajectories if len(x) > lag]
        found[lag - 1] = 1 - np.concatenate(changes).mean() / (2 * variance) if variance else 0.0
    return found


def usual_lag(trajectories: Sequence[np.ndarray], information: np.ndarray) -> int:
    """Return the first minimum of the information, or the first zero of the correlation before it.

    Minima count from where the correlation is below 0.9 on. That of a periodic motion has a zero at
    a quarter of the period, where its information says little.
    """
    related = correlation(trajectories, len(information))
    uncorrelated = np.flatnonzero(related < _CORRELATED)
    first = first_minimum(information, int(uncorrelated[0]) + 1 if len(uncorrelated) else 1)
    zeros = np.flatnonzero(related <= 0)
    return min(first, int(zeros[0]) + 1) if len(zeros) else first


def first_minimum(curve: np.ndarray, begin: int = 1) -> int:
    """Return the first lag, from ``begin`` on, whose information the next ones do not undercut.

    Those are a quarter as many, and two at least. Where the curve falls to its end, it is the lag
    at which the information has fallen to 1/e, or the middle.
    """
    for k in range(begin - 1, len(curve) - 3):
        after = curve[k + 1 : k + 2 + max(2, (k + 1) // 4)]
        if curve[k] <= after.min():
            return k + 1
    low = np.flatnonzero(curve <= curve[:1] / np.e)
    return int(low[0]) + 1 if len(low) else max(1, len(curve) // 2)


def cao(
    trajectories: Sequence[np.ndarray], lag: int, max_delays: int, *, clock: Clock = UNLIMITED
) -> np.ndarray:
    """Return Cao's E1 of 1 to ``max_delays`` delays; shape ``(max_delays,)``, NaN where unknown.

    E1 of m delays is E(m + 1) / E(m), where E(m) is by how much the distance of nearest neighbours
    grows with one more delay, in the maximum norm, on average.
    """
    from scipy.spatial import cKDTree

    grown = np.full(max_delays + 1, np.nan)
    for m in range(1, max_delays + 2):
        long = [x for x in trajectories if len(x) > m * lag + 1]
        if not long or clock.is_over:
            break
        wide = embedded(long, m + 1, lag, m * lag, 0)
        wide = wide[:: max(1, -(-len(wide) // MOST_LIBRARY))]
        vectors = wide[:, : m * long[0].shape[1]]
        if len(vectors) < LEAST_TARGETS:
            break
        distance, nearest = cKDTree(vectors).query(vectors, k=2, p=np.inf)
        # Of rows that recur exactly the growth is not known.
        distinct = distance[:, 1] > 0
        if not distinct.any():
            break
        now = np.abs(wide[distinct] - wide[nearest[distinct, 1]]).max(axis=1)
        grown[m - 1] = float(np.mean(now / distance[distinct, 1]))
    return np.asarray(grown[1:] / grown[:-1])
