"""What a choice of delays was made by."""

from __future__ import annotations

from typing import Any

from pyhits.plots.look import COLOURS, RECORDED, logarithmic, of_shape, panels


def delay_choice(choice: Any, dt: float = 1.0, *, ax: Any = None) -> Any:
    """Draw what delays were chosen by: errors of rollouts, by the time that a state spans.

    Parameters
    ----------
    choice : StateRows
        As :func:`pyhits.encoders.choose_delays` returns it.
    dt : float
        Time between rows.
    ax : Axes or Figure, optional
    """
    found = panels(ax, (1, 1), (7.0, 3.8))
    axes = found.flat[0]
    for k, lag in enumerate(sorted({lag for _, lag in choice.scores})):
        own = sorted((n, error) for (n, other), error in choice.scores.items() if other == lag)
        spans, errors = [dt * lag * (n - 1) for n, _ in own], [error for _, error in own]
        label = "adjacent rows" if lag == 1 else f"{lag} rows apart"
        axes.plot(spans, errors, "o-", color=COLOURS[k % len(COLOURS)], markersize=4, label=label)
    axes.axvline(
        dt * (choice.history - 1), color=RECORDED, linewidth=1.5, linestyle="--", label="chosen"
    )
    unit = "rows" if dt == 1 else "time"
    axes.set(
        xlabel=f"span of a state, newest to oldest row ({unit})",
        ylabel="error of rollouts (standard deviations)",
    )
    axes.legend(frameon=False)
    logarithmic(axes)
    return of_shape(found)
