"""
A field along a line, and its equation
======================================

Burgers' equation on a ring of 64 points. A field on a grid is stepped by one map of neighbours,
the same at every point; where an equation explains the data, the model says it.
"""

import numpy as np

import pyhits

n, dt, viscosity = 64, 0.05, 0.05
x = 2 * np.pi * np.arange(n) / n
k = np.fft.rfftfreq(n, 1 / n)
rng = np.random.default_rng(0)


def slope(u):
    """Time derivative, by Fourier transforms, with the shortest third of the waves left out."""
    square = np.fft.rfft(u**2) * (k < n / 3)
    return np.fft.irfft(-0.5j * k * square - viscosity * k**2 * np.fft.rfft(u), n=n)


def run(n_steps, substeps=10):
    """Return a solution from random long waves, ``(n_steps + 1, n)``."""
    phases, sizes = rng.uniform(0, 2 * np.pi, 3), rng.normal(size=3) / np.arange(1, 4)
    u = sum(a * np.cos(j * x + p) for j, (a, p) in enumerate(zip(sizes, phases, strict=True), 1))
    rows, h = [u], dt / substeps
    for _ in range(n_steps):
        for _ in range(substeps):
            a = slope(u)
            b = slope(u + h / 2 * a)
            c = slope(u + h / 2 * b)
            u = u + h / 6 * (a + 2 * b + 2 * c + slope(u + h * c))
        rows.append(u)
    return np.stack(rows)


grid = pyhits.Grid((n,), ("u",), axes=["x"], spacing=2 * np.pi / n, periodic=True)
train = pyhits.Trajectories(np.stack([run(60) for _ in range(8)]), dt, grid=grid)
test = pyhits.Trajectories(run(60), dt, grid=grid)

# %%
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False, time_limit=30).fit(train)
print(model.equations())

# %%
# Recorded, forecast and error.

states = model.forecast(test, n_steps=60)
rows = states.reshape(61, -1)
pyhits.plots.compared_fields(test[0], rows, test.times(), grid)

# %%
pyhits.plots.field_statistics(test[0], rows, test.times(), grid)
