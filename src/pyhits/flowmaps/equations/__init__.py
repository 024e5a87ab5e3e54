"""Flow maps that integrate an equation on a grid, whose coefficients are learned."""

from pyhits.flowmaps.equations.flowmap import EquationMap
from pyhits.flowmaps.equations.form import EquationForm
from pyhits.flowmaps.equations.velocities import VelocityForm, VelocityMap

__all__ = ["EquationForm", "EquationMap", "VelocityForm", "VelocityMap"]
