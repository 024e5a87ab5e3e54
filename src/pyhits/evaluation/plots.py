"""Figures: colour-blind safe, readable in print, made without touching matplotlib's global state.

Every function returns a :class:`matplotlib.figure.Figure`; save it with ``figure.savefig``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from pyhits.data.stretches import evenly
from pyhits.errors import ArgumentError
from pyhits.evaluation.metrics import power_spectra
from pyhits.hierarchy.coupling import undominated
from pyhits.util.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pyhits.encoders import DelayChoice
    from pyhits.evaluation.backtest import Backtest
    from pyhits.evaluation.evaluation import Evaluation
    from pyhits.hierarchy import Selection
    from pyhits.training import History

#: Points drawn of one line; more could not be told apart.
_POINTS = 600

#: Points of a curve up to which each is marked.
_MOST_MARKED = 30

#: Mutual information is drawn up to so many times the lag that was chosen.
_LAGS_SHOWN = 6

#: Correlation that counts as none.
_UNCORRELATED = 0.05

#: Columns of a histogram; and energies drawn, as a part of the strongest frequency's.
_BINS, _LEAST_DRAWN = 40, 1e-9

_TRUTH = "#8a8f98"
_FORECAST = "#0072b2"  # Okabe and Ito's blue
_ACCENT = "#d55e00"  # and their vermilion


def _figure(width: float = 7.0, height: float = 3.4, **grid: Any) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(**grid)
    for axis in np.atleast_1d(axes).flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def _logarithmic(axis: Any) -> None:
    """Draw errors by their logarithms, unless there is no error at all to take one of."""
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in axis.lines]
    drawn += [np.asarray(points.get_offsets())[:, 1] for points in axis.collections]
    if any((values > 0).any() for values in drawn):
        axis.set_yscale("log")


def _thin_ticks(axis: Any) -> None:
    """Label a logarithmic axis at 1 and 3 alone, as all labels of one decade overlap."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=4))
    axis.set_major_formatter(LogFormatterSciNotation(labelOnlyBase=False))
    axis.set_minor_formatter(NullFormatter())


def _scale_colours(step_sizes: Sequence[int]) -> dict[int, Any]:
    """Return one colour a scale, dark for fine and light for coarse."""
    from matplotlib import colormaps

    shades = colormaps["viridis"](np.linspace(0.0, 0.92, len(step_sizes)))
    return dict(zip(sorted(step_sizes), shades, strict=True))


def _thin(n: int) -> np.ndarray:
    """Return the indices, about ``_POINTS`` of them, at which a line of n points is drawn."""
    return evenly(n, _POINTS)


def training_curves(history: Mapping[int, History]) -> Figure:
    """Draw the relative validation error of every scale against optimiser steps."""
    figure, axis = _figure()
    colours = _scale_colours(list(history))
    for size, record in sorted(history.items()):
        label = f"{size}"
        if record.records:
            steps = [r["step"] for r in record.records]
            errors = [r["validation_error"] for r in record.records]
            axis.plot(steps, errors, color=colours[size], label=label, linewidth=1.4)
        else:
            axis.axhline(record.validation_error, color=colours[size], label=label, linestyle=":")
    axis.set(xlabel="optimiser step", ylabel="relative one-step error (MSE)")
    if not any(record.records for record in history.values()):
        axis.set(xlabel="no net was trained", xticks=[])
    _logarithmic(axis)
    _legend_outside(axis, "step size")
    return figure


