"""
Backtests, and updates
======================

How good would past forecasts have been? From rolling origins of a recording, with a model that
is fitted anew to what was known at each.
"""

import numpy as np

import pyhits

rng = np.random.default_rng(0)
t = np.arange(900)
load = 10 + 3 * np.sin(2 * np.pi * t / 24) + np.sin(2 * np.pi * t / 168)
noise = np.zeros(900)
for k in range(1, 900):
    noise[k] = 0.8 * noise[k - 1] + 0.25 * rng.standard_normal()
recording = pyhits.Trajectories((load + noise)[:, None], 1.0, feature_names=["load"])
recording.plot()

# %%
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(recording.cut(700))
result = model.backtest(recording, origins=4, horizon=48, refit=True)
print(result)
result.plot()

# %%
# New rows come in: the same choices, fitted to all of them, without a search.

current = model.stepper_.updated(recording)
current.forecast_from(recording, n_steps=70, interval=0.9).plot()
