"""Scales on the workers of a Dask cluster: the same bits, data sent once, failures, Ctrl-C."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
import torch
from conftest import circles, quick

import pyhits
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, PyHiTSWarning, TrainingError
from pyhits.flowmaps import FlowMap, ScaledNet, register
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.training import Recipe, ScaleJob
from pyhits.training.checkpoint import CheckpointFolder
from pyhits.training.jobs import JobSettings, TrainingData, make_jobs
from pyhits.training.parallel import _plan, train_scales

distributed = pytest.importorskip("distributed")

SMALL = Recipe(hidden_sizes=(8,), batch_size=64, max_steps=100, polynomial_degree=0)


@pytest.fixture(scope="module")
def client(two_workers: Any) -> Iterator[Any]:
    # What tests define travels whole: workers need not import this module, and pytest with it.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield two_workers
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def dask(client: Any) -> Iterator[Any]:
    """The client, both its workers there, as joblib's backend."""
    client.wait_for_workers(2, timeout=300)
    with joblib.parallel_config(backend="dask"):
        yield client


def jobs(sizes: list[int], recipe: Recipe = SMALL, **options: Any) -> list[ScaleJob]:
    data = circles(40, 200)
    encoder = Standardise().fit(data.values)
    resolved = recipe.resolve(data.n_features, len(data), data.n_rows)
    return make_jobs(
        TrainingData(data, circles(10, 200, seed=1), encoder),
        JobSettings(resolved, seed=3, **options),
        sizes,
    )


def n_workers(work: list[ScaleJob], n_jobs: int | None) -> int:
    """How many processes would train these scales."""
    return _plan(work, n_jobs).workers


def same(one: dict[int, FlowMap], other: dict[int, FlowMap]) -> bool:
    if one.keys() != other.keys():
        return False
    pairs = [(one[k].state_dict(), other[k].state_dict()) for k in one]
    return all(a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in pairs)


def eventually(true: Callable[[], bool], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def idle(client: Any) -> bool:
    """Whether no worker computes, by the workers' own account, and no arrays are left on them."""

    def busy(dask_worker: Any) -> bool:
        arrays = [key for key in dask_worker.data if str(key).startswith("ndarray")]
        return bool(dask_worker.state.executing or arrays)

    return not any(client.run(busy).values())


# The same model, wherever it is trained


def test_a_fit_on_the_cluster_is_bit_equal(dask: Any) -> None:
    """Even a small one goes there, and one of a single scale."""
    data = circles(40, 200)
    run = []
    dask.submit = lambda *a, **k: run.append(k["key"]) or type(dask).submit(dask, *a, **k)
    try:
        for sizes in ([1, 2, 4], [4]):
            run.clear()
            there = quick(step_sizes=sizes, polynomial_degree=0, n_jobs=None).fit(data)
            assert len(run) == len(sizes)
            here = quick(step_sizes=sizes, polynomial_degree=0).fit(data)
            assert len(run) == len(sizes)
            assert same(there.flow_maps_, here.flow_maps_)
            assert there.selection_.step_sizes == here.selection_.step_sizes
            assert there.selection_.error == here.selection_.error
            for s in sizes:
                errors = [r["validation_error"] for r in there.history_[s].records]
                assert errors == [r["validation_error"] for r in here.history_[s].records]
    finally:
        del dask.submit


def test_parallel_backend_is_the_same(client: Any) -> None:
    with joblib.parallel_backend("dask"):
        assert n_workers(jobs([1, 2, 4]), None) == 2
        assert n_workers(jobs([1]), None) == 1
        there = train_scales(jobs([1, 2, 4]))
    assert same(there.flow_maps, train_scales(jobs([1, 2, 4]), n_jobs=1).flow_maps)


@pytest.mark.parametrize("n_jobs", [1, 2, -1, -2])
def test_n_jobs_limits_what_the_cluster_holds(
    dask: Any, monkeypatch: pytest.MonkeyPatch, n_jobs: int
) -> None:
    at_once, most = 0, 0
    done = distributed.as_completed

    class Counted(done):  # type: ignore[misc, valid-type]
        def add(self, future: Any) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            super().add(future)

        def __next__(self) -> Any:
            nonlocal at_once
            found = super().__next__()
            at_once -= 1
            return found

    monkeypatch.setattr(distributed, "as_completed", Counted)
    train_scales(jobs([1, 2, 4]), n_jobs=n_jobs)
    assert most == {1: 0, 2: 2, -1: 3, -2: 1}[n_jobs]


def test_one_scale_at_a_time_in_processes_of_several_threads() -> None:
    """Threads of one process would share the random generator that initial weights come from."""
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=4,
            processes=False,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
        pytest.warns(PyHiTSWarning, match="1 of the 4 threads of the Dask cluster"),
    ):
        there = train_scales(jobs([1, 2, 4]))
    assert same(there.flow_maps, train_scales(jobs([1, 2, 4]), n_jobs=1).flow_maps)


