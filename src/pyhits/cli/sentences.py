"""What went wrong, for a user without Python: a sentence, and an exit code."""

from __future__ import annotations

import errno

from pyhits.errors import ArgumentError, FileFormatError, PyHiTSError

#: Exit codes: wrong use of a command, anything else that went wrong, and Ctrl-C, also where what
#: was finished is kept.
MISUSE, FAILURE, INTERRUPTED = 2, 1, 130

#: What other libraries say where memory, or address space for a thread, is lacking.
_OUT_OF_MEMORY = ("allocate memory", "failed to map segment", "can't start new thread", "bad_alloc")


def sentence(error: BaseException) -> tuple[str, int]:
    """Return what to tell a user of an error, empty for nothing to tell; and an exit code."""
    if isinstance(error, (ArgumentError, FileFormatError)):
        return str(error), MISUSE
    if isinstance(error, PyHiTSError):
        return str(error), FAILURE
    if isinstance(error, BrokenPipeError):
        # The reader of a pipe has seen enough, as in `pyhits systems | head`.
        return "", 0
    name, what = type(error).__name__, str(error).strip()
    if isinstance(error, (MemoryError, SystemError)) or any(
        sign in what.lower() for sign in _OUT_OF_MEMORY
    ):
        return (
            "There is not enough memory. Close other programs, raise the limit of this one "
            "(ulimit -v), or use fewer data, features or processes (--jobs 1).",
            FAILURE,
        )
    if isinstance(error, ImportError):
        return (
            f"A part of PyHiTS cannot be loaded: {what}. Install pyhits again; if there is a limit "
            "on memory (ulimit -v), raise it.",
            FAILURE,
        )
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return (
            "Too many files are open. Raise the limit (ulimit -n), or use fewer processes "
            "(--jobs 1).",
            FAILURE,
        )
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or "standard output"
        return f"Cannot read or write {where}: {error.strerror}.", FAILURE
    # The last line of defence.
    return f"{name}: {what} (run again with --debug to see where).", FAILURE
