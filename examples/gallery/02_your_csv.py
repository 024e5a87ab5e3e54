"""
Your own CSV file
=================

From a table on disk to a table of what comes next.
"""

import tempfile
from pathlib import Path

import numpy as np

import pyhits

# A file as an instrument would write it: time, position, velocity. Take yours instead.
folder = Path(tempfile.mkdtemp())
t = 0.05 * np.arange(1500)
x = np.exp(-0.01 * t) * np.cos(1.3 * t)
v = -np.exp(-0.01 * t) * (0.01 * np.cos(1.3 * t) + 1.3 * np.sin(1.3 * t))
table = np.column_stack([t, x, v])
np.savetxt(folder / "measured.csv", table, delimiter=",", header="time,x,v", comments="")

# %%
# ``check`` says what is in a file, and what a person would object to.

print(pyhits.check(folder / "measured.csv"))

# %%
# ``read`` takes ``dt`` from the column of times. The last fifth is kept to compare with.

data = pyhits.read(folder / "measured.csv")
past, future = data.split_time(0.2)
past.plot()

# %%
model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(past)
print(model.notes_[0])
forecast = model.forecast_from(past, n_steps=120, interval=0.9)
forecast.plot(truth=future)

# %%
# Go on in pandas, or write it as a table. Times go on from the recording's.

later = model.forecast_from(data, n_steps=100, interval=0.9).to_dataframe()
later.to_csv(folder / "later.csv")
print(later.head(3))
