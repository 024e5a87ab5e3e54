"""The stage that weighs a model's forecasts of recordings against those of simple baselines."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from pyhits.baselines.chosen import LIMITS
from pyhits.baselines.origins import Fold, OriginLimits, Origins, folds_of
from pyhits.baselines.recordings import RecordingBaselines
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError, PyHiTSWarning
from pyhits.fit.calibrating import with_rows_before
from pyhits.fit.modes import RIGHT
from pyhits.fit.problem import Problem
from pyhits.fit.updating import updated
from pyhits.fit.weighing import best_weights, second_moments
from pyhits.forecasting.blend import Blend
from pyhits.forecasting.model import ForecastingModel
from pyhits.uncertainty.rollouts import calibration_steps
from pyhits.util.clock import Clock

M = TypeVar("M", bound=ForecastingModel)

#: Origins in the held-out part, rows before them and after, at most.
_ORIGINS = OriginLimits(rows=512, horizon=200, most=32)

#: Squared error, as a part of the mean's, up to which something is known of the future.
_KNOWN = 0.5

#: The model forecasts alone where its error is at most this part of the baselines', and nowhere
#: more than so many times theirs: as it was chosen in the held-out part, it looks better there.
_CLEAR, _NOWHERE = 0.4, 1.1

#: The model's errors in the held-out part, on which it was chosen, count for so many times as much.
_CHOSEN = 1.5

#: Normalised error up to which a model is right, and nothing better.
_EXACT = 1e-5

#: Weights below which a baseline is left out.
_LEAST = 0.03

#: Part of the time that is left which forecasts from the origins may take.
_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Held:
    """What follows some origins of held-out recordings.

    Attributes
    ----------
    origins : Origins
        In the user's units.
    data : Trajectories
        The rows up to each origin.
    """

    origins: Origins
    data: Trajectories


def blend(model: M, problem: Problem, clock: Clock) -> tuple[M, list[np.ndarray]]:
    """Return the model with weights of the baselines of recordings, where these help.

    Returned as well are the errors of its blended forecasts of earlier parts, as it was fitted to
    the rows before each: arrays (n, horizon, d) in the user's units, NaN where nothing is recorded.

    Parameters
    ----------
    model : ForecastingModel
        Fitted to the training part, as its baselines of recordings are.
    problem : Problem
    clock : Clock
    """
    known = model.recording_baselines
    reproduces = problem.split.how == "none" or problem.recipe.windows != "anywhere"
    if known is None or reproduces or model.coordinates.turns is not None:
        # Angles have no weighted mean.
        return model, []
    held = held_out_origins(model, known, problem)
    if held is None or clock.is_over:
        return model, []
    train = list(problem.given)
    folds = folds_of(train, LIMITS)
    ahead = [model_ahead(model, held.data, held.origins.horizon)]
    ahead += _refitted_ahead(model, problem, folds, clock)
    scale = np.concatenate(train).std(axis=0)
    found, earlier = weighed(known, held.origins, folds, ahead, np.where(scale > 0, scale, 1.0))
    if found is None:
        return model, []
    step = model.axis.step_name(model.dt)
    return replace(model, blend=found).noted(found.sentence(step)), earlier


def held_out_origins(
    model: ForecastingModel, known: RecordingBaselines, problem: Problem
) -> Held | None:
    """Return rolling origins in the held-out part, with the rows before them."""
    split, names = problem.split, model.feature_names
    rows = max(model.start_rows, known.n_rows, 2)
    if split.how == "time":
        rows = min(max(rows, _ORIGINS.rows), int(split.train.lengths.min()))
    data = with_rows_before(problem, rows).select(names)
    if split.how == "time":
        begins = [rows - 1] * len(data)
    else:
        begins = [max(model.start_rows, length // 3, 2) - 1 for length in data.lengths]
    recordings = [rows.astype(np.float64) for rows in data]
    origins = Origins.of(recordings, begins, _ORIGINS)
    if len(origins) < 2 or origins.rows < model.start_rows:
        return None
    times = data.start_times[origins.recording] + data.dt * (origins.at - origins.rows + 1)
    before = Trajectories(
        list(origins.history), data.dt, feature_names=list(names), start_times=times, axis=data.axis
    )
    return Held(origins, before)


def model_ahead(model: ForecastingModel, before: Trajectories, n_steps: int) -> np.ndarray:
    """Return the model's forecasts of recordings; (n, n_steps, d), NaN where one diverged."""
    alone = replace(model, blend=None, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PyHiTSWarning)
        found = alone.forecast_from(before, n_steps, on_divergence="return")
    found = np.asarray(found)
    return found.reshape(*found.shape[:2], -1)[:, 1:]


def _refitted_ahead(
    model: ForecastingModel, problem: Problem, folds: list[Fold], clock: Clock
) -> list[np.ndarray]:
    """Return forecasts of earlier parts by the model's forms, fitted to the rows before each.

    None where nets would have to be trained again, noise taken off again, or rows do not suffice.
    """
    coupled = (model.flow_maps[size] for size in model.selection.step_sizes)
    if model.noise.any() or any(one.trained for one in coupled):
        return []
    bare = replace(model, baselines=None, recording_baselines=None, region=None, verbose=False)
    found = []
    for fold in folds:
        if fold.origins.rows < model.start_rows or clock.is_over:
            return []
        parts = (fold.train, list(fold.origins.history))
        train, before = (_named_as(problem.given, rows) for rows in parts)
        try:
            found.append(model_ahead(updated(bare, train), before, fold.origins.horizon))
        except DataError:
            return []
    return found


