"""
One variable of a chaotic system
================================

Of the Lorenz system only x is recorded. Its rows do not tell what comes next; several of them,
side by side, do (Takens 1981). A fit finds out by itself how many.
"""

import numpy as np

import pyhits

lorenz = pyhits.systems.get("lorenz").simulate(1, 3400, dt=0.02, random_state=0)
x = lorenz.select(["x"])
past, future = x.split_time(1000)
x.plot()

# %%
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(past)
print("rows that a forecast starts from:", model.start_rows_)
print(model.encoder_)

# %%
# Bounds are known up to half of what was held out.

forecast = model.forecast_from(past, n_steps=300, interval=0.9)
forecast.plot(truth=future)

# %%
# The Lyapunov exponent is 0.906: errors grow e-fold in 1.1 time units. From many origins:

result = model.backtest(x, origins=12, horizon=200)
print(np.round(result.nrmse["hits"][[0, 49, 99, 199]], 4))
result.plot()
