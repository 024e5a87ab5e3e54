"""
A field on a plane
==================

A pattern that drifts and spreads on a periodic grid of 24 x 24 points.
"""

import numpy as np

import pyhits

n, dt = 24, 0.1
k = np.fft.fftfreq(n, 1 / n)
kx, ky = np.meshgrid(k, k)
rng = np.random.default_rng(0)
step = np.exp(dt * (-0.02 * (kx**2 + ky**2) - 1j * (0.8 * kx + 0.3 * ky)))


def run(n_steps):
    """Return fields ``(n_steps + 1, n, n)`` from random waves of up to three across."""
    waves = np.fft.fft2(rng.normal(size=(n, n))) * (np.hypot(kx, ky) < 4)
    rows = [waves]
    for _ in range(n_steps):
        rows.append(rows[-1] * step)
    return np.fft.ifft2(rows).real


grid = pyhits.Grid((n, n), spacing=2 * np.pi / n, periodic=True)
train = pyhits.Trajectories(np.stack([run(30) for _ in range(6)]), dt, grid=grid)
test = pyhits.Trajectories(run(60), dt, grid=grid)
train.plot()

# %%
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False, time_limit=30).fit(train)
print(model.history_[1].flow_map)
states = model.forecast(test, n_steps=60).reshape(61, -1)
pyhits.plots.compared_fields(test[0], states, test.times(), grid)
