"""
Reading a model
===============

What was learned, which scales are coupled and what they cost, the equations and the modes.
"""

import numpy as np

import pyhits

t = 0.1 * np.arange(600)
rows = np.column_stack([np.cos(t), np.sin(t), np.cos(2.5 * t), np.sin(2.5 * t)])
rows[:, :2] *= np.exp(-0.02 * t)[:, None]
data = pyhits.Trajectories(rows, 0.1, feature_names=["a", "b", "c", "d"])
model = pyhits.HiTS([1, 2, 4, 8], random_state=0, n_jobs=1, verbose=False).fit(data)
model

# %%
# Maps that are polynomials of few terms can be read; they give increments over one step.

print(model.equations())

# %%
# The modes of the best linear map: two oscillations, one of which decays.

print(model.modes())
model.modes().plot()

# %%
# Error against cost of all couplings that were measured.

model.selection_.plot()

# %%
# Scales coupled for speed, to an accuracy that suffices, without training.

fast = model.stepper_.coupled(pyhits.Coupling("speed", tolerance=1e-6))
print(fast.selection.step_sizes)
