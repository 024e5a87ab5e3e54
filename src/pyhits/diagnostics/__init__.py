"""What a person would object to in data, and what to do about it."""

from pyhits.diagnostics.examine import examine
from pyhits.diagnostics.finding import Finding

__all__ = ["Finding", "examine"]
