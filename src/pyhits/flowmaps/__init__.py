"""Flow maps: what takes a state forward by one step of fixed size (paper, equation 7)."""

from pyhits.flowmaps.base import FlowMap, create, register
from pyhits.flowmaps.polynomial import PolynomialMap
from pyhits.flowmaps.residual import ResidualNet

__all__ = ["FlowMap", "PolynomialMap", "ResidualNet", "create", "register"]
