"""Flow maps that integrate laws of differences: any walls, and coefficients by place."""

from pyhits.flowmaps.stencils.flowmap import StencilMap
from pyhits.flowmaps.stencils.form import StencilForm

__all__ = ["StencilForm", "StencilMap"]
