"""One run of the study: its settings, and what its tables and figures share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from joblib import Parallel, delayed

from pyhits.data.files.guard import existing_file
from pyhits.data.trajectories import Trajectories
from pyhits.hits import HiTS
from pyhits.paper import data, paper
from pyhits.paper.budget import Budget, get_budget
from pyhits.paper.cache import Cache
from pyhits.paper.fits import fit_or_load, is_stored
from pyhits.paper.problems import PROBLEMS, Problem
from pyhits.training.parallel import n_cores
from pyhits.training.recipe import RECIPES
from pyhits.util.checks import as_choice, as_seed
from pyhits.util.progress import bar, say

_Made = TypeVar("_Made")


class Study:
    """Settings of a run, and its data, models and measurements, each made once.

    Parameters
    ----------
    budget : str or Budget
    recipe : {"pyhits", "paper"}, optional
        How nets are trained; by default what the budget says. The paper's comes with the paper's
        nets (Table 2) and linear interpolation.
    seed : int
        Seeds data and training.
    cache : Cache, optional
    systems : sequence of str
        Which of the five systems to study.
    sequences : sequence of str
        Which of the four sequences to generate.
    audio, video : path, optional
        A recording, in a WAV file, and a film in place of the project's own.
    verbose : bool
        Show progress on standard error.

    Raises
    ------
    ArgumentError
        Unknown budget, recipe, system or sequence.
    FileFormatError
        There is no such recording or film.
    """

    def __init__(
        self,
        budget: str | Budget = "standard",
        *,
        recipe: str | None = None,
        seed: int = 0,
        cache: Cache | None = None,
        systems: tuple[str, ...] = paper.SYSTEMS,
        sequences: tuple[str, ...] = paper.SEQUENCES,
        audio: str | Path | None = None,
        video: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.budget = get_budget(budget)
        self.recipe = as_choice(recipe or self.budget.recipe, "recipe", RECIPES)
        self.seed = as_seed(seed, "seed")
        self.cache = Cache() if cache is None else cache
        self.systems = tuple(as_choice(name, "system", paper.SYSTEMS) for name in systems)
        self.sequences = tuple(as_choice(n, "sequence", paper.SEQUENCES) for n in sequences)
        self.audio = None if audio is None else existing_file(audio)
        self.video = None if video is None else existing_file(video)
        self.verbose = verbose
        self._made: dict[Any, Any] = {}

    def once(self, key: tuple[Any, ...], make: Callable[[], _Made]) -> _Made:
        """Return what was made for ``key``, making it the first time."""
        if key not in self._made:
            self._made[key] = make()
        made: _Made = self._made[key]
        return made

    def say(self, text: str) -> None:
        """Print a line to standard error, unless the study is silent."""
        say(text, verbose=self.verbose)

    def data(self, name: str, role: str, noise: float = 0.0) -> Trajectories:
        """Return a data set, with noise of this level in every row (Appendix B.2)."""
        problem = PROBLEMS[name]
        if role != "test":
            clean = self._clean(problem, role)  # large, and needed for one fit alone
        else:
            clean = self.once(("test", name), lambda: self._clean(problem, role))
        if noise == 0:
            return clean
        return data.add_noise(clean, noise, data.seed_of(problem, role, self.seed, "noise"))

    def model(self, name: str, noise: float = 0.0, recipe: str | None = None) -> HiTS:
        """Return the model of a system, fitted to noisy data, with all scales and their choice.

        Parameters
        ----------
        recipe : str, optional
            Another than the study's.
        """
        chosen = recipe or self.recipe
        return self.once(("model", name, noise, chosen), lambda: self._model(name, noise, chosen))

    def settings(self, name: str, noise: float = 0.0, recipe: str | None = None) -> dict[str, Any]:
        """Return the arguments of :class:`~pyhits.HiTS` that learn a system."""
        problem, budget = PROBLEMS[name], self.budget
        common = {"step_sizes": problem.step_sizes(budget), "random_state": self.seed}
        if (recipe or self.recipe) == "paper":
            return common | {
                "training": "paper",
                "hidden_sizes": list(problem.hidden_sizes),
                "rollout_steps": problem.rollout_steps,
                "max_steps": problem.paper_steps(budget),
                "interpolation": "linear",
            }
        return common | {
            "max_steps": budget.noisy_max_steps if noise else budget.max_steps,
            "polynomial_degree": budget.polynomial_degree,
        }

    def prepare(self, noises: Iterable[float] = (0.0,)) -> None:
        """Fit the models of all systems, side by side where the budget says so.

        Short fits do not use the cores that there are; the models are the same.

        Parameters
        ----------
        noises : iterable of float
            Levels of noise in the data.
        """
        todo = [
            (name, noise)
            for noise in noises
            for name in self.systems
            if not is_stored(self.cache, self.settings(name, noise), self._fit_data(name, noise))
        ]
        workers = min(n_cores(), len(todo))
        if workers < 2 or not self.budget.side_by_side:
            return
        self.say(f"Fitting {len(todo)} models, {workers} at a time.")
        alone = self.alone()
        with bar("fitting", verbose=self.verbose) as progress:
            found = Parallel(workers, return_as="generator_unordered")(
                delayed(_fit_in_worker)(alone, *one) for one in todo
            )
            for done, _ in enumerate(found, start=1):
                if progress is not None:
                    progress(done, len(todo))

    def alone(self) -> Study:
        """Return a silent study with the same settings, for other processes."""
        return Study(
            self.budget,
            recipe=self.recipe,
            seed=self.seed,
            cache=self.cache,
            systems=self.systems,
            sequences=self.sequences,
            audio=self.audio,
            video=self.video,
        )

    def _fit_data(self, name: str, noise: float) -> dict[str, Any]:
        """Return all that the data of a fit depend on."""
        problem = PROBLEMS[name]
        return {role: self._facts(problem, role, noise) for role in ("train", "validation")}

    def _model(self, name: str, noise: float, recipe: str) -> HiTS:
        problem = PROBLEMS[name]
        self.say(f"{problem.label}, {100 * noise:g} % noise, recipe {recipe}.")
        return fit_or_load(
            self.cache,
            self.settings(name, noise, recipe),
            self._fit_data(name, noise),
            lambda: (self.data(name, "train", noise), self.data(name, "validation", noise)),
            verbose=self.verbose,
        )

    def _clean(self, problem: Problem, role: str) -> Trajectories:
        if problem.cut_off == 0:
            return data.make_data(problem, role, self.budget, self.seed)
        starts = self.cache.array(
            self._facts(problem, role),
            lambda: data.long_trajectory(problem, role, self.budget, self.seed),
        )
        return data.pieces(problem, starts, self.budget)

    def _facts(self, problem: Problem, role: str, noise: float = 0.0) -> dict[str, Any]:
        """Return all that a data set depends on, as plain JSON values."""
        system = problem.system
        return {
            "version": data.VERSION,
            "system": problem.name,
            "parameters": dict(system.parameters),
            "region": system.region.tolist(),
            "dt": problem.dt,
            "n_steps": self.budget.n_steps,
            "n_trajectories": problem.count(role, self.budget),
            "cut_off": problem.cut_off,
            "role": role,
            "noise": noise,
            "seed": self.seed,
        }


def _fit_in_worker(study: Study, name: str, noise: float) -> None:
    """Fit a model into the cache, in one thread: the other cores have their own."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nobody would see whose they are
        study.model(name, noise)
