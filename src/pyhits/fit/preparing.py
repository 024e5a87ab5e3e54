"""What a fit does before it trains: one stage after another, in this order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pyhits.errors import DataError
from pyhits.fit.encoding import encode
from pyhits.fit.mode_choice import choose_modes
from pyhits.fit.planning import default_step_sizes, nets_note
from pyhits.fit.problem import Parts, Problem
from pyhits.fit.settings import check_selection, widths_by_scale
from pyhits.fit.shares import UNTIL
from pyhits.fit.state_rows import add_rows
from pyhits.noise import denoise
from pyhits.training.jobs import JobSettings, TrainingData, make_jobs
from pyhits.training.recipe import FEW_FEATURES
from pyhits.training.rollouts import Rollouts
from pyhits.training.search import FormSearch
from pyhits.util.clock import Clock
from pyhits.util.printable import listing
from pyhits.util.progress import bar

#: Constant features that a note names, at most.
_MOST_NAMES = 20


def prepare(problem: Problem, clock: Clock) -> Problem:
    """Return what a fit trains on.

    Raises DataError, ArgumentError: data or settings cannot be used.

    Parameters
    ----------
    problem : Problem
        As it was posed.
    clock : Clock
        Of the whole fit.
    """
    problem = encode(problem, clock)
    problem = choose_modes(problem, clock)
    problem = take_noise_off(problem, clock)
    problem = resolve(problem)
    problem = add_rows(problem, clock)
    problem = say_what_noise_was(problem)
    problem = scale(problem)
    problem = take_exact_forms(problem, clock)
    return plan(problem)


def resolve(problem: Problem) -> Problem:
    """Settle what the recipe leaves open, by the size of the data."""
    train = problem.states.train
    n_features = train.n_features + problem.input_width
    recipe = problem.recipe.resolve(n_features, len(train), train.n_rows, on_grid=problem.on_grid)
    return replace(problem, recipe=recipe)


def plan(problem: Problem) -> Problem:
    """Choose the step sizes where none were asked for, and say what will be trained."""
    settings, recipe = problem.settings, problem.recipe
    train, held = problem.states
    if not problem.step_sizes:
        sizes = default_step_sizes(train, held, recipe.rollout_steps, settings.dense)
        step = problem.given.axis.step_name(train.dt)
        problem = replace(problem, step_sizes=tuple(sizes)).noted(
            f"Step sizes: {', '.join(map(str, sizes))} (x dt = {step})."
        )
        check_selection(settings.selection, sizes)
    sizes = list(problem.step_sizes)
    notes = []
    if settings.dense > 1:
        notes.append(f"The flow map of step size {sizes[0]} returns {settings.dense} states.")
    widths = widths_by_scale(settings.hidden_sizes, sizes)
    notes.append(nets_note(recipe, train.n_features, sizes, widths, on_grid=problem.on_grid))
    low, high = train.values.min(axis=0), train.values.max(axis=0)
    flat = [train.feature_names[k] for k in np.flatnonzero(low == high)]
    if flat:
        notes.append(f"Constant features stay constant: {listing(flat, _MOST_NAMES)}.")
    return problem.noted(*notes)


def scale(problem: Problem) -> Problem:
    """Fit the scaling to the states that flow maps are trained on."""
    scaling = problem.scaling.refitted(problem.states.train.values)
    return replace(problem, scaling=scaling)


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
            *problem.states, shortest=shortest, progress=progress, clock=clock.until(UNTIL["noise"])
        )
    if noise is None:
        return problem
    return replace(problem, states=Parts(noise.train, noise.validation), noise=noise)


def say_what_noise_was(problem: Problem) -> Problem:
    """Return the problem with a note on the noise that was taken off, for good."""
    return problem if problem.noise is None else problem.noted(problem.noise.note)


#: Error of rollouts of the held-out part, in standard deviations, that nets in single precision
#: do not reach; and that which they do not where noise was taken off.
_EXACT, _EXACT_IN_NOISE = 1e-5, 0.02

#: Families that may be exact.
_FAMILIES = ("polynomial", "ode")

#: Rollouts that tell, and steps of each, at most: more than a form is chosen by, as jumps are rare.
_ROLLOUTS, _STEPS = 200, 400


def take_exact_forms(problem: Problem, clock: Clock) -> Problem:
    """Return the problem with closed forms to be chosen from, if one of the finest step is exact.

    Few rows are left to closed forms in any case; many are enough for nets, whose coarse steps are
    quick, but no net comes near a polynomial where the system's flow is one, or the solution of a
    polynomial equation. Where step sizes, nets or the arithmetic were asked for, nothing changes.

    Parameters
    ----------
    problem : Problem
        With its scaling fitted.
    clock : Clock
        Of the whole fit.
    """
    settings = problem.settings
    is_open = settings.recipe.flow_map == "auto" and settings.selection.how == "accuracy"
    few = problem.states.train.n_features + problem.input_width <= FEW_FEATURES
    if not (is_open and few) or problem.recipe.is_closed or settings.sizes or settings.dense > 1:
        return problem
    recipe = problem.recipe.override(flow_map="best")
    own = problem.coordinates
    data = TrainingData(*problem.states, own.scaling, problem.scaled_inputs, own.trends)
    enough = _EXACT if problem.noise is None else _EXACT_IN_NOISE
    with clock.stage("closed forms"):
        try:
            job = make_jobs(data, JobSettings(recipe, problem.seed, dtype="float64"), [1])[0]
        except DataError:
            return problem
        search = FormSearch(
            job.train,
            job.validation,
            _FAMILIES,
            max_degree=recipe.polynomial_degree,
            clock=clock.until(UNTIL["closed forms"]),
        )
        best = search.run()
        score = best.score
        if score < enough:
            solved = best.form.solve(search.data_of(type(best.form)))
            score = Rollouts.of(job.validation, _ROLLOUTS, _STEPS).score(solved)
    if score >= enough:
        return problem
    return replace(problem, recipe=recipe).noted(
        f"A closed form ({best.form.kind}) steps the held-out part with an error of {score:.1g} "
        "standard deviations: closed forms rather than nets."
    )
