"""
A film
======

Pictures of a vortex street, as a camera would see it: 60 frames of 40 x 64 pixels are reduced
to a few modes, and the film goes on. ``pyhits.read("film.mp4")`` reads yours.
"""

import numpy as np

import pyhits
from pyhits.encoders import POD, Standardise

height, width, dt = 40, 64, 0.1
y, x = np.mgrid[0:height, 0:width]


def frame(t):
    """Grey values of rows of spots that drift to the right, above and below by turns."""
    wave = 2 * np.pi * (x / 32 - 0.5 * t)
    above = np.exp(-(((y - 14) / 6) ** 2)) * np.cos(wave)
    below = np.exp(-(((y - 26) / 6) ** 2)) * np.cos(wave + np.pi / 2)
    return 128 + 100 * (above + below) * np.exp(-x / 80)


film = pyhits.Trajectories(np.stack([frame(k * dt) for k in range(120)]), dt, grid=(height, width))
past, future = film.split_time(0.5)

# %%
model = pyhits.HiTS(
    encoder=[POD(energy=0.9999), Standardise(common=True)], random_state=0, n_jobs=1, verbose=False
).fit(past)
print(model.modes())
model.modes().plot()

# %%
ahead = model.forecast_from(past, n_steps=len(future[0]) - 1)
rows = np.asarray(ahead).reshape(len(future[0]), -1)
pyhits.plots.compared_fields(future[0], rows, future.times(), film.grid)
