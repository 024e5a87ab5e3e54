"""Figure 7: what the four models generate, beside the sequences that they were trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyhits.paper.comparison import media
from pyhits.paper.comparison.data import Coded, coded
from pyhits.paper.comparison.generate import best, prepare
from pyhits.paper.comparison.problems import MODELS
from pyhits.paper.comparison.score import score
from pyhits.paper.figures import style
from pyhits.paper.output import Result, Table, number
from pyhits.paper.study import Study

#: Points of a drawn line, times of a drawn image.
_POINTS = 600

#: Half the side of the patch over which a field or a film is averaged, in parts of its height.
_PATCH = 0.05

#: What is drawn against time, and the unit of time, by sequence.
_WATCHED = {
    "fluid": "mean velocity\nof a patch",
    "video": "mean level\nof a patch",
    "music": "the sound's\nend",
    "ks": "u at a point",
}
_TIMES = {"fluid": "time (D/U)", "video": "frame", "music": "seconds", "ks": "time"}

#: Samples of the sound at its end that are drawn large.
_LAST_SAMPLES = 110


def make(study: Study) -> Result:
    """Return the figure: of each sequence a row of pictures, and one of series below.

    Fields and films: the last snapshot, and the mean of a small patch against time. The sound: all
    of it, and its end. The KS equation: space upwards against time, and one point. The exact series
    stands in grey behind each generated one.
    """
    prepare(study, ["reproduce"])
    names = list(study.sequences)
    figure, axes = style.new_figure(
        2.3 * len(names), nrows=2 * len(names), ncols=1 + len(MODELS), sharex=False
    )
    records: list[dict[str, Any]] = []
    rows = []
    for k, name in enumerate(names):
        found = coded(study, name, "reproduce")
        shown = {"exact": found.values}
        shown |= {model: best(study, name, "reproduce", model).states for model in MODELS}
        errors = {m: score(found, "reproduce", s).normalised_mse for m, s in shown.items()}
        for column, (model, states) in enumerate(shown.items()):
            upper, lower = axes[2 * k, column], axes[2 * k + 1, column]
            _upper(upper, found, states)
            records += _lower(lower, found, states, model)
            label = MODELS.get(model, "Exact")
            if model in MODELS:
                label += f": {number(errors[model])}"
            upper.set_title(label, fontsize=style.LETTERS, pad=2)
            if column:
                upper.set(yticks=[], ylabel="")
                lower.set(yticklabels=[], ylabel="")
        rows.append([study.sequence_problem(name).label, *(number(errors[m]) for m in MODELS)])
    figure.supxlabel(
        "above each panel: mean squared error over the sequence's variance; grey: exact",
        fontsize=style.LETTERS,
    )
    header = ["sequence", *MODELS.values()]
    table = Table("Reproduced from the first row: error over the variance", header, rows)
    result = Result(records, [table], [], figure)
    result.media = media.of(study)
    return result


def _upper(axis: Any, found: Coded, states: np.ndarray) -> None:
    name = found.problem.name
    axis.grid(visible=False)
    if name == "ks":
        every = -(-len(states) // _POINTS)
        high = float(np.abs(found.values).max())
        axis.imshow(
            states[::every].T, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-high, vmax=high,
            extent=(0.0, found.dt * len(states), 0.0, 1.0), rasterized=True,
        )  # fmt: skip
        axis.set(xticks=[], yticks=[], ylabel=f"{found.problem.label}\nspace")
    elif name == "music":
        _series(axis, found, states[:, 0], found.values[:, 0])
        axis.set(xticks=[], yticks=[], ylabel=f"{found.problem.label}\nsound")
    else:
        picture = media.pictures(found, states[-1:])[0]
        if np.isfinite(states[-1]).all():
            axis.imshow(picture.astype(np.uint8), interpolation="nearest", rasterized=True)
        axis.set(xticks=[], yticks=[], ylabel=f"{found.problem.label}\nlast snapshot")


def _lower(axis: Any, found: Coded, states: np.ndarray, model: str) -> list[dict[str, Any]]:
    """Draw one series, and return its points as records."""
    name = found.problem.name
    times = found.dt * np.arange(len(states))
    exact, own = (_watched(found, rows) for rows in (found.values, states))
    last = slice(-_LAST_SAMPLES, None) if name == "music" else slice(None)
    _series(axis, found, own[last], exact[last], begin=float(times[last][0]))
    axis.tick_params(labelsize=style.LETTERS - 1)
    axis.set_ylabel(_WATCHED[name])
    axis.set_xlabel(_TIMES[name], labelpad=1)
    keep = style.kept(len(times))
    return [
        {
            "sequence": name,
            "model": model,
            "time": float(times[j]),
            "value": float(own[j]),
            "exact": float(exact[j]),
        }
        for j in keep.tolist()
    ]


def _series(
    axis: Any, found: Coded, own: np.ndarray, exact: np.ndarray, *, begin: float = 0.0
) -> None:
    every = -(-len(own) // (4 * _POINTS))
    times = begin + found.dt * np.arange(len(own))
    axis.plot(times[::every], exact[::every], color=style.TRUTH, linewidth=1.6)
    axis.plot(times[::every], own[::every], color=style.COLOURS[0], linewidth=0.6)
    low, high = float(exact.min()), float(exact.max())
    margin = 0.15 * (high - low)
    axis.set_ylim(low - margin, high + margin)


def _watched(found: Coded, rows: np.ndarray) -> np.ndarray:
    """Return the series that is drawn: a patch's mean, one sample, or one point."""
    name = found.problem.name
    if name == "music":
        return rows[:, 0]
    if name == "ks":
        return rows[:, rows.shape[1] // 3]
    height, width = found.shape[:2]
    middle, half = (height // 2, width // 2), max(1, round(_PATCH * height))
    points = np.arange(int(np.prod(found.shape))).reshape(found.shape)
    patch = points[middle[0] - half : middle[0] + half, middle[1] - half : middle[1] + half]
    return np.asarray(found.decode(rows, patch.ravel()).mean(axis=1))
