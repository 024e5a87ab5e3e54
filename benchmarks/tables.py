"""Records as tables on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.record import Record


def print_table(console: Console, title: str, records: Sequence[Record]) -> None:
    """Print records as a table without its empty columns, and their notes below it."""
    table = _table(title)
    shown = [(head, show) for head, show in _COLUMNS if any(show(r) for r in records)]
    for head, _ in shown:
        left = head in ("", "times faster", "bar")
        table.add_column(head, justify="left" if left else "right", overflow="fold")
    for record in records:
        table.add_row(*(Text(show(record)) for _, show in shown))
    console.print(table)
    notes = {f"  {record.name}: {record.note}": None for record in records if record.note}
    for note in notes:
        console.print(Text(note, style="dim"), soft_wrap=True)


def print_bars(console: Console, records: Iterable[Record]) -> None:
    """Print which bars are reached."""
    table = _table("Bars")
    for head in ("benchmark", "row", "threads", "measured", "bar", "reached"):
        table.add_column(head, overflow="fold")
    for r in records:
        if r.bar:
            row = (r.benchmark, r.name, _count(r), _measured(r), r.bar, "yes" if r.met else "no")
            table.add_row(*(Text(cell) for cell in row))
    if table.row_count:
        console.print(table)


def _table(title: str) -> Table:
    return Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAVY)


def _number(value: float | None, scale: float = 1.0) -> str:
    return "" if value is None else f"{value * scale:.3g}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def _spread(record: Record) -> str:
    if record.low is None or record.high is None or record.low == record.high:
        return ""
    return f"{_seconds(record.low)} - {_seconds(record.high)}"


def _ratio(record: Record) -> str:
    return "" if record.ratio is None else f"{record.ratio:.3g} x {record.ratio_to}"


def _value(record: Record) -> str:
    return f"{_number(record.value)} {record.unit}".strip()


def _count(record: Record) -> str:
    return "" if record.threads is None else f"{record.threads}"


def _bar(record: Record) -> str:
    return f"{record.bar}: {'yes' if record.met else 'no'}" if record.bar else ""


def _measured(record: Record) -> str:
    """Return what a bar is about: a value, a ratio, a share or an error, the first there is."""
    if record.value is not None:
        return _value(record)
    if record.ratio is not None:
        return _ratio(record)
    if record.share_of_floor is not None:
        return f"{_percent(record.share_of_floor)} of the floor"
    return "" if record.error is None else f"MSE {record.error:.1e}"


#: Columns of a table: heading, and what it shows of a record (an empty text for nothing).
_COLUMNS: tuple[tuple[str, Callable[[Record], str]], ...] = (
    ("", lambda r: r.name),
    ("threads", _count),
    ("median", lambda r: _seconds(r.seconds)),
    ("quartiles", _spread),
    ("times faster", _ratio),
    ("MSE", lambda r: "" if r.error is None else f"{r.error:.1e}"),
    ("M states/s", lambda r: _number(r.states_per_second, 1e-6)),
    ("of floor", lambda r: _percent(r.share_of_floor)),
    ("value", _value),
    ("bar", _bar),
)
