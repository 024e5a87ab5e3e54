"""Inputs and parameters: what acts on a system and is known."""

from pyhits.coordinates.input_steps import PER_INPUT, over_packed_steps, over_steps
from pyhits.coordinates.inputs import Inputs, acting, attach

__all__ = ["PER_INPUT", "Inputs", "acting", "attach", "over_packed_steps", "over_steps"]
