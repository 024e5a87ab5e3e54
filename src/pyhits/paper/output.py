"""What a table or figure of the study comes to, printed and written to files."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyhits.plots import save_figure
from pyhits.util.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Characters a table may take where no terminal says how many there are.
_WIDTH = 130


@dataclass(frozen=True)
class Table:
    """A table for people to read.

    Attributes
    ----------
    title : str
    header : sequence of str
    rows : sequence of sequence of str
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


@dataclass
class Result:
    """One reproduced table or figure.

    Attributes
    ----------
    records : list of dict
        Plain values, one record a row or a point. Errors of forecasts that diverged are infinite.
    tables : list of Table
        Our numbers beside the paper's.
    notes : list of str
        Sentences on what the numbers say.
    figure : Figure, optional
    media : dict of str to callable
        Files of other kinds by name, such as films; each is written by what takes its path.
    """

    records: list[dict[str, Any]]
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figure: Figure | None = None
    media: dict[str, Callable[[Path], None]] = field(default_factory=dict)


def show(result: Result) -> None:
    """Print tables and notes to standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    for table in result.tables:
        shown = RichTable(title=table.title, box=box.SIMPLE_HEAD, title_justify="left")
        for k, name in enumerate(table.header):
            shown.add_column(name, justify="left" if k == 0 else "right")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for note in result.notes:
        console.print(note)


def write(result: Result, name: str, out: Path) -> list[Path]:
    """Write NAME.json, NAME.csv, where there is a figure NAME.pdf and NAME.png, and the media.

    JSON knows no infinity: there errors that are not finite are null. In CSV they are ``inf``.

    Returns
    -------
    list of Path

    Raises
    ------
    FileFormatError
        The folder cannot be written to.
    """
    plain = [{k: _finite(v) for k, v in record.items()} for record in result.records]
    files = [out / f"{name}.json", out / f"{name}.csv"]
    write_bytes(files[0], (json.dumps(plain, indent=1) + "\n").encode())
    write_bytes(files[1], _csv(result.records).encode())
    if result.figure is not None:
        files += [save_figure(result.figure, out / f"{name}{end}") for end in (".pdf", ".png")]
    for media, write_media in result.media.items():
        write_media(out / media)
        files.append(out / media)
    return files


def write_index(results: dict[str, tuple[str, Result]], out: Path) -> Path:
    """Write ``index.md``: all tables and figures, by name with their titles."""
    parts = ["# The paper's time-stepping study, reproduced"]
    for name, (title, result) in results.items():
        parts.append(f"## {name}: {title}")
        for table in result.tables:
            parts += [f"**{table.title}**", table.markdown()]
        parts += result.notes
        if result.figure is not None:
            parts.append(f"![{title}]({name}.png)")
        ends = ("json", "csv", *(("pdf",) if result.figure is not None else ()))
        parts.append("Files: " + ", ".join(f"[{name}.{e}]({name}.{e})" for e in ends))
    write_bytes(out / "index.md", ("\n\n".join(parts) + "\n").encode())
    return out / "index.md"


def number(value: float | None, form: str = ".1e") -> str:
    """Return a number as tables show it: ``1.2e-3``, ``inf``, ``-`` where there is none."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "inf"
    text = f"{value:{form}}"
    if "e" not in text:
        return text
    digits, _, power = text.partition("e")
    return f"{digits}e{int(power):+d}"


def beside(ours: float | None, papers: float | None, form: str = ".1e") -> str:
    """Return our number with the paper's in parentheses."""
    return (
        number(ours, form) if papers is None else f"{number(ours, form)} ({number(papers, form)})"
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value


def _csv(records: Sequence[dict[str, Any]]) -> str:
    """Return records as CSV; lists are numbers between spaces."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({k: _cell(v) for k, v in record.items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
