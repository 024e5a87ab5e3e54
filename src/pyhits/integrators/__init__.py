"""Numerical integrators, for hybrids with learned flow maps and on their own."""

from pyhits.integrators.adaptive import AdaptiveRungeKutta
from pyhits.integrators.base import Integrator
from pyhits.integrators.choose import as_integrator, names
from pyhits.integrators.explicit import RungeKutta
from pyhits.integrators.implicit import ImplicitRungeKutta
from pyhits.integrators.righthandside import RightHandSide, as_right_hand_side
from pyhits.integrators.scipysolver import LSODA, SolveIVP
from pyhits.integrators.simulator import Simulator
from pyhits.integrators.tableaux import Tableau

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
    "as_integrator",
    "as_right_hand_side",
    "names",
]
