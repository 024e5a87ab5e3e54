"""The main job from end to end on the Van der Pol oscillator, in minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyhits import systems
from pyhits.data.files import write
from pyhits.data.trajectories import Trajectories
from pyhits.evaluation.evaluation import Evaluation
from pyhits.hits import HiTS
from pyhits.policies import Training
from pyhits.report import write_report
from pyhits.report.text import describe
from pyhits.util.atomic import check_target
from pyhits.util.checks import as_seed


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration made."""

    model: HiTS
    evaluation: Evaluation  # on trajectories that the model has not seen
    files: dict[str, Path]  # ``model``, ``forecast`` and ``report``


def run_demo(
    out: str | Path = "demo",
    *,
    n_trajectories: int = 400,
    n_steps: int = 5120,
    n_scales: int | None = None,
    max_steps: int | None = None,
    seed: int = 0,
    verbose: bool = True,
    say: Callable[[str], None] = print,
) -> DemoResult:
    """Simulate, fit, forecast, evaluate, and write model, forecast and report to ``out``.

    Parameters
    ----------
    out : path
        Folder, made if it is missing.
    n_trajectories, n_steps : int
        Size of the training data (and twice a quarter of it to validate and test).
    max_steps : int, optional
        Train nets, of so many optimiser steps a scale; by default closed forms, which are exact.
    n_scales : int, optional
        Scales trained, of step sizes 1, 2, 4 and so on; by default coarser ones while they pay.
    seed : int
        Seeds data and training.
    verbose : bool
        Show training progress.
    say : callable
        Receives what is printed.
    """
    out = Path(out)
    as_seed(seed, "seed")
    check_target(out / "report.html")
    model = HiTS(
        None if n_scales is None else [1 << k for k in range(n_scales)],
        training=Training() if max_steps is None else Training(max_steps=max_steps),
        random_state=seed,
        verbose=verbose,
    )
    system = systems.get("van-der-pol")
    say(f"Simulating {n_trajectories} trajectories of the {system.title}.")
    held = max(1, n_trajectories // 4)
    every = system.simulate(n_trajectories + 2 * held, n_steps, random_state=seed)
    train, valid, test = every[: -2 * held], every[-2 * held : -held], every[-held:]
    say("Training one flow map a step size.")
    say(describe(model.fit(train, validation=valid)))
    evaluation = model.evaluate(test)
    say(f"\n{evaluation}")
    forecast = Trajectories(
        model.forecast(test.initial_states, n_steps), test.dt, feature_names=test.feature_names
    )
    files = {
        "model": model.save(out / "van-der-pol.safetensors"),
        "forecast": write(forecast, out / "forecast.npz"),
        "report": write_report(
            model, test, out / "report.html", title="Van der Pol oscillator", evaluation=evaluation
        ),
    }
    say("")
    for name, path in files.items():
        say(f"{name:<9} {path}")
    return DemoResult(model, evaluation, files)
