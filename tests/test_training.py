"""Windows, recipes, stages, the training loop, and processes."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from conftest import circles, rotation
from threadpoolctl import threadpool_info, threadpool_limits

from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, CheckpointError, DataError, TrainingError
from pyhits.flowmaps import (
    PolynomialMap,
    ResidualNet,
    ScaledNet,
    register,
)
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.training import (
    History,
    Recipe,
    ScaleJob,
    WindowSampler,
    get_recipe,
    parallel,
)
from pyhits.training import loop as loop_module
from pyhits.training import run as run_module
from pyhits.training.checkpoint import CheckpointFolder
from pyhits.training.jobs import JobSettings, TrainingData, Tuning, fingerprint, make_jobs
from pyhits.training.loop import train_scale
from pyhits.training.parallel import train_scales
from pyhits.util.clock import UNLIMITED

SMALL = Recipe(hidden_sizes=(16,), batch_size=64, max_steps=200, polynomial_degree=0)


def identity(d: int = 2) -> Standardise:
    return Standardise().set_statistics(np.zeros(d), np.ones(d))


def sampler(data: Trajectories, step_size: int, p: int = 1, bias: float = 1.0) -> WindowSampler:
    return WindowSampler(data.values, data.offsets, identity(), step_size, p, bias, seed=1)


def jobs(
    data: Trajectories, sizes: list[int], recipe: Recipe = SMALL, **options: Any
) -> list[ScaleJob]:
    encoder = Standardise(recipe.standardise).fit(data.values)
    resolved = recipe.resolve(data.n_features, len(data), data.n_rows)
    return make_jobs(
        TrainingData(data, data, encoder), JobSettings(resolved, seed=3, **options), sizes
    )


def sine_flow() -> Trajectories:
    """Solutions of x' = sin x: the flow 2 atan(tan(x / 2) e^t), which no polynomial is."""
    start = np.random.default_rng(0).uniform(-2, 2, (60, 1))
    t = 0.1 * np.arange(20)
    return Trajectories((2 * np.arctan(np.tan(start / 2) * np.exp(t)))[..., None], 0.1)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


# Training


