"""From windows of trajectories to trained flow maps."""

from pyhits.training.history import History
from pyhits.training.loop import train_scale
from pyhits.training.recipe import RECIPES, Recipe, get_recipe
from pyhits.training.run import ScaleJob
from pyhits.training.windows import WindowSampler

__all__ = [
    "RECIPES",
    "History",
    "Recipe",
    "ScaleJob",
    "WindowSampler",
    "get_recipe",
    "train_scale",
]
