"""Inputs and parameters: what acts on a system and is known."""

from pyhits.inputs.given import Inputs, acting, attach
from pyhits.inputs.steps import PER_INPUT, over_packed_steps, over_steps

__all__ = ["PER_INPUT", "Inputs", "acting", "attach", "over_packed_steps", "over_steps"]
