"""Numerical integrators, for hybrids with learned flow maps and on their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyhits.integrators.adaptive import AdaptiveRungeKutta
from pyhits.integrators.base import Integrator
from pyhits.integrators.choose import as_integrator, names
from pyhits.integrators.explicit import RungeKutta
from pyhits.integrators.implicit import ImplicitRungeKutta
from pyhits.integrators.righthandside import RightHandSide, as_right_hand_side
from pyhits.integrators.scipysolver import LSODA, SolveIVP
from pyhits.integrators.simulator import Simulator
from pyhits.integrators.tableaux import Tableau

if TYPE_CHECKING:
    from pyhits.integrators.torchsolver import TorchDiffEq

__all__ = [
    "LSODA",
    "AdaptiveRungeKutta",
    "ImplicitRungeKutta",
    "Integrator",
    "RightHandSide",
    "RungeKutta",
    "Simulator",
    "SolveIVP",
    "Tableau",
    "TorchDiffEq",
    "as_integrator",
    "as_right_hand_side",
    "names",
]


def __getattr__(name: str) -> Any:
    if name == "TorchDiffEq":  # imported when used: it needs torch, the others do not
        from pyhits.integrators.torchsolver import TorchDiffEq

        return TorchDiffEq
    raise AttributeError(f"module 'pyhits.integrators' has no attribute {name!r}")
