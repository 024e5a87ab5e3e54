"""The layout of the tables: a row a scheme, a column a system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pyhits.paper.output import Table
from pyhits.paper.problems import PROBLEMS


def by_system(
    title: str,
    systems: Iterable[str],
    schemes: Iterable[str],
    cell: Callable[[str, str], str],
    last_rows: Sequence[Sequence[str]] = (),
) -> Table:
    """Return a table of ``cell(system, scheme)``.

    Parameters
    ----------
    last_rows : sequence of sequence of str
        Rows below, each with its name first.
    """
    systems = list(systems)
    rows = [[scheme, *(cell(system, scheme) for system in systems)] for scheme in schemes]
    header = ["scheme", *(PROBLEMS[system].label for system in systems)]
    return Table(title, header, [*rows, *last_rows])
