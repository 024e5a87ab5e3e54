"""How much data and training a study is given."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyhits.paper import printed
from pyhits.util.checks import as_choice


@dataclass(frozen=True)
class Budget:
    """Sizes of a study, on top of what the paper says.

    Parameters
    ----------
    name : str
    train, validation, test : int, optional
        Trajectories at most; None: as many as the paper (Table 2).
    n_steps : int
        Steps of each trajectory; the paper's are 5120 long.
    n_scales : int
        Step sizes 1, 2, 4, ... of the five systems; the paper has 11.
    max_steps, noisy_max_steps : int, optional
        Optimiser steps a scale of PyHiTS's recipe, on clean and on noisy data; None: its default.
        Below 2000 coarse scales are neither trained on synthetic windows nor tabulated.
    polynomial_degree : int, optional
        Of PyHiTS's recipe; None: its default.
    paper_steps : int
        Optimiser steps a scale of the paper's recipe.
    recipe : str
        Where none is asked for.
    repeats : int
        Timed forecasts of each scheme, the median of which counts; fewer of a scheme whose
        forecasts have taken ``timing_seconds`` already.
    timing_seconds : float
    grid : int
        Initial states along each axis of Figure 10.
    sequence_seconds : float, optional
        Time that each model of a sequence is given for its training; None: what its problem says.
    small_sequences : bool
        Coarser fields and smaller frames behind the same number of modes.
    side_by_side : bool
        Fit several systems at a time, each in one process: for fits too short to use the cores.
    """

    name: str
    train: int | None = None
    validation: int | None = None
    test: int | None = None
    n_steps: int = 5120
    n_scales: int = 11
    max_steps: int | None = None
    noisy_max_steps: int | None = None
    polynomial_degree: int | None = None
    paper_steps: int = 2000
    recipe: str = "pyhits"
    repeats: int = 5
    timing_seconds: float = 10.0
    grid: int = 160
    sequence_seconds: float | None = None
    small_sequences: bool = False
    side_by_side: bool = False

    @property
    def step_sizes(self) -> list[int]:
        """Step sizes of the five systems, in multiples of ``dt``."""
        return [1 << k for k in range(self.n_scales)]


BUDGETS = {
    "quick": Budget(
        "quick",
        train=80,
        validation=16,
        test=40,
        max_steps=2000,
        noisy_max_steps=60,
        polynomial_degree=7,
        paper_steps=40,
        repeats=3,
        timing_seconds=0.1,
        grid=80,
        sequence_seconds=7.5,
        small_sequences=True,
        side_by_side=True,
    ),
    "standard": Budget("standard"),
    "paper": Budget(
        "paper", paper_steps=printed.MAX_STEPS, recipe="paper", sequence_seconds=math.inf
    ),
}


def get_budget(budget: str | Budget) -> Budget:
    """Return a budget by name (``quick``, ``standard``, ``paper``), or the budget given.

    Raises
    ------
    ArgumentError
        No budget of that name.
    """
    if isinstance(budget, Budget):
        return budget
    return BUDGETS[as_choice(budget, "budget", BUDGETS)]
