"""All scales of one fit, in processes side by side, with progress and a clean Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pyhits.errors import PyHiTSWarning
from pyhits.flowmaps import FlowMap, family, register
from pyhits.training.checkpoint import CheckpointFolder
from pyhits.training.history import History
from pyhits.training.loop import ScaleJob, train_scale

#: Optimiser steps in all, from which on starting processes takes less time than it saves.
_WORTH_PROCESSES = 8000

#: Called with one ``(step, total, validation_error)`` a scale; total 0 means not begun.
Watch = Callable[[np.ndarray], None]


@dataclass
class TrainedScales:
    """What a fit of several scales returned.

    Attributes
    ----------
    flow_maps, histories : dict
        By step size; the finished ones alone if training was interrupted.
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    flow_maps: dict[int, FlowMap]
    histories: dict[int, History]
    interrupted: bool = False


def train_scales(
    jobs: Sequence[ScaleJob],
    *,
    n_jobs: int | None = None,
    folder: CheckpointFolder | None = None,
    watch: Watch | None = None,
) -> TrainedScales:
    """Train every job, each in one thread, and return what was finished.

    The result does not depend on ``n_jobs``: every scale has its own seed and one thread.

    Parameters
    ----------
    n_jobs : int, optional
        Processes; by default one a core, at most one a scale, and one alone for little work. On a
        GPU scales train one after another.
    folder : CheckpointFolder, optional
        Finished scales are taken from it, and written to it as they finish.
    watch : callable, optional
        Receives the progress of all scales a few times a second.
    """
    result = TrainedScales({}, {})
    todo = []
    for index, job in enumerate(jobs):
        done = folder.load(job.step_size) if folder is not None else None
        if done is not None:
            result.flow_maps[job.step_size], result.histories[job.step_size] = done
        else:
            todo.append((index, job))
    workers = n_workers([job for _, job in todo], n_jobs)
    with _board(len(jobs), watch) as board:
        for index, job in enumerate(jobs):
            if job.step_size in result.flow_maps:
                board[index] = (1, 1, result.histories[job.step_size].validation_error)
        try:
            for index, flow_map, history in _results(todo, workers, board):
                step = jobs[index].step_size
                result.flow_maps[step], result.histories[step] = flow_map, history
                board[index] = (1, 1, history.validation_error)
                if folder is not None:
                    folder.save(step, flow_map, history)
        except KeyboardInterrupt:
            result.interrupted = True
    return result


def n_workers(jobs: Sequence[ScaleJob], n_jobs: int | None) -> int:
    """Return how many processes train ``jobs``; see :func:`train_scales`."""
    if any(job.device != "cpu" for job in jobs):
        return 1
    if n_jobs is None:
        small = sum(job.recipe.max_steps or 0 for job in jobs) < _WORTH_PROCESSES
        n_jobs = 1 if small else n_cores()
    return max(1, min(len(jobs), n_jobs))


def n_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _results(
    todo: list[tuple[int, ScaleJob]], workers: int, board: np.ndarray
) -> Iterator[tuple[int, FlowMap, History]]:
    """Yield ``(index, flow_map, history)`` as the scales finish."""
    if workers == 1:
        for index, job in todo:
            yield _train_one(index, job, board)
        return
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=workers, return_as="generator_unordered", max_nbytes="1M")
    generator = parallel(
        delayed(_train_in_worker)(i, job, board, family(job.recipe.flow_map)) for i, job in todo
    )
    try:
        yield from generator
    except BaseException:
        _kill_workers()
        raise


def _kill_workers() -> None:
    """End the worker processes now; they would go on training scales that nobody waits for."""
    from joblib.externals.loky import get_reusable_executor

    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _train_in_worker(
    index: int, job: ScaleJob, board: np.ndarray, kind: type[FlowMap]
) -> tuple[int, FlowMap, History]:
    """Train in a worker process, which leaves Ctrl-C to the process that the user sees."""
    # A family defined in the user's script is not registered in a fresh process.
    register(job.recipe.flow_map)(kind)
    parent = os.getppid()

    def stop_if_orphaned() -> None:
        # The parent was killed: nobody waits for the result, and its checkpoint is on the disk.
        if os.getppid() != parent:
            os._exit(1)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _train_one(index, job, board, stop_if_orphaned)


def _train_one(
    index: int, job: ScaleJob, board: np.ndarray, check: Callable[[], None] | None = None
) -> tuple[int, FlowMap, History]:
    def report(step: int, total: int, error: float) -> None:
        board[index] = (step, total, error)
        if check is not None:
            check()

    threads = torch.get_num_threads()
    if job.device == "cpu":
        torch.set_num_threads(1)
    try:
        flow_map, history = train_scale(job, report)
    finally:
        torch.set_num_threads(threads)
    return index, flow_map, history


@contextlib.contextmanager
def _board(n: int, watch: Watch | None) -> Iterator[np.ndarray]:
    """Give a small array in a file that every process writes its progress to, and watch it."""
    with tempfile.TemporaryDirectory(prefix="pyhits-", ignore_cleanup_errors=True) as folder:
        board: np.memmap[Any, Any] = np.memmap(
            Path(folder) / "progress", dtype=np.float64, mode="w+", shape=(n, 3)
        )
        board[:, 2] = np.inf
        if watch is None:
            yield board
            return
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(0.2):
                watch(np.array(board))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield board
        finally:
            stop.set()
            thread.join()
            with contextlib.suppress(Exception):
                watch(np.array(board))


def warn_interrupted(finished: Sequence[int], missing: Sequence[int]) -> None:
    """Say what an interrupted fit kept."""
    warnings.warn(
        f"Training was interrupted: kept step sizes {list(finished)}, left out {list(missing)}.",
        PyHiTSWarning,
        stacklevel=3,
    )
