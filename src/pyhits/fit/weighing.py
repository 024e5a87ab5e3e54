"""Weights of forecasts by horizon, from their errors at rolling origins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pyhits.baselines.origins import Origins
from pyhits.forecasting.blend import weights_at

#: Error, in standard deviations, that one counts for at most, and in place of what diverged.
_WORST = 10.0

#: Horizons within this factor of each other tell of each other.
_NEAR = 3.0

#: Forecasts this many times worse than the best have no weight, if origins are many; and the
#: logarithm of the likelihood, beside the best, below which they have none if origins are few.
_FAR, _SURE = 2.0, 3.0

#: Part of the correlations of errors that few origins do not tell.
_UNKNOWN = 0.15

#: Independent origins that the simplest weights count for; and the part of the weights that is not
#: held to those at the horizon before.
_SIMPLE, _FORGET = 6.0, 0.2

#: Weights without any data, beside 1 of others: what chooses nothing first. And that of the model.
_PRIOR, _MODEL = {"persistence": 4.0, "seasonal drift": 2.0}, 0.3

#: Part of the weights of one feature that is not held to those of all features together.
_OWN = 0.5

#: Baselines that choose nothing by the errors in earlier parts.
_FIXED = ("persistence", "mean")

#: By how many of its standard deviations the logarithm of an error is too low in the parts that
#: chose: settings of baselines, those of the model, and what it was fitted to again.
_SETTINGS, _CHOSEN, _AGAIN = 0.3, 2.0, 0.5

#: Iterations, at most, and step of the search for weights; change of these at which it ends.
_ITERATIONS, _STEP, _SETTLED = 400, 0.3, 1e-9


@dataclass(frozen=True, eq=False)
class Part:
    """Errors from the origins in one part of the recordings, in standard deviations."""

    simple: np.ndarray  # (m, n, horizon, d): of baselines; NaN where nothing is recorded
    model: np.ndarray | None  # (n, horizon, d), or None
    worth: np.ndarray  # (k,): number of independent origins at some horizons

    @classmethod
    def of(
        cls,
        simple: np.ndarray,
        model: np.ndarray | None,
        origins: Origins,
        scale: np.ndarray,
        steps: np.ndarray,
        horizon: int,
    ) -> Self:
        """Return the errors of forecasts ``(m, n, time, d)`` and ``(n, time, d)``."""
        return cls(
            _errors(simple, origins.truth, scale, horizon),
            None if model is None else _errors(model[None], origins.truth, scale, horizon)[0],
            independent_origins(origins, steps),
        )


def _errors(ahead: np.ndarray, truth: np.ndarray, scale: np.ndarray, horizon: int) -> np.ndarray:
    """Return errors of forecasts ``(m, n, time, d)``, NaN where nothing is recorded."""
    found = np.full((*ahead.shape[:2], horizon, ahead.shape[3]), np.nan)
    reached = min(horizon, ahead.shape[2])
    with np.errstate(invalid="ignore"):
        found[:, :, :reached] = ((ahead - truth) / scale)[:, :, :reached]
    return found


def independent_origins(origins: Origins, steps: np.ndarray) -> np.ndarray:
    """Return from how many origins forecasts up to some steps do not overlap, shape ``(k,)``."""
    reached = np.isfinite(origins.truth).any(axis=2)
    found = np.zeros(len(steps))
    for recording in np.unique(origins.recording):
        own = origins.recording == recording
        for k, step in enumerate(steps):
            at = origins.at[own][reached[own, min(step, origins.horizon) - 1]]
            if len(at):
                found[k] += min(len(at), 1 + (at[-1] - at[0]) / step)
    return found


def simple_weights(parts: Sequence[Part], kinds: Sequence[str], steps: np.ndarray) -> np.ndarray:
    """Return weights of baselines beside each other, ``(k, m, d)``.

    Parameters
    ----------
    parts : sequence of Part
        The held-out one, which chose none of their settings, and then earlier ones.
    steps : array of int, shape (k,)
    """
    prior = np.array([_PRIOR.get(kind, 1.0) for kind in kinds])
    chooses = np.array([kind not in _FIXED for kind in kinds])[:, None, None, None]
    judged = [parts[0].simple]
    for part in parts[1:]:
        luck = _luck(part, steps, _SETTINGS)
        judged.append(part.simple * np.where(chooses, luck, 1.0))
    worth = np.sum([part.worth for part in parts], axis=0)
    return column_weights(np.concatenate(judged, axis=1), steps, worth, prior)


def model_share(parts: Sequence[Part], together: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return weights of a model and of all baselines together, ``(k, 2, d)``.

    Parameters
    ----------
    parts : sequence of Part
        Those that the model has forecast: the held-out one, which it was chosen in, first.
    together : array, shape (n, horizon, d)
        Errors of the weighted baselines in these parts.
    steps : array of int, shape (k,)
    """
    judged = [
        part.model * _luck(part, steps, _AGAIN if k else _CHOSEN)
        for k, part in enumerate(parts)
        if part.model is not None
    ]
    worth = np.sum([part.worth for part in parts], axis=0)
    errors = np.stack([np.concatenate(judged), together])
    return column_weights(errors, steps, worth, np.array([_MODEL, 1 - _MODEL]))


def _luck(part: Part, steps: np.ndarray, deviations: float) -> np.ndarray:
    """Return by what errors are larger where they chose nothing, ``(horizon, 1)``.

    The logarithm of a mean square of n independent errors has a standard deviation of about
    ``sqrt(2 / n)``.
    """
    at = np.arange(1, part.simple.shape[2] + 1)
    worth = np.maximum(np.interp(at, steps, part.worth), 1.0)
    return np.asarray(np.exp(deviations / np.sqrt(2 * worth))[:, None])


