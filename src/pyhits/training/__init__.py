"""From windows of trajectories to trained flow maps.

What trains is imported when it is first used: it takes torch, and checks of settings do not.
"""

import importlib
from typing import TYPE_CHECKING, Any

from pyhits.training.history import History
from pyhits.training.recipe import RECIPES, Recipe, get_recipe

if TYPE_CHECKING:
    from pyhits.training.jobs import ScaleJob
    from pyhits.training.loop import train_scale
    from pyhits.training.windows import WindowSampler

#: Names that are imported when they are first used, and the module of each.
_HOMES = {"train_scale": "loop", "ScaleJob": "jobs", "WindowSampler": "windows"}

__all__ = ["RECIPES", "History", "Recipe", "ScaleJob", "WindowSampler", "get_recipe", "train_scale"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"pyhits.training.{_HOMES[name]}"), name)
