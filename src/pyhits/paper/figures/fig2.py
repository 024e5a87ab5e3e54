"""Figure 2: the harmonic oscillator, every scale alone and all coupled (Section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pyhits.paper.figures import style
from pyhits.paper.measure import Measured, learned, never_beaten, scale_names
from pyhits.paper.output import Result, Table, number
from pyhits.paper.problems import OSCILLATOR
from pyhits.paper.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLES = {"pyhits": "PyHiTS's recipe", "paper": "the paper's recipe"}


def make(study: Study) -> Result:
    """Return error against time of eight scales, 0.008 to 1.024, and of their coupling.

    One panel a recipe: the study's, and the paper's beside it where that is another. PyHiTS's is a
    polynomial, exact for a linear system; the paper's are nets trained one step forward (p = 1)
    and interpolated linearly. The paper says neither the horizon nor the nets' widths: 40.96 time
    units and three layers of 128 are drawn.
    """
    recipes = list(dict.fromkeys([study.recipe, "paper"]))
    found = {recipe: learned(study, OSCILLATOR, recipe=recipe) for recipe in recipes}
    test = study.data(OSCILLATOR, "test")
    times = test.times()
    figure, axes = style.new_figure(3.4, ncols=len(recipes), sharex=True)
    records = []
    for axis, (recipe, schemes) in zip(axes.flat, found.items(), strict=True):
        for keys, one in _lines(recipe, schemes):
            records += style.per_step_records(keys, times, one.errors.per_step)
        _draw(axis, schemes, times, float(test.mean_variance().mean()))
        style.title(axis, f"Harmonic oscillator, {_TITLES[recipe]}")
    axes[0, 0].set_ylabel("mean squared error")
    style.legend(figure, axes[0, 0], 5)
    names = list(next(iter(found.values())))
    rows = [[s, *(number(found[r][s].errors.mse) for r in recipes)] for s in names]
    rows.append(["scales", *(scale_names(found[r]["multiscale"].step_sizes) for r in recipes)])
    table = Table("Integrated L2 error", ["scheme", *(_TITLES[r] for r in recipes)], rows)
    notes = [
        f"With {_TITLES[r]} the coupled model is "
        f"{'' if never_beaten(found[r]) else 'not '}at least as accurate as every single scale."
        for r in recipes
    ]
    return Result(records, [table], notes, figure)


def _lines(recipe: str, schemes: dict[str, Measured]) -> list[tuple[dict[str, object], Measured]]:
    return [({"system": OSCILLATOR, "recipe": recipe, "scheme": s}, m) for s, m in schemes.items()]


def _draw(axis: Axes, schemes: dict[str, Measured], times: np.ndarray, size: float) -> None:
    single = {s: m for s, m in schemes.items() if s != "multiscale"}
    colours = style.shades(len(single))
    for one, colour in zip(single.values(), colours, strict=True):
        label = f"step {one.step_sizes[0] * times[1]:.4g}"
        style.error_line(axis, times, one.errors.per_step, color=colour, linewidth=0.9, label=label)
    coupled = schemes["multiscale"].errors.per_step
    style.error_line(axis, times, coupled, color=style.COUPLED, linewidth=1.6, label="coupled")
    style.error_axis(axis, [m.errors.per_step for m in schemes.values()], size)
    axis.set_xlabel("time")
