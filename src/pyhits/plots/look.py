"""What all figures share: colours that everybody tells apart, panels, axes of time, files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.util.atomic import replacing

#: Okabe and Ito's blue for what is forecast, their vermilion for what stands out.
RECORDED, FORECAST, ACCENT = "#8a8f98", "#0072b2", "#d55e00"

#: Their other colours that are told apart on white, for lines of one panel.
COLOURS = (FORECAST, ACCENT, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

#: Curves drawn over one another, at most.
MOST_CURVES = 24

#: Marks the text that says what a figure leaves out.
_LEFT_OUT = "left out"

#: Numbers drawn of one line; more could not be told apart.
_NUMBERS = 2400


def panels(
    ax: Any, shape: tuple[int, int], size: tuple[float, float], **settings: Any
) -> np.ndarray:
    """Return the axes to draw into, an array of this shape.

    Raises ArgumentError: ``ax`` holds another number of axes.

    Parameters
    ----------
    ax : Axes, array of Axes, Figure, or None
        None makes a figure by pyplot; a Figure without axes gets this size.
    shape : (int, int)
        Rows and columns.
    size : (float, float)
        Inches.
    **settings
        Of ``Figure.subplots``.
    """
    from matplotlib.figure import Figure, FigureBase

    if ax is None:
        from matplotlib import pyplot as plt

        ax = plt.figure(figsize=size, layout="constrained")
    elif isinstance(ax, Figure) and not ax.axes:
        ax.set_size_inches(*size)
    if isinstance(ax, FigureBase):
        found = np.asarray(ax.subplots(*shape, squeeze=False, **settings))
    else:
        found = np.ravel(np.asarray(ax, dtype=object))
        if found.size != shape[0] * shape[1]:
            raise ArgumentError(
                f"The figure has {shape[0]} x {shape[1]} panels, got {found.size} axes: give a "
                "Figure, or so many."
            )
        found = found.reshape(shape)
    for axes in found.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
    return found


def is_single(ax: Any) -> bool:
    """Whether there is room for one panel alone."""
    return hasattr(ax, "get_xlim")


def note_left_out(found: np.ndarray, *counts: tuple[int, int, str]) -> None:
    """Write below the panels what they leave out, as in "6 of 40 features".

    Parameters
    ----------
    *counts : (int, int, str)
        How many are drawn, how many there are, and of what.
    """
    parts = [f"{n} of {total:,} {what}" for n, total, what in counts if n < total]
    if parts:
        found.flat[-1].annotate(
            ", ".join(parts), (0, 0), (0, -30), "axes fraction", "offset points",
            fontsize=8, color=RECORDED, gid=_LEFT_OUT,
        )  # fmt: skip


def left_out(figure: Any) -> str:
    """Return what the panels of a figure leave out, as in "6 of 40 features"; empty if nothing."""
    texts = [text for axes in figure.axes for text in axes.texts if text.get_gid() == _LEFT_OUT]
    return ", ".join(text.get_text() for text in texts)


def of_shape(found: np.ndarray) -> Any:
    """Return the axes of a figure as its functions do: one alone, or an array."""
    return found.flat[0] if found.size == 1 else np.squeeze(found)


def blank() -> Any:
    """Return a Figure without pyplot, for what is written to files."""
    from matplotlib.figure import Figure

    return Figure(layout="constrained")


def logarithmic(axes: Any) -> None:
    """Draw errors by their logarithms, unless there is no error at all to take one of."""
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
    drawn += [np.asarray(points.get_offsets())[:, 1] for points in axes.collections]
    if any((values > 0).any() for values in drawn):
        axes.set_yscale("log")


def thin_ticks(axis: Any) -> None:
    """Label a logarithmic axis at 1 and 3 alone, as all labels of one decade overlap."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=4))
    axis.set_major_formatter(LogFormatterSciNotation(labelOnlyBase=False))
    axis.set_minor_formatter(NullFormatter())


def shades(step_sizes: Sequence[int]) -> dict[int, Any]:
    """Return one colour a scale, dark for fine and light for coarse."""
    from matplotlib import colormaps

    colours = colormaps["viridis"](np.linspace(0.0, 0.88, len(step_sizes)))
    return dict(zip(sorted(step_sizes), colours, strict=True))


def thin(values: np.ndarray) -> np.ndarray:
    """Return the indices at which a line is drawn: all, or the extremes of many short parts.

    Parameters
    ----------
    values : array, shape (n,)
    """
    n = len(values)
    if n <= _NUMBERS:
        return np.arange(n)
    width = -(-2 * n // _NUMBERS)
    whole = n // width
    parts = np.nan_to_num(np.asarray(values[: whole * width], dtype=float)).reshape(whole, width)
    begin = width * np.arange(whole)
    extremes = np.concatenate([begin + parts.argmin(axis=1), begin + parts.argmax(axis=1)])
    return np.unique(np.concatenate([extremes, [0, n - 1]]))


def line(axes: Any, x: np.ndarray, y: np.ndarray, *style: Any, **settings: Any) -> None:
    """Draw a line through all points that can be seen."""
    kept = thin(y)
    axes.plot(x[kept], y[kept], *style, **settings)


def label(name: str) -> str:
    """Return a user's name as plain text: dollar signs would start mathematics."""
    return name.replace("$", r"\$")


def times_along(axes: Any, x: np.ndarray, unit: str = "") -> None:
    """Say what the horizontal axis is: dates, or times in a unit."""
    if np.asarray(x).dtype.kind == "M":
        from matplotlib import dates

        drawer: Any = dates  # its constructors have no types
        locator = drawer.AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(drawer.ConciseDateFormatter(locator))
    else:
        axes.set_xlabel(f"time ({unit})" if unit else "time")


def drawn(times: np.ndarray) -> np.ndarray:
    """Return times as matplotlib takes them: dates in microseconds."""
    times = np.asarray(times)
    return times.astype("M8[us]") if times.dtype.kind == "M" else times


def legend_above(axes: Any, **settings: Any) -> None:
    """Put the legend above the panel, in one row, once each."""
    handles, names = axes.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    if once:
        axes.legend(once.values(), once.keys(), frameon=False, loc="lower right", fontsize=9,
                    bbox_to_anchor=(1.0, 1.0), ncols=len(once), borderaxespad=0.1,
                    **settings)  # fmt: skip


def legend_above_all(found: Any) -> None:
    """Put one legend for panels side by side above them, without moving them apart."""
    legend_above(found.flat[-1])
    legend = found.flat[-1].get_legend()
    if legend is not None:
        legend.set_in_layout(False)
        for axes in found.flat:
            axes.set_title(axes.get_title() or " ")


def legend_outside(axes: Any, title: str) -> None:
    """Put a long legend to the right of the panel."""
    axes.legend(
        title=title, frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0)
    )


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure, or that of axes; the extension (.svg, .pdf, .png) says how.

    Raises
    ------
    ArgumentError
        The extension is none that matplotlib writes.
    FileFormatError
        The file cannot be written.
    """
    from pyhits.plots.powers import with_plain_powers  # imports matplotlib

    axes = np.ravel(np.asarray(figure, dtype=object))[0]
    figure = with_plain_powers(getattr(axes, "figure", axes))
    path = Path(path).expanduser()
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.lstrip(".").lower() not in known:
        raise ArgumentError(f"Unknown figure format {path.suffix!r}; known: {', '.join(known)}.")
    with replacing(path) as temporary:
        dated = path.suffix.lower() == ".svg"
        figure.savefig(temporary, dpi=160, metadata={"Date": None} if dated else None)
    return path
