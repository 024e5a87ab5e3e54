"""Objects that are told how a fit goes, and two that write it down."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyhits.data.files.guard import as_path
from pyhits.errors import ArgumentError, FileFormatError, PyHiTSError, warn
from pyhits.util.atomic import first_line, make_folder
from pyhits.util.checks import shown
from pyhits.util.extras import need

if TYPE_CHECKING:
    from pyhits.timestepper import TimeStepper
    from pyhits.training.history import History


class Callback:
    """What is told how a fit goes; subclasses override what they want to hear.

    All methods are called in the process that called ``fit``, one at a time. One that raises ends
    the fit: the estimator stays as it was, and finished scales are in the checkpoint, if there is
    one. ``KeyboardInterrupt`` ends training early, as Ctrl-C does, and keeps finished scales.
    """

    def on_fit_begin(self) -> None:
        """Data and settings are accepted; nothing has been computed."""

    def on_progress(self, step_size: int, step: int, total: int, error: float) -> None:
        """Hear from a scale that trains.

        Parameters
        ----------
        step_size : int
            Rows per step of the flow map.
        step, total : int
            How much of its training is done: optimiser steps of a net, candidates of a closed form.
        error : float
            The least validation error so far; infinite before the first.
        """

    def on_scale_end(self, step_size: int, history: History) -> None:
        """Hear that a scale is finished, or was found finished in the checkpoint.

        Parameters
        ----------
        step_size : int
        history : History
            What was trained; ``history.records`` holds every validation.
        """

    def on_fit_end(self, model: TimeStepper | None) -> None:
        """Hear that the fit is over; ``model`` is None if it failed."""


class _Logger(Callback):
    """What writes: a place that cannot be written to ends a fit at its beginning, not later."""

    def __init__(self, path: str | Path) -> None:
        self._place = as_path(path)
        self._failed = False

    def _begin_with(self, write: Callable[[], None]) -> None:
        """Write for the first time.

        Raises FileFormatError: that cannot be done.
        """
        self._failed = False
        try:
            write()
        except PyHiTSError:
            raise
        except OSError as error:
            raise FileFormatError(
                f"Cannot write {self._place}: {first_line(error)}. Check the folder, its "
                "permissions and the space left."
            ) from error

    def _go_on_with(self, write: Callable[[], None]) -> None:
        """Write more; if that fails, a warning says so, and no more is written."""
        if self._failed:
            return
        try:
            write()
        except OSError as error:
            self._failed = True
            warn(
                f"{type(self).__name__} cannot write {self._place} any more: {first_line(error)}. "
                "The fit goes on without it."
            )


class CSVLogger(_Logger):
    """Write a table of the training: one row for each report, and one for each finished scale.

    Its columns are ``seconds`` since the fit began, ``step_size``, ``step``, ``total``, ``error``
    and, where a scale is finished, ``flow_map``. A file that is there is written anew.

    Parameters
    ----------
    path : path
        A fit that finds that it cannot be written to ends with a FileFormatError; where that is so
        later, as on a full disk, a warning says so and the fit goes on.
    """

    COLUMNS = ("seconds", "step_size", "step", "total", "error", "flow_map")

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.path = self._place
        self._begin = 0.0

    def on_fit_begin(self) -> None:
        """Write the names of the columns."""
        self._begin = time.perf_counter()
        self._begin_with(self._head)

    def on_progress(self, step_size: int, step: int, total: int, error: float) -> None:
        """Add a row."""
        self._add(step_size, step, total, error, "")

    def on_scale_end(self, step_size: int, history: History) -> None:
        """Add a row with the flow map."""
        steps = int(history.records[-1].get("step", 0)) if history.records else 0
        self._add(step_size, steps, steps, history.validation_error, history.flow_map)

    def _head(self) -> None:
        make_folder(self.path.parent)
        self.path.write_text(",".join(self.COLUMNS) + "\n", encoding="utf-8")

    def _add(self, *values: Any) -> None:
        seconds = round(time.perf_counter() - self._begin, 3)

        def add() -> None:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow([seconds, *values])

        self._go_on_with(add)


class TensorBoardLogger(_Logger):
    """Write errors for TensorBoard: ``error/step size 4`` while a scale trains, and at its end.

    Parameters
    ----------
    folder : path
        Where ``tensorboard --logdir`` looks.

    Raises
    ------
    MissingExtraError
        The package ``tensorboard`` is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder)
        self.folder = self._place
        self._tools = need(
            "torch.utils.tensorboard",
            "tensorboard",
            action="TensorBoardLogger",
            extra="tensorboard",
        )
        self._writer: Any = None

    def on_fit_begin(self) -> None:
        """Begin a file of events."""
        self._begin_with(self._open)

    def on_progress(self, step_size: int, step: int, total: int, error: float) -> None:
        """Add a point to the curve of a step size."""
        name = f"error/step size {step_size}"
        self._go_on_with(lambda: self._writer.add_scalar(name, error, step))

    def on_scale_end(self, step_size: int, history: History) -> None:
        """Add the error of a finished scale, and its flow map as a text."""
        self._go_on_with(lambda: self._close_scale(step_size, history))

    def on_fit_end(self, model: TimeStepper | None) -> None:
        """Close the file."""
        self._go_on_with(self._writer.close)

    def _open(self) -> None:
        make_folder(self.folder)
        self._writer = self._tools.SummaryWriter(str(self.folder))

    def _close_scale(self, step_size: int, history: History) -> None:
        self._writer.add_scalar(
            "validation error by step size", history.validation_error, step_size
        )
        self._writer.add_text(f"flow map/step size {step_size}", history.flow_map)


class Callbacks(Callback):
    """Several callbacks as one.

    Raises ArgumentError: one is none.

    Parameters
    ----------
    several : Callback or sequence of Callback
    """

    def __init__(self, several: Callback | Sequence[Callback] = ()) -> None:
        is_row = isinstance(several, (list, tuple))
        self.several: list[Callback] = list(several) if is_row else [several]  # type: ignore[list-item, arg-type]
        for one in self.several:
            if not isinstance(one, Callback):
                raise ArgumentError(
                    "Expected callbacks to be objects of classes made from pyhits.Callback, got "
                    f"{shown(one)}."
                )

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.several)

    def on_fit_begin(self) -> None:
        """Tell all."""
        for one in self.several:
            one.on_fit_begin()

    def on_progress(self, step_size: int, step: int, total: int, error: float) -> None:
        """Tell all."""
        for one in self.several:
            one.on_progress(step_size, step, total, error)

    def on_scale_end(self, step_size: int, history: History) -> None:
        """Tell all."""
        for one in self.several:
            one.on_scale_end(step_size, history)

    def on_fit_end(self, model: TimeStepper | None) -> None:
        """Tell all; where the fit has failed, what they raise is not heard."""
        for one in self.several:
            if model is None:
                with suppress(Exception):
                    one.on_fit_end(None)
            else:
                one.on_fit_end(model)
