"""What can be reproduced, by name; each study is a function in a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from pyhits.paper.output import Result
from pyhits.paper.study import Study
from pyhits.util.checks import as_choice

#: Makes the result of one study.
Make = Callable[[Study], Result]


@dataclass(frozen=True)
class Entry:
    """One table or figure that can be reproduced.

    Attributes
    ----------
    title : str
        What it shows, in a few words.
    source : str or callable
        What makes it, a :data:`Make`; as ``module:function`` it is imported when it is asked for.
    """

    title: str
    source: str | Make

    def make(self, study: Study) -> Result:
        """Make it."""
        if not isinstance(self.source, str):
            return self.source(study)
        module, _, function = self.source.partition(":")
        result: Result = getattr(import_module(module), function)(study)
        return result


_entries: dict[str, Entry] = {}


def register(name: str, title: str, source: str | Make) -> None:
    """Add a study under a name that ``pyhits reproduce`` then knows.

    Parameters
    ----------
    name : str
        Such as ``"table7"``; files are named after it.
    title : str
    source : str or callable
        A function, or where to find it as ``module:function``, that takes a
        :class:`~pyhits.paper.study.Study` and returns a :class:`~pyhits.paper.output.Result`.
    """
    _entries[name] = Entry(title, source)


def names() -> list[str]:
    """Return the names of all studies, in the order in which ``all`` makes them."""
    return list(_entries)


def get(name: str) -> Entry:
    """Return a study by name.

    Raises
    ------
    ArgumentError
        No study of that name; the nearest one is suggested.
    """
    return _entries[as_choice(name, "study", [*_entries, "all"])]


_HERE = "pyhits.paper"
register("table2", "Setups, and the scales that were coupled", f"{_HERE}.tables.setups:table2")
register("fig2", "Harmonic oscillator: error against time", f"{_HERE}.figures.fig2:make")
register("fig5", "Five systems: forecasts and errors", f"{_HERE}.figures.fig5:make")
register("fig6", "Accuracy against time", f"{_HERE}.figures.fig6:make")
register("table5", "Times of learned schemes", f"{_HERE}.tables.times:table5")
register("table6", "Errors, data without noise", f"{_HERE}.tables.errors:table6")
register("table7", "Errors, 1 % noise in the data", f"{_HERE}.tables.errors:table7")
register("table8", "Errors, 2 % noise in the data", f"{_HERE}.tables.errors:table8")
register("fig8", "Accuracy against time, with noise", f"{_HERE}.figures.fig8:make")
register("fig9", "Errors against time, beside Runge-Kutta", f"{_HERE}.figures.fig9:make")
register("table9", "Times of classical, hybrid and learned schemes", f"{_HERE}.tables.times:table9")
register("fig10", "Increments of flow maps", f"{_HERE}.figures.fig10:make")
register("table1", "Sequences generated: errors", f"{_HERE}.comparison.tables:table1")
register("table3", "Sequences generated: parameters", f"{_HERE}.comparison.tables:table3")
register("table4", "Sequences generated: nets", f"{_HERE}.comparison.tables:table4")
register("fig7", "Sequences generated", f"{_HERE}.figures.fig7:make")
register("sampling", "How training windows are drawn", f"{_HERE}.figures.sampling:make")
