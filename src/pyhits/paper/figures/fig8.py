"""Figure 8: accuracy against time, learned from data with 0, 1 and 2 % noise (Appendix B.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyhits.paper import printed
from pyhits.paper.figures import style
from pyhits.paper.figures.fig6 import draw_scales, finish
from pyhits.paper.measure import Measured, learned
from pyhits.paper.output import Result, Table, beside
from pyhits.paper.problems import PROBLEMS
from pyhits.paper.study import Study
from pyhits.paper.tables.errors import error_record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = ("o", "s", "^")


def make(study: Study) -> Result:
    """Return a panel a system: single scales and the coupled model at each level of noise.

    Forecasts start from clean states and are compared with the clean truth.
    """
    levels = list(printed.MSE)
    study.prepare(levels)
    figure, axes = style.new_figure(4.6, nrows=2, ncols=3)
    records: list[dict[str, Any]] = []
    rows = []
    for axis, name in zip(axes.flat, study.systems, strict=False):
        found = {noise: learned(study, name, noise) for noise in levels}
        _draw(axis, found)
        style.title(axis, PROBLEMS[name].label)
        records += [
            error_record(study, one, noise) for noise in levels for one in found[noise].values()
        ]
        rows.append([PROBLEMS[name].label, *(_cell(name, n, found[n]) for n in levels)])
    shown = len(study.systems)
    for axis in axes[:, 0]:
        axis.set_ylabel("integrated L2 error")
    for axis in axes.flat[shown:]:
        axis.set_axis_off()
    if shown < axes.size:
        axes.flat[shown].legend(
            *axes.flat[0].get_legend_handles_labels(),
            frameon=False, fontsize=style.LETTERS, loc="center left",
        )  # fmt: skip
    else:
        style.legend(figure, axes.flat[0], 3)
    header = ["system", *(f"{100 * noise:g} % noise" for noise in levels)]
    table = Table("Integrated L2 error of the coupled model, ours (the paper's)", header, rows)
    return Result(records, [table], [], figure)


def _cell(name: str, noise: float, found: dict[str, Measured]) -> str:
    return beside(found["multiscale"].errors.mse, printed.MSE[noise][name]["multiscale"])


def _draw(axis: Axes, found: dict[float, dict[str, Measured]]) -> None:
    for k, (noise, schemes) in enumerate(found.items()):
        single = [m for s, m in schemes.items() if s != "multiscale"]
        coupled = schemes["multiscale"]
        label = f"{100 * noise:g} % noise"
        draw_scales(
            axis, single, style.COLOURS[k],
            marker=_MARKERS[k], linestyle=style.LINES[k], label=f"single scales, {label}",
        )  # fmt: skip
        axis.plot(
            coupled.seconds, coupled.errors.mse,
            "*", color=style.COLOURS[k], markersize=10, markeredgecolor="black",
            markeredgewidth=0.5, linestyle="", label=f"coupled, {label}",
        )  # fmt: skip
    finish(axis)
