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


def feature_rows(values: np.ndarray, names: Sequence[str], most: int) -> list[list[str]]:
    """Return the cells of a table of the first features: a heading, and a row each."""
    names, values = names[:most], values[:, :most]
    mean, std = values.mean(0, dtype=np.float64), spread(values)
    low, high = values.min(0), values.max(0)
    heading = ["feature", "min", "max", "mean", "std"]
    return [heading] + [
        [name, *(f"{x[k]:.5g}" for x in (low, high, mean, std))] for k, name in enumerate(names)
    ]


def feature_table(values: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return the lines of the table, its heading first."""
    heading, *rows = feature_rows(values, names, _MOST_LISTED)
    width = max(7, *(len(name) for name in names[:_MOST_LISTED]))
    left_out = len(names) - _MOST_LISTED
    lines = [
        f"{name:<{width}} " + " ".join(f"{cell:>12}" for cell in cells)
        for name, *cells in (heading, *rows)
    ]
    still = values[:, :_MOST_LISTED].min(0) == values[:, :_MOST_LISTED].max(0)
    lines[1:] = [
        line + "  constant" * bool(flat) for line, flat in zip(lines[1:], still, strict=True)
    ]
    return lines + [f"and {left_out} more"] * (left_out > 0)
