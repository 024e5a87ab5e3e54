"""Figure 6: accuracy against time, of learned schemes (A) and of hybrids beside RK4 (B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyhits.paper import printed
from pyhits.paper.classical import Integrated, classical
from pyhits.paper.figures import style
from pyhits.paper.measure import Measured, learned
from pyhits.paper.output import Result, Table, number
from pyhits.paper.problems import PROBLEMS
from pyhits.paper.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def make(study: Study) -> Result:
    """Return two rows of panels, a system a column; down and to the left is better.

    Row A: every single scale, the coupled model, and the paper's (Tables 5 and 6) in grey. Row B:
    RK4 with five steps, the hybrids with the same steps, and the hybrids that Parareal corrected.
    """
    study.prepare()
    figure, axes = style.new_figure(4.3, nrows=2, ncols=len(study.systems))
    records: list[dict[str, Any]] = []
    for column, name in enumerate(study.systems):
        found, solved = learned(study, name), classical(study, name)
        _learned(axes[0, column], name, found)
        _classical(axes[1, column], solved)
        style.title(axes[0, column], PROBLEMS[name].label.replace(" oscillator", ""))
        axes[0, column].set_xlabel("")
        records += [_record("A", one) for one in found.values()]
        records += [_record("B", one) for one in solved.values()]
    for row, letter in enumerate("AB"):
        axes[row, 0].set_ylabel(f"{letter}.  integrated L2 error", labelpad=2)
    _legends(figure, axes)
    return Result(records, [_table(study)], [], figure)


def _legends(figure: Any, axes: Any) -> None:
    handles, labels = [], []
    for axis in axes[:, 0]:
        more = axis.get_legend_handles_labels()
        handles += more[0]
        labels += more[1]
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3, frameon=False,
        fontsize=style.LETTERS,
    )  # fmt: skip


def _record(panel: str, one: Measured | Integrated) -> dict[str, Any]:
    record = {
        "panel": panel,
        "system": one.system,
        "scheme": one.scheme,
        "seconds": one.seconds,
        "mse": one.errors.mse,
    }
    if isinstance(one, Integrated):
        if one.corrected is not None:
            record |= {
                "parareal_seconds": one.corrected.seconds,
                "parareal_mse": one.corrected.errors.mse,
            }
        return record
    return record | {
        "paper_seconds": printed.SECONDS[one.system].get(one.scheme),
        "paper_mse": printed.MSE[0.0][one.system].get(one.scheme),
    }


def _learned(axis: Axes, name: str, found: dict[str, Measured]) -> None:
    seconds, errors = printed.SECONDS[name], printed.MSE[0.0][name]
    names = [s for s in printed.SCHEMES if s != "multiscale"]
    axis.plot(
        [seconds[s] for s in names], [errors[s] for s in names],
        "o-", color=style.TRUTH, markersize=2.5, linewidth=0.8, label="the paper's single scales",
    )  # fmt: skip
    axis.plot(
        seconds["multiscale"], errors["multiscale"],
        "*", color=style.TRUTH, markersize=9, label="the paper's coupled model",
    )  # fmt: skip
    single = [m for s, m in found.items() if s != "multiscale"]
    draw_scales(axis, single, style.COLOURS[0], label="single scales: 0 finest", numbers=True)
    coupled = found["multiscale"]
    axis.plot(
        coupled.seconds, coupled.errors.mse,
        "*", color=style.COLOURS[1], markersize=9, label="coupled model",
    )  # fmt: skip
    finish(axis)


def draw_scales(
    axis: Axes, single: Sequence[Measured], colour: str, *, numbers: bool = False, **style_: Any
) -> None:
    """Draw single scales as a line, on request with the numbers of some of them."""
    points = [(m.seconds, m.errors.mse) for m in single]
    axis.plot(*zip(*points, strict=True), color=colour, linewidth=0.8, markersize=2.5,
              **{"marker": "o", **style_})  # fmt: skip
    if not numbers:
        return
    for k in {0, len(single) // 2, len(single) - 1}:
        axis.annotate(
            str(k), points[k], xytext=(3, 2), textcoords="offset points", color=colour,
            fontsize=style.LETTERS - 0.5, annotation_clip=True,
        )  # fmt: skip


def _classical(axis: Axes, solved: dict[str, Integrated]) -> None:
    alone = [one for s, one in solved.items() if s.startswith("rk")]
    hybrids = [one for s, one in solved.items() if s.startswith("hybrid")]
    right = [one.corrected for one in hybrids if one.corrected is not None]
    for points, colour, marker, label in (
        ([(s.seconds, s.errors.mse) for s in alone], style.COUPLED, "o-", "RK4"),
        ([(s.seconds, s.errors.mse) for s in hybrids], style.COLOURS[0], "s--", "hybrid"),
        ([(c.seconds, c.errors.mse) for c in right], style.COLOURS[1], "^:", "with Parareal"),
    ):
        axis.plot(
            *zip(*points, strict=True), marker, color=colour, markersize=2.8, linewidth=0.9,
            label=label,
        )  # fmt: skip
    finish(axis)


def finish(axis: Axes) -> None:
    """Make both axes logarithmic; errors beyond every bound are not shown."""
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    style.error_ticks(axis, max(1e-24, low), min(1e4, high))
    style.seconds_axis(axis)


def _table(study: Study) -> Table:
    """Return the error of the coupled model, and the best and fastest that single scales give."""
    rows = []
    for name in study.systems:
        found = learned(study, name)
        coupled = found["multiscale"]
        best = min((m for s, m in found.items() if s != "multiscale"), key=lambda m: m.errors.mse)
        rows.append(
            [
                PROBLEMS[name].label,
                f"{number(coupled.errors.mse)} in {coupled.seconds:.3g} s",
                f"{number(best.errors.mse)} in {best.seconds:.3g} s ({best.scheme})",
                f"{number(printed.MSE[0.0][name]['multiscale'])} in "
                f"{printed.SECONDS[name]['multiscale']:g} s",
            ]
        )
    header = ["system", "coupled", "best single scale", "the paper's coupled"]
    return Table("Accuracy and time", header, rows)