@pytest.mark.slow
def test_a_family_that_workers_cannot_import(dask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FLOW_MAPS, "classes", dict(FLOW_MAPS.classes))

    @register("test-local")
    class Local(ScaledNet):
        def __init__(self, dimension: int, base_degree: int | None = None) -> None:
            super().__init__(dimension, base_degree)
            self.inner = torch.nn.Linear(dimension, 8)
            self.outer = torch.nn.Linear(8, dimension)

        def net(self, states: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.outer(torch.sin(self.inner(states)))
            return result

    work = jobs([1, 4], replace(SMALL, flow_map="test-local"))
    there = train_scales(work)
    assert all(type(flow_map) is Local for flow_map in there.flow_maps.values())
    assert same(there.flow_maps, train_scales(work, n_jobs=1).flow_maps)


def _fit_in_a_task(n_jobs: int | None) -> tuple[int, list[bytes]]:
    with joblib.parallel_config(backend="dask"):
        workers = n_workers(jobs([1, 2]), n_jobs)
        trained = train_scales(jobs([1, 2]), n_jobs=n_jobs).flow_maps
    maps = [trained[size] for size in sorted(trained)]
    return workers, [w.detach().numpy().tobytes() for m in maps for w in m.parameters()]


def test_fits_inside_tasks_neither_spread_nor_block(dask: Any) -> None:
    """As many of them as workers: those that ask for the cluster make room for their scales."""
    alone = dask.map(_fit_in_a_task, [None, None], pure=False)
    (workers, weights), other = dask.gather(alone)
    assert workers == 1
    asked = dask.map(_fit_in_a_task, [2, 2], pure=False)
    assert dask.gather(asked) == [(2, weights)] * 2
    assert other == (1, weights)


# What travels


def test_data_are_scattered_once_and_tasks_are_small(
    dask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scattered, sent = [], []
    scatter, submit = dask.scatter, dask.submit

    def counted_scatter(arrays: list[np.ndarray], **options: Any) -> Any:
        scattered.append(([a.nbytes for a in arrays], options["broadcast"]))
        return scatter(arrays, **options)

    def counted_submit(function: Any, task: Any, *data: Any, **options: Any) -> Any:
        sent.append(len(pickle.dumps((function, task))))
        assert all(isinstance(d, distributed.Future) for d in data)
        return submit(function, task, *data, **options)

    monkeypatch.setattr(dask, "scatter", counted_scatter)
    monkeypatch.setattr(dask, "submit", counted_submit)
    work = jobs([1, 2, 4, 8])
    train_scales(work)
    size = [work[0].train.values.nbytes, work[0].validation.values.nbytes]
    assert scattered == [(size, True)]
    assert len(sent) == 4
    assert max(sent) < 5000 < sum(size) / 20
    assert eventually(lambda: idle(dask))


@pytest.mark.slow
def test_progress_arrives_while_scales_train(dask: Any) -> None:
    seen: list[np.ndarray] = []
    train_scales(jobs([1, 2], replace(SMALL, max_steps=1000)), watch=seen.append)
    assert seen[-1].tolist() == [[1, 1, e] for e in seen[-1][:, 2]]
    assert any(0 < step < total == 1000 for board in seen for step, total, _ in board)


# Checkpoints


@pytest.mark.slow
def test_checkpoints(dask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent writes finished scales, workers unfinished ones, wherever they run."""
    monkeypatch.chdir(tmp_path)
    folder = CheckpointFolder("folder", "key")
    work = jobs([1, 2], replace(SMALL, max_steps=600))
    for job in work:
        job.checkpoint, job.checkpoint_seconds = folder.progress_file(job.step_size), 0.0
    parts: set[str] = set()
    trained = train_scales(
        work, folder=folder, watch=lambda _: parts.update(p.name for p in _parts(tmp_path))
    )
    assert parts >= {"scale-000001.part.safetensors"}
    assert not _parts(tmp_path)
    assert folder.load(1) is not None
    assert same(train_scales(work, folder=folder).flow_maps, trained.flow_maps)
    assert same(train_scales(work, n_jobs=1).flow_maps, trained.flow_maps)


def _parts(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part.safetensors"))


@pytest.mark.parametrize("seen", ["nothing", "another fit"])
def test_hosts_that_do_not_see_the_checkpoint_folder(dask: Any, tmp_path: Path, seen: str) -> None:
    """They leave unfinished scales out; what is there under the same path stays as it is."""
    folder = CheckpointFolder(tmp_path / "parent", "key")
    work = jobs([1, 2])
    for job in work:
        job.checkpoint, job.checkpoint_seconds = folder.progress_file(job.step_size), 0.0
    elsewhere = tmp_path / "worker"
    if seen == "another fit":
        CheckpointFolder(elsewhere, "another")
    moved = [replace(j, checkpoint=elsewhere / j.checkpoint.name) for j in work if j.checkpoint]
    original = pyhits.training.cluster._proof
    with pytest.MonkeyPatch.context() as patch:
        # The parent reads its own folder, the workers look into another under that name.
        patch.setattr("pyhits.training.cluster._proof", lambda _: original(work[0]))
        trained = train_scales(moved, folder=folder)
    assert not _parts(tmp_path)
    assert {p.name for p in folder.path.glob("scale-*")} == {
        "scale-000001.safetensors",
        "scale-000002.safetensors",
    }
    assert elsewhere.exists() == (seen == "another fit")
    assert same(trained.flow_maps, train_scales(work, n_jobs=1).flow_maps)


# Failures


def test_errors_of_workers_are_those_of_a_local_fit(dask: Any) -> None:
    work = jobs([1, 2], replace(SMALL, learning_rate=1e30, optimizer="adam"))
    long = jobs([4], replace(SMALL, max_steps=10_000_000))
    with pytest.raises(TrainingError, match="step size 1 was not finite at any learning rate"):
        train_scales([work[0], *long])
    assert eventually(lambda: idle(dask))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_ctrl_c_cancels_and_keeps_what_is_finished(dask: Any, n_jobs: int | None) -> None:
    work = jobs([1, 2, 4])
    for job in work[1:]:
        job.recipe = replace(job.recipe, max_steps=10_000_000)
    pressed = -np.inf

    def watch(board: np.ndarray) -> None:
        nonlocal pressed
        # Python drops an interrupt that comes while it runs a finaliser: press again, as people do.
        done = board[0, 0] == board[0, 1] == 1
        if done and board[1, 0] > 0 and time.monotonic() > pressed + 60:
            pressed = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)

    result = train_scales(work, n_jobs=n_jobs, watch=watch)
    assert result.interrupted
    assert set(result.flow_maps) == {1}
    assert eventually(lambda: idle(dask))


def _is_first(path: Path) -> bool:
    """Whether no other process has made this file before."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def test_scales_of_dead_workers_are_trained_again(
    dask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both workers go the data, which are scattered again."""
    monkeypatch.setattr(FLOW_MAPS, "classes", dict(FLOW_MAPS.classes))
    parent, folder, victims = os.getpid(), str(tmp_path), 2

    @register("test-mortal")
    class Mortal(ScaledNet):
        """Takes its worker with it, once as many workers have begun a scale as are to die."""

        def __init__(self, dimension: int, base_degree: int | None = None) -> None:
            super().__init__(dimension, base_degree)
            self.inner = torch.nn.Linear(dimension, dimension)
            dies = os.getpid() != parent and any(
                _is_first(Path(folder, str(k))) for k in range(victims)
            )
            if dies:
                eventually(lambda: len(list(Path(folder).iterdir())) == victims)
                os.kill(os.getpid(), signal.SIGKILL)

        def net(self, states: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.inner(states)
            return result

    work = jobs([1, 2], replace(SMALL, flow_map="test-mortal"))
    trained = train_scales(work)
    assert len(list(tmp_path.iterdir())) == victims
    assert same(trained.flow_maps, train_scales(work, n_jobs=1).flow_maps)


def test_a_scale_that_kills_its_workers(dask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask.cluster.scheduler, "allowed_failures", 0)
    monkeypatch.setattr(FLOW_MAPS, "classes", dict(FLOW_MAPS.classes))

    @register("test-deadly")
    class Deadly(ScaledNet):
        def __init__(self, dimension: int, base_degree: int | None = None) -> None:
            os._exit(1)

    with pytest.raises(TrainingError, match="workers that trained step size 2 died"):
        train_scales(jobs([2], replace(SMALL, flow_map="test-deadly")))


def test_a_cluster_without_workers() -> None:
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask", wait_for_workers_timeout=0.2),
        pytest.raises(TrainingError, match=r"cannot be used.*no worker after 0.2 seconds"),
    ):
        train_scales(jobs([1]))


# joblib's other backends


def test_the_number_of_processes_may_come_from_joblib() -> None:
    with joblib.parallel_config(n_jobs=2):
        assert n_workers(jobs([1, 2, 4]), None) == 2
        assert n_workers(jobs([1, 2, 4]), 3) == 3
    assert n_workers(jobs([1, 2, 4]), None) == 1


def test_threads_train_one_after_another() -> None:
    with (
        joblib.parallel_config(backend="threading", n_jobs=2),
        pytest.warns(PyHiTSWarning, match="one after another under joblib's threading backend"),
    ):
        found = train_scales(jobs([1, 2]))
    assert same(found.flow_maps, train_scales(jobs([1, 2]), n_jobs=1).flow_maps)


def test_fits_inside_of_joblib_keep_to_their_process() -> None:
    work = jobs([1, 2], replace(SMALL, max_steps=10_000))
    counted = joblib.Parallel(n_jobs=2, backend="threading")(
        joblib.delayed(n_workers)(work, n_jobs) for n_jobs in (None, 2)
    )
    assert counted == [1, 1]


def test_backends_that_cannot_be_used_are_named() -> None:
    with joblib.parallel_config(backend="multiprocessing", n_jobs=2):
        with pytest.raises(ArgumentError, match="got 'multiprocessing'"):
            train_scales(jobs([1, 2]))
        assert set(train_scales(jobs([1, 2]), n_jobs=1).flow_maps) == {1, 2}
