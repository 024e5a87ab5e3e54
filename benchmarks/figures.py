"""Figures of the benchmarks, written as SVG, PDF and PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from benchmarks.record import Record
from benchmarks.timing import Timing
from pyhits.plots import save_figure

OURS, OTHERS, ACCENT = "#0072b2", "#8a8f98", "#d55e00"


def new(width: float, height: float, **grid: Any) -> tuple[Figure, Any]:
    """Return a figure and its axes in the house's style."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(**grid)
    for axis in np.atleast_1d(axes).flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def save(figure: Figure, out: Path, name: str) -> None:
    """Write a figure in three formats into the folder."""
    for suffix in (".svg", ".pdf", ".png"):
        save_figure(figure, out / f"{name}{suffix}")


def shades(n: int) -> np.ndarray:
    """Return ``n`` colours from dark to light."""
    return np.asarray(colormaps["viridis"](np.linspace(0.0, 0.92, n)))


def times(records: Sequence[Record], title: str) -> Figure:
    """Draw the seconds of every row, fastest on top, quartiles as whiskers."""
    rows = sorted((r for r in records if r.low), key=lambda r: r.seconds or 0.0, reverse=True)
    figure, axis = new(7.0, 0.9 + 0.24 * len(rows))
    for k, r in enumerate(rows):
        colour = OURS if r.name.startswith("PyHiTS") else OTHERS
        axis.plot([r.low, r.high], [k, k], color=colour, linewidth=2)
        axis.plot(r.seconds, k, "o", color=colour, markersize=5)
        axis.annotate(
            f"{r.seconds:.3g}", (r.high, k), xytext=(7, 0), textcoords="offset points",
            va="center", fontsize=8, color=colour,
        )  # fmt: skip
    axis.set_yticks(range(len(rows)), [_label(r) for r in rows], fontsize=8)
    axis.set(xscale="log", xlabel="seconds", title=title)
    axis.margins(x=0.12)
    return figure


def work_precision(records: Sequence[Record]) -> Figure:
    """Draw error against seconds; down and to the left is better.

    Of the variants of one solver that have about the same error and time, the fastest is drawn.
    """
    figure, axis = new(7.0, 4.4)
    drawn: list[Record] = []
    for r in sorted(records, key=lambda r: r.seconds or 0.0):
        if r.seconds is None or not r.error or any(_alike(r, other) for other in drawn):
            continue
        drawn.append(r)
        ours = r.name.startswith("PyHiTS")
        axis.plot(r.seconds, r.error, "o", color=OURS if ours else OTHERS, markersize=5)
        # Runge-Kutta methods have one error: their labels stand above each other.
        steps = "RK4" in r.name
        axis.annotate(
            _label(r).replace(", ", "\n").replace(" (", "\n(") if steps or ours else _label(r),
            (r.seconds, r.error), xytext=(0, 6) if steps or ours else (6, 0),
            textcoords="offset points", fontsize=7, color=OURS if ours else "black",
            ha="center" if steps or ours else "left", va="bottom" if steps or ours else "center",
        )  # fmt: skip
    axis.axhline(1e-6, color=ACCENT, linewidth=1, linestyle=":")
    axis.set(xscale="log", yscale="log", xlabel="seconds", ylabel="mean squared error")
    axis.margins(x=0.16, y=0.14)
    return figure


def _alike(a: Record, b: Record) -> bool:
    """Whether two rows are one solver's, with one error and about one time."""
    if a.name.split()[0] != b.name.split()[0]:
        return False
    pairs = ((a.error, b.error), (a.seconds, b.seconds))
    return all(x and y and 0.4 < x / y < 2.5 for x, y in pairs)


def scaling(axes: Mapping[str, tuple[list[float], list[Timing]]]) -> Figure:
    """Draw seconds against each kind of work, with a line of linear cost."""
    figure, panels = new(7.0, 5.4, nrows=2, ncols=2)
    for panel, (name, (works, timings)) in zip(panels.flat, axes.items(), strict=True):
        median = [t.median for t in timings]
        low, high = [t.low for t in timings], [t.high for t in timings]
        panel.fill_between(works, low, high, color=OURS, alpha=0.25, linewidth=0)
        panel.plot(works, median, "o-", color=OURS, markersize=4, linewidth=1.3)
        linear = median[-1] * np.asarray(works) / works[-1]
        panel.plot(works, linear, ":", color=OTHERS, label="linear")
        panel.set(xscale="log", yscale="log", xlabel=name, ylabel="seconds")
        panel.set_ylim(min(low) / 2, max(high) * 2)
    panels.flat[0].legend(frameon=False, fontsize=8)
    return figure


def _label(record: Record) -> str:
    name = record.name.removeprefix("SciPy ")
    return f"{name} ({record.threads})" if record.threads else name
