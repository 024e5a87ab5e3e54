"""Coupling the scales: which of them, in what order, and what lies between their states."""

from pyhits.hierarchy.coupling import Candidate, Selection, select
from pyhits.hierarchy.engine import chain, fill, sequential

__all__ = ["Candidate", "Selection", "chain", "fill", "select", "sequential"]
