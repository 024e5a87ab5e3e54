"""A learned stepper beside an expensive simulator: coarse steps learned, the rest in parallel.

    python examples/hybrid.py

Writes nothing. A few seconds on one core.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import odeint

import pyhits

SYSTEM = pyhits.systems.get("duffing")


def simulate(state: np.ndarray, dt: float, n_steps: int) -> np.ndarray:
    """Stand for a simulator of your own; return the states after each step, ``(n_steps, d)``."""
    times = dt * np.arange(n_steps + 1)
    return np.asarray(odeint(SYSTEM.field, state, times, rtol=1e-10, atol=1e-10)[1:])


def run() -> pyhits.Parareal:
    """Learn coarse steps, fill in with the simulator, correct, and return what that took."""
    train = SYSTEM.simulate(n_trajectories=80, n_steps=600, random_state=1)
    test = SYSTEM.simulate(n_trajectories=4, n_steps=500, random_state=2)
    model = pyhits.HiTS(
        [10, 50], training=pyhits.Training(max_steps=500), n_jobs=1, random_state=0, verbose=False
    )
    model.fit(train)

    # One call for each of 4 x 10 intervals; n_jobs=-1 runs them on all cores.
    simulator = pyhits.integrators.Simulator(simulate, n_jobs=1)
    hybrid = pyhits.Hybrid(model, simulator, step_sizes=[50])
    print(hybrid)
    plain = hybrid.forecast(test.initial_states, n_steps=500)
    print(f"learned steps: {np.abs(plain - test.to_array()).max():.1e} from the truth")

    # Corrected until the simulator agrees with every coarse state.
    result = hybrid.parareal(test.initial_states, n_steps=500, tolerance=1e-7)
    print(f"corrected {result.iterations} times: jumps of {result.defect:.1e}")
    print(f"corrected: {np.abs(result.states - test.to_array()).max():.1e} from the truth")

    # With an integrator of the equations all intervals are one array.
    rk4 = pyhits.Hybrid(model, "rk4", system=SYSTEM, step_sizes=[50])
    print(rk4.evaluate(test, tolerance=1e-7))
    return result


if __name__ == "__main__":
    run()
