"""
Stiff chemistry
===============

In Robertson's reaction, rates differ by nine orders of magnitude. A solver needs implicit
steps; a learned flow map takes the recorded step at once.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import pyhits

system = pyhits.systems.get("robertson")
data = system.simulate(n_trajectories=22, n_steps=200, random_state=0)
train, test = data[:18], data[18:]
print(data)

# %%
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(train)
begin = time.perf_counter()
states = model.forecast(test.initial_states, n_steps=200)
learned = time.perf_counter() - begin
begin = time.perf_counter()
radau = pyhits.integrators.ImplicitRungeKutta(system, "radau5")
radau(test.initial_states, test.dt, 200)
print(f"learned {learned:.3f} s, Radau {time.perf_counter() - begin:.3f} s")

# %%
# Every evaluation stands beside simple forecasts, and says by how much the model is better.
print(model.evaluate(test).verdict)

# %%
figure, axes = plt.subplots(3, figsize=(7, 5), sharex=True, layout="constrained")
for panel, name, truth, ahead in zip(axes, data.feature_names, test[0].T, states[0].T, strict=True):
    panel.plot(test.times(), truth, color="0.6", linewidth=3, label="recorded")
    panel.plot(test.times(), ahead, label="forecast")
    panel.set_ylabel(name)
axes[0].legend(frameon=False)
axes[-1].set_xlabel("time")
print("sum of concentrations:", np.ptp(states.sum(axis=-1)))
