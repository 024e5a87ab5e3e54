"""All scales of one fit, in processes or on a cluster, with progress and a clean Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError, InterruptedWarning, warn
from pyhits.flowmaps import FlowMap, register
from pyhits.training.board import Board, reporter, shared_board
from pyhits.training.callbacks import Callback
from pyhits.training.checkpoint import CheckpointFolder
from pyhits.training.closed import may_try_nets
from pyhits.training.history import History
from pyhits.training.jobs import Progress, ScaleJob
from pyhits.training.loop import train_alone
from pyhits.training.stacked import train_stacked
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.progress import Watch

#: Seconds that a scale is given where there are none left: one validation of a net, one form.
_LEAST_TURN = 1e-9

#: Optimiser steps in all, from which on starting processes takes less time than it saves.
_WORTH_PROCESSES = 8000

#: Seconds of training from which on processes, which import PyTorch first, are started: by
#: themselves, and where they were asked for.
_LEAST_SECONDS, _LEAST_SECONDS_ASKED = 20.0, 8.0

#: Scales that do, where coarse ones are trained only while they pay.
_FEW = 4

#: Optimiser steps that take as long as a search among closed forms, and as nets that may follow.
_SEARCH, _NETS = 600, 3000


@dataclass
class TrainedScales:
    """What a fit of several scales returned."""

    #: flow_maps, histories: By step size; the finished ones alone if training was interrupted.
    flow_maps: dict[int, FlowMap]
    histories: dict[int, History]
    interrupted: bool = False  # whether Ctrl-C ended it


def train_scales(
    jobs: Sequence[ScaleJob],
    *,
    n_jobs: int | None = None,
    folder: CheckpointFolder | None = None,
    watch: Watch | None = None,
    callbacks: Callback | None = None,
    clock: Clock = UNLIMITED,
    enough: Callable[[Mapping[int, FlowMap]], bool] | None = None,
    exact: Callable[[], bool] | None = None,
) -> TrainedScales:
    """Train every job, each in one thread, and return what was finished.

    The result does not depend on ``n_jobs``: every scale has its own seed and one thread.

    Raises ArgumentError: joblib's active backend is none that scales can be trained on.
    Raises TrainingError: a scale could not be trained, or a cluster lost it.

    Parameters
    ----------
    n_jobs : int, optional
        Processes; by default what an active ``joblib.parallel_config`` says, else one a core, at
        most one a scale, and one alone for little work. -1 is one a core. On a GPU scales train in
        one stack. With joblib's ``dask`` backend, the scales that the cluster trains at a time: by
        default all that its workers can. With 1 they train in this process, whatever the backend.
    folder : CheckpointFolder, optional
        Finished scales are taken from it, and written to it as they finish.
    watch : callable, optional
        Receives the progress of all scales a few times a second.
    callbacks : Callback, optional
        Are told of progress and of finished scales. On a cluster one that raises while a scale
        trains ends training when the next is finished.
    clock : Clock, optional
        What is left of it is shared by the scales that still wait, the start of processes
        included; short ones are not worth that start, and all scales train in this process.
    enough : callable, optional
        Is given the flow maps as they are finished, by step size; where it is true, no further
        scale is trained.
    exact : callable, optional
        Tells whether nets of coarser steps can no longer do better than what is finished: they are
        left out of scales that begin then.
    """
    result = TrainedScales({}, {})
    todo = []
    for index, job in enumerate(jobs):
        done = folder.load(job.step_size) if folder is not None else None
        if done is not None:
            result.flow_maps[job.step_size], result.histories[job.step_size] = done
        else:
            todo.append((index, job))
    if jobs and jobs[0].leads_coarser and jobs[0].step_size in result.flow_maps:
        size = jobs[0].step_size
        finest = result.flow_maps[size], result.histories[size]
        todo = [(index, job.after(*finest)) for index, job in todo]
    plan = _plan([job for _, job in todo], n_jobs, clock, few=enough is not None)
    if plan.note:
        warn(plan.note)
    with shared_board([job.step_size for job in jobs], watch, callbacks) as board:
        try:
            for index, job in enumerate(jobs):
                if job.step_size in result.flow_maps:
                    board.finished(index, result.histories[job.step_size])
            for index, flow_map, history in board.heeded(_results(todo, plan, board, clock, exact)):
                step = jobs[index].step_size
                result.flow_maps[step], result.histories[step] = flow_map, history
                if folder is not None:
                    folder.save(step, flow_map, history)
                board.finished(index, history)
                # All scales of a cluster train at once.
                if enough is not None and plan.cluster is None and enough(result.flow_maps):
                    break
        except KeyboardInterrupt:
            result.interrupted = True
    return result


def n_workers(jobs: Sequence[ScaleJob], n_jobs: int | None = None, clock: Clock = UNLIMITED) -> int:
    """Return how many processes train ``jobs``; see :func:`train_scales`."""
    return _plan(jobs, n_jobs, clock).workers


@dataclass(frozen=True)
class _Plan:
    """Where scales are trained."""

    workers: int = 1  # processes that train side by side
    cluster: Any = None  # joblib's, if they are the workers of a cluster
    #: Scales that a cluster is given at a time; None for all, since it may grow.
    at_once: int | None = None
    note: str = ""  # what the user should know


def _plan(
    jobs: Sequence[ScaleJob], n_jobs: int | None, clock: Clock = UNLIMITED, *, few: bool = False
) -> _Plan:
    """Decide where to train, from ``n_jobs``, joblib's active backend and the time there is.

    ``few`` says that a few of the scales will do, probably.
    """
    from joblib.parallel import BACKENDS, get_active_backend

    backend, wanted = get_active_backend()
    n_jobs = wanted if n_jobs is None else n_jobs
    if n_jobs == 1 or not jobs:
        return _Plan()
    known = (name for name, kind in BACKENDS.items() if type(backend) is kind)
    name = next(known, type(backend).__name__)
    if name == "dask":
        return _cluster_plan(backend, jobs, n_jobs)
    if any(job.device != "cpu" for job in jobs) or name == "sequential" or backend.nesting_level:
        # Fits that joblib runs side by side have their cores already.
        return _Plan()
    if name == "threading":
        return _Plan(
            note="Threads share PyTorch's random generator, so the scales train one after another "
            "under joblib's threading backend; loky trains them in processes side by side."
        )
    if name != "loky":
        raise ArgumentError(
            f"Expected joblib's backend loky, dask, threading or sequential, got {name!r}. Choose "
            "one of these, or train in this process with n_jobs=1."
        )
    if clock.left < (_LEAST_SECONDS if n_jobs is None else _LEAST_SECONDS_ASKED):
        return _Plan()
    if n_jobs is None:
        small = sum(_work(job) for job in jobs[: _FEW if few else None]) < _WORTH_PROCESSES
        n_jobs = 1 if small else n_cores()
    elif n_jobs < 0:
        n_jobs = n_cores() + 1 + n_jobs
    return _Plan(max(1, min(len(jobs), n_jobs)))


def _work(job: ScaleJob) -> int:
    """Return the optimiser steps that training takes, or that take as long as a search does."""
    if not job.recipe.is_closed:
        return job.recipe.max_steps or 0
    return _SEARCH + _NETS * may_try_nets(job)


def _cluster_plan(backend: Any, jobs: Sequence[ScaleJob], n_jobs: int | None) -> _Plan:
    # Imported here: it needs the extra "dask", which the backend shows to be installed.
    from pyhits.training import cluster

    if n_jobs is None and cluster.inside_a_task():
        # Whoever sent this fit to the cluster has spread its work already.
        return _Plan()
    threads = cluster.worker_threads(backend)
    at_once = None
    if n_jobs is not None and n_jobs != -1:
        at_once = max(1, n_jobs if n_jobs > 0 else len(threads) + 1 + n_jobs)
    workers = max(1, min(len(jobs), len(threads), at_once or len(jobs)))
    note = ""
    if max(threads, default=1) > 1 and workers == len(threads) < len(jobs):
        note = (
            f"A worker process trains one scale at a time, so {workers} of the {sum(threads)} "
            "threads of the Dask cluster are used. Start it with one thread a worker."
        )
    return _Plan(workers, backend, at_once, note)


def n_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _results(
    todo: list[tuple[int, ScaleJob]],
    plan: _Plan,
    board: Board,
    clock: Clock,
    exact: Callable[[], bool] | None = None,
) -> Generator[tuple[int, FlowMap, History], None, None]:
    """Yield ``(index, flow_map, history)`` as the scales finish."""
    if len(todo) > 1 and todo[0][1].leads_coarser:
        yield from _after_the_finest(todo, plan, board, clock, exact)
        return
    turns = -(-len(todo) // plan.workers)
    for _, job in todo:
        # Where all begin at once, or on machines whose clocks are not this one's.
        _begin_turn(job, clock, turns)
    if plan.cluster is not None:
        from pyhits.training import cluster

        rows, at_once = board.rows[:, :3], plan.at_once
        yield from cluster.results(todo, plan.cluster, rows, at_once=at_once, watched=board.watched)
        return
    nets = not any(job.recipe.is_closed for _, job in todo)
    if todo and nets and all(job.device != "cpu" for _, job in todo):
        jobs = [job for _, job in todo]
        reports = [board.reporter(index) for index, _ in todo]
        for k, flow_map, history in train_stacked(jobs, reports):
            yield todo[k][0], flow_map, history
        return
    if plan.workers > 1 and exact is not None and nets and todo:
        # Where closed forms are exact, nothing is left that would take long.
        yield _train_one(*todo[0], board.reporter(todo[0][0]))
        todo, plan = todo[1:], _Plan() if exact() else plan
    if plan.workers == 1:
        for k, (index, job) in enumerate(todo):
            _begin_turn(job, clock, len(todo) - k)
            job.polynomial_only = exact is not None and exact()
            yield _train_one(index, job, board.reporter(index))
        return
    yield from _in_processes(todo, plan, board, clock)


def _in_processes(
    todo: list[tuple[int, ScaleJob]], plan: _Plan, board: Board, clock: Clock
) -> Generator[tuple[int, FlowMap, History], None, None]:
    """Yield ``(index, flow_map, history)`` as processes of this machine finish the scales."""
    from joblib import Parallel, delayed

    turns = -(-len(todo) // plan.workers)
    parallel = Parallel(n_jobs=plan.workers, return_as="generator_unordered", max_nbytes="1M")
    generator = parallel(
        delayed(_train_in_worker)(
            i, job, board.rows, job.recipe.net, clock, turns - k // plan.workers
        )
        for k, (i, job) in enumerate(todo)
    )
    try:
        for finished in generator:  # noqa: UP028 - "yield from" would close it before it gets here
            yield finished
    except BaseException:
        with warnings.catch_warnings():  # that scales were cancelled is what was meant
            warnings.simplefilter("ignore", UserWarning)
            generator.close()
        _kill_workers()
        raise


def _after_the_finest(
    todo: list[tuple[int, ScaleJob]],
    plan: _Plan,
    board: Board,
    clock: Clock,
    exact: Callable[[], bool] | None,
) -> Iterator[tuple[int, FlowMap, History]]:
    """Yield what :func:`_results` does, the others with what the finest scale has come to."""
    _begin_turn(todo[0][1], clock, 2)  # the others begin from it, and take less
    finest = _train_one(*todo[0], board.reporter(todo[0][0]))
    yield finest
    others = [(index, job.after(*finest[1:])) for index, job in todo[1:]]
    if plan.cluster is None and exact is not None and exact():
        plan = _Plan()  # what is left is not worth the start of processes
    yield from _results(others, plan, board, clock)


def _kill_workers() -> None:
    """End the worker processes now; they would go on training scales that nobody waits for."""
    from joblib.externals.loky import get_reusable_executor

    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _begin_turn(job: ScaleJob, clock: Clock, turns: int) -> None:
    """Give a scale that begins now its share of the time, with ``turns`` to come, its own first."""
    if clock.is_limited:
        job.time_limit = max(clock.left / turns, _LEAST_TURN)


def _train_in_worker(
    index: int,
    job: ScaleJob,
    rows: np.ndarray,
    kind: type[FlowMap] | None,
    clock: Clock,
    turns: int,
) -> tuple[int, FlowMap, History]:
    """Train in a worker process, which leaves Ctrl-C to the process that the user sees."""
    _begin_turn(job, clock, turns)
    # A family defined in the user's script is not registered in a fresh process.
    if kind is not None:
        register(job.recipe.flow_map)(kind)
    parent = os.getppid()

    def stop_if_orphaned() -> None:
        # The parent was killed: nobody waits for the result, and its checkpoint is on the disk.
        if os.getppid() != parent:
            os._exit(1)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would name a line that is nobody's
        return _train_one(index, job, reporter(rows, index, stop_if_orphaned))


def _train_one(index: int, job: ScaleJob, report: Progress) -> tuple[int, FlowMap, History]:
    return index, *train_alone(job, report)


def warn_interrupted(finished: Sequence[int], missing: Sequence[int]) -> None:
    """Say what an interrupted fit kept."""
    warn(
        f"Training was interrupted: kept step sizes {list(finished)}, left out {list(missing)}.",
        InterruptedWarning,
    )
