"""Flow maps: what takes a state forward by one step of fixed size (paper, equation 7)."""

from pyhits.flowmaps.base import FlowMap, create, family, register
from pyhits.flowmaps.bounded import BoundedMap, Bounds, bare
from pyhits.flowmaps.cells import CellMap
from pyhits.flowmaps.convolution import ConvolutionMap
from pyhits.flowmaps.equations import EquationMap, VelocityMap
from pyhits.flowmaps.form import Form, Increments, Trials, closed_form
from pyhits.flowmaps.kernel import KernelMap
from pyhits.flowmaps.odes import ODEMap
from pyhits.flowmaps.other_grid import OtherGrid
from pyhits.flowmaps.polynomial import PolynomialMap
from pyhits.flowmaps.residual import ResidualNet
from pyhits.flowmaps.scaled import ScaledNet
from pyhits.flowmaps.stencils import StencilMap

__all__ = [
    "BoundedMap",
    "Bounds",
    "CellMap",
    "ConvolutionMap",
    "EquationMap",
    "FlowMap",
    "Form",
    "Increments",
    "KernelMap",
    "ODEMap",
    "OtherGrid",
    "PolynomialMap",
    "ResidualNet",
    "ScaledNet",
    "StencilMap",
    "Trials",
    "VelocityMap",
    "bare",
    "closed_form",
    "create",
    "family",
    "register",
]
