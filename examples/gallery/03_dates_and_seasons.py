"""
Dates and seasons
=================

A DataFrame with dates goes in, a DataFrame with the dates that follow comes out. A recording is
blended with seasonal and autoregressive forecasts where these help.
"""

import numpy as np
import pandas as pd

import pyhits

months = pd.date_range("2005-01-01", periods=180, freq="MS")
k = np.arange(180)
rng = np.random.default_rng(0)
sales = 100 + 0.4 * k + 18 * np.sin(2 * np.pi * k / 12) + 6 * np.cos(2 * np.pi * k / 6)
frame = pd.DataFrame({"sales": sales + 2.5 * rng.standard_normal(180)}, index=months)

past, future = frame[:150], frame[150:]
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(past)
print(model.forecast_from(past, n_steps=3))

# %%
forecast = model.forecast_from(past, n_steps=12, interval=0.9)
forecast.plot(truth=future, past=past)

# %%
# Forecasts from several origins of the whole recording, beside the baselines.

result = model.backtest(frame, origins=6, horizon=12)
print(result)
result.plot()
