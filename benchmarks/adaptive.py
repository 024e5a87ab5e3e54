"""Forecasts to a tolerance: achieved error and evaluations, against fixed hierarchies and a rival.

The Van der Pol oscillator (mu = 2) over 5120 steps, eleven scales trained in float64. The error of
a trajectory is the largest over its times, a root mean square over features in units of their
spread; rows give the worst trajectory's. Evaluations are those of flow maps for one trajectory,
rejected steps included. Every contestant returns all 5121 states.

Fixed hierarchies are all ranges of scales, whole, thinned, and as pairs: of those with equal
evaluations the most accurate on these very test data counts. "Six-point curves" draws the curves of
adaptive forecasts through the states of the best fixed ones, instead of splines: what is left is
due to the choice of steps. The rival is an adaptive scheme after the idea of Hamid, Rafiq and
others (arXiv 2311.05961), written anew: the change of state over a step stands for its error, and
one schedule of steps serves the whole batch.

    python -m benchmarks.adaptive --out benchmarks/results        # a few minutes
    python -m benchmarks.adaptive --quick
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import Console
from scipy.interpolate import CubicSpline

import pyhits
from benchmarks import figures
from benchmarks.problem import SCALES, Problem, training_data, van_der_pol
from benchmarks.record import Record
from benchmarks.tables import print_bars, print_table
from benchmarks.timing import THREADS, repeat
from pyhits.hierarchy import cost, ranges
from pyhits.hierarchy.refine import Nodes
from pyhits.hierarchy.stepper import Stepper
from pyhits.util.atomic import write_bytes

NAME = "adaptive"

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)

#: Tolerances that the bars of the full run are about: achieved errors within ten times, and fewer
#: evaluations.
BARS = TOLERANCES[:5]

#: Changes of state, in spreads, that the rival allows in one step.
CHANGES = tuple(np.geomspace(0.03, 1.0, 6))

#: One-step mean squared error at which training stops, far below all tolerances squared.
TARGET = 1e-20


#: The label of errors: the largest over time, a root mean square over features.
_ERROR = "largest error, in spreads"


@dataclass(frozen=True)
class Point:
    """Evaluations of flow maps for one trajectory, and the errors they came with.

    Attributes
    ----------
    evaluations : float
        Mean over trajectories.
    error, median : float
        Of the worst trajectory, and of the median one.
    what : str
    """

    evaluations: float
    error: float
    median: float
    what: str


def run(quick: bool, out: Path) -> list[Record]:
    """Fit, forecast to all tolerances, and measure the fixed hierarchies."""
    problem = van_der_pol(320).first(20 if quick else 100)
    model = fitted(quick)
    fixed = hierarchies(model, problem)
    curves = [through_curves(model, problem, point) for point in fixed]
    rival = [by_change_of_state(model, problem, change) for change in CHANGES]
    records, ours = [], []
    for tol in TOLERANCES:
        told = model.adaptive_forecast(problem.initial_states, problem.n_steps, tol=tol)
        timing = repeat(
            functools.partial(model.forecast, problem.initial_states, problem.n_steps, tol=tol),
            repeats=3,
        )
        point = measured(model, problem, told.states, told.evaluations, f"tolerance {tol:g}")
        ours.append(point)
        other = at_most(fixed, point.error)
        record = Record.timed(
            NAME,
            f"PyHiTS, tolerance {tol:g}",
            timing,
            problem.n_states,
            value=point.error / tol,
            unit="achieved error over tolerance",
            note=f"largest error {point.error:.1e}, median trajectory {point.median:.1e}, "
            f"indicated {told.error.max():.1e}; {point.evaluations:.0f} evaluations, the fixed "
            f"hierarchy at most as wrong {_told(other)}, with six-point curves "
            f"{_told(at_most(curves, point.error))}, rival {_told(at_most(rival, point.error))}",
        )
        if tol in BARS and not quick:
            record.aim("0.1 to 10", 0.1 <= point.error / tol <= 10)
        records.append(record)
        if tol in BARS and not quick:
            fewer = Record(
                NAME,
                f"evaluations of the fixed hierarchy over PyHiTS's, tolerance {tol:g}",
                value=np.inf if other is None else other.evaluations / point.evaluations,
                unit="times",
            )
            fewer.aim("more than 1", other is None or other.evaluations > point.evaluations)
            records.append(fewer)
    found = {"PyHiTS to a tolerance": ours, "fixed hierarchies": fixed}
    found |= {"the same, six-point curves": curves, "by change of state": rival}
    figures.save(drawn(found), out, NAME)
    points = {name: [vars(point) for point in of] for name, of in found.items()}
    content = {**points, "tolerances": list(TOLERANCES)}
    write_bytes(out / f"{NAME}.json", json.dumps(content, indent=1).encode())
    return records


@functools.cache
def fitted(quick: bool) -> pyhits.HiTS:
    """Return eleven scales in float64; quick mode fits fewer, on fewer data."""
    model = pyhits.HiTS(
        SCALES[::2] if quick else SCALES,
        flow_map=pyhits.Auto(dtype="float64"),
        training=pyhits.Training(target_error=TARGET),
        n_jobs=1 if quick else THREADS,
        random_state=0,
        verbose=False,
    )
    n = 60 if quick else 200
    return model.fit(training_data(n), validation=training_data(60, seed=2))


def measured(
    model: pyhits.HiTS, problem: Problem, states: np.ndarray, evaluations: Any, what: str
) -> Point:
    """Return the point of a solution."""
    error = np.square((states - problem.truth) / model.summary_.std).mean(axis=2)
    largest = np.sqrt(error).max(axis=1)
    largest = np.where(np.isfinite(largest), largest, np.inf)
    return Point(float(np.mean(evaluations)), float(largest.max()), float(np.median(largest)), what)


def hierarchies(model: pyhits.HiTS, problem: Problem) -> list[Point]:
    """Return the most accurate coupling of each number of evaluations."""
    best: dict[int, Point] = {}
    for sizes in ranges(list(model.flow_maps_)):
        states = _forecast(model, problem, sizes)
        evaluations = cost({s: model.flow_maps_[s] for s in sizes}, problem.n_steps).evaluations
        point = measured(model, problem, states, evaluations, ", ".join(map(str, sizes)))
        if evaluations not in best or point.error < best[evaluations].error:
            best[evaluations] = point
    return [best[k] for k in sorted(best)]


def through_curves(model: pyhits.HiTS, problem: Problem, point: Point) -> Point:
    """Return the point of a fixed hierarchy with six-point curves between its finest states."""
    sizes = [int(size) for size in point.what.split(", ")]
    states = torch.from_numpy(_forecast(model, problem, sizes))
    known = torch.zeros(states.shape[:2], dtype=torch.bool)
    known[:, :: sizes[0]] = True
    curves = states.clone()
    curves[~known] = torch.nan
    Nodes(curves, known).fill_gaps()
    # Behind the last state of the hierarchy, and for fewer than six of them, splines stay.
    curves = torch.where(curves.isnan(), states, curves)
    return measured(model, problem, curves.numpy(), point.evaluations, f"{point.what}, curves")


def by_change_of_state(model: pyhits.HiTS, problem: Problem, change: float) -> Point:
    """Step the whole batch by one schedule; a step is refused where any state changes too much.

    Each attempt is one evaluation a trajectory; the first is one scale coarser than the last step.
    A spline runs through the uneven times.
    """
    n_steps, sizes = problem.n_steps, sorted(model.flow_maps_)
    now = torch.from_numpy(model.scaling_.transform(problem.initial_states))
    steps = [Stepper({size: model.flow_maps_[size]}).step for size in sizes]
    times, states, tried, level = [0], [now], 0, len(sizes) - 1
    with torch.inference_mode():
        while times[-1] < n_steps:
            level = min(level + 1, len(sizes) - 1)
            while level and times[-1] + sizes[level] > n_steps:
                level -= 1
            while True:
                later = steps[level](now)
                tried += 1
                if level == 0 or (later - now).square().mean(dim=1).sqrt().max() <= change:
                    break
                level -= 1
            now = later
            times.append(times[-1] + sizes[level])
            states.append(now)
    curve = CubicSpline(times, torch.stack(states, dim=1).numpy(), axis=1)
    whole = model.scaling_.inverse_transform(curve(np.arange(n_steps + 1)))
    return measured(model, problem, whole, tried, f"change {change:.2g}")


def at_most(points: Sequence[Point], error: float) -> Point | None:
    """Return the point of fewest evaluations that is at most as wrong, if there is one."""
    good = [point for point in points if point.error <= error]
    return min(good, key=lambda point: point.evaluations, default=None)


def drawn(found: dict[str, list[Point]]) -> Figure:
    """Draw error against evaluations, and achieved against asked."""
    figure, (work, asked) = figures.new(5.4, 6.4, nrows=2)
    styles = dict(zip(found, ("o-", "s--", "d:", "^-."), strict=True))
    colours = dict(
        zip(found, (figures.OURS, figures.OTHERS, figures.OTHERS, figures.ACCENT), strict=True)
    )
    for name, points in found.items():
        some = [p for p in points if p.error < 10]
        work.plot(
            [p.evaluations for p in some],
            [p.error for p in some],
            styles[name],
            color=colours[name],
            markersize=4,
            linewidth=1.2,
            label=name,
        )
    work.set(xscale="log", yscale="log", xlabel="evaluations a trajectory", ylabel=_ERROR)
    work.legend(frameon=False, fontsize=8)
    ours = next(iter(found.values()))
    limits = np.array([TOLERANCES[-1] / 3, TOLERANCES[0] * 3])
    asked.fill_between(limits, limits / 10, limits * 10, color=figures.OURS, alpha=0.12, lw=0)
    asked.plot(limits, limits, color=figures.OTHERS, linewidth=0.8)
    asked.plot(TOLERANCES, [p.error for p in ours], "o-", color=figures.OURS, markersize=4,
               label="worst of all trajectories")  # fmt: skip
    asked.plot(TOLERANCES, [p.median for p in ours], "o:", color=figures.OURS, markersize=3,
               alpha=0.7, label="median trajectory")  # fmt: skip
    asked.set(
        xscale="log", yscale="log", xlabel="tolerance, in spreads", ylabel=_ERROR, xlim=limits
    )
    asked.legend(frameon=False, fontsize=8)
    return figure


def _forecast(model: pyhits.HiTS, problem: Problem, sizes: Sequence[int]) -> np.ndarray:
    return model.forecast(
        problem.initial_states, problem.n_steps, step_sizes=sizes, on_divergence="return"
    )


def _told(point: Point | None) -> str:
    return "does not exist" if point is None else f"{point.evaluations:.0f} ({point.what})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer scales and trajectories")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = run(options.quick, options.out)
    print_table(Console(width=160), NAME, rows)
    print_bars(Console(width=160), rows)
