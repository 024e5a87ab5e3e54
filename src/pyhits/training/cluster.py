"""Scales trained on the workers of a Dask cluster; imported when joblib's backend is ``dask``.

Data are scattered to the workers once. What is sent for each scale refers to them, and is small.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import distributed
import numpy as np

from pyhits.errors import TrainingError
from pyhits.flowmaps import FlowMap, register
from pyhits.training.history import History
from pyhits.training.jobs import ScaleJob
from pyhits.training.parallel import train_alone

#: Arrays of more bytes are scattered, not sent with each scale.
_LARGE = 4096

#: Times that a scale is sent again after its worker or its data were lost.
_RETRIES = 3

#: Seconds between two reports of a worker.
_REPORT_EVERY = 0.5

#: PyTorch's random generator and its number of threads belong to the process.
_ONE_AT_A_TIME = threading.Lock()

#: What a worker is sent for one scale: a pickle, names of two things outside of it, and the data.
_Task = tuple[bytes, str | None, str | None]


class _UnwantedError(Exception):
    """Ends a training whose result nobody waits for any more."""


def inside_a_task() -> bool:
    """Whether this code is running on a worker, as part of a task."""
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


def worker_threads(backend: Any) -> list[int]:
    """Return the threads of every worker process, waiting for the first as ``backend`` says.

    Raises
    ------
    TrainingError
        No worker came, or the scheduler is gone.
    """
    try:
        backend.effective_n_jobs(-1)
        return list(backend.client.ncores().values())
    except (TimeoutError, OSError, distributed.CancelledError) as error:
        raise TrainingError(f"The Dask cluster cannot be used. {error}") from None


def results(
    todo: Sequence[tuple[int, ScaleJob]],
    backend: Any,
    board: np.ndarray,
    *,
    at_once: int | None = None,
    watched: bool = False,
) -> Iterator[tuple[int, FlowMap, History]]:
    """Yield ``(index, flow_map, history)`` as the scales finish on the workers.

    Left early, by an error or Ctrl-C, it cancels the other scales: those that wait are dropped,
    those that train end within a few steps.

    Parameters
    ----------
    backend : DaskDistributedBackend
        joblib's; its client is used, and its options for submitting.
    board : array, shape (n_scales, 3)
        Takes the progress of the scales, if it is ``watched``.
    at_once : int, optional
        Scales in the cluster's hands at a time; by default all.

    Raises
    ------
    TrainingError
        Workers died again and again, or the scheduler is gone.
    """
    client = backend.client
    topic = f"pyhits-{uuid.uuid4().hex}" if watched else None
    arrays: list[np.ndarray] = []
    waiting = deque((index, job, _packed(index, job, arrays)) for index, job in todo)
    data: list[Any] = []
    running: dict[Any, tuple[int, ScaleJob, bytes]] = {}
    losses: Counter[int] = Counter()
    trained: set[int] = set()

    def heard(event: tuple[float, tuple[int, float, float, float]]) -> None:
        index, *progress = event[1]
        if index not in trained:
            board[index] = progress

    try:
        if topic is not None:
            client.subscribe_topic(topic, heard)
        done = distributed.as_completed([], loop=client.loop, with_results=True, raise_errors=False)
        # On a worker itself, this task makes room for those that it waits for.
        with backend.retrieval_context():
            while waiting or running:
                if len(data) < len(arrays) or any(f.status != "finished" for f in data):
                    worker_threads(backend)
                    data = client.scatter(arrays, broadcast=True, hash=False)
                while waiting and (at_once is None or len(running) < at_once):
                    index, job, pickled = waiting.popleft()
                    future = client.submit(
                        _train,
                        (pickled, _proof(job), topic),
                        *data,
                        key=f"pyhits-step-size-{job.step_size}-{uuid.uuid4().hex}",
                        **backend.submit_kwargs,
                    )
                    running[future] = index, job, pickled
                    done.add(future)
                future, result = next(done)
                index, job, pickled = running.pop(future)
                # A task that was taken from its worker and given back to it may have stopped: None.
                if future.status == "finished" and result is not None:
                    trained.add(index)
                    yield index, *result
                elif future.status == "error":
                    _, error, traceback = result
                    if isinstance(error, distributed.KilledWorker):
                        raise _lost(job) from error
                    raise error.with_traceback(traceback)
                else:
                    losses[index] += 1
                    if client.status != "running" or losses[index] > _RETRIES:
                        raise _lost(job)
                    waiting.append((index, job, pickled))
    finally:
        with contextlib.suppress(Exception):
            if running:
                client.cancel(list(running))
            for future in data:
                future.release()
            if topic is not None:
                client.unsubscribe_topic(topic)


def _lost(job: ScaleJob) -> TrainingError:
    return TrainingError(
        f"The Dask workers that trained step size {job.step_size} died, or the scheduler did. "
        "Their logs say why: look for memory and time limits. With a checkpoint folder the scales "
        "that were finished are kept."
    )


def _proof(job: ScaleJob) -> str | None:
    """Return what a worker must find beside the progress file for the file to be of use."""
    if job.checkpoint is None:
        return None
    with contextlib.suppress(OSError):
        return _index(job.checkpoint).read_text(encoding="utf-8")
    return None


def _index(checkpoint: Path) -> Path:
    return checkpoint.parent / "fit.json"


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles jobs without their large arrays, which it gathers in ``arrays``, each once."""

    def __init__(self, file: io.BytesIO, arrays: list[np.ndarray]) -> None:
        super().__init__(file)
        self.arrays = arrays

    def persistent_id(self, value: Any) -> int | None:
        """Return the number of a large array."""
        if not isinstance(value, np.ndarray) or value.nbytes <= _LARGE:
            return None
        for number, array in enumerate(self.arrays):
            if array is value:
                return number
        self.arrays.append(value)
        return len(self.arrays) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, arrays: Sequence[np.ndarray]) -> None:
        super().__init__(file)
        self.arrays = arrays

    def persistent_load(self, number: int) -> np.ndarray:
        return self.arrays[number]


