"""
Forecasts to a tolerance
========================

With ``tol`` each trajectory steps by the coarsest scale that is good enough where it is.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyhits

system = pyhits.systems.get("duffing")
train = system.simulate(n_trajectories=12, n_steps=320, dt=0.02, random_state=1)
test = system.simulate(n_trajectories=5, n_steps=320, dt=0.02, random_state=2)
model = pyhits.HiTS(
    [1, 2, 4, 8, 16, 32], selection="all", random_state=0, n_jobs=1, verbose=False
).fit(train)

# %%
errors, work = [], []
tolerances = [1e-1, 1e-2, 1e-3, 1e-4]
for tol in tolerances:
    found = model.adaptive_forecast(test, n_steps=320, tol=tol)
    missed = (found.states - test.to_array()) / test.spread()
    errors.append(np.sqrt((missed**2).mean(axis=2)).max())
    work.append(found.evaluations.mean())
figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
axes.loglog(work, errors, "o-", label="largest error")
axes.loglog(work, tolerances, ":", color="0.5", label="tolerance")
axes.set(xlabel="evaluations a trajectory", ylabel="standard deviations")
axes.legend(frameon=False)

# %%
# The steps of the trajectory that took the most different ones, at the last tolerance.

k = max(range(len(test)), key=lambda k: len(set(found.step_sizes[k])))
steps = np.asarray(found.step_sizes[k])
figure, panels = plt.subplots(2, figsize=(7, 4), sharex=True, layout="constrained")
panels[0].plot(test.times(), test[k][:, 0])
panels[0].set_ylabel("x")
panels[1].step(0.02 * np.cumsum(steps), steps, where="pre")
panels[1].set(xlabel="time", ylabel="step size (x dt)")
