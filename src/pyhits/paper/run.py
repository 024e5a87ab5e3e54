"""Reproduce one study, or all of them."""

from __future__ import annotations

from pathlib import Path

from pyhits.paper import registry
from pyhits.paper.output import Result, show, write, write_index
from pyhits.paper.study import Study
from pyhits.util.atomic import check_target


def reproduce(name: str, study: Study, out: str | Path = "reproduce") -> dict[str, Result]:
    """Make a table or figure of the paper, print it beside the paper's numbers, and write it.

    Parameters
    ----------
    name : str
        One of :func:`pyhits.paper.registry.names`, or ``"all"``.
    study : Study
    out : path
        Folder for NAME.json, NAME.csv and the figures, and ``index.md`` for ``all``.

    Returns
    -------
    dict of str to Result

    Raises
    ------
    ArgumentError
        No study of that name.
    FileFormatError
        The folder cannot be written to.
    """
    folder = Path(out).expanduser()
    entries = {n: registry.get(n) for n in (registry.names() if name == "all" else [name])}
    check_target(folder / "index.md")
    results = {}
    for key, entry in entries.items():
        study.say(f"{key}: {entry.title}.")
        result = entry.make(study)
        show(result)
        for path in write(result, key, folder):
            study.say(f"Written to {path}.")
        results[key] = result
    if name == "all":
        titled = {key: (entries[key].title, results[key]) for key in results}
        study.say(f"Written to {write_index(titled, folder)}.")
    return results
