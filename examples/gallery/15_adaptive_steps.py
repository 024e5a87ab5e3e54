"""
Forecasts to a tolerance
========================

With ``tol`` each trajectory steps by the coarsest scale that is good enough where it is.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyhits

system = pyhits.systems.get("van-der-pol")
train = system.simulate(n_trajectories=40, n_steps=800, dt=0.01, random_state=1)
test = system.simulate(n_trajectories=5, n_steps=800, dt=0.01, random_state=2)
model = pyhits.HiTS(
    [1, 2, 4, 8, 16, 32],
    flow_map=pyhits.Auto(dtype="float64"),
    max_steps=150,
    selection="all",
    random_state=0,
    n_jobs=1,
    verbose=False,
).fit(train)

# %%
# Tolerances are kept by estimates: here the largest error is mostly smaller, and once five times as
# large. The work grows as they fall.

errors, work = [], []
tolerances = np.geomspace(1e-1, 1e-4, 7)
for tol in tolerances:
    found = model.adaptive_forecast(test, n_steps=800, tol=tol)
    missed = (found.states - test.to_array()) / test.spread()
    errors.append(np.sqrt((missed**2).mean(axis=2)).max())
    work.append(found.evaluations.mean())
figure, panels = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
panels[0].loglog(tolerances, tolerances, ":", color="0.5", label="tolerance")
panels[0].loglog(tolerances, errors, "o-", label="largest error")
panels[0].set(xlabel="tolerance", ylabel="standard deviations")
panels[0].legend(frameon=False)
panels[1].semilogx(tolerances, work, "o-")
panels[1].set(xlabel="tolerance", ylabel="evaluations a trajectory", ylim=(0, None))
plt.show()

# %%
# The coarse steps of the trajectory that took the most different ones, at the largest tolerance.

found = model.adaptive_forecast(test, n_steps=800, tol=1e-1)
k = max(range(len(test)), key=lambda k: len(set(found.step_sizes[k])))
steps = np.asarray(found.step_sizes[k])
figure, panels = plt.subplots(2, figsize=(7, 4), sharex=True, layout="constrained")
panels[0].plot(test.times(), test[k][:, 0])
panels[0].set_ylabel("x")
panels[1].step(0.01 * np.append(0, np.cumsum(steps)), np.append(steps[0], steps), where="pre")
panels[1].set(xlabel="time", ylabel="step size (x dt)")
plt.show()
