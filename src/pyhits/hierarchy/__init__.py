"""Coupling the scales: which of them, in what order, and what lies between their states."""

from pyhits.hierarchy.cost import Cost, cost
from pyhits.hierarchy.coupling import Candidate, Selection, fastest, ranges, select
from pyhits.hierarchy.engine import chain, fill, resolution, sequential

__all__ = [
    "Candidate",
    "Cost",
    "Selection",
    "chain",
    "cost",
    "fastest",
    "fill",
    "ranges",
    "resolution",
    "select",
    "sequential",
]
