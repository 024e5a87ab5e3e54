"""One run of the study: its settings, and what its tables and figures share."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from joblib import Parallel, delayed

from pyhits.data.files.guard import existing_file
from pyhits.data.trajectories import Trajectories
from pyhits.paper import data, printed
from pyhits.paper.budget import Budget, get_budget
from pyhits.paper.cache import Cache
from pyhits.paper.comparison.problems import SEQUENCE_PROBLEMS, SequenceProblem
from pyhits.paper.fits import fit_or_load, is_stored
from pyhits.paper.problems import PROBLEMS, SystemProblem
from pyhits.timestepper import TimeStepper
from pyhits.training.parallel import n_cores
from pyhits.training.recipe import RECIPES
from pyhits.util.checks import as_choice, as_count, as_seed
from pyhits.util.progress import bar, say

_Made = TypeVar("_Made")
_Task = TypeVar("_Task")


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
    sequences : sequence of str or SequenceProblem
        Which of the four sequences to generate; or others, or with other models.
    audio, video : path, optional
        A recording, in a WAV file, and a film in place of the project's own.
    n_jobs : int, optional
        Models trained at a time, each in a process of its own; by default one a core.
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
        systems: tuple[str, ...] = printed.SYSTEMS,
        sequences: Sequence[str | SequenceProblem] = printed.SEQUENCES,
        audio: str | Path | None = None,
        video: str | Path | None = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.budget = get_budget(budget)
        self.recipe = as_choice(recipe or self.budget.recipe, "recipe", RECIPES)
        self.seed = as_seed(seed, "seed")
        self.cache = Cache() if cache is None else cache
        self.systems = tuple(as_choice(name, "system", printed.SYSTEMS) for name in systems)
        self._sequences = {
            problem.name: problem
            for problem in (
                SEQUENCE_PROBLEMS[as_choice(one, "sequence", SEQUENCE_PROBLEMS)]
                if isinstance(one, str)
                else one
                for one in sequences
            )
        }
        self.audio = None if audio is None else existing_file(audio)
        self.video = None if video is None else existing_file(video)
        self.n_jobs = n_cores() if n_jobs is None else as_count(n_jobs, "n_jobs")
        self.verbose = verbose
        self._made: dict[Any, Any] = {}

    @property
    def sequences(self) -> tuple[str, ...]:
        """Names of the sequences to generate."""
        return tuple(self._sequences)

    def sequence_problem(self, name: str) -> SequenceProblem:
        """Return what is asked of a sequence."""
        return self._sequences[name]

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

    def model(self, name: str, noise: float = 0.0, recipe: str | None = None) -> TimeStepper:
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
        workers = min(self.n_jobs, len(todo))
        if workers < 2 or not self.budget.side_by_side:
            return
        self.say(f"Fitting {len(todo)} models, {workers} at a time.")
        self.side_by_side(_fit, todo, "fitting", workers)

    def side_by_side(
        self,
        call: Callable[[Study, _Task], _Made],
        tasks: Sequence[_Task],
        label: str,
        workers: int,
    ) -> list[_Made]:
        """Return ``call(study, task)`` of each task, made by processes of one thread each.

        The study that they are given is a silent copy of this one. With one worker all is made in
        this process.
        """
        alone = copy.copy(self)
        alone.verbose, alone._made = False, {}
        made: dict[int, _Made] = {}
        with bar(label, verbose=self.verbose) as progress:
            for k, one in Parallel(workers, return_as="generator_unordered")(
                delayed(_in_one_thread)(call, alone, k, task) for k, task in enumerate(tasks)
            ):
                made[k] = one
                if progress is not None:
                    progress(len(made), len(tasks))
        return [made[k] for k in range(len(tasks))]

    def _fit_data(self, name: str, noise: float) -> dict[str, Any]:
        """Return all that the data of a fit depend on."""
        problem = PROBLEMS[name]
        return {role: self._facts(problem, role, noise) for role in ("train", "validation")}

    def _model(self, name: str, noise: float, recipe: str) -> TimeStepper:
        problem = PROBLEMS[name]
        self.say(f"{problem.label}, {100 * noise:g} % noise, recipe {recipe}.")
        return fit_or_load(
            self.cache,
            self.settings(name, noise, recipe),
            self._fit_data(name, noise),
            lambda: (self.data(name, "train", noise), self.data(name, "validation", noise)),
            verbose=self.verbose,
        )

    def _clean(self, problem: SystemProblem, role: str) -> Trajectories:
        if problem.cut_off == 0:
            return data.make_data(problem, role, self.budget, self.seed)
        about = self._facts(problem, role)

        def make() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
            return {"starts": data.long_trajectory(problem, role, self.budget, self.seed)}, {}

        arrays, _ = self.cache.arrays("starts", about, make)
        return data.pieces(problem, arrays["starts"], self.budget)

    def _facts(self, problem: SystemProblem, role: str, noise: float = 0.0) -> dict[str, Any]:
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


def _fit(study: Study, task: tuple[str, float]) -> None:
    """Fit a model into the cache."""
    study.model(*task)


def _in_one_thread(
    call: Callable[[Study, _Task], _Made], study: Study, k: int, task: _Task
) -> tuple[int, _Made]:
    """Return the task's number and what was made, in one thread: other tasks have the others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nobody would see whose they are
            return k, call(study, task)
    finally:
        torch.set_num_threads(threads)
