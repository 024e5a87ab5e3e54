"""PyHiTS beside libraries of the same field: errors and CPU seconds on five kinds of data.

    pip install pysindy pydmd reservoirpy darts torchdiffeq
    python -m benchmarks.neighbours                        # all; about an hour on one core
    python -m benchmarks.neighbours lorenz ks --only PyHiTS PySINDy
    python -m benchmarks.neighbours --json table.json      # goes on where that file ends

Each library is used as its documentation does: with its defaults, and with a setting that the last
fifth of the training data chooses (``rivals.py`` lists them all; of neural ODEs there is one).
PyHiTS is fitted with defaults alone. Errors are root mean squares over all forecasts in standard
deviations of the training data, counted up to 1, the error of the mean; of chaotic systems the mean
time until the error passes 0.4, in Lyapunov times, the higher the better. Seconds are of the CPU,
one thread: of the fit with defaults and its forecasts, and of the choice with all its fits. A fit
that takes longer than five minutes ends there.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.neighbours.data import PROBLEMS, Problem
from benchmarks.neighbours.rivals import RIVALS, settings

#: Seconds of CPU that one fit with its forecasts may take.
_MOST = 300


class TooLongError(Exception):
    """A fit took longer than it may."""


def _stop(*_: object) -> None:
    raise TooLongError


def attempt(
    name: str, problem: Problem, setting: Any, pasts: Any, truths: Any
) -> tuple[float, float]:
    """Return the error of one fit, infinite where it failed, and its CPU seconds."""
    begin = time.process_time()
    signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _MOST)
    error = np.inf
    try:
        forecast = RIVALS[name](problem, setting)
        made = [forecast(past, len(truth)) for past, truth in zip(pasts, truths, strict=True)]
        error = problem.score(made, truths)
    except Exception as failure:
        print(f"  {name} {dict(setting)}: {type(failure).__name__} {failure}"[:160], flush=True)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return error, time.process_time() - begin


def measure(name: str, problem: Problem) -> dict[str, Any]:
    """Return what a rival reaches with its defaults and with the setting that is chosen."""
    error, seconds = attempt(name, problem, {}, problem.pasts, problem.truths)
    found: dict[str, Any] = {"default": error, "seconds": seconds}
    choices = settings(name, problem)
    if len(choices) == 1:
        return found | {"tuned": error, "tuned seconds": seconds, "setting": {}}
    best, tried = choices[-1], []
    if len(choices) > 2:
        own, pasts, truths = problem.learning()
        tried = [attempt(name, own, setting, pasts, truths) for setting in choices]
        best = choices[int(np.argmin([error for error, _ in tried]))]
    error, last = attempt(name, problem, best, problem.pasts, problem.truths)
    spent = last + sum(seconds for _, seconds in tried)
    return found | {"tuned": error, "tuned seconds": spent, "setting": best}


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the table of what was measured, in Markdown."""
    columns = list(results)
    names = [name for name in RIVALS if any(name in results[c] for c in columns)]
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for name in names:
        cells = [_cell(results[c].get(name)) for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    shown = [_number(found[kind]) for kind in ("default", "tuned")]
    times = [f"{found[kind]:.0f}" for kind in ("seconds", "tuned seconds")]
    if found["setting"] == {}:
        return f"{shown[0]} ({times[0]} s)"
    return f"{shown[0]}, tuned {shown[1]} ({times[0]}, {times[1]} s)"


def _number(error: float) -> str:
    if not np.isfinite(error):
        return "failed"
    return f"{-error:.1f} times" if error <= 0 else f"{error:.2g}"


def main() -> None:
    """Measure what is asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*", default=list(PROBLEMS), metavar="PROBLEM")
    parser.add_argument("--only", nargs="+", default=list(RIVALS), metavar="LIBRARY")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    results: dict[str, dict[str, Any]] = {}
    if asked.json is not None and asked.json.exists():
        results = json.loads(asked.json.read_text())
    for key in asked.problems:
        problems = PROBLEMS[key]()
        row = results.setdefault(problems[0].name, {})
        for name in asked.only:
            if name in row or (name == "neural ODE" and problems[0].season):
                continue  # one variable alone is no state of an equation of first order
            every = [measure(name, problem) for problem in problems]
            numbers = ("default", "seconds", "tuned", "tuned seconds")
            row[name] = {kind: float(np.mean([one[kind] for one in every])) for kind in numbers}
            row[name]["setting"] = every[0]["setting"]
            print(key, name, row[name], flush=True)
            if asked.json is not None:
                asked.json.write_text(json.dumps(results, indent=1))
    print(table(results))


if __name__ == "__main__":
    main()
