"""
Equations of trajectories
=========================

What a few trajectories follow, read as differential equations, and stepped.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyhits

lorenz = pyhits.systems.get("lorenz")
train = lorenz.simulate(10, n_steps=300, dt=0.05, random_state=0)
model = pyhits.HiTS([1], flow_map="ode", random_state=0, n_jobs=1, verbose=False).fit(train)

# %%
# A step of 0.05 is long: speeds from differences of rows would be wrong by a tenth. The equations
# are found from the steps themselves, along their paths.

print(model.equations())

# %%
# They hold where nobody has measured. A trajectory that starts far from the others:

test = lorenz.simulate(initial_states=[[14.0, 20.0, 10.0]], n_steps=400, dt=0.05)
ahead = model.forecast(test, n_steps=400)[0]
truth = test.to_array()[0]

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
left.plot(ahead[:, 0], ahead[:, 2], lw=0.8, label="forecast")
left.plot(truth[:, 0], truth[:, 2], ".", ms=3, color="C1", label="truth")
left.set(xlabel="x", ylabel="z")
left.legend()
right.semilogy(0.05 * np.arange(1, 401), np.abs(ahead - truth).max(axis=1)[1:])
right.set(xlabel="time", ylabel="largest error")
fig.tight_layout()

# %%
# Not all is polynomial. Eaters that are sated take a share of prey that levels off, at a density
# that nobody told; it is found with the rest.


def sated(t, states):
    prey, eaters = states.T
    eaten = prey * eaters / (prey + 0.4)
    return np.stack([prey * (1 - prey) - eaten, eaten - 0.3 * eaters], axis=1)


starts = np.random.default_rng(0).uniform(0.2, 1.0, (10, 2))
herds = pyhits.integrators.AdaptiveRungeKutta(sated, rtol=1e-10, atol=1e-12)(
    starts, n_steps=60, dt=0.3
)
found = pyhits.HiTS([1], flow_map="ode", random_state=0, n_jobs=1, verbose=False)
found.fit(pyhits.Trajectories(herds, 0.3, feature_names=["prey", "eaters"]))
print(found.equations())
