"""Draw the README's figure: one variable of a chaotic system, its forecast and the 90 % interval.

    python docs/images/make.py [forecast.png]

Under a minute on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pyhits
from pyhits.plots import blank, save_figure


def main() -> None:
    """Learn from x alone of the Lorenz system, and go on from the end of what was recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=Path(__file__).parent / "forecast.png")
    out = parser.parse_args().out
    recording = (
        pyhits.systems.get("lorenz").simulate(1, 3600, dt=0.02, random_state=5).select(["x"])
    )
    past, future = recording.split_time(600)
    model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(past)
    forecast = model.forecast_from(past, n_steps=300, interval=0.9)
    save_figure(forecast.plot(future, ax=blank()), out)


if __name__ == "__main__":
    main()
