"""Errors against time: of forecasts, scales and baselines beside one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyhits.plots.look import (
    COLOURS,
    RECORDED,
    legend_outside,
    line,
    logarithmic,
    of_shape,
    panels,
    shades,
)


def error_lines(
    own: np.ndarray,
    others: Mapping[str, np.ndarray],
    x: np.ndarray,
    *,
    name: str = "model",
    title: str = "",
    xlabel: str = "time",
    ylabel: str = "error",
    ordered: bool = False,
    ax: Any = None,
) -> Any:
    """Draw the model's errors in black, those of others in colours, by their logarithms.

    Parameters
    ----------
    own : array, shape (m,)
    others : mapping of str to array, each of shape (m,)
    x : array, shape (m,)
        Times or steps ahead.
    name, title, xlabel, ylabel : str
        Of the model, the legend and the axes.
    ordered : bool
        Colour the others from dark to light, as scales from fine to coarse.
    ax : Axes or Figure, optional
    """
    found = panels(ax, (1, 1), (7.0, 3.8))
    axes = found.flat[0]
    colours = list(shades(range(len(others))).values())
    seen: list[np.ndarray] = []
    for k, (other, errors) in enumerate(others.items()):
        style = {"color": colours[k]} if ordered else _told_apart(k)
        height = 2 - k / len(others)
        if any(np.allclose(errors, own, equal_nan=True) for own in seen):
            style, height = style | {"linestyle": (0, (4, 4))}, 2.05
        seen.append(errors)
        # The first on top: coarse scales, which swing between their steps, would hide fine ones.
        line(axes, x, _positive(errors), linewidth=1.2, label=other, zorder=height, **style)
    line(axes, x, _positive(own), color="black", linewidth=2.0, label=name, zorder=2.1)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    logarithmic(axes)
    if others:
        legend_outside(axes, title)
    return of_shape(found)


def _told_apart(k: int) -> dict[str, Any]:
    """Return how the k-th of some lines is drawn, black being the model's."""
    colours = COLOURS[:-1]
    styles = ("-", "--", ":", "-.")
    return {
        "color": colours[k % len(colours)],
        "linestyle": styles[k // len(colours) % len(styles)],
    }


def _positive(errors: np.ndarray) -> np.ndarray:
    """Return what a logarithm can be taken of, and NaN for the rest."""
    errors = np.asarray(errors, dtype=float)
    return np.where(np.isfinite(errors) & (errors > 0), errors, np.nan)


def delay_choice(choice: Any, dt: float = 1.0, *, ax: Any = None) -> Any:
    """Draw what delays were chosen by: errors of rollouts, by the time that a state spans.

    Parameters
    ----------
    choice : StateRows
        As :func:`pyhits.encoders.choose_delays` returns it.
    dt : float
        Time between rows.
    ax : Axes or Figure, optional
    """
    found = panels(ax, (1, 1), (7.0, 3.8))
    axes = found.flat[0]
    for k, lag in enumerate(sorted({lag for _, lag in choice.scores})):
        own = sorted((n, error) for (n, other), error in choice.scores.items() if other == lag)
        spans, errors = [dt * lag * (n - 1) for n, _ in own], [error for _, error in own]
        label = "adjacent rows" if lag == 1 else f"{lag} rows apart"
        axes.plot(spans, errors, "o-", color=COLOURS[k % len(COLOURS)], markersize=4, label=label)
    axes.axvline(
        dt * (choice.history - 1), color=RECORDED, linewidth=1.5, linestyle="--", label="chosen"
    )
    unit = "rows" if dt == 1 else "time"
    axes.set(
        xlabel=f"span of a state, newest to oldest row ({unit})",
        ylabel="error of rollouts (standard deviations)",
    )
    axes.legend(frameon=False)
    logarithmic(axes)
    return of_shape(found)
