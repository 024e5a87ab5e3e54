"""What a person would object to in data, and what to do about it."""

from pyhits.diagnostics.examine import compare, examine
from pyhits.diagnostics.finding import Finding
from pyhits.diagnostics.units import units

__all__ = ["Finding", "compare", "examine", "units"]
