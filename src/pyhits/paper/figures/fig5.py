"""Figure 5: equations, phase portraits, a forecast, and errors against time (Section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.paper.figures import style
from pyhits.paper.measure import Measured, learned
from pyhits.paper.output import Result, Table, number
from pyhits.paper.problems import PROBLEMS
from pyhits.paper.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Trajectories of a phase portrait, and features over which it is drawn where not over the first.
_PORTRAIT = 24
_BENDS = 2000  # points of one of them
_PLANES = {"hopf": (1, 2), "lorenz": (0, 2)}


def make(study: Study) -> Result:
    """Return a row of four panels for each of the five systems.

    The forecast drawn is that of the first test trajectory, whatever its error.
    """
    study.prepare()
    figure, axes = style.new_figure(
        1.75 * len(study.systems) + 0.5,
        nrows=len(study.systems),
        ncols=4,
        width_ratios=[0.9, 0.8, 1.15, 1.15],
    )
    records: list[dict[str, Any]] = []
    rows = []
    for panels, name in zip(axes, study.systems, strict=True):
        found, test = learned(study, name), study.data(name, "test")
        model = study.model(name)
        states = model.forecast(
            test[0][0], study.budget.n_steps, on_divergence="return"
        )  # (n_steps + 1, d)
        _equations(panels[0], name)
        _portrait(panels[1], name, test)
        _forecast(panels[2], test, states)
        _errors(panels[3], found, test)
        for scheme, one in found.items():
            keys = {"system": name, "scheme": scheme}
            records += style.per_step_records(keys, test.times(), one.errors.per_step)
        rows.append([PROBLEMS[name].label, *(number(e) for e in _at(found["multiscale"], test))])
    for panel, text in zip(
        axes[0, 1:], ("phase portrait", "a forecast", "mean squared error"), strict=True
    ):
        style.title(panel, text)
    for panel in axes[-1, 2:]:
        panel.set_xlabel("time")
    style.legend(figure, axes[0, 3], 6)
    header = ["system", *(f"{share:g} of the horizon" for share in _SHARES)]
    table = Table("Mean squared error of the coupled model after", header, rows)
    return Result(records, [table], [], figure)


_SHARES = (0.1, 0.25, 0.5, 1.0)


def _at(one: Measured, test: Trajectories) -> list[float]:
    last = int(test.lengths[0]) - 1
    return [float(one.errors.per_step[max(1, round(share * last))]) for share in _SHARES]


def _equations(axis: Axes, name: str) -> None:
    problem = PROBLEMS[name]
    axis.set_axis_off()
    axis.text(
        0.0, 0.92, problem.label, transform=axis.transAxes, fontsize=style.LETTERS + 1.5,
        weight="bold", va="top",
    )  # fmt: skip
    lines = "\n".join(f"${line}$" for line in problem.tex)
    axis.text(
        0.0, 0.66, lines, transform=axis.transAxes, fontsize=style.LETTERS + 1, va="top",
        linespacing=1.7,
    )  # fmt: skip


def _portrait(axis: Axes, name: str, test: Trajectories) -> None:
    first, second = _PLANES.get(name, (0, 1))
    for k in range(min(_PORTRAIT, len(test))):
        values = test[k][:: max(1, len(test[k]) // _BENDS)]
        axis.plot(
            values[:, first], values[:, second], color=style.COLOURS[0], linewidth=0.4, alpha=0.8
        )
    start = test.initial_states[:_PORTRAIT]
    axis.plot(start[:, first], start[:, second], "o", color=style.COLOURS[1], markersize=1.5)
    axis.set_xlabel(test.feature_names[first], labelpad=1)
    axis.set_ylabel(test.feature_names[second], labelpad=1)


def _forecast(axis: Axes, test: Trajectories, states: np.ndarray) -> None:
    times, keep = test.times(), np.r_[0, style.kept(len(states))]
    moving = [k for k in range(test.n_features) if np.ptp(test[0][:, k]) > 0]
    for line, k in enumerate(moving):
        axis.plot(times[keep], test[0][keep, k], color=style.TRUTH, linewidth=1.8, alpha=0.8)
        axis.plot(
            times[keep], states[keep, k], linestyle=style.LINES[1 + line % 3],
            color=style.COLOURS[line], linewidth=0.9, label=test.feature_names[k],
        )  # fmt: skip
    axis.legend(
        frameon=False, fontsize=style.LETTERS - 0.5, ncols=len(moving), loc="lower right",
        bbox_to_anchor=(1.0, 0.96), borderpad=0.0, handlelength=2.0, columnspacing=0.8,
    )  # fmt: skip


def _errors(axis: Axes, found: dict[str, Measured], test: Trajectories) -> None:
    single = [m for s, m in found.items() if s != "multiscale"]
    for k, (one, colour) in enumerate(zip(single, style.shades(len(single)), strict=True)):
        style.error_line(
            axis, test.times(), one.errors.per_step,
            color=colour, linewidth=0.8, label=style.step_label(k),
        )  # fmt: skip
    coupled = found["multiscale"].errors.per_step
    style.error_line(
        axis, test.times(), coupled, color=style.COUPLED, linewidth=1.5, label="coupled"
    )
    size = float(test.mean_variance().mean())
    style.error_axis(axis, [m.errors.per_step for m in found.values()], size)
