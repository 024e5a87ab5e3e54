"""Phase portraits: features over one another, or one over its past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.plots.look import (
    ACCENT,
    FORECAST,
    MOST_CURVES,
    RECORDED,
    label,
    legend_above,
    note_left_out,
    of_shape,
    panels,
)

#: Points of a curve: enough that it looks smooth.
_POINTS = 6000

#: Correlations of rows that are alike, and of those that have nothing in common; a signal of two
#: time scales reaches the second late, and so many times the lag of the first is enough.
_CORRELATIONS, _TIMES = (0.9, 0.05), 4


def portrait(
    trajectories: Sequence[np.ndarray] | np.ndarray,
    names: Sequence[str],
    *,
    forecasts: Sequence[np.ndarray] | np.ndarray = (),
    features: tuple[int, int] = (0, 1),
    n_trajectories: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw trajectories over two of their features; dots mark first states.

    A single feature is drawn over itself some rows before, about a quarter of a period.

    Parameters
    ----------
    trajectories, forecasts : sequence of array, each of shape (time, d)
        What was recorded, and what was forecast; 24 of each at most are drawn.
    names : sequence of str
    features : (int, int)
        Numbers of the features along the two axes.
    n_trajectories : int, optional
        How many there are, where not all are given.
    ax : Axes or Figure, optional

    Raises
    ------
    ArgumentError
        There is no such feature.
    """
    recorded, ahead = list(trajectories[:MOST_CURVES]), list(forecasts[:MOST_CURVES])
    d = len(names)
    if d > 1 and not all(0 <= k < d for k in features):
        raise ArgumentError(f"Expected two numbers of features below {d}, got {features}.")
    if d == 1:
        lag = min(_quarter(recorded[0][:, 0]), min(map(len, [*recorded, *ahead])) - 1)
        recorded, ahead = ([_over_its_past(x, lag) for x in group] for group in (recorded, ahead))
        names, features = (f"{names[0]}, {lag} rows before", names[0]), (0, 1)
    found = panels(ax, (1, 1), (4.8, 4.4))
    axes = found.flat[0]
    both = bool(ahead)
    styles = (
        (recorded, {"color": RECORDED, "linewidth": 2.2 if both else 1.0, "label": "recorded"}),
        (ahead, {"color": FORECAST, "linewidth": 1.0, "label": "forecast"}),
    )
    for group, style in styles:
        for values in group:
            kept = np.linspace(0, len(values) - 1, min(len(values), _POINTS)).astype(int)
            axes.plot(*values[kept][:, list(features)].T, **style)
    for values in recorded:
        axes.plot(*values[0, list(features)], "o", color=ACCENT, markersize=3.5)
    axes.set(xlabel=label(names[features[0]]), ylabel=label(names[features[1]]))
    if both:
        legend_above(axes)
    there = len(trajectories) if n_trajectories is None else n_trajectories
    note_left_out(found, (len(recorded), there, "trajectories"))
    return of_shape(found)


def _over_its_past(values: np.ndarray, lag: int) -> np.ndarray:
    return np.concatenate([values[: len(values) - lag], values[lag:]], axis=1)


def _quarter(values: np.ndarray) -> int:
    """Return after how many rows a signal is first all but uncorrelated, at least 1."""
    values = values[np.isfinite(values)]
    centred = values - values.mean()
    from scipy.fft import irfft, next_fast_len, rfft  # not needed to load and forecast

    size = next_fast_len(2 * len(centred))
    products = irfft(np.square(np.abs(rfft(centred, size))), size)[: max(2, len(centred) // 2)]
    alike, past = (np.flatnonzero(products <= c * products[0]) for c in _CORRELATIONS)
    if len(alike) == 0:
        return 1
    return max(1, min(_TIMES * int(alike[0]), int(past[0]) if len(past) else len(values)))
