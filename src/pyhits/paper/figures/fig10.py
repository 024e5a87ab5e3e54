"""Figure 10: increments of flow maps, which are what nets have to learn (Appendix B.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.paper.figures import style
from pyhits.paper.output import Result, Table
from pyhits.paper.problems import PROBLEMS
from pyhits.paper.study import Study

#: Multiples of the step whose increments are drawn; the records hold all of 1 to 64.
_DRAWN = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Plane:
    """Where initial states are laid out, and which component's increment is shown.

    Attributes
    ----------
    axes : tuple of int
        Components that vary.
    ranges : tuple of (low, high)
        Over which they do.
    rest : dict of int to float
        Values of the others.
    component : int
    dt : float
    """

    axes: tuple[int, int]
    ranges: tuple[tuple[float, float], tuple[float, float]]
    rest: dict[int, float]
    component: int = 0
    dt: float = 0.16


def plane(name: str) -> Plane:
    """Return the paper's region of a system; of Hopf's three components mu is 0.2."""
    if name == "lorenz":
        return Plane((0, 1), ((-9.0, -7.0), (6.0, 8.0)), {2: 27.0}, dt=0.008)
    region = [(float(low), float(high)) for low, high in PROBLEMS[name].system.region]
    if name == "hopf":
        return Plane((1, 2), (region[1], region[2]), {0: 0.2}, component=1)
    # The increment of the hyperbolic system's x is a multiple of x for every j.
    return Plane((0, 1), (region[0], region[1]), {}, component=int(name == "hyperbolic"))


def increments(name: str, grid: int, n_steps: int = 64) -> np.ndarray:
    """Return ``x(j dt) - x(0)`` over a grid of initial states.

    Parameters
    ----------
    grid : int
        Initial states along each axis.

    Returns
    -------
    array, shape (n_steps, grid, grid, d)
        Entry ``j - 1`` is increment j; the second axis is the vertical one.
    """
    where, system = plane(name), PROBLEMS[name].system
    across, up = (np.linspace(*ends, grid) for ends in where.ranges)
    states = np.empty((grid, grid, system.dimension))
    states[..., where.axes[0]], states[..., where.axes[1]] = np.meshgrid(across, up)
    for component, value in where.rest.items():
        states[..., component] = value
    flat = states.reshape(-1, system.dimension)
    # Pictures need no more digits than these.
    data = system.simulate(
        initial_states=flat,
        n_steps=n_steps,
        dt=where.dt,
        integrator=system.integrator(rtol=1e-8, atol=1e-10),
    ).to_array()
    moved = data[:, 1:] - data[:, :1]
    return np.asarray(np.moveaxis(moved, 1, 0).reshape(n_steps, grid, grid, -1))


def make(study: Study) -> Result:
    """Return pictures of one component's increment after 1, 2, 4 ... 64 steps, a row a system.

    Each picture has its own scale of colours, from the least increment to the largest, which are
    written above it.
    The records hold, for all 64, the root mean square and the roughness: the root mean square
    slope of the increment over the region, in units of its own size a side of the region.
    """
    figure, axes = style.new_figure(
        1.3 * len(study.systems) + 0.5, nrows=len(study.systems), ncols=len(_DRAWN)
    )
    records: list[dict[str, Any]] = []
    rows = []
    for panels, name in zip(axes, study.systems, strict=True):
        study.say(f"Increments of {PROBLEMS[name].label}.")
        where = plane(name)
        moved = increments(name, study.budget.grid)[..., where.component]
        for panel, j in zip(panels, _DRAWN, strict=True):
            _picture(panel, moved[j - 1], where, j)
        names = PROBLEMS[name].system.feature_names or ()
        panels[0].set_ylabel(
            f"{_short(name)}: Δ{names[where.component]}\n{names[where.axes[1]]}", labelpad=2
        )
        panels[0].set_xlabel(names[where.axes[0]], labelpad=1)
        found = [_record(name, names[where.component], moved[j - 1], j, where.dt)
                 for j in range(1, len(moved) + 1)]  # fmt: skip
        records += found
        rough = [f"{found[j - 1]['roughness']:.3g}" for j in _DRAWN]
        rows.append([PROBLEMS[name].label, *rough])
    figure.supxlabel(
        "initial states; colour: increment Δ of one component after j steps, dark to light from "
        "the first to the last number above", fontsize=style.LETTERS,
    )  # fmt: skip
    header = ["system", *(f"j = {j}" for j in _DRAWN)]
    table = Table("Roughness of the increment (slope over size)", header, rows)
    return Result(records, [table], [], figure)


def _short(name: str) -> str:
    return PROBLEMS[name].label.rpartition(" ")[0].removesuffix(" fixed").removesuffix(" normal")


def _picture(axis: Any, moved: np.ndarray, where: Plane, j: int) -> None:
    axis.imshow(
        moved, origin="lower", extent=[*where.ranges[0], *where.ranges[1]], aspect="auto",
        cmap="cividis", interpolation="nearest", rasterized=True,
    )  # fmt: skip
    axis.grid(visible=False)
    axis.set_title(
        f"j = {j}\n{moved.min():.2g} ... {moved.max():.2g}", fontsize=style.LETTERS, pad=2
    )
    if j > 1:
        axis.set(xticks=[], yticks=[])
    else:
        axis.set(xticks=where.ranges[0], yticks=where.ranges[1])


def _record(name: str, component: str, moved: np.ndarray, j: int, dt: float) -> dict[str, Any]:
    size = float(np.sqrt(np.mean(np.square(moved - moved.mean()))))
    slopes = np.gradient(moved, 1 / (len(moved) - 1))
    slope = float(np.sqrt(np.mean(np.square(slopes[0]) + np.square(slopes[1]))))
    return {
        "system": name,
        "component": component,
        "j": j,
        "time": j * dt,
        "rms": float(np.sqrt(np.mean(np.square(moved)))),
        "largest": float(np.abs(moved).max()),
        "roughness": slope / size,
    }