def _named_as(data: Trajectories, rows: list[np.ndarray]) -> Trajectories:
    """Return other recordings with the features and the step of these."""
    return Trajectories(rows, data.dt, feature_names=list(data.feature_names), axis=data.axis)


def weighed(
    known: RecordingBaselines,
    origins: Origins,
    folds: list[Fold],
    ahead: list[np.ndarray],
    scale: np.ndarray,
) -> tuple[Blend | None, list[np.ndarray]]:
    """Return weights by horizon; None where the model is clearly better by itself.

    Returned as well are the errors of blended forecasts of the folds.

    Parameters
    ----------
    known : RecordingBaselines
        Fitted to what precedes the origins.
    origins : Origins
        In the held-out part.
    folds : list of Fold
        Earlier parts.
    ahead : list of array, shape (n, horizon, d)
        The model's forecasts from the origins, and of the folds if it was fitted to each of them.
    scale : array, shape (d,)
        Of the errors, positive.
    """
    rows = min(fold.origins.rows for fold in [Fold([], origins), *folds])
    kinds = [kind for kind, one in known.by_kind.items() if one.n_rows <= rows]
    truths = [origins.truth, *(fold.origins.truth for fold in folds)]
    steps = calibration_steps(_reached(origins.truth))
    parts = [np.stack([known.ahead(k, origins.history, origins.horizon) for k in kinds])]
    parts += [np.stack([known.on_fold(k, fold) for k in kinds]) for fold in folds]
    horizon = origins.horizon
    errors = [_errors(p, truth, scale, horizon) for p, truth in zip(parts, truths, strict=True)]
    simple = best_weights(second_moments(np.concatenate(errors, axis=1), steps))
    pairs = zip(ahead, truths, strict=False)
    of_model = np.concatenate([_errors(a[None], t, scale, horizon)[0] for a, t in pairs])
    own = np.concatenate(errors[: len(ahead)], axis=1)
    together = _combined(own, simple, steps)
    pair = second_moments(np.stack([of_model, together]), steps)
    mean = second_moments(own[[kinds.index("mean")]], steps)[:, 0, 0]
    later = second_moments(np.stack([of_model, together])[:, : len(origins)], steps)
    if _is_right(later) or _is_clear(pair, mean):
        return None, []
    chosen = of_model.copy()
    chosen[: len(origins)] *= _CHOSEN
    share = best_weights(second_moments(np.stack([chosen, together]), steps))
    weights = np.concatenate([share[:, :1], share[:, 1:] * simple], axis=1)
    kept = [0, *(1 + np.flatnonzero((weights[:, 1:] >= _LEAST).any(axis=0)))]
    if len(kept) == 1:
        return None, []
    weights = weights[:, kept]
    weights /= weights.sum(axis=1, keepdims=True)
    both = _combined(np.concatenate([of_model[None], own])[kept], weights, steps)
    found = np.stack([pair[:, 0, 0], pair[:, 1, 1], second_moments(both[None], steps)[:, 0, 0]])
    earlier = np.split(both * scale, np.cumsum([len(part) for part in ahead])[:-1])[1:]
    return Blend(tuple(kinds[k - 1] for k in kept[1:]), steps, weights, np.sqrt(found.T)), earlier


def _errors(ahead: np.ndarray, truth: np.ndarray, scale: np.ndarray, horizon: int) -> np.ndarray:
    """Return errors of forecasts ``(m, n, time, d)``, NaN where nothing is recorded."""
    found = np.full((*ahead.shape[:2], horizon, ahead.shape[3]), np.nan)
    reached = min(horizon, ahead.shape[2])
    with np.errstate(invalid="ignore"):
        found[:, :, :reached] = ((ahead - truth) / scale)[:, :, :reached]
    return found


def _reached(truth: np.ndarray) -> int:
    """Return the last step that any origin reaches."""
    known = np.isfinite(truth).any(axis=(0, 2))
    return int(np.flatnonzero(known)[-1]) + 1


def _combined(errors: np.ndarray, weights: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the errors of weighted forecasts; those that diverged have no weight."""
    at = np.arange(1, errors.shape[2] + 1)
    every = np.stack([np.interp(at, steps, column) for column in weights.T])[:, None, :, None]
    is_sound = np.isfinite(errors)
    total = (every * is_sound).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((every * np.where(is_sound, errors, 0.0)).sum(axis=0) / total)


def _is_right(pair: np.ndarray) -> bool:
    """Whether the model errs little in the held-out part, and no more than the baselines.

    There is little to gain then, motion that is known so well amplifies what a baseline adds to it,
    and in earlier parts the same form has fewer rows to be fitted to.
    """
    model, simple = pair[:, 0, 0], pair[:, 1, 1]
    return bool((model <= RIGHT**2).all() and model.mean() <= simple.mean())


def _is_clear(pair: np.ndarray, mean: np.ndarray) -> bool:
    """Whether the model is better than the baselines wherever something is known of the future."""
    model, simple = pair[:, 0, 0], pair[:, 1, 1]
    if (model <= _EXACT**2).all():
        return True
    known = np.minimum(model, simple) < _KNOWN * mean
    if not known.any():
        return False
    ratios = np.sqrt(model[known] / np.maximum(simple[known], 1e-300))
    return bool(np.exp(np.log(np.maximum(ratios, 1e-12)).mean()) <= _CLEAR) and bool(
        (ratios <= _NOWHERE).all()
    )
