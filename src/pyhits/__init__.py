"""PyHiTS: learned hierarchical time-steppers.

Recorded trajectories in, a fast and accurate simulator out. The parts are imported when they are
first used, so ``import pyhits`` itself costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyhits._version import __version__

if TYPE_CHECKING:
    from pyhits import baselines, encoders, flowmaps, integrators, sequences, systems
    from pyhits.errors import PyHiTSError
    from pyhits.estimator import HiTS
    from pyhits.evaluation import Evaluation
    from pyhits.export import export_model
    from pyhits.hierarchy.parareal import Parareal
    from pyhits.hybrid import Hybrid
    from pyhits.io import read, write
    from pyhits.repairs import repair
    from pyhits.repairs.check import check
    from pyhits.report import write_report
    from pyhits.save import load
    from pyhits.training import Recipe
    from pyhits.trajectories import Trajectories
    from pyhits.trust import Forecast

#: Public name: module that holds it, or None for a module of that name.
_HOMES: dict[str, str | None] = {
    "Evaluation": "pyhits.evaluation",
    "Forecast": "pyhits.trust",
    "HiTS": "pyhits.estimator",
    "Hybrid": "pyhits.hybrid",
    "Parareal": "pyhits.hierarchy.parareal",
    "PyHiTSError": "pyhits.errors",
    "Recipe": "pyhits.training",
    "Trajectories": "pyhits.trajectories",
    "baselines": None,
    "check": "pyhits.repairs.check",
    "encoders": None,
    "export_model": "pyhits.export",
    "flowmaps": None,
    "integrators": None,
    "load": "pyhits.save",
    "read": "pyhits.io",
    "repair": "pyhits.repairs",
    "sequences": None,
    "systems": None,
    "write": "pyhits.io",
    "write_report": "pyhits.report",
}

__all__ = [
    "Evaluation",
    "Forecast",
    "HiTS",
    "Hybrid",
    "Parareal",
    "PyHiTSError",
    "Recipe",
    "Trajectories",
    "__version__",
    "baselines",
    "check",
    "encoders",
    "export_model",
    "flowmaps",
    "integrators",
    "load",
    "read",
    "repair",
    "sequences",
    "systems",
    "write",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pyhits' has no attribute {name!r}")
    home = _HOMES[name]
    if home is None:
        value = importlib.import_module(f"pyhits.{name}")
    else:
        value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
