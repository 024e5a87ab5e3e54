"""How the study's figures look: sizes for print, colours for all eyes, lines also by dashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width of a page's text, in inches, and of its smallest letters, in points.
PAGE, LETTERS = 7.2, 7.0

#: Okabe and Ito's colours, which colour-blind eyes distinguish, darkest first.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

#: Lines that stay different without colour.
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))

TRUTH = "#8a8f98"
COUPLED = "#000000"

#: Points drawn of one line; more could not be distinguished.
_POINTS = 500

#: Errors below are rounding; drawn at all, they would squeeze the rest.
_LEAST = 1e-20


def new_figure(height: float, width: float = PAGE, **grid: Any) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes as an array of shape ``(rows, columns)``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(squeeze=False, **grid)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.tick_params(labelsize=LETTERS - 0.5, width=0.6, length=2.5)
        axis.xaxis.label.set_size(LETTERS)
        axis.yaxis.label.set_size(LETTERS)
    return figure, axes


def shades(n: int) -> list[Any]:
    """Return ``n`` colours from dark to light, in grey too: the finest scale is the darkest."""
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0.0, 0.92, n)))


def title(axis: Axes, text: str) -> None:
    """Write a panel's title."""
    axis.set_title(text, fontsize=LETTERS + 1, loc="left")


def legend(figure: Figure, axis: Axes, n_columns: int) -> None:
    """Write the legend of one panel below all panels."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=n_columns, frameon=False,
        fontsize=LETTERS, handlelength=2.4, columnspacing=1.2,
    )  # fmt: skip


def kept(n: int, *, logarithmic: bool = False) -> np.ndarray:
    """Return which of n points of a line to draw; the first, an initial state, is left out."""
    if logarithmic:
        places = np.geomspace(1, max(1, n - 1), _POINTS)
    else:
        places = np.linspace(1, n - 1, min(max(1, n - 1), _POINTS))
    return np.unique(places.round().astype(int))


def error_line(
    axis: Axes, times: np.ndarray, errors: np.ndarray, *, logarithmic: bool = False, **style: Any
) -> None:
    """Draw errors ``(n_times,)`` against times; what is infinite or exactly 0 leaves a gap."""
    keep = kept(len(times), logarithmic=logarithmic)
    shown = errors[keep]
    axis.plot(times[keep], np.where(np.isfinite(shown) & (shown > 0), shown, np.nan), **style)


def error_axis(axis: Axes, errors: Iterable[np.ndarray], variance: float) -> None:
    """Make the vertical axis logarithmic, from the least error to well above the variance.

    A forecast whose error passes the variance is worth nothing; how far it goes is not shown.
    """
    found = np.concatenate([e[np.isfinite(e) & (e > 0)] for e in errors])
    low = max(_LEAST, float(found.min()) if len(found) else _LEAST)
    top = 30 * variance
    low = min(low / 2, top / 100)
    axis.set(yscale="log")
    error_ticks(axis, low, top)


def log_ticks(low: float, high: float) -> list[float]:
    """Return at most six round numbers on a logarithmic axis, two or more where it spans them."""
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    for digits in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        found = [d * 10.0**k for k in range(first, last + 1) for d in digits]
        ticks = [t for t in found if low <= t <= high]
        if len(ticks) >= 3:
            break
    return ticks[:: -(-len(ticks) // 6)] if ticks else []


def error_ticks(axis: Axes, low: float, high: float) -> None:
    """Show a range of errors on the vertical axis, which is logarithmic."""
    axis.set_ylim(low, high)
    axis.set_yticks(log_ticks(low, high))
    axis.minorticks_off()


def seconds_axis(axis: Axes) -> None:
    """Make the horizontal axis one of seconds, logarithmic."""
    axis.set(xscale="log", xlabel="seconds")
    ticks = log_ticks(*axis.get_xlim())
    every = -(-len(ticks) // 4)
    axis.set_xticks(ticks[::every], [f"{t:g}" for t in ticks[::every]])
    axis.minorticks_off()


def step_label(k: int) -> str:
    """Return the name of scale k, as the paper has it."""
    return f"NNTS {k}"


def per_step_records(
    keys: dict[str, Any], times: np.ndarray, errors: np.ndarray, *, logarithmic: bool = False
) -> list[dict[str, Any]]:
    """Return a drawn line of errors as records with ``keys``."""
    keep: Sequence[int] = kept(len(times), logarithmic=logarithmic).tolist()
    return [keys | {"time": float(times[k]), "mse": float(errors[k])} for k in keep]
