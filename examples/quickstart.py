"""From trajectories to forecasts: simulate, fit, forecast, evaluate, save, load.

    python examples/quickstart.py [folder]

Writes a model to the folder, by default a temporary one. A few seconds on one core.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import pyhits


def run(folder: Path) -> pyhits.Evaluation:
    """Fit the Van der Pol oscillator and return the errors on trajectories it has not seen."""
    system = pyhits.systems.get("van-der-pol")
    train = system.simulate(n_trajectories=40, n_steps=512, random_state=1)
    test = system.simulate(n_trajectories=12, n_steps=512, random_state=2)
    print(train)

    # Left to themselves, step sizes and families of flow maps follow from the data.
    model = pyhits.HiTS(random_state=0, verbose=False).fit(train)
    for step_size, history in model.history_.items():
        print(f"step size {step_size:>3}: {history.flow_map}, {history.validation_error:.1e}")
    print("coupled:", model.selection_.step_sizes)

    # One state or many, a number of steps or any times.
    states = model.forecast(test.initial_states, n_steps=512)
    print(states.shape)  # (trajectory, time, feature)
    print(model.forecast([1.0, 0.0], t=[0.0, 0.005, 2.5]))

    evaluation = model.evaluate(test)
    print(evaluation)

    path = model.save(folder / "van-der-pol.safetensors")
    again = pyhits.load(path)
    assert np.array_equal(again.forecast(test.initial_states, n_steps=512), states)
    print("The model file forecasts the same.")
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
