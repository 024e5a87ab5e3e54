"""How training windows are drawn: errors of nets under four samplings, at equal budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyhits.paper.figures import style
from pyhits.paper.output import Result, Table, number
from pyhits.paper.problems import PROBLEMS
from pyhits.paper.sampling import compare
from pyhits.paper.study import Study
from pyhits.policies import SAMPLINGS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What is compared, with its names in tables and in the figure.
MEASURES = {
    "error_all": ("One-step relative error, windows at all times", "one step,\nall times"),
    "error_first": ("One-step relative error, first windows", "one step,\nfirst windows"),
    "rollout_mse": ("Mean squared error of rollouts", "rollout"),
}

#: What others are compared with, and its line.
_PLAIN = "uniform"

_MARKERS = ("o", "s", "^", "D")

_Key = tuple[str, int, str]


def make(study: Study) -> Result:
    """Return errors under every sampling, beside those under uniform windows.

    A row of panels a measure, a column a system. Seeds are small dots, lines their geometric means.
    """
    records = compare(study)
    tables = [_table(records, measure) for measure in MEASURES]
    tables.append(_summary(records))
    systems = list(dict.fromkeys(r["system"] for r in records))
    figure, axes = style.new_figure(4.4, nrows=len(MEASURES), ncols=len(systems), sharey="row",
                                    sharex=True)  # fmt: skip
    for row, measure in zip(axes, MEASURES, strict=True):
        for axis, system in zip(row, systems, strict=True):
            _panel(axis, records, system, measure)
        ticks = style.log_ticks(*row[0].get_ylim())
        row[0].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        row[0].minorticks_off()
        row[0].set_ylabel(f"{MEASURES[measure][1]}: error\nover that of {_PLAIN}", labelpad=2)
    for axis, system in zip(axes[0], systems, strict=True):
        name = PROBLEMS[system].label.replace(" oscillator", "").replace(" fixed point", "")
        style.title(axis, name.replace(" normal form", "").replace(" system", ""))
    for axis in axes[-1]:
        axis.set_xlabel("step size / dt")
    style.legend(figure, axes[0, 0], len(SAMPLINGS))
    return Result(records, tables, [_note(records)], figure)


def means(records: Sequence[dict[str, Any]], measure: str) -> dict[_Key, float]:
    """Return geometric means over seeds, by system, step size and sampling."""
    logarithms: dict[_Key, list[float]] = {}
    for r in records:
        key = r["system"], r["step_size"], r["sampling"]
        logarithms.setdefault(key, []).append(_log(r[measure]))
    return {key: math.exp(sum(values) / len(values)) for key, values in logarithms.items()}


def ratios(records: Sequence[dict[str, Any]], measure: str, sampling: str) -> list[float]:
    """Return errors under a sampling over those under uniform windows, by system and step size.

    1 where neither is finite.
    """
    found = means(records, measure)
    pairs = [
        (found[(system, size, sampling)], found[(system, size, _PLAIN)])
        for system, size, name in found
        if name == _PLAIN
    ]
    return [_ratio(one, plain) for one, plain in pairs]


def _ratio(one: float, plain: float) -> float:
    if not (math.isfinite(one) or math.isfinite(plain)):
        return 1.0
    return one / plain if math.isfinite(plain) else 0.0


def _log(error: float) -> float:
    return math.log(max(error, 1e-300))


def _table(records: Sequence[dict[str, Any]], measure: str) -> Table:
    found = means(records, measure)
    places = list(dict.fromkeys((r["system"], r["step_size"]) for r in records))
    rows = [
        [
            PROBLEMS[system].label,
            str(size),
            *(number(found[(system, size, name)]) for name in SAMPLINGS),
        ]
        for system, size in places
    ]
    return Table(MEASURES[measure][0], ["system", "step size", *SAMPLINGS], rows)


def _summary(records: Sequence[dict[str, Any]]) -> Table:
    rows = []
    for measure, (title, _) in MEASURES.items():
        found = [float(np.median(ratios(records, measure, name))) for name in SAMPLINGS]
        rows.append([title, *(f"{value:.2g}" for value in found)])
    took = [np.median([r["seconds"] for r in records if r["sampling"] == n]) for n in SAMPLINGS]
    rows.append(["Seconds a net", *(f"{value:.3g}" for value in took)])
    title = f"Medians over systems and step sizes; errors over those of {_PLAIN} windows"
    return Table(title, ["", *SAMPLINGS], rows)


def _note(records: Sequence[dict[str, Any]]) -> str:
    best = {
        measure: min(SAMPLINGS, key=lambda name: float(np.median(ratios(records, measure, name))))
        for measure in MEASURES
    }
    said = ", ".join(
        f"{title[0].lower()}{title[1:]}: {best[measure]}"
        for measure, (title, _) in MEASURES.items()
    )
    return f"Least median error: {said}."


def _panel(axis: Axes, records: Sequence[dict[str, Any]], system: str, measure: str) -> None:
    """Draw one system's errors over the mean of those under uniform windows."""
    found = means(records, measure)
    sizes = sorted({r["step_size"] for r in records})

    def over(error: float, size: int) -> float:
        return _ratio(error, found[(system, size, _PLAIN)])

    for k, name in enumerate(SAMPLINGS):
        # Side by side, so that none hides another.
        places = np.arange(len(sizes)) + 0.12 * (k - (len(SAMPLINGS) - 1) / 2)
        mean = [over(found[(system, size, name)], size) for size in sizes]
        style_: dict[str, Any] = {"color": style.COLOURS[k], "marker": _MARKERS[k]}
        axis.plot(
            places, mean, linestyle=style.LINES[k], markersize=3.2, linewidth=0.9, label=name,
            **style_,
        )  # fmt: skip
        ones = [r for r in records if (r["system"], r["sampling"]) == (system, name)]
        axis.plot(
            [places[sizes.index(r["step_size"])] for r in ones],
            [over(r[measure], r["step_size"]) for r in ones],
            linestyle="", markersize=1.2, alpha=0.6, **style_,
        )  # fmt: skip
    axis.axhline(1.0, color=style.TRUTH, linewidth=0.6, zorder=0)
    axis.set(yscale="log", xticks=range(len(sizes)), xticklabels=[str(s) for s in sizes])
