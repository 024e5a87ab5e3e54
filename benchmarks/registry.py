"""The benchmarks, in the order in which they run.

Each is a module here with a one-line docstring, its ``NAME``, and ``run(quick, out)``, which
returns records and may write figures into the folder ``out``.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol

from benchmarks.record import Record

#: Modules of this package; a new benchmark adds its line.
MODULES = (
    "floor",
    "forecast",
    "solvers",
    "scaling",
    "memory",
    "stiff",
    "adaptive",
    "kuramoto_sivashinsky",
    "processes",
    "windows",
    "training",
)


class Benchmark(Protocol):
    """What a benchmark's module offers."""

    NAME: str
    __doc__: str | None

    def run(self, quick: bool, out: Path) -> list[Record]:
        """Measure, and return what was found."""


def benchmarks() -> dict[str, Benchmark]:
    """Return every benchmark by its name."""
    modules = [importlib.import_module(f"benchmarks.{name}") for name in MODULES]
    return {module.NAME: module for module in modules}
