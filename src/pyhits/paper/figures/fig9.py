"""Figure 9: errors against time of learned and hybrid schemes beside Runge-Kutta (Appendix B.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyhits.paper.classical import Integrated, classical
from pyhits.paper.figures import style
from pyhits.paper.measure import Measured, multiscale
from pyhits.paper.output import Result, Table, number
from pyhits.paper.problems import PROBLEMS
from pyhits.paper.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def make(study: Study) -> Result:
    """Return a row a system: the coupled model beside RK 0 to 4, and Hybrid 0 to 4 beside them."""
    study.prepare()
    figure, axes = style.new_figure(1.55 * len(study.systems) + 0.8, nrows=len(study.systems),
                                    ncols=2, sharex="row", sharey="row")  # fmt: skip
    records: list[dict[str, Any]] = []
    rows = []
    for (left, right), name in zip(axes, study.systems, strict=True):
        test = study.data(name, "test")
        coupled, solved = multiscale(study, name), classical(study, name)
        _draw(left, right, coupled, solved, test.times(), float(test.mean_variance().mean()))
        left.set_ylabel("mean squared error")
        for axis in (left, right):
            style.title(axis, PROBLEMS[name].label)
        records += _records(name, coupled, solved, test.times())
        rows.append(_row(name, coupled, solved))
    for axis in axes[-1]:
        axis.set_xlabel("time")
    handles, labels = axes[0, 1].get_legend_handles_labels()
    first = axes[0, 0].get_legend_handles_labels()
    named = dict(zip(labels + first[1], handles + first[0], strict=True))
    figure.legend(
        list(named.values()), list(named), loc="outside lower center", ncols=6, frameon=False,
        fontsize=style.LETTERS, handlelength=2.4, columnspacing=1.2,
    )  # fmt: skip
    header = ["system", "coupled", "RK 0", "RK 4", "Hybrid 0", "Hybrid 4"]
    return Result(records, [Table("Integrated L2 error", header, rows)], [], figure)


def _row(name: str, coupled: Measured, solved: dict[str, Integrated]) -> list[str]:
    ends = [[s for s in solved if s.startswith(kind)] for kind in ("rk", "hybrid")]
    shown = [solved[s].errors.mse for names in ends for s in (names[0], names[-1])]
    return [PROBLEMS[name].label, *(number(mse) for mse in (coupled.errors.mse, *shown))]


def _draw(
    left: Axes,
    right: Axes,
    coupled: Measured,
    solved: dict[str, Integrated],
    times: np.ndarray,
    size: float,
) -> None:
    n = sum(s.startswith("rk") for s in solved)
    colours = style.shades(n)
    for scheme, one in solved.items():
        kind, _, k = scheme.partition("-")
        alone = kind == "rk"
        for axis in (left, right) if alone else (right,):
            style.error_line(
                axis, one.times, one.errors.per_step, logarithmic=True,
                color=colours[int(k)], linewidth=1.2 if alone else 1.0,
                linestyle=":" if alone else "-", label=f"{'RK' if alone else 'Hybrid'} {k}",
            )  # fmt: skip
    style.error_line(
        left, times, coupled.errors.per_step, logarithmic=True, color=style.COUPLED,
        linewidth=1.5, label="coupled",
    )  # fmt: skip
    lines = [coupled.errors.per_step, *(one.errors.per_step for one in solved.values())]
    left.set_xscale("log")
    style.error_axis(left, lines, size)


def _records(
    name: str, coupled: Measured, solved: dict[str, Integrated], times: np.ndarray
) -> list[dict[str, Any]]:
    records = style.per_step_records(
        {"system": name, "scheme": "multiscale"}, times, coupled.errors.per_step, logarithmic=True
    )
    for scheme, one in solved.items():
        keys = {"system": name, "scheme": scheme}
        records += style.per_step_records(keys, one.times, one.errors.per_step, logarithmic=True)
    return records
