"""Differential equations of few variables: a vector field of few terms, integrated over steps."""

from pyhits.flowmaps.odes.flowmap import ODEMap
from pyhits.flowmaps.odes.form import ODEForm
from pyhits.flowmaps.odes.functions import Function

__all__ = ["Function", "ODEForm", "ODEMap"]
