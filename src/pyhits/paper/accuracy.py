"""Tables 6, 7 and 8: errors of every scale and of the coupled model, by level of noise."""

from __future__ import annotations

from typing import Any

from pyhits.paper.measure import (
    Measured,
    floor,
    learned,
    never_beaten,
    paper_mse,
    scale_names,
    threads,
)
from pyhits.paper.output import Result, Table, beside, number
from pyhits.paper.problems import PROBLEMS
from pyhits.paper.study import Study


def table6(study: Study) -> Result:
    """Return Table 6: data without noise."""
    return errors_at(study, 0.0)


def table7(study: Study) -> Result:
    """Return Table 7: 1 % noise in the training and validation data."""
    return errors_at(study, 0.01)


def table8(study: Study) -> Result:
    """Return Table 8: 2 % noise in the training and validation data."""
    return errors_at(study, 0.02)


def errors_at(study: Study, noise: float) -> Result:
    """Return the integrated L2 errors at one level of noise, beside the paper's.

    Forecasts start from clean states and are compared with the clean truth. With noise, the
    errors from noisy states against the truth with noise stand in a second table.
    """
    study.prepare([noise])
    found = {name: learned(study, name, noise) for name in study.systems}
    records = [
        error_record(study, one, noise) for schemes in found.values() for one in schemes.values()
    ]
    tables = [_errors_table(found, noise)]
    if noise:
        tables.append(_noisy_table(study, found, noise))
    return Result(records, tables, _notes(found))


def error_record(study: Study, one: Measured, noise: float) -> dict[str, Any]:
    """Return the record of one scheme."""
    record = {
        "system": one.system,
        "noise": noise,
        "scheme": one.scheme,
        "mse": one.errors.mse,
        "paper_mse": paper_mse(noise, one.system, one.scheme),
        "seconds": one.seconds,
        "threads": threads(),
        "step_sizes": list(one.step_sizes),
        "diverged": one.errors.diverged,
    }
    if noise:
        least = floor(study, one.system, noise)
        record |= {
            "mse_noisy_states": one.mse_noisy_states,
            "floor": least.clean_truth,
            "floor_noisy_truth": least.noisy_truth,
        }
    return record


def _errors_table(found: dict[str, dict[str, Measured]], noise: float) -> Table:
    rows = [
        [
            scheme,
            *(
                beside(found[name][scheme].errors.mse, paper_mse(noise, name, scheme))
                for name in found
            ),
        ]
        for scheme in next(iter(found.values()))
    ]
    rows.append(["scales", *(scale_names(f["multiscale"].step_sizes) for f in found.values())])
    title = f"Integrated L2 error, {100 * noise:g} % noise, ours (the paper's)"
    return Table(title, ["scheme", *(PROBLEMS[name].label for name in found)], rows)


def _noisy_table(study: Study, found: dict[str, dict[str, Measured]], noise: float) -> Table:
    least = {name: floor(study, name, noise) for name in found}
    rows = [
        [scheme, *(number(found[name][scheme].mse_noisy_states) for name in found)]
        for scheme in next(iter(found.values()))
    ]
    rows.append(["exact system", *(number(f.noisy_truth) for f in least.values())])
    rows.append(["exact, clean truth", *(number(f.clean_truth) for f in least.values())])
    title = f"The same from noisy initial states, against the truth with {100 * noise:g} % noise"
    return Table(title, ["scheme", *(PROBLEMS[name].label for name in found)], rows)


def _notes(found: dict[str, dict[str, Measured]]) -> list[str]:
    if all(never_beaten(schemes) for schemes in found.values()):
        return ["On every system the coupled model is at least as accurate as every single scale."]
    shown = ", ".join(_better(schemes) for schemes in found.values() if not never_beaten(schemes))
    return [f"A single scale is more accurate than the coupled model on: {shown}."]


def _better(schemes: dict[str, Measured]) -> str:
    """Return which scheme is the most accurate, and the coupled model's error over its own."""
    best = min(schemes.values(), key=lambda one: one.errors.mse)
    times = schemes["multiscale"].errors.mse / best.errors.mse
    return (
        f"{PROBLEMS[best.system].label} ({best.scheme}; the coupled error is {times:.4g} times it)"
    )