def test_an_exactly_polynomial_flow_needs_no_net() -> None:
    data = circles(30, 60)
    (job,) = jobs(data, [3], replace(SMALL, polynomial_degree=3))
    flow_map, history = train_scale(job)
    assert isinstance(flow_map, PolynomialMap)
    assert history.stopped_by == "closed form"
    assert history.one_step_mse < 1e-13
    x = torch.tensor([[0.5, -0.2]])
    scale = torch.from_numpy(job.train.encoder.scale_).float()
    mean = torch.from_numpy(job.train.encoder.mean_).float()
    found = flow_map((x - mean) / scale) * scale + mean
    torch.testing.assert_close(
        found, x @ torch.from_numpy(rotation(0.3)).float().T, atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("p", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_net_learns_the_flow(p: int) -> None:
    recipe = replace(SMALL, rollout_steps=p, max_steps=1200, learning_rate=1e-2)
    (job,) = jobs(circles(30, 60), [2], recipe)
    flow_map, history = train_scale(job)
    assert isinstance(flow_map, ResidualNet)
    assert history.validation_error < 1e-3
    assert history.stopped_by == "steps"
    errors = [r["validation_error"] for r in history.records]
    if p == 1:
        assert history.validation_error == min(errors)
    else:
        # The records look p steps ahead, the summary one.
        assert history.validation_error < min(errors)
    assert history.flow_map == "net"


def test_a_dense_polynomial_is_exact_at_every_output() -> None:
    data = circles(30, 60)
    (job,) = jobs(data, [6], replace(SMALL, polynomial_degree=3), dense=6, dtype="float64")
    flow_map, history = train_scale(job)
    assert history.flow_map.startswith("polynomial")
    assert history.flow_map.endswith("6 outputs")
    encoder = job.train.encoder
    rows = encoder.transform(data.to_array())
    inside = flow_map.within(torch.from_numpy(rows[:, 0])).numpy()
    np.testing.assert_allclose(inside, rows[:, 1:7], atol=1e-12)


@pytest.mark.parametrize(("p", "degree"), [(1, 5), pytest.param(2, 0, marks=pytest.mark.slow)])
def test_a_dense_net_learns_every_output(p: int, degree: int) -> None:
    recipe = replace(
        SMALL,
        rollout_steps=p,
        max_steps=800,
        polynomial_degree=degree,
        hidden_sizes=(32, 32),
        learning_rate=1e-2,
    )
    (job,) = jobs(sine_flow(), [4], recipe, dense=4)
    flow_map, history = train_scale(job)
    assert flow_map.outputs == 4
    assert history.flow_map.endswith("4 outputs")
    rows = torch.from_numpy(job.train.encoder.transform(sine_flow().to_array())).float()
    with torch.inference_mode():
        error = flow_map.within(rows[:, 3]) - rows[:, 4:8]
    moved = rows[:, 4:8] - rows[:, 3:4]
    assert (error.square().mean((0, 2)) < 2e-3 * moved.square().mean((0, 2))).all()


def test_dense_windows_hold_every_state_of_their_steps() -> None:
    data = circles(4, 30)
    dense = replace(sampler(data, 6, p=2), outputs=3)
    plain = sampler(data, 6, p=2)
    np.testing.assert_array_equal(dense.draw(50, 1)[::3], plain.draw(50, 1))
    np.testing.assert_allclose(dense.draw(50, 1)[1], plain.draw(50, 1)[0] @ rotation(0.2).T)


def test_the_net_improves_on_its_polynomial_stage() -> None:
    data = sine_flow()
    recipe = replace(SMALL, polynomial_degree=5, max_steps=800, hidden_sizes=(32, 32))
    encoder = Standardise().fit(data.values)
    (job,) = make_jobs(
        TrainingData(data, data, encoder),
        JobSettings(recipe.override(learning_rate=1e-2).resolve(1, 60, 1200)),
        [1],
    )
    flow_map, history = train_scale(job)
    assert isinstance(flow_map, ResidualNet)
    assert flow_map.base is not None
    assert "polynomial" in history.flow_map
    assert history.validation_error < 0.5 * history.polynomial_error


@pytest.mark.parametrize("better", ["base", "alone"])
def test_a_short_race_decides_on_the_polynomial_stage(
    monkeypatch: pytest.MonkeyPatch, better: str
) -> None:
    """Where it is open whether a base helps, both nets train briefly and the better goes on."""
    errors: list[tuple[bool, int]] = []
    original = loop_module.train

    def train(run: run_module.NetTraining) -> Any:
        has_base = run.net.base is not None
        errors.append((has_base, run.max_steps))
        state = original(run)
        if run.max_steps < 200:
            state.best_error = 0.0 if has_base == (better == "base") else 1.0
        return state

    monkeypatch.setattr(loop_module, "train", train)
    (job,) = jobs(sine_flow(), [1], replace(SMALL, polynomial_degree=5))
    train_scale(replace(job, tuning=Tuning(base_certain=0.0)))
    assert errors[:2] == [(True, 20), (False, 20)]
    assert errors[2] == (better == "base", 200)


def test_a_net_that_is_worse_gives_way_to_the_polynomial() -> None:
    recipe = replace(SMALL, polynomial_degree=2, max_steps=3, learning_rate=1e-9)
    rng = np.random.default_rng(0)
    noisy = circles(30, 40).values.reshape(30, 41, 2) + 0.05 * rng.standard_normal((30, 41, 2))
    (job,) = jobs(Trajectories(noisy, 0.1), [1], recipe)
    flow_map, history = train_scale(job)
    assert isinstance(flow_map, PolynomialMap)
    assert history.validation_error == history.polynomial_error


def test_the_paper_recipe_trains_on_raw_first_windows() -> None:
    recipe = get_recipe("paper").override(hidden_sizes=(16, 16), max_steps=300)
    (job,) = jobs(circles(50, 20), [2], recipe)
    flow_map, history = train_scale(job)
    assert isinstance(flow_map, ResidualNet)
    assert torch.equal(flow_map.scale, torch.ones(2))
    assert history.records[-1]["validation_error"] < history.records[0]["validation_error"]
    assert history.n_windows == 50 * (21 - 10)


def test_training_stops_at_its_target() -> None:
    recipe = replace(SMALL, max_steps=5000, target_error=1e-3, learning_rate=1e-2)
    _, history = train_scale(jobs(circles(30, 60), [5], recipe)[0])
    assert history.stopped_by == "target"
    assert history.records[-1]["step"] < 5000


def test_training_stops_when_nothing_improves() -> None:
    rng = np.random.default_rng(0)
    data = Trajectories(rng.standard_normal((4, 30, 2)))
    held = Trajectories(rng.standard_normal((4, 30, 2)))
    encoder = Standardise().fit(data.values)
    recipe = replace(SMALL, max_steps=2_500, hidden_sizes=(64,), schedule="constant")
    (job,) = make_jobs(
        TrainingData(data, held, encoder), JobSettings(recipe.resolve(2, 4, 120)), [1]
    )
    _, history = train_scale(job)
    assert history.stopped_by == "patience"


@pytest.mark.usefixtures("own_seconds")
def test_training_stops_in_time() -> None:
    recipe = replace(SMALL, max_steps=10_000_000)
    (job,) = jobs(circles(30, 60), [2], recipe)
    job.time_limit = 0.5
    begin = time.perf_counter()
    _, history = train_scale(job)
    assert history.stopped_by == "time"
    assert time.perf_counter() - begin < 5
    assert history.validation_error < 1


def test_a_time_limit_of_no_time_still_gives_a_model() -> None:
    (job,) = jobs(circles(30, 60), [2])
    job.time_limit = 1e-9
    _, history = train_scale(job)
    assert np.isfinite(history.validation_error)


def test_a_constant_feature_stays_exactly_constant() -> None:
    base = circles(30, 60).to_array()
    data = Trajectories(np.concatenate([base, np.full_like(base[..., :1], 7.0)], axis=2), 0.1)
    encoder = Standardise().fit(data.values)
    recipe = replace(SMALL, polynomial_degree=3).resolve(3, 30, data.n_rows)
    (job,) = make_jobs(TrainingData(data, data, encoder), JobSettings(recipe), [1])
    flow_map, _ = train_scale(job)
    z = torch.randn(50, 3)
    assert torch.equal(flow_map(z)[:, 2], z[:, 2])


def test_float64_reaches_below_float32() -> None:
    data = circles(30, 60)
    recipe = replace(SMALL, polynomial_degree=2)
    errors = {}
    for dtype in ("float32", "float64"):
        flow_map, history = train_scale(jobs(data, [1], recipe, dtype=dtype)[0])
        errors[dtype] = history.one_step_mse
        assert flow_map.increment(torch.zeros(1, 2, dtype=getattr(torch, dtype))).dtype == getattr(
            torch, dtype
        )
    assert errors["float64"] < 1e-25 < errors["float32"]


def test_a_training_that_blows_up_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An early finite error does not make a training that ended in NaN acceptable."""
    rates: list[float] = []
    original = run_module.optimisers.build

    def build(name: str, parameters: Any, learning_rate: float) -> Any:
        rates.append(learning_rate)
        return original(name, parameters, learning_rate)

    errors = iter([0.5, float("nan"), *[0.1] * 10_000])
    monkeypatch.setattr(run_module.optimisers, "build", build)
    monkeypatch.setattr(run_module.Objective, "relative_error", lambda *_: next(errors))
    _, history = train_scale(jobs(circles(5, 30), [1])[0])
    assert rates == pytest.approx([3e-3, 0.3 * 3e-3])
    assert (history.validation_error, history.stopped_by) == (0.1, "steps")


def test_the_paper_recipe_has_no_patience_and_stops_by_its_one_step_error() -> None:
    assert get_recipe("paper").patience == 0
    data = circles(40, 20)
    recipe = get_recipe("paper").override(
        hidden_sizes=(32,), activation="tanh", max_steps=4000, target_error=1e-3
    )
    _, history = train_scale(jobs(data, [2], recipe)[0])
    assert history.stopped_by == "target"
    assert history.one_step_mse <= 1e-3
    # Over five steps the error is larger, and would have gone on.
    assert history.records[-1]["validation_error"] > history.one_step_mse


def test_losses_that_are_never_finite_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module.Objective, "relative_error", lambda *_: float("nan"))
    with pytest.raises(TrainingError, match="not finite at any learning rate"):
        train_scale(jobs(circles(5, 30), [1])[0])


def test_short_trajectories_are_named() -> None:
    with pytest.raises(DataError, match="training data: Step size 64"):
        jobs(circles(4, 20), [64])


# Processes, checkpoints, interruption


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_scale_is_trained_in_one_thread(n_jobs: int) -> None:
    """Of BLAS, too, however many there are around it: shared products round otherwise."""

    @register("test-threads")
    class Threads(ScaledNet):
        def __init__(self, dimension: int, base_degree: int | None = None) -> None:
            super().__init__(dimension, base_degree)
            found = [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"]
            assert found
            self.register_buffer("most", torch.tensor([*found, torch.get_num_threads()]).max())
            self.inner = torch.nn.Linear(dimension, dimension)

        def net(self, states: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.inner(states)
            return result

    work = jobs(circles(20, 60), [1, 2], replace(SMALL, flow_map="test-threads", max_steps=2))
    try:
        with threadpool_limits(3, "blas"):
            flow_maps = train_scales(work, n_jobs=n_jobs).flow_maps
            around = [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"]
    finally:
        del FLOW_MAPS.classes["test-threads"]
    assert [int(m.most) for m in flow_maps.values()] == [1, 1]
    assert set(around) == {3}


def test_progress_is_reported() -> None:
    seen: list[np.ndarray] = []
    train_scales(jobs(circles(20, 60), [1, 2]), n_jobs=1, watch=seen.append)
    assert seen[-1].shape == (2, 3)
    assert (seen[-1][:, 0] == seen[-1][:, 1]).all()


class _KilledError(Exception):
    """Stands for SIGKILL inside one process."""


@pytest.mark.parametrize("optimizer", ["soap", pytest.param("adam", marks=pytest.mark.slow)])
def test_a_killed_training_continues_to_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    """Die right after the third checkpoint; resume; compare every bit."""
    recipe = replace(SMALL, max_steps=700, optimizer=optimizer)
    data = circles(20, 60)
    (plain,) = jobs(data, [2], recipe)
    expected, expected_history = train_scale(plain)

    (job,) = jobs(data, [2], recipe)
    job.checkpoint = tmp_path / "part.safetensors"
    job.checkpoint_seconds = 0.0
    saves = []
    original = run_module.save_progress

    def dying(*args: object) -> None:
        original(*args)  # type: ignore[arg-type]
        saves.append(1)
        if len(saves) == 3:
            raise _KilledError

    monkeypatch.setattr(run_module, "save_progress", dying)
    with pytest.raises(_KilledError):
        train_scale(job)
    monkeypatch.setattr(run_module, "save_progress", original)
    steps = []
    resumed, history = train_scale(job, lambda step, total, error: steps.append(step))
    assert steps[0] == 2 * 64
    assert same(resumed, expected)
    assert [r["validation_error"] for r in history.records] == [
        r["validation_error"] for r in expected_history.records
    ]


def test_finished_scales_are_not_trained_again(tmp_path: Path) -> None:
    data = circles(20, 60)
    folder = CheckpointFolder(tmp_path / "new", "key")
    first = train_scales(jobs(data, [1, 2]), n_jobs=1, folder=folder)
    stamps = {p.name: p.stat().st_mtime_ns for p in folder.path.glob("scale-*")}
    assert len(stamps) == 2
    again = train_scales(
        jobs(data, [1, 2, 4]), n_jobs=1, folder=CheckpointFolder(folder.path, "key")
    )
    assert again.flow_maps.keys() == {1, 2, 4}
    assert same(again.flow_maps[2], first.flow_maps[2])
    assert again.histories[2].records == first.histories[2].records
    assert {n: (folder.path / n).stat().st_mtime_ns for n in stamps} == stamps


def test_damaged_checkpoints_are_trained_again(tmp_path: Path) -> None:
    data = circles(20, 60)
    folder = CheckpointFolder(tmp_path, "key")
    first = train_scales(jobs(data, [2]), n_jobs=1, folder=folder)
    (file,) = tmp_path.glob("scale-*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    folder.progress_file(2).write_bytes(b"nonsense")
    job = jobs(data, [2])
    job[0].checkpoint = folder.progress_file(2)
    again = train_scales(job, n_jobs=1, folder=folder)
    assert same(again.flow_maps[2], first.flow_maps[2])


def test_a_folder_of_another_fit_is_refused(tmp_path: Path) -> None:
    CheckpointFolder(tmp_path, "one")
    with pytest.raises(CheckpointError, match="belongs to a fit of other data"):
        CheckpointFolder(tmp_path, "two")
    (tmp_path / "fit.json").write_text("{")
    with pytest.raises(CheckpointError, match="Cannot use"):
        CheckpointFolder(tmp_path, "one")
    with pytest.raises(ArgumentError, match="the path of a file"):
        CheckpointFolder(3, "one")  # type: ignore[arg-type]


def test_the_fingerprint_tells_fits_apart() -> None:
    a, b = circles(3, 20), circles(3, 20, seed=1)
    data, how = TrainingData(a, b, Standardise()), JobSettings(SMALL)
    fits = [
        (data, how, [1]),
        (replace(data, train=b, validation=a), how, [1]),
        (replace(data, scaling=Standardise(common=True)), how, [1]),
        (replace(data, inputs=(np.ones((63, 1)), np.ones((63, 1)))), how, [1]),
        (data, replace(how, seed=1), [1]),
        (data, replace(how, recipe=replace(SMALL, max_steps=1)), [1]),
        (data, replace(how, dtype="float64"), [1]),
        (data, replace(how, hidden_sizes={1: (4,)}), [1]),
        (data, replace(how, recipe=replace(SMALL, windows="coupled")), [1]),
        (data, replace(how, recipe=replace(SMALL, windows="coupled")), [1, 2]),
    ]
    assert len({fingerprint(*fit) for fit in fits}) == len(fits)
    assert fingerprint(data, how, [1]) == fingerprint(data, how, [1, 2])


def test_scales_that_are_cancelled_warn_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Parallel:
        def __init__(self, **settings: Any) -> None:
            pass

        def __call__(self, tasks: Any) -> Any:
            try:
                yield from [(1, "map", "history")] * 3
            finally:
                warnings.warn("tasks have been cancelled", UserWarning, stacklevel=1)

    monkeypatch.setattr(joblib, "Parallel", Parallel)
    monkeypatch.setattr(parallel, "_kill_workers", lambda: None)
    work = [(index, job) for index, job in enumerate(jobs(circles(3, 20), [1, 2]))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        running = parallel._in_processes(work, parallel._Plan(2), None, UNLIMITED)
        next(running)
        running.close()


@pytest.mark.usefixtures("few_forms")
@pytest.mark.parametrize("exact", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_processes_are_for_what_follows_the_finest(
    monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    started: list[int] = []

    def in_processes(todo: Any, *others: Any) -> Any:
        started.extend(job.step_size for _, job in todo)
        return iter(())

    monkeypatch.setattr(parallel, "_in_processes", in_processes)
    work = jobs(circles(20, 60), [1, 2], replace(SMALL, flow_map="closed"))
    found = train_scales(work, n_jobs=2, enough=lambda maps: False, exact=lambda: exact)
    assert (started, set(found.flow_maps)) == (([], {1, 2}) if exact else ([2], {1}))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_keeps_what_is_finished(n_jobs: int) -> None:
    """An interrupt while the second scale trains, after the first was finished."""
    data = circles(20, 60)
    work = jobs(data, [1, 2])
    work[1].recipe = replace(work[1].recipe, max_steps=10_000_000)
    done = threading.Event()

    def watch(board: np.ndarray) -> None:
        if board[0, 0] == board[0, 1] == 1 and board[1, 0] > 0 and not done.is_set():
            done.set()
            os.kill(os.getpid(), signal.SIGINT)

    result = train_scales(work, n_jobs=n_jobs, watch=watch)
    assert result.interrupted
    assert set(result.flow_maps) == {1}


def test_histories_survive_json() -> None:
    history = History(4, [{"step": 1.0}], "steps", "net", 0.1, 0.2, 0.3, 1.0, 9)
    values = history.as_dict() | {"something_new": 1}
    assert History.from_dict(values) == history
