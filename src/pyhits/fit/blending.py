"""The stage that weighs a model's forecasts of recordings against those of simple baselines."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import zip_longest
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
from pyhits.fit.weighing import Part, combined, model_share, second_moments, simple_weights
from pyhits.forecasting.blend import Blend
from pyhits.forecasting.model import ForecastingModel
from pyhits.util.clock import Clock

M = TypeVar("M", bound=ForecastingModel)

#: Origins in the held-out part, rows before them and after, at most.
_ORIGINS = OriginLimits(rows=512, horizon=200, most=32)

#: Squared error, as a part of the mean's, up to which something is known of the future.
_KNOWN = 0.5

#: The model forecasts alone where its error is at most this part of the baselines', and nowhere
#: more than so many times theirs: as it was chosen in the held-out part, it looks better there.
_CLEAR, _NOWHERE = 0.4, 1.1

#: How many times worse than the baselines a right model may be where it had fewer rows.
_FEWER = 3.0

#: Normalised error up to which a model is right, and nothing better; and up to which no luck with
#: what wanders reaches.
_EXACT, _NO_LUCK = 1e-5, 1e-3

#: Weights below which a baseline is left out.
_LEAST = 0.03


@dataclass(frozen=True, eq=False)
class Held:
    """What follows some origins of held-out recordings."""

    origins: Origins  # in the user's units
    data: Trajectories  # the rows up to each origin


def blend(model: M, problem: Problem, clock: Clock) -> tuple[M, list[np.ndarray]]:
    """Return the model with weights of the baselines of recordings, where these help.

    Returned as well are the errors of its blended forecasts of earlier parts, as it was fitted to
    the rows before each: arrays (n, horizon, d) in the user's units, NaN where nothing is recorded.

    Parameters
    ----------
    model : ForecastingModel
        Fitted to the training part, as its baselines of recordings are.
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
        if fold.origins.rows < max(2, model.start_rows) or clock.is_over:
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
    steps = _horizons(_reached(origins.truth))
    simple = [np.stack([known.ahead(k, origins.history, origins.horizon) for k in kinds])]
    simple += [np.stack([known.on_fold(k, fold) for k in kinds]) for fold in folds]
    every = [origins, *(fold.origins for fold in folds)]
    parts = [
        Part.of(part, model, own, scale, steps, origins.horizon)
        for part, model, own in zip_longest(simple, ahead, every)
    ]
    of_simple = simple_weights(parts, kinds, steps)
    tried = parts[: len(ahead)]
    of_model = np.concatenate([part.model for part in tried if part.model is not None])
    own = np.concatenate([part.simple for part in tried], axis=1)
    pair = np.stack([of_model, combined(own, of_simple, steps)])
    alone = _forecast_alone(pair, own[kinds.index("mean")], len(origins), steps)
    if alone.all():
        return None, []
    share = model_share(tried, pair[1], steps)
    share[:, :, alone] = np.array([1.0, 0.0])[:, None]
    weights = np.concatenate([share[:, :1], share[:, 1:] * of_simple], axis=1)
    kept = [0, *(1 + np.flatnonzero((weights[:, 1:] >= _LEAST).any(axis=(0, 2))))]
    if len(kept) == 1:
        return None, []
    weights = weights[:, kept]
    weights /= weights.sum(axis=1, keepdims=True)
    blended = combined(np.concatenate([of_model[None], own])[kept], weights, steps)
    of_blend = second_moments(blended[None], steps)[:, 0, 0]
    both = second_moments(pair, steps)
    found = np.sqrt(np.stack([both[:, 0, 0], both[:, 1, 1], of_blend], axis=1))
    earlier = np.split(blended * scale, np.cumsum([len(part) for part in ahead])[:-1])[1:]
    return Blend(tuple(kinds[k - 1] for k in kept[1:]), steps, weights, found), earlier


def _horizons(last: int) -> np.ndarray:
    """Return the horizons that weights are found for, each twice the one before."""
    return np.unique(np.round(np.geomspace(1, last, 1 + round(np.log2(last)))).astype(np.int64))


def _reached(truth: np.ndarray) -> int:
    """Return the last step that any origin reaches."""
    known = np.isfinite(truth).any(axis=(0, 2))
    return int(np.flatnonzero(known)[-1]) + 1


def _forecast_alone(
    pair: np.ndarray, mean: np.ndarray, n_later: int, steps: np.ndarray
) -> np.ndarray:
    """Return which features the model forecasts alone, shape ``(d,)``.

    Parameters
    ----------
    pair : array, shape (2, n, horizon, d)
        Errors of the model and of the weighted baselines; the first ``n_later`` are in the held-out
        part.
    mean : array, shape (n, horizon, d)
        Those of the recording's mean.
    steps : array of int, shape (k,)
    """
    found = []
    for column in range(pair.shape[3]):
        own = pair[..., [column]]
        later, before = (second_moments(of, steps) for of in np.split(own, [n_later], axis=1))
        known = second_moments(mean[None, ..., [column]], steps)[:, 0, 0]
        found.append(_is_right(later, before) or _is_clear(second_moments(own, steps), known))
    return np.array(found)


def _is_right(later: np.ndarray, before: np.ndarray) -> bool:
    """Whether the model errs little in the held-out part, and no more than the baselines.

    There is little to gain then, motion that is known so well amplifies what a baseline adds to it,
    and in earlier parts the same form has fewer rows to be fitted to: there it may be a few times
    worse than they are, or anything where it is clearly better or nearly exact in the held-out
    part: then that was no luck.

    Parameters
    ----------
    later, before : array, shape (k, 2, 2)
        Mean products of the errors of both in the held-out part and before, NaN where unknown.
    """
    model, simple = later[:, 0, 0], later[:, 1, 1]
    is_right = (model <= RIGHT**2).all() and model.mean() <= simple.mean()
    is_clear = model.mean() <= max(_CLEAR**2 * simple.mean(), _NO_LUCK**2)
    is_lost = np.nansum(before[:, 0, 0]) > _FEWER**2 * np.nansum(before[:, 1, 1])
    return bool(is_right and (is_clear or not is_lost))


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
