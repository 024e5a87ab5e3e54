"""Coupling the scales: which of them, in what order, and what lies between their states.

What steps is imported when it is first used: it takes torch, and checks of settings do not.
"""

from typing import TYPE_CHECKING, Any

from pyhits.hierarchy.cost import Cost, cost
from pyhits.hierarchy.coupling import (
    Candidate,
    Selection,
    fastest,
    ranges,
    select,
)
from pyhits.hierarchy.nesting import chain

if TYPE_CHECKING:
    from pyhits.hierarchy.engine import fill, resolution, sequential

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


def __getattr__(name: str) -> Any:
    if name not in ("fill", "resolution", "sequential"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pyhits.hierarchy import engine

    return getattr(engine, name)
