"""What long forecasts of chaos keep: the states that are visited, and the power at frequencies.

Beyond a few Lyapunov times no forecast follows the truth, and errors say nothing. These measures
compare how often states and frequencies come up, over long stretches of both; order in time does
not count. Arrays are ``(n, time, d)``, or ``(time, d)`` for one trajectory, without gaps.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pyhits.errors import DataError
from pyhits.util.checks import as_count, as_positive

#: Features up to which states are counted in boxes; in more dimensions boxes stay empty.
_MOST_BOXED = 3

#: What a box counts beyond the states in it, so that an empty one has a probability.
_COUNT_OF_NONE = 1e-5

#: Numbers that are worked on at a time.
_BLOCK = 1 << 22


def state_space_divergence(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    bins: int = 30,
    variance: float = 1.0,
    n_samples: int = 1000,
    random_state: int = 0,
) -> float:
    """Kullback-Leibler divergence of the states that a forecast visits from the truth's: D_stsp.

    0 where all states come up as often; infinite if the forecast diverged. Two stretches of one
    motion differ by the scatter of their counts: compare with that. With up to three features
    states are counted in boxes; with more, both distributions are mixtures of Gaussians, one around
    each state, and the mean logarithm of their ratio is taken over states drawn from the truth's
    (Koppe et al. 2019, PLoS Comput. Biol. 15, e1007263; Brenner et al. 2022, ICML, PMLR 162, 2292).

    Parameters
    ----------
    truth : array, shape (n, time, d) or (time, d)
    predicted : array, shape (m, time, d) or (time, d)
        Of any number of rows, at least one.
    bins : int
        Boxes along each feature, between the truth's least and largest value. States of the
        forecast outside are in none of them.
    variance : float
        Of the Gaussians, in variances of each feature in the truth.
    n_samples, random_state : int
        States drawn, and the seed of the draw.

    Raises
    ------
    DataError
        The truth is not finite, or the two have different features.
    """
    bins, n_samples = as_count(bins, "bins"), as_count(n_samples, "n_samples")
    variance = as_positive(variance, "variance")
    true, own = _trajectories(truth, predicted)
    d = true.shape[2]
    states, others = true.reshape(-1, d), own.reshape(-1, d)
    if not np.isfinite(others).all():
        return np.inf
    if d <= _MOST_BOXED:
        return _boxed_divergence(states, others, bins)
    scale = np.sqrt(variance) * _spread(states)
    rng = np.random.default_rng(random_state)
    drawn = states[rng.integers(0, len(states), n_samples)] / scale
    drawn += rng.standard_normal(drawn.shape)
    ratio = _log_mixture(drawn, states / scale) - _log_mixture(drawn, others / scale)
    return float(ratio.mean())


def hellinger_distance(truth: np.ndarray, predicted: np.ndarray, *, smoothing: float = 20) -> float:
    """Hellinger distance of the power spectra in time, on average over the features: D_H.

    0 for equal spectra, 1 for spectra without a common frequency, and for a forecast that diverged.
    The spectra of a feature are averaged over trajectories, smoothed, and divided by their sums f
    and g; the distance is the root of 1 less the sum of the roots of f g (Mikhaeil, Monfared,
    Durstewitz 2022, NeurIPS 35, 11297). The mean does not count, nor does the size of a feature.

    Parameters
    ----------
    truth : array, shape (n, time, d) or (time, d)
    predicted : array, shape (m, time, d) or (time, d)
        Of as many rows in time.
    smoothing : float
        Standard deviation, in frequencies, of the Gaussian that smooths; the distance depends on
        it.

    Raises
    ------
    DataError
        The truth is not finite, or the two have different features or times.
    """
    smoothing = as_positive(smoothing, "smoothing")
    true, own = _trajectories(truth, predicted)
    if true.shape[1] != own.shape[1] or true.shape[1] < 2:
        raise DataError(
            "Expected truth and forecast of as many rows in time, two or more, got "
            f"{true.shape[1]} and {own.shape[1]}."
        )
    if not np.isfinite(own).all():
        return 1.0
    f, g = (_spectrum(x, smoothing) for x in (true, own))
    common = np.sqrt(f * g).sum(axis=0)
    # A feature that is constant has no spectrum: it is like one that is constant, too.
    common[(f.sum(axis=0) == 0) & (g.sum(axis=0) == 0)] = 1.0
    return float(np.sqrt(np.maximum(0.0, 1.0 - common)).mean())


def joint_histogram_distance(
    truth: np.ndarray, predicted: np.ndarray, *, lag: int = 1, bins: int = 50
) -> float:
    """Distance of the joint distributions of a field's value and of that ``lag`` points further.

    Half the sum of the absolute differences of two histograms, all points of a row taken together:
    0 for equal ones, 1 where no pair of values is common, and for a forecast that diverged.

    Parameters
    ----------
    truth : array, shape (n, time, d) or (time, d)
        Rows are a field at even distances, or variables in a row; the first follows the last.
    predicted : array, shape (m, time, d) or (time, d)
    lag : int
        From one value to the other, in points.
    bins : int
        Along both values, between the truth's least and largest; what lies outside is in one box
        more to each side.

    Raises
    ------
    DataError
        The truth is not finite, or the two have different features.
    """
    lag, bins = as_count(lag, "lag"), as_count(bins, "bins")
    true, own = _trajectories(truth, predicted)
    if not np.isfinite(own).all():
        return 1.0
    edges = np.linspace(true.min(), true.max(), bins + 1)
    edges[-1] = np.nextafter(edges[-1], np.inf)
    parts = (_pair_shares(x.reshape(-1, x.shape[2]), lag, edges) for x in (true, own))
    return float(np.abs(np.subtract(*parts)).sum() / 2)


def _trajectories(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as ``(n, time, d)`` in float64; a DataError if they cannot be compared."""
    true, own = (np.asarray(x, dtype=np.float64) for x in (truth, predicted))
    sound = all(x.ndim in (2, 3) and x.size for x in (true, own))
    if not sound or true.shape[-1] != own.shape[-1]:
        raise DataError(
            "Expected truth and forecast of the same features, (n, time, d) or (time, d), got "
            f"{true.shape} and {own.shape}."
        )
    if not np.isfinite(true).all():
        raise DataError("Expected a truth without gaps, got values that are not finite.")
    return (true if true.ndim == 3 else true[None], own if own.ndim == 3 else own[None])


