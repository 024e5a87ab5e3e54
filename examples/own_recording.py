"""One recording in a CSV file: read it, fit its first part, forecast the rest, write the forecast.

    python examples/own_recording.py [folder]

The file stands for a measurement: one row a time, a column of times, one column a feature. It and
the forecast go to the folder, by default a temporary one. A few seconds on one core.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import pyhits


def record(path: Path) -> None:
    """Write 200 time units of a FitzHugh-Nagumo nerve model, as a data logger might."""
    system = pyhits.systems.get("fitzhugh-nagumo")
    rows = system.simulate(n_steps=2000, dt=0.1, initial_states=[-1.0, 1.0])[0]
    times = 0.1 * np.arange(len(rows))
    table = np.column_stack([times, rows])
    np.savetxt(path, table, delimiter=",", header="time [s],voltage,recovery", comments="")


def run(folder: Path) -> pyhits.Evaluation:
    """Return the errors on the last fifth of the recording, which the fit has not seen."""
    source = folder / "nerve.csv"
    record(source)

    data = pyhits.read(source)  # dt and the names come from the file
    print(data.summary())
    past, future = data.split_time(0.2)

    # With one trajectory, the last part of ``past`` is held out to choose the scales.
    model = pyhits.HiTS(random_state=0, verbose=False).fit(past)
    print(*model.notes_, sep="\n")

    # ``future`` begins with the last row of ``past``: forecast on from there.
    evaluation = model.evaluate(future)
    print(evaluation)

    n_steps = int(future.lengths[0]) - 1
    forecast = pyhits.Trajectories(
        model.forecast(past[0][-1], n_steps),
        data.dt,
        feature_names=data.feature_names,
        start_times=future.start_times,
    )
    print("written:", pyhits.write(forecast, folder / "forecast.csv").name)
    return evaluation


def main() -> None:
    """Run in the folder given, or in a temporary one."""
    if len(sys.argv) > 1:
        run(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))


if __name__ == "__main__":
    main()
