"""The figure of a forecast with its intervals, the past and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits import plots
from pyhits.data.packing import default_names
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError

#: Rows of the past drawn, as many times those of the forecast, at least some.
_PAST, _LEAST = 2, 20

#: Part of a step that a time may lie beside a row.
_BESIDE = 1e-6


def drawn_forecast(
    forecast: Any,
    truth: Any,
    past: Any,
    trajectory: int,
    *,
    features: Sequence[str] | None,
    residual: bool,
    ax: Any,
) -> Any:
    """Draw one of the forecasts; see :meth:`pyhits.Forecast.plot`, whose arguments these are."""
    states, low, high = forecast.rows(trajectory)
    x, since = forecast.stamps(trajectory), forecast.times
    order = np.argsort(x, kind="stable")
    states, low, high, x, since = (a[order] for a in (states, low, high, x, since))
    names = forecast.feature_names or default_names(states.shape[1])
    recorded = None if truth is None else _matched(truth, names, trajectory, x, since)
    if forecast.grid is not None:
        if recorded is None:
            return plots.field(states, x, forecast.grid, ax=ax)
        return plots.compared_fields(recorded, states, x, forecast.grid, ax=ax)
    columns = _numbers(features, names)
    known = forecast.past if past is None else past
    before = None
    if known is not None:
        rows, found = _rows(known, names, trajectory)
        n = min(len(rows), max(_LEAST, _PAST * len(x)))
        dated = x.dtype.kind == "M" and found.axis.has_dates
        stamps = found.dates(min(trajectory, len(found) - 1))[-n:]
        if not dated:
            stamps = _before(x, since, n, found.dt if found.dt_known else None)
        before = plots.Rows(stamps, rows[-n:, columns])
    return plots.forecast_lines(
        plots.Rows(x, states[:, columns]),
        [names[k] for k in columns],
        band=(low[:, columns], high[:, columns]),
        level=forecast.level,
        past=before,
        truth=None if recorded is None else plots.Rows(x, recorded[:, columns]),
        residual=residual,
        ax=ax,
    )


def _numbers(features: Sequence[str] | None, names: Sequence[str]) -> list[int]:
    if features is None:
        return list(range(len(names)))
    features = [features] if isinstance(features, str) else features
    unknown = [name for name in features if name not in names]
    if unknown:
        raise ArgumentError(f"There is no feature {unknown[0]!r}; there are {', '.join(names)}.")
    return [list(names).index(name) for name in features]


def _rows(data: Any, names: Sequence[str], trajectory: int) -> tuple[np.ndarray, Trajectories]:
    """Return the features of one of the trajectories, and all of them."""
    found = data if isinstance(data, Trajectories) else Trajectories(data)
    if set(names) <= set(found.feature_names) and found.feature_names != tuple(names):
        found = found.select(names)
    if found.n_features != len(names):
        raise DataError(f"Expected {len(names)} features, got {found.n_features}.")
    return found.rows_of(min(trajectory, len(found) - 1)), found


def _matched(
    truth: Any, names: Sequence[str], trajectory: int, x: np.ndarray, since: np.ndarray
) -> np.ndarray:
    """Return what was recorded at each row of a forecast, ``(m, d)``; NaN where nothing was.

    Parameters
    ----------
    x, since : array, shape (m,)
        Times of the rows, and since the initial state.
    """
    rows, found = _rows(truth, names, trajectory)
    matched = np.full((len(x), len(names)), np.nan)
    own = found.dates(min(trajectory, len(found) - 1))
    if x.dtype.kind == "M" and found.axis.has_dates:
        _, here, there = np.intersect1d(x, own, return_indices=True)
        matched[here] = rows[there]
        return matched
    begin = 1 if len(rows) == len(x) - 1 else 0
    at = np.arange(len(x)) - begin
    if found.dt_known and x.dtype.kind != "M":
        # Times that count on with the recording's say where rows belong; others begin anew.
        says_when = own[0] != 0 or found.axis.name is not None
        steps = (x - own[0]) / found.dt
        is_there = (steps > -_BESIDE) & (steps < len(rows) - 1 + _BESIDE)
        if not (says_when and is_there.any()):
            steps = since / found.dt - begin
        at = np.rint(steps).astype(np.int64)
        at[np.abs(steps - at) > _BESIDE * np.maximum(1, np.abs(x) / found.dt)] = -1
    known = (at >= 0) & (at < len(rows))
    matched[known] = rows[at[known]]
    return matched


def _before(x: np.ndarray, since: np.ndarray, n: int, dt: float | None) -> np.ndarray:
    """Return the times of ``n`` rows that end with the initial state of a forecast."""
    back = np.arange(n - 1.0, -1.0, -1.0)
    if x.dtype.kind != "M":
        step = dt or (x[1] - x[0] if len(x) > 1 else 1.0)
        return np.asarray(x[0] - since[0] - step * back)
    step = x[1] - x[0] if len(x) > 1 else np.timedelta64(1, "D")
    return np.asarray(x[0] - step * back.astype(np.int64))
