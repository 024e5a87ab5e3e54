"""The stage that takes noise off the data."""

from __future__ import annotations

from dataclasses import replace

from pyhits.fit.problem import Parts, Problem
from pyhits.fit.shares import UNTIL
from pyhits.noise import denoise
from pyhits.util.clock import Clock
from pyhits.util.progress import bar


def take_noise_off(problem: Problem, clock: Clock) -> Problem:
    """Return the problem with clean states, where there is noise that can be taken off.

    It comes back where states are found to take past rows, so that nothing is said of it yet.
    """
    recipe, settings = problem.recipe, problem.settings
    if not recipe.denoise:
        return problem
    if problem.encoder is not None and problem.encoder.history > 1:
        return problem.noted("Noise is left: delays repeat that of each row, so it is not white.")
    if problem.input_names:
        return problem.noted("Noise is left, if there is any: inputs move the states, too.")
    shortest = 2 * problem.step_sizes[-1] * recipe.rollout_steps if problem.step_sizes else 2
    with bar("noise", verbose=settings.verbose) as progress, clock.stage("noise"):
        noise = denoise(
            *problem.states,
            shortest=shortest,
            progress=progress,
            clock=clock.until(UNTIL["noise"]),
        )
    if noise is None:
        return problem
    return replace(problem, states=Parts(noise.train, noise.validation), noise=noise)


def say_what_noise_was(problem: Problem) -> Problem:
    """Return the problem with a note on the noise that was taken off, for good."""
    return problem if problem.noise is None else problem.noted(problem.noise.note)