def _packed(index: int, job: ScaleJob, arrays: list[np.ndarray]) -> bytes:
    if job.checkpoint is not None:
        # Workers run in folders of their own.
        job = replace(job, checkpoint=job.checkpoint.absolute())
    file = io.BytesIO()
    _Pickler(file, arrays).dump((index, job, job.recipe.net))
    return file.getvalue()


def _train(task: _Task, *arrays: np.ndarray) -> tuple[FlowMap, History] | None:
    """Train one scale on a worker; None if it was cancelled."""
    pickled, proof, topic = task
    worker = distributed.get_worker()
    key = worker.get_current_task()
    index, job, kind = _Unpickler(io.BytesIO(pickled), arrays).load()
    # A family defined in the user's script is not registered on a worker.
    if kind is not None:
        register(job.recipe.flow_map)(kind)
    if not _visible(job.checkpoint, proof):
        job = replace(job, checkpoint=None)
    reported = -_REPORT_EVERY

    def stop_if_unwanted() -> None:
        # The fit was interrupted or killed, or the task was given to another worker.
        known = worker.state.tasks.get(key)
        if known is None or known.state == "cancelled":
            raise _UnwantedError

    def report(step: int, total: int, error: float) -> None:
        nonlocal reported
        stop_if_unwanted()
        if topic is not None and time.monotonic() - reported > _REPORT_EVERY:
            worker.log_event(topic, [index, step, total, float(error)])
            reported = time.monotonic()

    try:
        while not _ONE_AT_A_TIME.acquire(timeout=_REPORT_EVERY):
            stop_if_unwanted()
        try:
            return train_alone(job, report)
        finally:
            _ONE_AT_A_TIME.release()
    except _UnwantedError:
        return None


def _visible(checkpoint: Path | None, proof: str | None) -> bool:
    """Whether this host sees the checkpoint folder that the fit writes to, and may write there."""
    if checkpoint is None or proof is None:
        return False
    index = _index(checkpoint)
    try:
        return index.read_text(encoding="utf-8") == proof and os.access(index.parent, os.W_OK)
    except OSError:
        return False
