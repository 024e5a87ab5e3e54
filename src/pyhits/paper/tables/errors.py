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
from pyhits.paper.tables.by_system import by_system


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
    errors = {name: learned(study, name, noise) for name in study.systems}
    records = [
        error_record(study, one, noise) for schemes in errors.values() for one in schemes.values()
    ]
    tables = [_errors_table(errors, noise)]
    if noise:
        tables.append(_noisy_table(study, errors, noise))
    return Result(records, tables, _notes(errors))


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


def _errors_table(errors: dict[str, dict[str, Measured]], noise: float) -> Table:
    def cell(system: str, scheme: str) -> str:
        return beside(errors[system][scheme].errors.mse, paper_mse(noise, system, scheme))

    title = f"Integrated L2 error, {100 * noise:g} % noise, ours (the paper's)"
    coupled = (schemes["multiscale"].step_sizes for schemes in errors.values())
    scales = ["scales", *map(scale_names, coupled)]
    return by_system(title, errors, next(iter(errors.values())), cell, [scales])


def _noisy_table(study: Study, errors: dict[str, dict[str, Measured]], noise: float) -> Table:
    def cell(system: str, scheme: str) -> str:
        return number(errors[system][scheme].mse_noisy_states)

    title = f"The same from noisy initial states, against the truth with {100 * noise:g} % noise"
    floors = [floor(study, name, noise) for name in errors]
    exact = [
        ["exact system", *(number(one.noisy_truth) for one in floors)],
        ["exact, clean truth", *(number(one.clean_truth) for one in floors)],
    ]
    return by_system(title, errors, next(iter(errors.values())), cell, exact)


def _notes(errors: dict[str, dict[str, Measured]]) -> list[str]:
    if all(never_beaten(schemes) for schemes in errors.values()):
        return ["On every system the coupled model is at least as accurate as every single scale."]
    shown = ", ".join(_better(schemes) for schemes in errors.values() if not never_beaten(schemes))
    return [f"A single scale is more accurate than the coupled model on: {shown}."]


def _better(schemes: dict[str, Measured]) -> str:
    """Return which scheme is the most accurate, and the coupled model's error over its own."""
    best = min(schemes.values(), key=lambda one: one.errors.mse)
    times = schemes["multiscale"].errors.mse / best.errors.mse
    return (
        f"{PROBLEMS[best.system].label} ({best.scheme}; the coupled error is {times:.4g} times it)"
    )
