"""What a choice of delays was made by."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyhits.plots.look import ACCENT, FORECAST, RECORDED, of_shape, panels

#: Points of a curve up to which each is marked.
_MOST_MARKED = 30

#: Mutual information is drawn up to so many times the lag that was chosen.
_LAGS_SHOWN = 6


def delay_choice(choice: Any, dt: float = 1.0, *, ax: Any = None) -> Any:
    """Draw what delays were chosen by: mutual information, Cao's E1 and prediction errors.

    Parameters
    ----------
    choice : DelayChoice
        As :func:`pyhits.encoders.choose_delays` returns it.
    dt : float
        Time between rows.
    ax : three Axes, or Figure, optional
    """
    found = panels(ax, (1, 3), (9.6, 3.2))
    first, second, third = found.flat
    lags = dt * np.arange(1, len(choice.information) + 1)
    unit = "rows" if dt == 1 else "time"
    for axes, x, y, xlabel, ylabel in (
        (first, lags, choice.information, f"lag ({unit})", "mutual information (bits)"),
        (second, np.arange(1, len(choice.e1) + 1), choice.e1, "delays", "Cao's E1"),
        (third, np.arange(1, len(choice.errors) + 1), choice.errors, "delays",
         "prediction error"),
    ):  # fmt: skip
        axes.plot(x, y, "-" if len(x) > _MOST_MARKED else "o-", color=FORECAST, markersize=4)
        axes.set(xlabel=xlabel, ylabel=ylabel)
    first.axvline(dt * choice.lag, color=ACCENT, linewidth=1.2, label="chosen")
    far = max(_LAGS_SHOWN * max(choice.lag, choice.information_lag), _MOST_MARKED)
    first.set(ylim=(0, None), xlim=(0, dt * min(far, len(choice.information) + 1)))
    first.legend(frameon=False)
    second.axhline(1, color=RECORDED, linestyle=":", linewidth=1)
    for axes in (second, third):
        axes.axvline(choice.n_delays, color=ACCENT, linewidth=1.2)
        axes.xaxis.get_major_locator().set_params(integer=True)
    third.axvline(choice.fewest, color=RECORDED, linestyle="--", linewidth=1, label="the fewest")
    third.legend(frameon=False)
    third.set_yscale("log" if (choice.errors > 0).any() else "linear")
    return of_shape(found)
