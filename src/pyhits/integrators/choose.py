"""An integrator from its name, or from a user's simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyhits.errors import ArgumentError
from pyhits.integrators.adaptive import AdaptiveRungeKutta
from pyhits.integrators.base import Integrator
from pyhits.integrators.explicit import RungeKutta
from pyhits.integrators.implicit import ImplicitRungeKutta
from pyhits.integrators.scipysolver import LSODA, SolveIVP
from pyhits.integrators.simulator import Simulator
from pyhits.integrators.tableaux import EXPLICIT, IMPLICIT
from pyhits.util.checks import shown, suggest


def names() -> list[str]:
    """Return the names that :func:`as_integrator` knows."""
    return [*EXPLICIT, *IMPLICIT, "adaptive", "lsoda", "solve-ivp", "torchdiffeq"]


def as_integrator(integrator: Any, system: Any = None) -> Integrator:
    """Return an integrator.

    Parameters
    ----------
    integrator : str, Integrator or callable
        One of :func:`names`; an integrator, which is returned; or a simulator to call as
        ``function(state, dt, n_steps)``.
    system : System or callable, optional
        Right-hand side of an integrator that is given by name.

    Raises
    ------
    ArgumentError
        The name is unknown, the system is missing, no right-hand side, or not asked for.
    MissingExtraError
        torchdiffeq is not installed.
    """
    if isinstance(integrator, str):
        return _named(integrator, system)
    if system is not None:
        raise ArgumentError(
            "system=... goes with the name of an integrator, such as 'rk4'; this one has its own."
        )
    if isinstance(integrator, Integrator):
        return integrator
    if callable(integrator):
        return Simulator(integrator)
    raise ArgumentError(
        f"Expected the name of an integrator ({', '.join(names())}), an Integrator, or a simulator "
        f"to call as function(state, dt, n_steps); got {shown(integrator)}."
    )


def _named(name: str, system: Any) -> Integrator:
    plain = name.lower().replace("_", "-")
    if plain not in names():
        raise ArgumentError(f"Unknown integrator {name!r}{suggest(plain, names())}")
    if system is None:
        raise ArgumentError(
            f"The integrator {name!r} needs a right-hand side: give system=..., a System "
            "or a function f(t, x)."
        )
    if plain in EXPLICIT:
        return RungeKutta(system, plain)
    if plain in IMPLICIT:
        return ImplicitRungeKutta(system, plain)
    adaptive: dict[str, Callable[[Any], Integrator]] = {
        "adaptive": AdaptiveRungeKutta,
        "lsoda": LSODA,
        "solve-ivp": SolveIVP,
    }
    if plain in adaptive:
        return adaptive[plain](system)
    from pyhits.integrators.torchsolver import TorchDiffEq  # torch, and an extra

    return TorchDiffEq(system)
