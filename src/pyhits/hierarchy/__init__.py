"""Coupling the scales: which of them, in what order, and what lies between their states."""

from pyhits.hierarchy.coupling import Candidate, Selection, select
from pyhits.hierarchy.engine import chain, fill, sequential
from pyhits.hierarchy.forecast import forecast

__all__ = ["Candidate", "Selection", "chain", "fill", "forecast", "select", "sequential"]