def selection_path(selection: Selection) -> Figure:
    """Draw the validation errors of the couplings tried (Section 2.3) and of each scale alone."""
    titles = {"upper": "finest scales up to k", "lower": "scales from k up", "single": "k alone"}
    figure, axes = _figure(9.0, ncols=3, sharey=True)
    for axis, search in zip(axes, titles, strict=True):
        tried = [c for c in selection.path if c.step_sizes and c.search == search]
        if search == "lower":
            # The search for the lower bound begins with the winner of the upper one.
            first = [c for c in selection.path if c.search == "upper" and tried]
            first = [c for c in first if c.step_sizes[-1] == tried[0].step_sizes[-1]][:1]
            tried = first + tried
        if search == "single":
            alone = [c for c in selection.path if len(c.step_sizes) == 1]
            tried = sorted(alone, key=lambda c: c.step_sizes)
        ks = [c.step_sizes[-1] if search == "upper" else c.step_sizes[0] for c in tried]
        errors = [c.error if np.isfinite(c.error) else np.nan for c in tried]
        axis.plot(ks, errors, "o-", color=_FORECAST, markersize=4, linewidth=1.2)
        for c, k in zip(tried, ks, strict=True):
            if c.step_sizes == selection.step_sizes:
                axis.plot([k], [c.error], "o", color=_ACCENT, markersize=8, label="chosen")
            if not np.isfinite(c.error):
                axis.axvline(k, color=_TRUTH, linestyle=":", linewidth=1)
        axis.set(xlabel="step size k (x dt)", title=titles[search])
        _logarithmic(axis)
        if ks:
            axis.set_xscale("log", base=2)
            axis.set_xticks(ks, [str(k) for k in ks], rotation=45 if len(ks) > 8 else 0)
            axis.minorticks_off()
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False)
    axes[0].set_ylabel("validation error")
    return figure


def accuracy_front(selection: Selection) -> Figure:
    """Draw error against cost of every coupling measured, and of those that none beats in both."""
    figure, axes = _figure(ncols=2, sharey=True, height=3.6)
    finite = [c for c in selection.front if np.isfinite(c.error) and c.error > 0]
    chosen = [c for c in finite if c.step_sizes == selection.step_sizes]
    for axis, cost, label in (
        (axes[0], "seconds", "seconds of a forecast"),
        (axes[1], "depth", "stages one after another"),
    ):
        best = undominated(finite, cost)
        for group, style in (
            (finite, {"marker": ".", "linestyle": "", "color": _TRUTH, "label": "couplings"}),
            (best, {"marker": "o", "markersize": 4, "linestyle": "-", "linewidth": 0.8,
                    "color": _FORECAST, "label": "cheapest at its error"}),
            (chosen, {"marker": "o", "markersize": 8, "linestyle": "", "color": _ACCENT,
                      "label": "chosen"}),
        ):  # fmt: skip
            axis.plot([getattr(c, cost) for c in group], [c.error for c in group], **style)
        axis.set(xscale="log", xlabel=label)
        _logarithmic(axis)
    axes[0].set_ylabel("validation error")
    axes[1].legend(frameon=False, fontsize=8)
    return figure


def error_against_time(coupled: Evaluation, single: Mapping[int, Evaluation]) -> Figure:
    """Draw the error at each time of every single scale and of the coupled model (Fig. 5)."""
    figure, axis = _figure(height=3.8)
    colours = _scale_colours(list(single)) if single else {}
    for size, result in sorted(single.items()):
        _error_line(axis, result, color=colours[size], linewidth=1.1, label=f"{size}")
    _error_line(axis, coupled, color="black", linewidth=2.0, label="coupled")
    unit = coupled.axis.drawn_unit(coupled.dt)[1]
    axis.set(xlabel=f"time ({unit})" if unit else "time", ylabel="mean squared error")
    _logarithmic(axis)
    _legend_outside(axis, "step size")
    return figure


def _error_line(axis: Any, result: Evaluation, **style: Any) -> None:
    keep = 1 + _thin(result.n_steps)
    error = result.per_step_mse[keep]
    axis.plot(
        result.times[keep] / result.axis.drawn_unit(result.dt)[0],
        np.where(np.isfinite(error) & (error > 0), error, np.nan),
        **style,
    )


def error_by_horizon(result: Backtest) -> Figure:
    """Draw the errors of a backtest at each step, of the model and of the baselines."""
    from matplotlib import colormaps

    figure, axis = _figure(height=3.8)
    steps = np.arange(1, result.horizon + 1)
    others = [name for name in result.nrmse if name != "hits"]
    shades = colormaps["viridis"](np.linspace(0.0, 0.92, max(len(others), 1)))
    for name, colour in zip(others, shades, strict=False):
        axis.plot(steps, result.nrmse[name], color=colour, linewidth=1.1, label=name)
    axis.plot(steps, result.nrmse["hits"], color="black", linewidth=2.0, label="hits")
    axis.set(xlabel="step", ylabel="normalised error (RMSE)")
    _logarithmic(axis)
    _legend_outside(axis, "forecast")
    return figure


