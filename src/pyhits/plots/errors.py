"""Errors against time: of forecasts, scales and baselines beside one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyhits.plots.look import (
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
    ax : Axes or Figure, optional
    """
    found = panels(ax, (1, 1), (7.0, 3.8))
    axes = found.flat[0]
    colours = shades(range(len(others)))
    for (other, errors), colour in zip(others.items(), colours.values(), strict=True):
        line(axes, x, _positive(errors), color=colour, linewidth=1.2, label=other)
    line(axes, x, _positive(own), color="black", linewidth=2.0, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    logarithmic(axes)
    if others:
        legend_outside(axes, title)
    return of_shape(found)


def _positive(errors: np.ndarray) -> np.ndarray:
    """Return what a logarithm can be taken of, and NaN for the rest."""
    errors = np.asarray(errors, dtype=float)
    return np.where(np.isfinite(errors) & (errors > 0), errors, np.nan)
