"""
Parameters that differ between recordings
=========================================

Each recording was made at another damping. Given as inputs, constant over each trajectory, one
model serves all, and those in between.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyhits

t = 0.1 * np.arange(150)


def motion(damping):
    """Position and velocity of a damped oscillator from (1, 0)."""
    w = np.sqrt(1 - damping**2 / 4)
    envelope = np.exp(-damping * t / 2)
    x = envelope * (np.cos(w * t) + damping / (2 * w) * np.sin(w * t))
    return np.column_stack([x, -envelope * np.sin(w * t) / w])


dampings = np.linspace(0.05, 0.8, 16)
data = pyhits.Trajectories(
    np.stack([motion(d) for d in dampings]), 0.1, feature_names=["position", "velocity"]
)
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False)
model.fit(data, inputs={"damping": dampings[:, None]})

# %%
# At dampings that no recording has.

new = np.array([0.13, 0.37, 0.71])
states = model.forecast(np.tile([1.0, 0.0], (3, 1)), 149, inputs=new[:, None, None])
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for damping, ahead in zip(new, states, strict=True):
    truth = "truth" if damping == new[0] else None
    axes.plot(t, motion(damping)[:, 0], color="0.6", linewidth=3, label=truth)
    axes.plot(t, ahead[:, 0], label=f"damping {damping}")
axes.set(xlabel="time", ylabel="position")
axes.legend(frameon=False)
print("largest error:", max(np.abs(a - motion(d)).max() for d, a in zip(new, states, strict=True)))
