"""What a person would object to in data, and what to do about it."""

from pyhits.data.diagnostics.examine import compare, examine
from pyhits.data.diagnostics.finding import Finding
from pyhits.data.diagnostics.units import units

__all__ = ["Finding", "compare", "examine", "units"]
