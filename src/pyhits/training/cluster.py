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
from pyhits.training.loop import train_alone

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

    Raises TrainingError: no worker came, or the scheduler is gone.
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
    those that train end within a few steps. ``joblib.Parallel`` would let them train on, and it
    waits forever for scales whose workers die.

    Raises TrainingError: workers died again and again, or the scheduler is gone.

    Parameters
    ----------
    backend : DaskDistributedBackend
        joblib's; its client is used, and its options for submitting.
    board : array, shape (n_scales, 3)
        Takes the progress of the scales, if it is ``watched``.
    at_once : int, optional
        Scales in the cluster's hands at a time; by default all.
    """
    topic = f"pyhits-{uuid.uuid4().hex}" if watched else None
    trained: set[int] = set()

    def heard(event: tuple[float, tuple[int, float, float, float]]) -> None:
        index, *progress = event[1]
        if index not in trained:
            board[index] = progress

    submitted = _Submitted(todo, backend, topic)
    try:
        if topic is not None:
            backend.client.subscribe_topic(topic, heard)
        # On a worker itself, this task makes room for those that it waits for.
        with backend.retrieval_context():
            while submitted.refill(at_once):
                result = submitted.next()
                if result is not None:
                    trained.add(result[0])
                    yield result
    finally:
        with contextlib.suppress(Exception):
            submitted.cancel()
            if topic is not None:
                backend.client.unsubscribe_topic(topic)


class _Submitted:
    """Scales of which some wait and some are in the cluster's hands, with their data."""

    def __init__(
        self, todo: Sequence[tuple[int, ScaleJob]], backend: Any, topic: str | None
    ) -> None:
        self.backend, self.client, self.topic = backend, backend.client, topic
        self.arrays: list[np.ndarray] = []
        self.data: list[Any] = []
        self.waiting = deque((i, job, _packed(i, job, self.arrays)) for i, job in todo)
        self.running: dict[Any, tuple[int, ScaleJob, bytes]] = {}
        self.losses: Counter[int] = Counter()
        self.done = distributed.as_completed(
            [], loop=self.client.loop, with_results=True, raise_errors=False
        )

    def refill(self, at_once: int | None) -> bool:
        """Submit scales until ``at_once`` are running; return whether any is."""
        lacking = len(self.data) < len(self.arrays) or any(
            f.status != "finished" for f in self.data
        )
        if lacking and (self.waiting or self.running):
            worker_threads(self.backend)
            self.data = self.client.scatter(self.arrays, broadcast=True, hash=False)
        while self.waiting and (at_once is None or len(self.running) < at_once):
            index, job, pickled = self.waiting.popleft()
            future = self.client.submit(
                _train,
                (pickled, _proof(job), self.topic),
                *self.data,
                key=f"pyhits-step-size-{job.step_size}-{uuid.uuid4().hex}",
                **self.backend.submit_kwargs,
            )
            self.running[future] = index, job, pickled
            self.done.add(future)
        return bool(self.running)

    def next(self) -> tuple[int, FlowMap, History] | None:
        """Return what the next scale came to; None if it was lost, and waits again."""
        future, result = next(self.done)
        index, job, pickled = self.running.pop(future)
        # A task that was taken from its worker and given back to it may have stopped: None.
        if future.status == "finished" and result is not None:
            return index, *result
        if future.status == "error":
            _, error, traceback = result
            if isinstance(error, distributed.KilledWorker):
                raise _lost(job) from error
            raise error.with_traceback(traceback)
        self.losses[index] += 1
        if self.client.status != "running" or self.losses[index] > _RETRIES:
            raise _lost(job)
        self.waiting.append((index, job, pickled))
        return None

    def cancel(self) -> None:
        """Cancel what is running, and let the data go."""
        if self.running:
            self.client.cancel(list(self.running))
        for future in self.data:
            future.release()


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
