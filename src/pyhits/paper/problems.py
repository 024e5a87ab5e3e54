"""The paper's problems: what is sampled, how finely, how long (Table 2, Appendices A.1 and A.2)."""

from __future__ import annotations

from dataclasses import dataclass

from pyhits import systems
from pyhits.paper import printed
from pyhits.paper.budget import Budget
from pyhits.systems import System
from pyhits.util.checks import as_choice

#: The three data sets of every problem.
ROLES = ("train", "validation", "test")


@dataclass(frozen=True)
class SystemProblem:
    """One system of the study.

    Initial states are uniform in the region of :class:`~pyhits.systems.System`, which is that of
    Table 2. For the Van der Pol oscillator the paper's text says [-2, 2] x [-4, 4] for all three
    data sets; its published code draws the test states from [-2, 2]^2. The text is followed.

    Parameters
    ----------
    name : str
        Of the system, in :mod:`pyhits.systems`.
    label : str
        Name in figures.
    tex : tuple of str
        Equations for figures, in TeX without dollar signs, their coefficients filled in.
    dt : float
        Finest step, in time units.
    counts : tuple of int
        Trajectories to train, validate and test on.
    hidden_sizes : tuple of int
        Widths of the paper's nets.
    cut_off : float
        Time units cut off the beginning of one long trajectory, which is then cut into pieces; 0:
        every trajectory starts by itself in the region.
    rollout_steps : int
        Steps p in the loss (equation 9) of the paper's recipe.
    """

    name: str
    label: str
    tex: tuple[str, ...]
    dt: float
    counts: tuple[int, int, int]
    hidden_sizes: tuple[int, ...]
    cut_off: float = 0.0
    rollout_steps: int = 5

    @property
    def system(self) -> System:
        """The system itself."""
        return systems.get(self.name)

    def count(self, role: str, budget: Budget) -> int:
        """Return how many trajectories of a data set the budget allows."""
        asked = self.counts[ROLES.index(as_choice(role, "role", ROLES))]
        allowed: int | None = getattr(budget, role)
        return asked if allowed is None else min(asked, allowed)

    def step_sizes(self, budget: Budget) -> list[int]:
        """Return the step sizes to learn, in multiples of ``dt``."""
        return budget.step_sizes[:8] if self.name == OSCILLATOR else budget.step_sizes

    def paper_steps(self, budget: Budget) -> int:
        """Return the optimiser steps a scale of the paper's recipe; a small system gets more."""
        more = 10 if self.name == OSCILLATOR else 1
        return min(more * budget.paper_steps, printed.MAX_STEPS)


#: The system of Section 2.1 and Figure 2.
OSCILLATOR = "harmonic-oscillator"

PROBLEMS = {
    problem.name: problem
    for problem in (
        # Section 2.1 says neither how long the test trajectories are nor how wide the nets.
        SystemProblem(
            OSCILLATOR,
            "Harmonic oscillator",
            (r"\dot x = y", r"\dot y = -x"),
            0.008,
            (500, 100, 100),
            (128, 128, 128),
            rollout_steps=1,
        ),
        SystemProblem(
            "hyperbolic",
            "Hyperbolic fixed point",
            (r"\dot x = -0.05\, x", r"\dot y = -(y - x^2)"),
            0.01,
            (1600, 320, 320),
            printed.HIDDEN_SIZES["hyperbolic"],
        ),
        SystemProblem(
            "cubic",
            "Cubic oscillator",
            (r"\dot x = -0.1\, x^3 + 2 y^3", r"\dot y = -2 x^3 - 0.1\, y^3"),
            0.01,
            (3200, 320, 320),
            printed.HIDDEN_SIZES["cubic"],
        ),
        SystemProblem(
            "van-der-pol",
            "Van der Pol oscillator",
            (r"\dot x = y", r"\dot y = 2 (1 - x^2)\, y - x"),
            0.01,
            (3200, 320, 320),
            printed.HIDDEN_SIZES["van-der-pol"],
        ),
        SystemProblem(
            "hopf",
            "Hopf normal form",
            (
                r"\dot \mu = 0",
                r"\dot x = \mu x + y - x (x^2 + y^2)",
                r"\dot y = -x + \mu y - y (x^2 + y^2)",
            ),
            0.01,
            (3200, 320, 320),
            printed.HIDDEN_SIZES["hopf"],
        ),
        SystemProblem(
            "lorenz",
            "Lorenz system",
            (r"\dot x = 10 (y - x)", r"\dot y = x (28 - z) - y", r"\dot z = x y - \frac{8}{3} z"),
            0.0005,
            (6400, 640, 640),
            printed.HIDDEN_SIZES["lorenz"],
            cut_off=5.0,
        ),
    )
}
