"""Statistics of features, and a table of them for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Features that a table lists, at most.
_MOST_LISTED = 200


def mean_variance(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return each feature's variance over time, averaged over the trajectories.

    Parameters
    ----------
    values : array, shape (n_rows, n_features)
        Trajectories below each other.
    offsets : array of int, shape (n_trajectories + 1,)
        Where each begins, and where the last one ends.
    """
    lengths = np.diff(offsets)
    counts, begin = lengths[:, None], offsets[:-1]
    means = np.add.reduceat(values, begin, axis=0, dtype=np.float64) / counts
    centred = values - np.repeat(means, lengths, axis=0)
    squares = np.add.reduceat(np.square(centred, out=centred), begin, axis=0)
    return np.asarray((squares / counts).mean(axis=0))


def spread(values: np.ndarray, at_once: int = 1 << 14) -> np.ndarray:
    """Return each feature's standard deviation over all rows, float64, so many features at once."""
    # Some columns at a time, so that films in float32 are never there in float64.
    parts = np.split(values, range(at_once, values.shape[1], at_once), axis=1)
    return np.concatenate([part.std(axis=0, dtype=np.float64) for part in parts])


def with_noise(values: np.ndarray, sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows with white noise of standard deviations ``sigma``, one a feature."""
    noise = rng.standard_normal(values.shape)
    noise *= sigma
    noise += values
    return noise.astype(values.dtype, copy=False)


def feature_table(values: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return the lines of the table, its heading first."""
    left_out = len(names) - _MOST_LISTED
    names, values = names[:_MOST_LISTED], values[:, :_MOST_LISTED]
    mean, std = values.mean(0, dtype=np.float64), spread(values)
    low, high = values.min(0), values.max(0)
    width = max(7, *(len(name) for name in names))
    more = [f"and {left_out} more"] if left_out > 0 else []
    heading = f"{'feature':<{width}} {'min':>12} {'max':>12} {'mean':>12} {'std':>12}"
    return (
        [heading]
        + [
            f"{name:<{width}} {low[k]:>12.5g} {high[k]:>12.5g} {mean[k]:>12.5g} {std[k]:>12.5g}"
            + ("  constant" if low[k] == high[k] else "")
            for k, name in enumerate(names)
        ]
        + more
    )
