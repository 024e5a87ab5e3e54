"""The stage that asks, where rows are many, whether a closed form leaves nets nothing to learn."""

from __future__ import annotations

from dataclasses import replace

from pyhits.errors import DataError
from pyhits.fit.problem import Problem
from pyhits.fit.shares import UNTIL
from pyhits.training.jobs import JobSettings, TrainingData, make_jobs
from pyhits.training.recipe import FEW_FEATURES
from pyhits.training.rollouts import Rollouts
from pyhits.training.search import FormSearch
from pyhits.util.clock import Clock

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
