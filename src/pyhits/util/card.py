"""A card of HTML, as notebooks show objects: a title, a headline, facts, a table."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from pyhits.util.printable import printable

_FRAME = (
    "border:1px solid rgba(128,128,128,.35);border-radius:8px;padding:10px 14px;"
    "display:inline-block;max-width:100%;overflow-x:auto;font-size:13px;line-height:1.45"
)
_CELL = (
    "font-size:inherit;text-align:left;padding:1px 14px 1px 0;vertical-align:top;"
    "background:none;border:none"
)
_NUMBER = _CELL.replace("left", "right") + ";font-variant-numeric:tabular-nums"


def card(
    title: str, facts: Mapping[str, str], table: Sequence[Sequence[str]] = (), *, headline: str = ""
) -> str:
    """Return the card.

    Parameters
    ----------
    facts : mapping of str to str
        Texts by their label; empty ones are left out.
    table : sequence of sequence of str
        Rows, the heading first; the first column is text, the others are numbers.
    headline : str
        What matters most, in a sentence below the title.
    """
    rows = "".join(
        f'<tr><td style="{_CELL};opacity:.65">{_safe(label)}</td>'
        f'<td style="{_CELL}">{_safe(text)}</td></tr>'
        for label, text in facts.items()
        if text
    )
    parts = [f"<b>{_safe(title)}</b>"]
    parts += [f"<div>{_safe(headline)}</div>"] * bool(headline)
    parts += [f'<table style="border:none;margin:4px 0">{rows}</table>'] * bool(rows)
    parts += [_table(table)] * bool(table)
    return f'<div style="{_FRAME}">{"".join(parts)}</div>'


def _table(table: Sequence[Sequence[str]]) -> str:
    lines = []
    for k, row in enumerate(table):
        style = ";opacity:.65" if k == 0 else ""
        cells = [
            f'<td style="{_NUMBER if j else _CELL}{style}">{_safe(cell)}</td>'
            for j, cell in enumerate(row)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table style="border:none;margin:4px 0">{"".join(lines)}</table>'


def _safe(text: str) -> str:
    """Return text that is no markup and hides nothing: names come from files."""
    return html.escape(printable(text))
