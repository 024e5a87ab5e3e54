"""
Prediction intervals
====================

Errors on held-out trajectories become intervals: 90 % of recorded values lie inside, for fresh
trajectories that are drawn like the held-out ones.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyhits

system = pyhits.systems.get("duffing")
train = system.simulate(30, 120, dt=0.05, random_state=0).add_noise(0.0005, random_state=0)
fresh = system.simulate(200, 120, dt=0.05, random_state=1).add_noise(0.0005, random_state=1)
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(train)

forecast = model.forecast(fresh, n_steps=100, interval=0.9)
print(forecast.sentences()[0])
forecast.plot(truth=fresh)

# %%
# How many of the values of 200 fresh trajectories lie inside, at each time.

truth = fresh.cut(101).to_array()
inside = ((forecast.low <= truth) & (truth <= forecast.high)).mean(axis=(0, 2))
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
axes.plot(fresh.times()[1:101], 100 * inside[1:])
axes.axhline(90, color="0.5", linestyle=":")
axes.set(xlabel="time", ylabel="% inside", ylim=(70, 100))
print(f"{100 * inside[1:].mean():.1f} % of {truth[:, 1:].size} values")

# %%
# Starts outside the training data are warned of, and known.

print(model.forecast(np.array([[9.0, 0.0]]), 10, interval=0.9, on_divergence="return").outside)
