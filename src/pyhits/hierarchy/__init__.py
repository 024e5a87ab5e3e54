"""Coupling the scales: which of them, in what order, and what lies between their states.

What steps is imported when it is first used: it takes torch, and checks of settings do not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyhits.hierarchy.batching import Batching
from pyhits.hierarchy.cost import Cost, cost
from pyhits.hierarchy.coupling import Candidate, Selection, fastest, ranges, select
from pyhits.hierarchy.nesting import chain
from pyhits.hierarchy.stages import resolution

if TYPE_CHECKING:
    from pyhits.hierarchy.hierarchy import Hierarchy
    from pyhits.hierarchy.stepper import Stepper, sequential

__all__ = [
    "Batching",
    "Candidate",
    "Cost",
    "Hierarchy",
    "Selection",
    "Stepper",
    "chain",
    "cost",
    "fastest",
    "ranges",
    "resolution",
    "select",
    "sequential",
]

_WITH_TORCH = {"Hierarchy": "hierarchy", "Stepper": "stepper", "sequential": "stepper"}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"pyhits.hierarchy.{_WITH_TORCH[name]}"), name)