def _spread(states: np.ndarray) -> np.ndarray:
    spread = states.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def _boxed_divergence(states: np.ndarray, others: np.ndarray, bins: int) -> float:
    """Return the divergence of counts in ``bins`` boxes along each feature."""
    low, high = states.min(axis=0), states.max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    n_boxes = bins ** states.shape[1]

    def boxes(rows: np.ndarray) -> np.ndarray:
        inside = ((rows >= low) & (rows <= high)).all(axis=1)
        place = np.minimum((bins * (rows[inside] - low) / width).astype(np.int64), bins - 1)
        return np.asarray(np.ravel_multi_index(tuple(place.T), (bins,) * states.shape[1]))

    visited, which = np.unique(np.concatenate([boxes(states), boxes(others)]), return_inverse=True)
    own = np.bincount(which[len(states) :], minlength=len(visited))
    true = np.bincount(which[: len(states)], minlength=len(visited))
    p, q = (
        (count + _COUNT_OF_NONE) / (len(rows) + _COUNT_OF_NONE * n_boxes)
        for count, rows in ((true, states), (own, others))
    )
    none = _COUNT_OF_NONE / (len(states) + _COUNT_OF_NONE * n_boxes)
    none_other = _COUNT_OF_NONE / (len(others) + _COUNT_OF_NONE * n_boxes)
    empty = (n_boxes - len(visited)) * none * np.log(none / none_other)
    return float((p * np.log(p / q)).sum() + empty)


def _log_mixture(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the logarithm of the mean of Gaussians of variance 1, without its constant factor."""
    found = np.full(len(points), -np.inf)
    size = np.square(centres).sum(axis=1) / 2
    block = max(1, _BLOCK // len(points))
    for begin in range(0, len(centres), block):
        part = slice(begin, begin + block)
        exponent = points @ centres[part].T - size[part]
        most = exponent.max(axis=1)
        here = most + np.log(np.exp(exponent - most[:, None]).sum(axis=1))
        found = np.logaddexp(found, here)
    return np.asarray(found - np.square(points).sum(axis=1) / 2 - np.log(len(centres)))


def _spectrum(x: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the smoothed spectrum ``(frequency, d)`` of trajectories, of sum 1 or 0."""
    changes = x - x.mean(axis=1, keepdims=True)
    # What rounding leaves of a constant is no motion.
    changes[:, :, np.abs(changes).max(axis=(0, 1)) <= 1e-13 * np.abs(x).max(axis=(0, 1))] = 0.0
    power = np.square(np.abs(np.fft.rfft(changes, axis=1))).mean(axis=0)
    smooth = gaussian_filter1d(power, smoothing, axis=0)
    total = smooth.sum(axis=0)
    return np.asarray(smooth / np.where(total > 0, total, 1.0))


def _pair_shares(rows: np.ndarray, lag: int, edges: np.ndarray) -> np.ndarray:
    """Return the part of all pairs of values in each box, ``(boxes, boxes)``."""
    n = len(edges) + 1
    counts: np.ndarray = np.zeros(n * n)
    block = max(1, _BLOCK // rows.shape[1])
    for begin in range(0, len(rows), block):
        place = np.searchsorted(edges, rows[begin : begin + block], side="right")
        pairs = n * place + np.roll(place, -lag, axis=1)
        counts += np.bincount(pairs.reshape(-1), minlength=n * n)
    return np.asarray(counts / counts.sum()).reshape(n, n)
