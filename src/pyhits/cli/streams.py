"""Standard streams that take any text, and that no text from a file can command."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, TextIO

from pyhits.util.printable import printable


def prepare() -> None:
    """Make standard streams that exist, and that show what their encoding lacks as ``\\xe9``.

    A closed one would be the number of the next file that is opened, into which libraries then
    print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Printable:
    """A stream through which a command prints: what it is given is made printable first."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text without control characters."""
        return self._stream.write(printable(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