def phase_portrait(truth: np.ndarray, forecast: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw true and forecast trajectories ``(n, time, d)`` over the first two features.

    A single feature is drawn over itself some rows before, about a quarter of a period.
    """
    figure, axis = _figure(width=4.6, height=4.2)
    if truth.shape[2] == 1:
        lag = min(_quarter(truth[0, :, 0]), truth.shape[1] - 1)
        truth, forecast = (
            np.concatenate([x[:, : x.shape[1] - lag], x[:, lag:]], axis=2)
            for x in (truth, forecast)
        )
        names = [f"{names[0]}, {lag} rows before", names[0]]
    keep = _thin(truth.shape[1])
    for k in range(len(truth)):
        labels = ("recorded", "forecast") if k == 0 else (None, None)
        for values, colour, style, label in (
            (truth[k, keep], _TRUTH, "-", labels[0]),
            (forecast[k, keep], _FORECAST, "--", labels[1]),
        ):
            axis.plot(values[:, 0], values[:, 1], style, color=colour, linewidth=1.1, label=label)
        axis.plot(*truth[k, 0, :2], "o", color=_ACCENT, markersize=3.5)
    axis.set(xlabel=_label(names[0]), ylabel=_label(names[1]))
    axis.legend(frameon=False, loc="best")
    return figure


def _quarter(values: np.ndarray) -> int:
    """Return after how many rows a signal is first all but uncorrelated, at least 1."""
    values = values[np.isfinite(values)]
    centred = values - values.mean()
    size = next_fast_len(2 * len(centred))
    products = irfft(np.square(np.abs(rfft(centred, size))), size)[: max(2, len(centred) // 2)]
    past = np.flatnonzero(products <= _UNCORRELATED * products[0])
    return max(1, int(past[0])) if len(past) else 1


def sample_trajectory(
    truth: np.ndarray,
    forecast: np.ndarray,
    dt: float,
    names: Sequence[str],
    interval: tuple[np.ndarray, np.ndarray] | None = None,
    dates: np.ndarray | None = None,
) -> Figure:
    """Draw one true and one forecast trajectory ``(time, d)``, at most six features of it.

    ``interval`` are the lower and upper bounds of the forecast, each ``(time, d)``; where they are
    not finite nothing is drawn. Rows are drawn at ``dates``, shape ``(time,)``, if there are any.
    """
    shown = min(6, truth.shape[1])
    figure, axes = _figure(height=1.3 + 1.0 * shown, nrows=shown, sharex=True)
    keep = _thin(len(truth))
    at = keep * dt if dates is None else dates[keep].astype("M8[us]")
    for k, axis in enumerate(np.atleast_1d(axes)):
        if interval is not None and np.isfinite(interval[1] - interval[0]).any():
            low, high = (bound[keep, k] for bound in interval)
            axis.fill_between(at, low, high, where=np.isfinite(high - low), alpha=0.25,
                              color=_FORECAST, linewidth=0, label="interval")  # fmt: skip
        axis.plot(at, truth[keep, k], color=_TRUTH, linewidth=2.2, label="recorded")
        axis.plot(at, forecast[keep, k], "--", color=_FORECAST, linewidth=1.2,
                  label="forecast")  # fmt: skip
        axis.set_ylabel(_label(names[k]))
    np.atleast_1d(axes)[-1].set_xlabel("time" if dates is None else "")
    if dates is not None:
        np.atleast_1d(axes)[-1].tick_params(axis="x", labelrotation=30)
    figure.legend(
        *np.atleast_1d(axes)[0].get_legend_handles_labels(),
        loc="outside upper right", ncols=3, frameon=False,
    )  # fmt: skip
    return figure


def spectra_and_distributions(
    truth: np.ndarray, forecast: np.ndarray, dt: float, names: Sequence[str]
) -> Figure:
    """Draw how energy and values of ``(n, time, d)`` are distributed, of four features at most.

    Above the power spectra in time, below the densities of values; where the truth is NaN, beyond a
    trajectory's end, the forecast does not count.

    Raises
    ------
    DataError
        No trajectory has the 32 rows that a spectrum in time takes.
    """
    shown = min(4, truth.shape[2])
    truth, forecast = truth[..., :shown], forecast[..., :shown]
    frequencies, *both = power_spectra(truth, forecast, dt)
    figure, axes = _figure(
        width=2.4 * max(shown, 2), height=4.4, nrows=2, ncols=shown, squeeze=False
    )
    known = np.isfinite(truth)
    styles = {"color": _TRUTH, "linewidth": 2.2}, {"color": _FORECAST, "linewidth": 1.2}
    for k in range(shown):
        above, below = axes[:, k]
        values = [x[..., k][known[..., k]] for x in (truth, forecast)]
        low, high = (float(np.percentile(np.concatenate(values), q)) for q in (0.1, 99.9))
        room = 0.5 if low == high else 0.0
        edges = np.linspace(low - room, high + room, _BINS + 1)
        for energies, found, style, label in zip(
            both, values, styles, ("recorded", "forecast"), strict=True
        ):
            above.plot(frequencies, energies[:, k], label=label, **style)
            counts, _ = np.histogram(found, edges)
            share = counts / max(counts.sum(), 1) / np.diff(edges)
            below.stairs(share, edges, **style)
        above.set_xscale("log")
        _thin_ticks(above.xaxis)
        _logarithmic(above)
        largest = both[0][:, k].max()
        if largest > 0:
            above.set_ylim(largest * _LEAST_DRAWN, 5 * largest)
        above.set(xlabel="frequency (1 / time)")
        below.set(xlabel=_label(names[k]))
    axes[0, 0].set_ylabel("power (arbitrary unit)")
    axes[1, 0].set_ylabel("density")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper right", ncols=2, frameon=False,
    )  # fmt: skip
    return figure


def delay_choice(choice: DelayChoice, dt: float = 1.0) -> Figure:
    """Draw what delays were chosen by: mutual information, Cao's E1 and prediction errors."""
    figure, axes = _figure(9.6, 3.2, ncols=3)
    lags = dt * np.arange(1, len(choice.information) + 1)
    unit = "rows" if dt == 1 else "time"
    for axis, x, y, xlabel, ylabel in (
        (axes[0], lags, choice.information, f"lag ({unit})", "mutual information (bits)"),
        (axes[1], np.arange(1, len(choice.e1) + 1), choice.e1, "delays", "Cao's E1"),
        (axes[2], np.arange(1, len(choice.errors) + 1), choice.errors, "delays",
         "prediction error"),
    ):  # fmt: skip
        axis.plot(x, y, "-" if len(x) > _MOST_MARKED else "o-", color=_FORECAST, markersize=4)
        axis.set(xlabel=xlabel, ylabel=ylabel)
    axes[0].axvline(dt * choice.lag, color=_ACCENT, linewidth=1.2, label="chosen")
    far = max(_LAGS_SHOWN * max(choice.lag, choice.information_lag), _MOST_MARKED)
    axes[0].set(ylim=(0, None), xlim=(0, dt * min(far, len(choice.information) + 1)))
    axes[0].legend(frameon=False)
    axes[1].axhline(1, color=_TRUTH, linestyle=":", linewidth=1)
    for axis in axes[1:]:
        axis.axvline(choice.n_delays, color=_ACCENT, linewidth=1.2)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[2].axvline(choice.fewest, color=_TRUTH, linestyle="--", linewidth=1, label="the fewest")
    axes[2].legend(frameon=False)
    axes[2].set_yscale("log" if (choice.errors > 0).any() else "linear")
    return figure


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure; the extension (.svg, .pdf, .png) says how."""
    path = Path(path).expanduser()
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.lstrip(".").lower() not in known:
        raise ArgumentError(f"Unknown figure format {path.suffix!r}; known: {', '.join(known)}.")
    with replacing(path) as temporary:
        dated = path.suffix.lower() == ".svg"
        figure.savefig(temporary, dpi=160, metadata={"Date": None} if dated else None)
    return path


def _label(name: str) -> str:
    """Return a user's name as plain text: dollar signs would start mathematics."""
    return name.replace("$", r"\$")


def _legend_outside(axis: Any, title: str) -> None:
    axis.legend(
        title=title, frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0)
    )
