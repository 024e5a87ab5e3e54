"""
A noisy pendulum
================

White noise is found and taken off before flow maps are learned.
"""

import numpy as np

import pyhits


def swing(t, z):
    """Angle and angular velocity of a damped pendulum."""
    angle, speed = z[..., 0], z[..., 1]
    return np.stack([speed, -np.sin(angle) - 0.05 * speed], axis=-1)


rk4 = pyhits.integrators.RungeKutta(swing, "rk4", substeps=4)
starts = np.random.default_rng(0).uniform([-2, -1], [2, 1], (24, 2))
clean = np.concatenate([starts[:, None], rk4(starts, 0.1, 170)], axis=1)
clean = pyhits.Trajectories(clean, 0.1, feature_names=["angle", "speed"])
noisy = clean.add_noise(0.01, random_state=1)  # 1 % of the variance
noisy[:3].plot()

# %%
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(noisy[:20])
print("noise found:", model.noise_.round(3))

# %%
# From a clean state of a trajectory that it has not seen, against the clean truth. The interval
# is one for what a noisy sensor would record.

forecast = model.forecast(clean[20:], n_steps=170, interval=0.9)
forecast.plot(truth=clean[20:])

# %%
# On from a noisy recording, it starts from the state that explains the last rows best.

onward = model.forecast_from(noisy[21][:120], n_steps=80)
print("start recorded:", noisy[21][119].round(3))
print("start taken:   ", np.asarray(onward[0]).round(3))
print("truth:         ", clean[21][119].round(3))
