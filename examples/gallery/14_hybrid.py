"""
Your simulator between learned steps
====================================

A hybrid takes coarse steps with the model, and lets your simulator fill in between them, from
all coarse states at once (Algorithm 2). Parareal corrects what the model got wrong.
"""

import numpy as np
from scipy.integrate import solve_ivp

import pyhits


def duffing(t, z):
    """Position and velocity on a double well."""
    return np.stack([z[..., 1], z[..., 0] - z[..., 0] ** 3 - 0.2 * z[..., 1]], axis=-1)


calls = []


def simulate(state, dt, n_steps):
    """Your code: states after each step, ``(n_steps, 2)``, from one state."""
    calls.append(n_steps)
    times = dt * np.arange(1, n_steps + 1)
    span = (0, times[-1])
    return solve_ivp(duffing, span, state, t_eval=times, rtol=1e-9, atol=1e-9).y.T


system = pyhits.systems.get("duffing")
train = system.simulate(n_trajectories=12, n_steps=320, dt=0.02, random_state=1)
test = system.simulate(n_trajectories=2, n_steps=320, dt=0.02, random_state=2)
model = pyhits.HiTS([1, 4, 16], random_state=0, n_jobs=1, verbose=False).fit(train)

# %%
hybrid = pyhits.Hybrid(model, simulate, step_sizes=[16])
states = hybrid.forecast(test.initial_states, n_steps=320)
print(f"{len(calls)} calls of {calls[0]} steps, which may run side by side")
print("largest error:", np.abs(states - test.to_array()).max())

# %%
found = hybrid.parareal(test.initial_states, 320, tolerance=1e-8)
print("corrections:", found.iterations)
print("largest error:", np.abs(found.states - test.to_array()).max())
pyhits.Trajectories(states, 0.02, feature_names=system.feature_names).plot("portrait")
