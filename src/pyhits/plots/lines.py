"""Features over time: recordings, and forecasts with what is known of their errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pyhits.plots.look import (
    ACCENT,
    COLOURS,
    FORECAST,
    RECORDED,
    drawn,
    is_single,
    label,
    legend_above,
    line,
    note_left_out,
    of_shape,
    panels,
    times_along,
)

#: Features drawn, and trajectories over one another.
_FEATURES, _CURVES = 6, 6


class Rows(NamedTuple):
    """A stretch of rows to be drawn.

    Attributes
    ----------
    x : array, shape (time,)
        Times, or dates.
    values : array, shape (time, d)
    """

    x: np.ndarray
    values: np.ndarray


def lines(
    trajectories: Sequence[Rows],
    names: Sequence[str],
    *,
    unit: str = "",
    n_trajectories: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw features over time, a panel each and six at most; trajectories over one another.

    What is left out is said below.

    Parameters
    ----------
    trajectories : sequence of (times, values)
        Shapes ``(time,)`` and ``(time, d)``; the first six are drawn.
    names : sequence of str
        Of the features.
    unit : str
        Of the times.
    n_trajectories : int, optional
        How many there are, where not all are given.
    ax : Axes, array of Axes, or Figure, optional
        A single panel shows the first feature.
    """
    shown = 1 if is_single(ax) else min(_FEATURES, len(names))
    found = panels(ax, (shown, 1), (7.0, 0.9 + 1.1 * shown), sharex=True)
    some = [Rows(drawn(x), values) for x, values in trajectories[:_CURVES]]
    for k, axes in enumerate(found.flat):
        for j, rows in enumerate(some):
            colour = COLOURS[j % len(COLOURS)]
            line(axes, rows.x, rows.values[:, k], color=colour, linewidth=1.0)
        axes.set_ylabel(label(names[k]))
    times_along(found.flat[-1], some[0].x, unit)
    there = len(trajectories) if n_trajectories is None else n_trajectories
    note_left_out(found, (shown, len(names), "features"), (len(some), there, "trajectories"))
    return of_shape(found)


def forecast_lines(
    ahead: Rows,
    names: Sequence[str],
    *,
    band: tuple[np.ndarray, np.ndarray] | None = None,
    level: float | None = None,
    past: Rows | None = None,
    truth: Rows | None = None,
    residual: bool = True,
    unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw a forecast: what came before, its band, the truth, and below it what it missed.

    Parameters
    ----------
    ahead : (times, values)
        The forecast, shapes ``(time,)`` and ``(time, d)``.
    names : sequence of str
        Of the features, of which six at most are drawn.
    band : (array, array), optional
        Lower and upper bounds, each ``(time, d)``; hatched where they are infinite.
    level : float, optional
        Of the band.
    past, truth : (times, values), optional
        What was recorded before, and then; the truth may be shorter than the forecast.
    residual : bool
        Draw forecast minus truth below each feature.
    unit : str
        Of the times.
    ax : Axes, array of Axes, or Figure, optional
        A single panel shows the first feature without what was missed.
    """
    shown = 1 if is_single(ax) else min(_FEATURES, len(names))
    below = residual and truth is not None and not is_single(ax)
    each = 2 if below else 1
    heights = [2.6, 1.0] * shown if below else [1.0] * shown
    size = (7.5, 0.9 + (1.9 if below else 1.4) * shown)
    found = panels(ax, (each * shown, 1), size, sharex=True, gridspec_kw={"height_ratios": heights})
    for k in range(shown):
        axes = found.flat[each * k]
        _one_forecast(axes, k, ahead, band=band, level=level, past=past, truth=truth)
        axes.set_ylabel(label(names[k]))
        if below and truth is not None:
            _missed(found.flat[each * k + 1], k, ahead, band, truth)
    legend_above(found.flat[0])
    times_along(found.flat[-1], ahead.x, unit)
    note_left_out(found, (shown, len(names), "features"))
    return of_shape(found)


def _one_forecast(
    axes: Any,
    k: int,
    ahead: Rows,
    *,
    band: tuple[np.ndarray, np.ndarray] | None,
    level: float | None,
    past: Rows | None,
    truth: Rows | None,
) -> None:
    x = drawn(ahead.x)
    if past is not None:
        line(axes, drawn(past.x), past.values[:, k], color=RECORDED, linewidth=1.3)
        axes.axvline(x[0], color=RECORDED, linewidth=0.8, linestyle=":")
    if truth is not None:
        line(axes, drawn(truth.x), truth.values[:, k], color=RECORDED, linewidth=2.4,
             label="recorded")  # fmt: skip
    elif past is not None:
        axes.lines[0].set_label("recorded")
    if band is not None and np.isfinite(band[1][:, k] - band[0][:, k]).any():
        low, high = band[0][:, k], band[1][:, k]
        name = "interval" if level is None else f"{100 * level:.4g} % interval"
        axes.fill_between(x, low, high, where=np.isfinite(high - low), alpha=0.22,
                          color=FORECAST, linewidth=0, label=name)  # fmt: skip
    if band is not None:
        _hatched(axes, x, k, band)
    line(axes, x, ahead.values[:, k], color=FORECAST, linewidth=1.2, label="forecast")


def _hatched(axes: Any, x: np.ndarray, k: int, band: tuple[np.ndarray, np.ndarray]) -> None:
    """Mark where nothing is known of the errors: a band that ends would look like a narrow one."""
    unknown = np.isposinf(band[1][:, k] - band[0][:, k])
    if unknown.any():
        axes.fill_between(x, 0, 1, where=unknown, transform=axes.get_xaxis_transform(),
                          facecolor="none", edgecolor=FORECAST, alpha=0.22, hatch="//",
                          linewidth=0, label="bounds unknown")  # fmt: skip


def _missed(
    axes: Any, k: int, ahead: Rows, band: tuple[np.ndarray, np.ndarray] | None, truth: Rows
) -> None:
    """Draw forecast minus truth of one feature, with the half width of its band."""
    n = min(len(ahead.values), len(truth.values))
    x = drawn(ahead.x)
    missed = ahead.values[:n, k].astype(float) - truth.values[:n, k]
    axes.axhline(0.0, color=RECORDED, linewidth=0.8)
    line(axes, x[:n], missed, color=ACCENT, linewidth=1.1)
    if band is not None:
        low, high = (bound[:, k] - ahead.values[:, k] for bound in band)
        seen = np.isfinite(high - low)
        axes.fill_between(x, low, high, where=seen, alpha=0.15, color=FORECAST, linewidth=0)
    axes.set_ylabel("error")
