"""Figures, one look: matplotlib axes in (or none), axes out; it is imported when one is drawn.

Every function takes ``ax``: axes to draw into, as many as the figure has panels, or a Figure; by
default pyplot makes one. It returns the axes, or an array of them where there are several.
"""

from pyhits.plots.errors import delay_choice, error_lines
from pyhits.plots.fields import compared_fields, field, field_statistics
from pyhits.plots.lines import Rows, forecast_lines, lines
from pyhits.plots.look import MOST_CURVES, blank, left_out, save_figure
from pyhits.plots.modes import mode_shapes
from pyhits.plots.portraits import portrait
from pyhits.plots.scales import accuracy_front, scale_errors, selection_path, training_curves
from pyhits.plots.spectra import spectra

__all__ = [
    "MOST_CURVES",
    "Rows",
    "accuracy_front",
    "blank",
    "compared_fields",
    "delay_choice",
    "error_lines",
    "field",
    "field_statistics",
    "forecast_lines",
    "left_out",
    "lines",
    "mode_shapes",
    "portrait",
    "save_figure",
    "scale_errors",
    "selection_path",
    "spectra",
    "training_curves",
]
