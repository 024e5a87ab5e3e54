"""Scales and couplings: how they were trained, which were tried, what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from pyhits.plots.look import (
    ACCENT,
    COLOURS,
    FORECAST,
    RECORDED,
    legend_above_all,
    legend_outside,
    logarithmic,
    of_shape,
    panels,
    shades,
    thin_ticks,
)


class Tried(Protocol):
    """A coupling that was tried, as :class:`pyhits.hierarchy.Candidate` is."""

    @property
    def step_sizes(self) -> tuple[int, ...]:
        """What was coupled, finest first."""

    @property
    def error(self) -> float:
        """Validation error."""

    @property
    def search(self) -> str:
        """Which bound was being sought."""


class Trained(Protocol):
    """How one scale was trained, as :class:`pyhits.training.History` is."""

    flow_map: str
    polynomial_error: float
    validation_error: float

    @property
    def curve(self) -> list[dict[str, float]]:
        """Records of training, with ``step`` and ``validation_error``."""


def training_curves(history: Mapping[int, Trained], *, ax: Any = None) -> Any:
    """Draw the relative validation error of every scale against optimiser steps.

    Scales without a net, and those of one solution, are dotted lines.
    """
    found = panels(ax, (1, 1), (7.0, 3.4))
    axes = found.flat[0]
    colours = shades(list(history))
    for size, record in sorted(history.items()):
        style = {"color": colours[size], "label": f"{size}"}
        if record.curve:
            steps = [r["step"] for r in record.curve]
            errors = [r["validation_error"] for r in record.curve]
            axes.plot(steps, errors, linewidth=1.4, **style)
        else:
            axes.axhline(record.validation_error, linestyle=":", **style)
    axes.set(xlabel="optimiser step", ylabel="relative one-step error (MSE)")
    if not any(record.curve for record in history.values()):
        axes.set(xlabel="no net was trained", xticks=[])
    logarithmic(axes)
    legend_outside(axes, "step size")
    return of_shape(found)


def scale_errors(
    history: Mapping[int, Trained], coupled: Sequence[int], *, dt: str = "dt", ax: Any = None
) -> Any:
    """Draw the error of one step of every scale, by its kind of flow map; coupled ones are ringed.

    Parameters
    ----------
    history : mapping of int to History
        By step size.
    coupled : sequence of int
        Step sizes that forecasts use.
    dt : str
        What a step size counts, in words.
    ax : Axes or Figure, optional
    """
    found = panels(ax, (1, 1), (6.4, 3.6))
    axes = found.flat[0]
    sizes = sorted(history)
    kinds: dict[str, list[int]] = {}
    for size in sizes:
        kinds.setdefault(_kind(history[size].flow_map), []).append(size)
    axes.plot(sizes, [_root(history[s].validation_error) for s in sizes],
              color=RECORDED, linewidth=0.9)  # fmt: skip
    for (kind, own), colour in zip(kinds.items(), COLOURS * 3, strict=False):
        errors = [_root(history[s].validation_error) for s in own]
        axes.plot(own, errors, "o", color=colour, markersize=5, label=kind)
    ringed = [s for s in sizes if s in coupled]
    axes.plot(ringed, [_root(history[s].validation_error) for s in ringed], "o", markersize=11,
              markerfacecolor="none", markeredgecolor=ACCENT, markeredgewidth=1.4,
              label="coupled")  # fmt: skip
    axes.set(xlabel=f"step size (x {dt})", ylabel="relative error of one step")
    _powers_of_two(axes, sizes)
    logarithmic(axes)
    legend_outside(axes, "flow map")
    return of_shape(found)


def _root(error: float) -> float:
    return float(np.sqrt(error)) if np.isfinite(error) else np.nan


def _kind(flow_map: str) -> str:
    """Return what a flow map is, without its sizes: ``"polynomial (degree 5)"``, ``"net"``."""
    return flow_map.split(",")[0] if len(flow_map) < 32 else flow_map.split(" (")[0]


def _powers_of_two(axes: Any, sizes: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(k) for k in sizes], rotation=45 if len(sizes) > 8 else 0)
    axes.minorticks_off()


def selection_path(path: Sequence[Tried], chosen: tuple[int, ...], *, ax: Any = None) -> Any:
    """Draw the validation errors of the couplings tried (Section 2.3) and of each scale alone.

    Parameters
    ----------
    path : sequence of Candidate
    chosen : tuple of int
        Step sizes of the coupling taken.
    ax : three Axes, or Figure, optional
    """
    titles = {"upper": "finest scales up to k", "lower": "scales from k up", "single": "k alone"}
    found = panels(ax, (1, 3), (9.0, 3.4), sharey=True)
    for axes, search in zip(found.flat, titles, strict=True):
        tried = _tried(path, search)
        ks = [c.step_sizes[-1] if search == "upper" else c.step_sizes[0] for c in tried]
        errors = [c.error if np.isfinite(c.error) else np.nan for c in tried]
        axes.plot(ks, errors, "o-", color=FORECAST, markersize=4, linewidth=1.2)
        for c, k in zip(tried, ks, strict=True):
            if c.step_sizes == chosen:
                axes.plot([k], [c.error], "o", color=ACCENT, markersize=8, label="chosen")
            if not np.isfinite(c.error):
                axes.axvline(k, color=RECORDED, linestyle=":", linewidth=1)
        axes.set(xlabel="step size k (x dt)", title=titles[search])
        logarithmic(axes)
        if ks:
            _powers_of_two(axes, ks)
        else:
            axes.set_xticks([])
            axes.text(0.5, 0.5, "none to try", ha="center", transform=axes.transAxes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    found.flat[0].set_ylabel("validation error")
    return of_shape(found)


def _tried(path: Sequence[Tried], search: str) -> list[Tried]:
    """Return the couplings of one search, in the order of its bound."""
    if search == "single":
        return sorted((c for c in path if len(c.step_sizes) == 1), key=lambda c: c.step_sizes)
    tried = [c for c in path if c.step_sizes and c.search == search]
    if search == "lower" and tried:
        # The search for the lower bound begins with the winner of the upper one.
        first = [c for c in path if c.search == "upper"]
        first = [c for c in first if c.step_sizes[-1] == tried[0].step_sizes[-1]][:1]
        tried = first + tried
    return tried


def accuracy_front(
    candidates: Sequence[Tried],
    best: Mapping[str, Sequence[Tried]],
    chosen: tuple[int, ...],
    *,
    ax: Any = None,
) -> Any:
    """Draw error against cost of every coupling measured, and of those that none beats in both.

    Parameters
    ----------
    candidates : sequence of Candidate
    best : mapping of str to sequence of Candidate
        By the attribute that is the cost, ``nominal_seconds`` and ``depth``: those that none is
        both cheaper and better than, cheapest first.
    chosen : tuple of int
        Step sizes of the coupling taken, on all validation data.
    ax : two Axes, or Figure, optional
    """
    found = panels(ax, (1, 2), (7.0, 3.6), sharey=True)
    finite = [c for c in candidates if np.isfinite(c.error) and c.error > 0]
    labels = {"nominal_seconds": "nominal time (seconds)", "depth": "stages one after another"}
    for axes, (cost, label) in zip(found.flat, labels.items(), strict=True):
        for group, style in (
            (finite, {"marker": ".", "linestyle": "", "color": RECORDED, "label": "couplings"}),
            (best[cost], {"marker": "o", "markersize": 4, "linewidth": 0.8, "color": FORECAST,
                          "drawstyle": "steps-post", "label": "cheapest at its error"}),
            ([c for c in finite if c.step_sizes == chosen],
             {"marker": "o", "markersize": 8, "linestyle": "", "color": ACCENT,
              "label": "chosen"}),
        ):  # fmt: skip
            axes.plot([getattr(c, cost) for c in group], [c.error for c in group], **style)
        axes.set(xscale="log", xlabel=label)
        thin_ticks(axes.xaxis)
        logarithmic(axes)
    found.flat[0].set_ylabel("error, on a sample")
    legend_above_all(found)
    return of_shape(found)
