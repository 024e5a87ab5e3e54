"""Progress of long jobs: bars on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np

from pyhits.util.printable import printable

#: ``advance(done, total)``.
Advance = Callable[[int, int], None]

#: Called with one ``(step, total, validation_error)`` a scale; total 0 means not begun.
Watch = Callable[[np.ndarray], None]

#: Seconds after which a job is worth a bar.
PATIENCE = 2.0


def say(text: str, *, verbose: bool) -> None:
    """Print a line to standard error, unless told to be silent.

    Where it cannot be written, as on a full disk, the work goes on without it.
    """
    if verbose and sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(printable(text), file=sys.stderr, flush=True)


@contextmanager
def bar(label: str, *, verbose: bool) -> Iterator[Advance | None]:
    """Show a bar once a job has taken two seconds; gives None where nobody would see it."""
    if not (verbose and sys.stderr is not None and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    begin = time.perf_counter()
    bars = Progress(console=Console(stderr=True), transient=True)
    task = bars.add_task(label, total=None)

    def advance(done: int, total: int) -> None:
        if not bars.live.is_started and time.perf_counter() - begin > PATIENCE:
            bars.start()
        bars.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        bars.stop()


@contextmanager
def scale_bars(step_sizes: Sequence[int], *, verbose: bool) -> Iterator[Watch | None]:
    """Show one bar a scale while they train; gives None where nobody would see it."""
    if not (verbose and sys.stderr is not None and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("step size {task.fields[size]:>5}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("error {task.fields[error]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bars:
        tasks = [bars.add_task("", size=s, error="-", total=1, start=False) for s in step_sizes]
        started = [False] * len(tasks)

        def watch(board: np.ndarray) -> None:
            for k, (step, total, error) in enumerate(board):
                if total <= 0:
                    continue
                if not started[k]:
                    bars.start_task(tasks[k])
                    started[k] = True
                shown = f"{error:.1e}" if np.isfinite(error) else "-"
                bars.update(tasks[k], completed=step, total=total, error=shown)

        yield watch
