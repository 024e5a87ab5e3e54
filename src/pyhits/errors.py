"""The errors and warnings that PyHiTS raises on purpose.

Every one derives from :class:`PyHiTSError`; each message says what was expected, what came and what
to do. Those that report a wrong value also derive from the built-in class a caller would expect
(``ValueError``, ``OSError`` ...), so ``except ValueError`` keeps working.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

#: Where PyHiTS lies: warnings are about the lines of others.
_PACKAGE = str(Path(__file__).parent)


class PyHiTSError(Exception):
    """Base of every error that PyHiTS raises on purpose."""


class ArgumentError(PyHiTSError, ValueError):
    """An option or argument is not one that the call accepts."""


class DataError(PyHiTSError, ValueError):
    """The trajectories themselves cannot be used: NaN, uneven times, too short, mixed shapes."""


class FileFormatError(PyHiTSError, OSError):
    """A file is missing, truncated, of another kind, or of a newer version."""


class MissingExtraError(PyHiTSError, ImportError):
    """A reader or backend needs an optional dependency that is not installed."""


class NotFittedError(PyHiTSError, ValueError, AttributeError):
    """The estimator has no trained flow maps yet."""


class CheckpointError(PyHiTSError):
    """A checkpoint folder, or a forecast's file, belongs to other data or other settings."""


class TrainingError(PyHiTSError, RuntimeError):
    """Training could not produce a flow map (the loss is not finite, nothing was finished)."""


class DivergenceError(PyHiTSError, ArithmeticError):
    """A forecast left every bound.

    Attributes
    ----------
    trajectory : int
        Index of the first trajectory that diverged.
    step : int
        Time index, in multiples of ``dt``, of its first diverged state.
    """

    def __init__(self, message: str, trajectory: int, step: int) -> None:
        super().__init__(message)
        self.trajectory = trajectory
        self.step = step

    def __reduce__(self) -> tuple[type, tuple[str, int, int]]:
        return type(self), (str(self), self.trajectory, self.step)


class PyHiTSWarning(UserWarning):
    """Something was repaired, chosen or skipped on the user's behalf."""


class InterruptedWarning(PyHiTSWarning):
    """Ctrl-C ended the work early; what was finished by then is kept, and the message names it."""


def warn(message: str, category: type[PyHiTSWarning] = PyHiTSWarning) -> None:
    """Warn, with the line outside PyHiTS that called it, however deep the call is."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
