"""
Inputs: a heated house
======================

What acts on a system and is known, such as a heater, is an input: a forecast takes its plan.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyhits

dt, n = 0.1, 800
rng = np.random.default_rng(0)
heating = np.repeat(rng.uniform(0, 3, n // 20), 20)
rooms = np.empty((n + 1, 2))
rooms[0] = 20, 18
for k, power in enumerate(heating):
    warm, cold = rooms[k]
    flow = 0.3 * (warm - cold)
    rooms[k + 1] = rooms[k] + dt * np.array([power - flow, flow - 0.1 * (cold - 10)])

recording = pyhits.Trajectories(rooms, dt, feature_names=["warm", "cold"])
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(recording, inputs=heating)

# %%
# Three plans for the next ten time units, from the same state.

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for power in (0.5, 1.5, 2.5):
    states = model.forecast(rooms[-1], n_steps=100, inputs=np.full(100, power))
    axes.plot(dt * np.arange(101), states[:, 0], label=f"power {power}")
axes.set(xlabel="time", ylabel="warm room")
axes.legend(frameon=False)

# %%
# Which constant power keeps the warm room at 21? A search over forecasts, all at once.

powers = np.linspace(0.2, 2.8, 53)
starts = np.tile(rooms[-1], (len(powers), 1))
ahead = model.forecast(starts, n_steps=200, inputs=powers[:, None, None])
best = powers[np.abs(ahead[:, -1, 0] - 21).argmin()]
print(f"power {best:.2f} leads to {ahead[np.abs(ahead[:, -1, 0] - 21).argmin(), -1, 0]:.2f}")