def combined(errors: np.ndarray, weights: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the errors of weighted forecasts; those that diverged have no weight.

    Parameters
    ----------
    errors : array, shape (m, n, horizon, d)
    weights : array, shape (k, m, d)
    steps : array of int, shape (k,)
    """
    at = np.arange(1, errors.shape[2] + 1)
    every = weights_at(weights, steps, at).swapaxes(0, 1)[:, None]
    is_sound = np.isfinite(errors)
    total = (every * is_sound).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((every * np.where(is_sound, errors, 0.0)).sum(axis=0) / total)


def second_moments(errors: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return mean products of errors about some horizons.

    Returns array, shape (k, m, m): NaN where no origin reaches.

    Parameters
    ----------
    errors : array, shape (m, n, horizon, d)
        Of m forecasts at n origins, in standard deviations; NaN where nothing is recorded.
    steps : array of int, shape (k,)
    """
    known = ~np.isnan(errors).all(axis=0)
    bounded = np.where(known, np.nan_to_num(errors, nan=_WORST, posinf=_WORST, neginf=-_WORST), 0.0)
    bounded = np.clip(bounded, -_WORST, _WORST)
    products = np.einsum("inhd,jnhd->hij", bounded, bounded, optimize=True)
    counts = known.sum(axis=(0, 2))
    sums = np.concatenate([np.zeros_like(products[:1]), np.cumsum(products, axis=0)])
    numbers = np.concatenate([[0], np.cumsum(counts)])
    first = np.ceil(steps / _NEAR).astype(np.int64) - 1
    last = np.minimum(np.floor(steps * _NEAR).astype(np.int64), len(counts))
    within = (numbers[last] - numbers[first])[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(within > 0, (sums[last] - sums[first]) / within, np.nan)


def column_weights(
    errors: np.ndarray, steps: np.ndarray, worth: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """Return weights of each feature, which are held to those of all features together.

    Returns array, shape (k, m, d).

    Parameters
    ----------
    errors : array, shape (m, n, horizon, d)
        In standard deviations; NaN where nothing is recorded.
    steps : array of int, shape (k,)
    worth : array, shape (k,)
        Number of independent origins.
    prior : array, shape (m,)
        Weights without any data, positive.
    """
    of_all = second_moments(errors, steps)[:, None]
    together = best_weights(of_all, worth, prior)
    if errors.shape[3] == 1:
        return together.swapaxes(1, 2)
    each = np.stack([second_moments(errors[..., [c]], steps) for c in range(errors.shape[3])], 1)
    # A feature of which nothing is known has the weights of all.
    each = np.where(np.isnan(each), of_all, each)
    held_to = (1 - _OWN) * together + _OWN * prior / prior.sum()
    return best_weights(each, worth, held_to).swapaxes(1, 2)


def best_weights(moments: np.ndarray, worth: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return weights that are not negative, add up to 1 and have a small squared error.

    Half the logarithm of the squared error, times the number of independent origins that it was
    measured at, is what normal errors make of it as a likelihood; beside it counts how far the
    weights are from those at the horizon before, which in turn are held to those that nothing but
    simplicity speaks for (relative entropy): few origins do not move them far.

    Returns array, shape (k, c, m).

    Parameters
    ----------
    moments : array, shape (k, c, m, m)
        At increasing horizons, in c cases. Correlations are shrunk, and what is far from the best
        is left out.
    worth : array, shape (k,)
        Number of independent origins.
    prior : array, shape (m,) or (k, c, m)
        Weights without any data, positive.
    """
    every = np.broadcast_to(prior / prior.sum(axis=-1, keepdims=True), moments.shape[:3])
    found, before = [], every[0]
    for own, n, simplest in zip(moments, np.maximum(worth, 1.0), every, strict=True):
        before = _weighted(own, float(n), (1 - _FORGET) * before + _FORGET * simplest)
        found.append(before)
    return np.stack(found)


def _weighted(moments: np.ndarray, worth: float, prior: np.ndarray) -> np.ndarray:
    """Return weights at one horizon; moments ``(c, m, m)`` and a prior ``(c, m)`` to ``(c, m)``."""
    own = np.diagonal(moments, axis1=1, axis2=2)
    least = np.maximum(own.min(axis=1, keepdims=True), 1e-300)
    near = own <= max(_FAR**2, np.exp(2 * _SURE / worth)) * least
    scaled = moments / least[:, None] * (near[:, None] & near[:, :, None])
    scaled = np.where(np.eye(own.shape[1], dtype=bool), scaled, (1 - _UNKNOWN) * scaled)
    first = np.where(near, prior, 0.0)
    first = first / first.sum(axis=1, keepdims=True)
    weights, pull = first, _SIMPLE / worth
    for _ in range(_ITERATIONS):
        slope = (scaled @ weights[:, :, None])[:, :, 0]
        value = np.maximum((weights * slope).sum(axis=1, keepdims=True), 1e-300)
        apart = np.log(np.maximum(weights, 1e-300) / np.where(near, first, 1.0))
        change = 1 - slope / value - pull * apart
        before = weights
        weights = weights * np.exp(_STEP * np.clip(change, -9.0, 9.0))
        weights = weights / weights.sum(axis=1, keepdims=True)
        if np.abs(weights - before).max() < _SETTLED:
            break
    return np.asarray(weights)
