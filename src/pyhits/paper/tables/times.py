"""Tables 5 and 9: how long forecasts of the test set take."""

from __future__ import annotations

from typing import Any

from pyhits.paper import printed
from pyhits.paper.classical import TOLERANCE, Integrated, classical
from pyhits.paper.measure import Measured, learned, multiscale, threads
from pyhits.paper.output import Result, Table, beside, number
from pyhits.paper.study import Study
from pyhits.paper.tables.by_system import by_system

#: One scheme of either kind.
Scheme = Measured | Integrated


#: What was measured, by system and scheme.
Schemes = dict[str, dict[str, Scheme]]


def table5(study: Study) -> Result:
    """Return Table 5: seconds of every single scale and of the coupled model."""
    study.prepare()
    schemes: Schemes = {name: dict(learned(study, name)) for name in study.systems}
    return Result(_records(schemes), [_times_table(schemes)], [_conditions(study)])


def table9(study: Study) -> Result:
    """Return Table 9: Runge-Kutta and hybrid schemes and the coupled model.

    Beyond the paper: the hybrids' errors once Parareal has corrected them, and what that costs.
    """
    study.prepare()
    schemes: Schemes = {
        name: {**classical(study, name), "multiscale": multiscale(study, name)}
        for name in study.systems
    }
    tables = [
        _times_table(schemes),
        _errors_table(schemes),
        _gain_table(schemes),
        _corrected_table(schemes),
    ]
    note = (
        f"Parareal corrects until no coarse state jumps by more than {TOLERANCE:g} standard "
        "deviations. Its error is shown as a multiple of that of RK alone at the same step."
    )
    return Result(_records(schemes), tables, [_conditions(study), note])


def _records(schemes: Schemes) -> list[dict[str, Any]]:
    return [time_record(one) for of_system in schemes.values() for one in of_system.values()]


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


def _times_table(schemes: Schemes) -> Table:
    def cell(system: str, scheme: str) -> str:
        papers = printed.SECONDS[system].get(scheme)
        return beside(schemes[system][scheme].seconds, papers, ".3g")

    title = "Seconds of a forecast of the test set, ours (the paper's)"
    return by_system(title, schemes, next(iter(schemes.values())), cell)


def _errors_table(schemes: Schemes) -> Table:
    def cell(system: str, scheme: str) -> str:
        return number(schemes[system][scheme].errors.mse)

    return by_system("Integrated L2 error", schemes, next(iter(schemes.values())), cell)


def _gain_table(schemes: Schemes) -> Table:
    """Return how many times faster hybrids are than RK at the same step, here and in Table 9."""

    def cell(system: str, hybrid: str) -> str:
        ours, papers = schemes[system], printed.SECONDS[system]
        alone = hybrid.replace("hybrid", "rk")
        gain = ours[alone].seconds / ours[hybrid].seconds
        return beside(gain, papers[alone] / papers[hybrid], ".2f")

    title = "Times faster than RK at the same step, ours (the paper's)"
    return by_system(title, schemes, _hybrids(schemes), cell)


def _corrected_table(schemes: Schemes) -> Table:
    def cell(system: str, hybrid: str) -> str:
        one = schemes[system][hybrid]
        assert isinstance(one, Integrated)
        assert one.corrected is not None
        right = one.corrected
        return f"{right.ratio:.3g} / {right.iterations:.1f} / {right.seconds:.2g}"

    title = "With Parareal: error over that of RK / corrections / seconds"
    return by_system(title, schemes, _hybrids(schemes), cell)


def _hybrids(schemes: Schemes) -> list[str]:
    """Return the names of the hybrid schemes."""
    return [scheme for scheme in next(iter(schemes.values())) if scheme.startswith("hybrid")]


def _conditions(study: Study) -> str:
    return (
        f"Medians of at most {study.budget.repeats} forecasts of all test trajectories together, "
        f"{threads()} threads; the paper's times are of its own machine and test set."
    )
