"""Tables 5 and 9: how long forecasts of the test set take."""

from __future__ import annotations

from typing import Any

from pyhits.paper import printed
from pyhits.paper.classical import TOLERANCE, Solved, classical
from pyhits.paper.measure import Measured, learned, multiscale, threads
from pyhits.paper.output import Result, Table, beside, number
from pyhits.paper.problems import PROBLEMS
from pyhits.paper.study import Study

#: One scheme of either kind.
Scheme = Measured | Solved


def table5(study: Study) -> Result:
    """Return Table 5: seconds of every single scale and of the coupled model."""
    study.prepare()
    found: dict[str, dict[str, Scheme]] = {
        name: dict(learned(study, name)) for name in study.systems
    }
    records = [time_record(one) for schemes in found.values() for one in schemes.values()]
    return Result(records, [_times_table(found)], [_conditions(study)])


def table9(study: Study) -> Result:
    """Return Table 9: Runge-Kutta and hybrid schemes and the coupled model.

    Beyond the paper: the hybrids' errors once Parareal has corrected them, and what that costs.
    """
    study.prepare()
    found: dict[str, dict[str, Scheme]] = {
        name: {**classical(study, name), "multiscale": multiscale(study, name)}
        for name in study.systems
    }
    records = [time_record(one) for schemes in found.values() for one in schemes.values()]
    errors = Table(
        "Integrated L2 error",
        ["scheme", *(PROBLEMS[name].label for name in found)],
        [
            [scheme, *(number(found[name][scheme].errors.mse) for name in found)]
            for scheme in next(iter(found.values()))
        ],
    )
    tables = [_times_table(found), errors, _gain_table(found), _corrected_table(found)]
    note = (
        f"Parareal corrects until no coarse state jumps by more than {TOLERANCE:g} standard "
        "deviations. Its error is shown as a multiple of that of RK alone at the same step."
    )
    return Result(records, tables, [_conditions(study), note])


def time_record(one: Scheme) -> dict[str, Any]:
    """Return the record of one scheme."""
    record: dict[str, Any] = {
        "system": one.system,
        "scheme": one.scheme,
        "seconds": one.seconds,
        "mse": one.errors.mse,
        "paper_seconds": printed.SECONDS[one.system].get(one.scheme),
        "threads": threads(),
        "diverged": one.errors.diverged,
    }
    if isinstance(one, Measured):
        return record | {"step_sizes": list(one.step_sizes)}
    record["dt"] = one.dt
    if one.corrected is not None:
        record |= {
            "parareal_mse": one.corrected.errors.mse,
            "parareal_seconds": one.corrected.seconds,
            "parareal_iterations": one.corrected.iterations,
            "parareal_ratio": one.corrected.ratio,
        }
    return record


def _times_table(found: dict[str, dict[str, Scheme]]) -> Table:
    rows = [
        [
            scheme,
            *(
                beside(found[name][scheme].seconds, printed.SECONDS[name].get(scheme), ".3g")
                for name in found
            ),
        ]
        for scheme in next(iter(found.values()))
    ]
    header = ["scheme", *(PROBLEMS[name].label for name in found)]
    return Table("Seconds of a forecast of the test set, ours (the paper's)", header, rows)


def _gain_table(found: dict[str, dict[str, Scheme]]) -> Table:
    """Return how many times faster hybrids are than RK at the same step, here and in Table 9."""
    rows = []
    for k, hybrid in _hybrids(found):
        cells = []
        for name, schemes in found.items():
            theirs = printed.SECONDS[name]
            cells.append(
                beside(
                    schemes[f"rk-{k}"].seconds / schemes[hybrid].seconds,
                    theirs[f"rk-{k}"] / theirs[hybrid],
                    ".2f",
                )
            )
        rows.append([hybrid, *cells])
    header = ["scheme", *(PROBLEMS[name].label for name in found)]
    return Table("Times faster than RK at the same step, ours (the paper's)", header, rows)


def _corrected_table(found: dict[str, dict[str, Scheme]]) -> Table:
    rows = []
    for _, hybrid in _hybrids(found):
        cells = []
        for schemes in found.values():
            one = schemes[hybrid]
            assert isinstance(one, Solved)
            assert one.corrected is not None
            right = one.corrected
            cells.append(f"{right.ratio:.3g} / {right.iterations:.1f} / {right.seconds:.2g}")
        rows.append([hybrid, *cells])
    header = ["scheme", *(PROBLEMS[name].label for name in found)]
    return Table("With Parareal: error over that of RK / corrections / seconds", header, rows)


def _hybrids(found: dict[str, dict[str, Scheme]]) -> list[tuple[int, str]]:
    """Return number and name of the hybrid schemes."""
    names = [scheme for scheme in next(iter(found.values())) if scheme.startswith("hybrid")]
    return list(enumerate(names))


def _conditions(study: Study) -> str:
    return (
        f"Medians of at most {study.budget.repeats} forecasts of all test trajectories together, "
        f"{threads()} threads; the paper's times are of its own machine and test set."
    )
