"""PyHiTS: learned hierarchical time-steppers.

Recorded trajectories in, a fast and accurate simulator out. The parts are imported when they are
first used, so ``import pyhits`` itself costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyhits._version import __version__

if TYPE_CHECKING:
    from pyhits import (
        baselines,
        encoders,
        evaluation,
        flowmaps,
        integrators,
        paper,
        plots,
        policies,
        systems,
    )
    from pyhits.data.files import read, write
    from pyhits.data.grid import Grid
    from pyhits.data.repair import repair
    from pyhits.data.repair.check import check
    from pyhits.data.trajectories import Trajectories
    from pyhits.errors import PyHiTSError
    from pyhits.evaluation.evaluation import Evaluation
    from pyhits.forecasting.uncertainty import Forecast
    from pyhits.hits import HiTS
    from pyhits.integrators.hybrid import Hybrid
    from pyhits.integrators.parareal import Parareal
    from pyhits.modelfiles.export import export_model
    from pyhits.modelfiles.load import load
    from pyhits.policies import Auto, Best, ClosedForms, Coupling, HoldOut, Nets, Training
    from pyhits.report import write_report
    from pyhits.report.explorer import write_explorer
    from pyhits.timestepper import TimeStepper
    from pyhits.training.callbacks import Callback, CSVLogger, TensorBoardLogger

#: Public name: module that holds it, or None for a module of that name.
_HOMES: dict[str, str | None] = {
    "Auto": "pyhits.policies",
    "Best": "pyhits.policies",
    "CSVLogger": "pyhits.training.callbacks",
    "Callback": "pyhits.training.callbacks",
    "ClosedForms": "pyhits.policies",
    "Coupling": "pyhits.policies",
    "Evaluation": "pyhits.evaluation.evaluation",
    "Forecast": "pyhits.forecasting.uncertainty",
    "Grid": "pyhits.data.grid",
    "HiTS": "pyhits.hits",
    "HoldOut": "pyhits.policies",
    "Hybrid": "pyhits.integrators.hybrid",
    "Nets": "pyhits.policies",
    "Parareal": "pyhits.integrators.parareal",
    "PyHiTSError": "pyhits.errors",
    "TensorBoardLogger": "pyhits.training.callbacks",
    "TimeStepper": "pyhits.timestepper",
    "Training": "pyhits.policies",
    "Trajectories": "pyhits.data.trajectories",
    "baselines": None,
    "check": "pyhits.data.repair.check",
    "encoders": None,
    "evaluation": None,
    "export_model": "pyhits.modelfiles.export",
    "flowmaps": None,
    "integrators": None,
    "load": "pyhits.modelfiles.load",
    "paper": None,
    "plots": None,
    "policies": None,
    "read": "pyhits.data.files",
    "repair": "pyhits.data.repair",
    "systems": None,
    "write": "pyhits.data.files",
    "write_explorer": "pyhits.report.explorer",
    "write_report": "pyhits.report",
}

__all__ = [
    "Auto",
    "Best",
    "CSVLogger",
    "Callback",
    "ClosedForms",
    "Coupling",
    "Evaluation",
    "Forecast",
    "Grid",
    "HiTS",
    "HoldOut",
    "Hybrid",
    "Nets",
    "Parareal",
    "PyHiTSError",
    "TensorBoardLogger",
    "TimeStepper",
    "Training",
    "Trajectories",
    "__version__",
    "baselines",
    "check",
    "encoders",
    "evaluation",
    "export_model",
    "flowmaps",
    "integrators",
    "load",
    "paper",
    "plots",
    "policies",
    "read",
    "repair",
    "systems",
    "write",
    "write_explorer",
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
