"""Differential equations of few variables: a polynomial vector field, integrated over each step."""

from pyhits.flowmaps.odes.flowmap import ODEMap
from pyhits.flowmaps.odes.form import ODEForm

__all__ = ["ODEForm", "ODEMap"]
