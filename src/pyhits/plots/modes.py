"""Shapes of modes: pictures of fields, bars of features, lines of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.data.grid import Grid
from pyhits.plots.look import ACCENT, FORECAST, label, of_shape, panels

#: When the two rows of a shape are seen.
_MOMENTS = "at a moment", "a quarter cycle before"

#: Features drawn as bars; more are lines, as bars would be thinner than a point and take seconds.
_MOST_BARS = 60


def mode_shapes(
    shapes: Sequence[np.ndarray],
    titles: Sequence[str],
    names: Sequence[str],
    grid: Grid | None = None,
    *,
    ax: Any = None,
) -> Any:
    """Draw shapes, each ``(2, d)``: two moments a quarter of a cycle apart.

    Parameters
    ----------
    shapes : sequence of array
    titles : sequence of str
    names : sequence of str
        Of the features.
    grid : Grid, optional
        Of two axes: pictures, the first channel's; of one: lines, as of many features.
    ax : array of Axes, or Figure, optional
    """
    is_picture = grid is not None and grid.n_axes > 1
    rows = 2 if is_picture else 1
    found = panels(ax, (rows, len(shapes)), (2.6 * len(shapes), 2.2 * rows + 0.4), sharey="row")
    for column, (shape, title) in enumerate(zip(shapes, titles, strict=True)):
        found[0, column].set_title(title, fontsize=9)
        if grid is not None and is_picture:
            values = grid.array(shape)[..., 0]
            values = values[:, values.shape[1] // 2] if grid.n_axes == 3 else values
            far = float(np.abs(values).max()) or 1.0
            for axes, picture in zip(found[:, column], values, strict=True):
                axes.imshow(picture, cmap="RdBu_r", vmin=-far, vmax=far)
                axes.set(xticks=[], yticks=[])
                axes.grid(False)
            if column == 0:
                for axes, moment in zip(found[:, 0], _MOMENTS, strict=True):
                    axes.set_ylabel(moment, fontsize=9)
            continue
        axes = found[0, column]
        values = shape if grid is None else grid.array(shape)[..., 0]
        x = np.arange(values.shape[1])
        if grid is None and len(x) <= _MOST_BARS:
            axes.bar(x - 0.2, values[0], 0.4, color=FORECAST, label=_MOMENTS[0])
            axes.bar(x + 0.2, values[1], 0.4, color=ACCENT, label=_MOMENTS[1])
            axes.set_xticks(x[:12], [label(name) for name in names[:12]])
        else:
            axes.plot(x, values[0], color=FORECAST, label=_MOMENTS[0])
            axes.plot(x, values[1], color=ACCENT, label=_MOMENTS[1])
            axes.set_xlabel("feature" if grid is None else label(grid.axes[0]))
    if not is_picture:
        found[0, -1].legend(frameon=False, fontsize=8)
    return of_shape(found)
