"""A system of your own: write its right-hand side, register it, learn it, compare.

    python examples/own_system.py

Writes nothing. A few seconds on one core.
"""

from __future__ import annotations

import numpy as np

import pyhits


def selkov(t: float, x: np.ndarray, a: float, b: float) -> np.ndarray:
    """Return the rates of the glycolysis model of Sel'kov 1968; states ``(..., 2)``.

    Components lie on the last axis, so that one call serves hundreds of trajectories.
    """
    adp, sugar = x[..., 0], x[..., 1]
    reaction = (a + adp * adp) * sugar
    return np.stack([reaction - adp, b - reaction], axis=-1)


def run() -> pyhits.Evaluation:
    """Register the system, fit it, and return the errors on fresh trajectories."""
    system = pyhits.systems.add(
        pyhits.systems.System(
            name="selkov",
            rhs=selkov,
            region=[[0.2, 2.0], [0.2, 2.0]],
            dt=0.05,
            n_steps=400,
            parameters={"a": 0.08, "b": 0.6},
            feature_names=("adp", "sugar"),
            title="Sel'kov oscillator",
            equations=("adp' = (a + adp^2) sugar - adp", "sugar' = b - (a + adp^2) sugar"),
            citation="Sel'kov 1968, Eur. J. Biochem. 4, 79",
        ),
        replace=True,
    )
    print(system.summary())

    # From here on it is like any other: pyhits.systems.get("selkov").
    train = system.simulate(n_trajectories=20, random_state=1)
    test = system.simulate(n_trajectories=10, random_state=2)
    model = pyhits.HiTS(
        [1, 4, 16, 64],
        training=pyhits.Training(max_steps=200),
        n_jobs=1,
        random_state=0,
        verbose=False,
    )
    evaluation = model.fit(train).evaluate(test)
    print(evaluation)
    return evaluation


if __name__ == "__main__":
    run()
