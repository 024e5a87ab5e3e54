"""Options of a hybrid with a numerical integrator, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pyhits.cli.options import Option, Panel
from pyhits.cli.texts import named_numbers
from pyhits.errors import ArgumentError

if TYPE_CHECKING:
    from pyhits.integrators.hybrid import Hybrid


def hybrids() -> tuple[Panel, ...]:
    """Return the options of hybrids."""
    options = (
        ("hybrid", str, "Integrate between learned coarse steps: rk4, radau5, ..."),
        ("system", str, "System that --hybrid integrates; see `pyhits systems`."),
        ("parameter", list[str], "Parameter of the system, as name=value; may be repeated."),
        ("hybrid_dt", float, "Time step of --hybrid; the model's otherwise."),
        ("parareal", float, "Correct the coarse states until they jump by no more."),
        ("max_iterations", int, "Most corrections of --parareal."),
    )
    made = (Option(name, kind, text, (_flag(name),)) for name, kind, text in options)
    return (Panel("With a numerical integrator", tuple(made)),)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


class Mixed(NamedTuple):
    """A hybrid, and how it is asked to step."""

    hybrid: Hybrid
    stepping: dict[str, Any]


def make_hybrid(
    model: Any, given: Mapping[str, Any], step_sizes: list[int] | None, without: Mapping[str, Any]
) -> Mixed | None:
    """Return the hybrid that was asked for, or None where none was.

    Parameters
    ----------
    given : mapping
        Values of the options of :func:`hybrids`.
    without : mapping of str to value
        Options that a hybrid does not have; None, or False, where they were not given.
    """
    integrator = given.get("hybrid")
    if integrator is None:
        for name in given:
            raise ArgumentError(f"{_flag(name)} goes with --hybrid, such as --hybrid rk4.")
        return None
    for option, value in without.items():
        if value is not None and value is not False:
            raise ArgumentError(f"{option} does not go with --hybrid.")
    from pyhits.integrators import names
    from pyhits.integrators.hybrid import Hybrid
    from pyhits.systems import get

    if "system" not in given:
        raise ArgumentError(
            f"--hybrid {integrator} needs --system, a name from `pyhits systems`; a right-hand "
            "side of your own goes through pyhits.Hybrid in Python. Integrators: "
            f"{', '.join(names())}."
        )
    values = named_numbers(given.get("parameter"), "--parameter")
    system = get(given["system"]).with_parameters(**values)
    stepping = {"tolerance": given.get("parareal"), "max_iterations": given.get("max_iterations")}
    hybrid = Hybrid(
        model, integrator, system=system, dt=given.get("hybrid_dt"), step_sizes=step_sizes
    )
    return Mixed(hybrid, stepping)
