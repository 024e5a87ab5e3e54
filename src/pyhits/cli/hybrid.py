"""Options of a hybrid with a numerical integrator, and what they come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pyhits.cli.options import named_numbers
from pyhits.errors import ArgumentError

if TYPE_CHECKING:
    from pyhits.integrators.hybrid import Hybrid
    from pyhits.timestepper import TimeStepper

Integrator = Annotated[
    str | None,
    typer.Option("--hybrid", help="Integrate between learned coarse steps: rk4, radau5, ..."),
]
OfSystem = Annotated[
    str | None,
    typer.Option("--system", help="System that --hybrid integrates; see `pyhits systems`."),
]
HybridDt = Annotated[
    float | None,
    typer.Option("--hybrid-dt", help="Time step of --hybrid; the model's otherwise."),
]
Tolerance = Annotated[
    float | None,
    typer.Option("--parareal", help="Correct the coarse states until they jump by no more."),
]
MaxIterations = Annotated[
    int | None, typer.Option("--max-iterations", help="Most corrections of --parareal.")
]


def make_hybrid(
    model: TimeStepper,
    integrator: str | None,
    *,
    system: str | None,
    parameters: list[str] | None,
    dt: float | None,
    step_sizes: list[int] | None,
    tolerance: float | None,
    max_iterations: int | None,
    without: dict[str, bool],
) -> Hybrid | None:
    """Return the hybrid that was asked for, or None where none was.

    Parameters
    ----------
    without : dict of str to bool
        Options that a hybrid does not have, and whether they were given.
    """
    given = {
        "--system": system,
        "--parameter": parameters,
        "--hybrid-dt": dt,
        "--parareal": tolerance,
        "--max-iterations": max_iterations,
    }
    if integrator is None:
        for option, value in given.items():
            if value is not None:
                raise ArgumentError(f"{option} goes with --hybrid, such as --hybrid rk4.")
        return None
    for option, is_given in without.items():
        if is_given:
            raise ArgumentError(f"{option} does not go with --hybrid.")
    from pyhits.integrators import names
    from pyhits.integrators.hybrid import Hybrid
    from pyhits.systems import get

    if system is None:
        raise ArgumentError(
            f"--hybrid {integrator} needs --system, a name from `pyhits systems`; a right-hand "
            "side of your own goes through pyhits.Hybrid in Python. Integrators: "
            f"{', '.join(names())}."
        )
    chosen = get(system).with_parameters(**named_numbers(parameters, "--parameter"))
    return Hybrid(model, integrator, system=chosen, dt=dt, step_sizes=step_sizes)
