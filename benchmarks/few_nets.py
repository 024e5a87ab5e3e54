"""Do nets that rollouts of held-out rows rate near closed forms err less on the rows after those?

    python -m benchmarks.few_nets                     # 40 systems of dysts, about ten minutes
    python -m benchmarks.few_nets SprottMore --noise 0.01 --step-sizes 1 4
    python -m benchmarks.few_nets --data recordings.npz

Of the rows that benchmarks/chaos.py learns from, the first 640 are fitted to, the next 160 choose,
both are fitted to again, and rollouts of the last 200 compare. What chaos.py forecasts is not used.
Scores are mean errors of rollouts in standard deviations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks import chaos
from pyhits import Trajectories
from pyhits.encoders import Standardise
from pyhits.noise import denoise
from pyhits.training import Recipe, closed
from pyhits.training.comparison import N_SEARCH, increments
from pyhits.training.history import History
from pyhits.training.jobs import JobSettings, ScaleJob, TrainingData, make_jobs
from pyhits.training.nets import NET
from pyhits.training.search import FormSearch

#: Rows to fit to, and those with the ones that choose.
N_FIT, N_KNOWN = 640, 800


def compare(rows: np.ndarray, step_size: int, noise: float) -> tuple[float, float] | None:
    """Return a net's score over that of closed forms: where these chose, and on the later rows.

    None where closed forms do so well that no net is tried, or where it loses itself as they do.
    """
    rng = np.random.default_rng(0)
    noisy = rows + noise * rows[:N_KNOWN].std(axis=0) * rng.standard_normal(rows.shape)
    fitted, choosing = (Trajectories(part, 1.0) for part in np.split(noisy[:N_KNOWN], [N_FIT]))
    quiet = denoise(fitted, choosing, shortest=2 * step_size) if noise else None
    if quiet is not None:
        fitted, choosing = quiet.train, quiet.validation
    known = Trajectories(np.concatenate([fitted.values, choosing.values]), 1.0)
    later = Trajectories(rows[N_KNOWN - 1 :], 1.0)
    scaling = Standardise().fit(fitted.values)
    recipe = Recipe(flow_map="best").resolve(rows.shape[1], 1, N_KNOWN)

    def job(train: Trajectories, held: Trajectories) -> ScaleJob:
        return make_jobs(
            TrainingData(train, held, scaling), JobSettings(recipe, dtype="float64"), [step_size]
        )[0]

    first, again, last = job(fitted, choosing), job(known, known), job(fitted, later)
    search = FormSearch(first.train, first.validation)
    form = search.run()
    history = History(step_size)
    net = closed.competing_net(first, search, form, history)
    if net is None or net.score >= closed.HOPELESS:
        return None
    solved = History(step_size, form=form.form.as_dict())
    below = search.best["polynomial"].form.as_dict() if net.net.base is not None else {}
    judge = FormSearch(last.train, last.validation, "polynomial").judge
    scores = [
        judge(closed.fit_again(again, chosen, known_as))
        for chosen, known_as in (
            (net.net, History(step_size, form=below)),
            (form.form.solve(increments(first.train, N_SEARCH)), solved),
        )
    ]
    return history.scores[NET] / form.score, scores[0] / scores[1]


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.few_nets", description=__doc__)
    parser.add_argument("systems", nargs="*", help="names in dysts; by default 40 of them")
    parser.add_argument("--data", type=Path, help="recordings in an .npz, instead of dysts's")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--step-sizes", type=int, nargs="+", default=[1])
    options = parser.parse_args(arguments)
    if options.data is None:
        data = chaos.recordings(options.systems)
    else:
        with np.load(options.data, allow_pickle=False) as archive:
            data = {name: archive[name] for name in options.systems or archive.files}
    found = []
    print("a net's score over that of closed forms: where they chose, and later")
    for name, rows in data.items():
        for size in options.step_sizes:
            ratios = compare(rows[: chaos.N_TRAIN].astype(float), size, options.noise)
            if ratios is not None:
                found.append(ratios)
                print(f"{name:<24} step size {size}: {ratios[0]:6.2f} {ratios[1]:6.2f}", flush=True)
    for low, high in ((0.0, 1.0), (1.0, 1.5), (1.5, np.inf)):
        later = [after for before, after in found if low <= before < high]
        better = sum(after < 1 for after in later)
        print(f"chosen at {low:g} to {high:g}: {better} of {len(later)} nets err less later")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
