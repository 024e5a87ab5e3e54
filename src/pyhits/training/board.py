"""Where the scales of a fit stand, as every process that trains them writes it."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pyhits.training.callbacks import Callback
from pyhits.training.history import History
from pyhits.training.jobs import Progress
from pyhits.util.progress import Watch

T = TypeVar("T")

#: Seconds between two looks at the board.
_EVERY = 0.2


class StoppedError(Exception):
    """Ends the training of a scale that nobody waits for any more."""


class Board:
    """The progress of all scales.

    Attributes
    ----------
    rows : array, shape (n_scales, 4)
        Step, total, least error and whether training is to stop, in a file that processes share.
    watch : callable, optional
        Is shown the first three of them a few times a second.
    callbacks : Callback, optional
        Are told of progress: of scales in this process by themselves, of others a few times a
        second.
    """

    def __init__(
        self,
        rows: np.ndarray,
        step_sizes: Sequence[int],
        watch: Watch | None = None,
        callbacks: Callback | None = None,
    ) -> None:
        self.rows, self.watch, self.callbacks = rows, watch, callbacks
        self.rows[:, 2] = np.inf
        self._sizes = list(step_sizes)
        self._told = np.zeros((len(rows), 3))
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    @property
    def watched(self) -> bool:
        """Whether anybody looks at it."""
        return self.watch is not None or self.callbacks is not None

    def reporter(self, index: int) -> Progress:
        """Return what a scale in this process reports to."""
        return reporter(self.rows, index, lambda: self._tell(index))

    def finished(self, index: int, history: History) -> None:
        """Note that a scale is finished, and tell of it."""
        with self._lock:
            self.rows[index, :3] = self._told[index] = (1, 1, history.validation_error)
            if self.callbacks is not None:
                self.callbacks.on_scale_end(history.step_size, history)

    def look(self) -> None:
        """Show and tell what is new; what a callback raises stops all training."""
        if self.watch is not None:
            self.watch(np.array(self.rows[:, :3]))
        try:
            for index in range(len(self.rows)):
                self._tell(index)
        except BaseException as error:
            self._error = error
            self.rows[:, 3] = 1

    def heeded(self, results: Generator[T, None, None]) -> Iterator[T]:
        """Yield results until a callback raises while others train; then raise that."""
        with contextlib.closing(results), contextlib.suppress(StoppedError):
            for result in results:
                self._raise()
                yield result
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _tell(self, index: int) -> None:
        if self.callbacks is None or self._error is not None:
            return
        with self._lock:
            now = np.array(self.rows[index, :3])
            if now[1] <= 0 or np.array_equal(now, self._told[index]):
                return
            self._told[index] = now
            self.callbacks.on_progress(self._sizes[index], int(now[0]), int(now[1]), float(now[2]))


def reporter(rows: np.ndarray, index: int, check: Callable[[], None] | None = None) -> Progress:
    """Return what the scale of a row reports to, here or in a worker process."""

    def report(step: int, total: int, error: float) -> None:
        rows[index, :3] = (step, total, error)
        if rows[index, 3]:
            raise StoppedError
        if check is not None:
            check()

    return report


@contextlib.contextmanager
def shared_board(
    step_sizes: Sequence[int], watch: Watch | None, callbacks: Callback | None
) -> Iterator[Board]:
    """Give a board in a file, and look at it a few times a second."""
    with tempfile.TemporaryDirectory(prefix="pyhits-", ignore_cleanup_errors=True) as folder:
        rows: np.memmap[Any, Any] = np.memmap(
            Path(folder) / "progress", dtype=np.float64, mode="w+", shape=(len(step_sizes), 4)
        )
        board = Board(rows, step_sizes, watch, callbacks)
        if not board.watched:
            yield board
            return
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(_EVERY):
                board.look()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield board
        finally:
            stop.set()
            thread.join()
            if watch is not None:
                with contextlib.suppress(Exception):
                    watch(np.array(rows[:, :3]))
