"""
Scales on a cluster
===================

Scales do not depend on each other: inside ``joblib.parallel_config("dask")`` they train on the
workers of a Dask cluster. The model is the same as one trained here.
"""

import joblib
import numpy as np
from distributed import Client, LocalCluster

import pyhits

system = pyhits.systems.get("lotka-volterra")
train = system.simulate(n_trajectories=30, n_steps=300, random_state=1)
settings = {"flow_map": pyhits.Nets((16, 16)), "max_steps": 150, "random_state": 0}
model = pyhits.HiTS([1, 4, 16], verbose=False, **settings)

# A cluster in this process, to try; give ``Client`` the address of yours.
with (
    LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as local,
    Client(local),
    joblib.parallel_config("dask"),
):
    model.fit(train)
model.plot_scales()

# %%
here = pyhits.HiTS([1, 4, 16], verbose=False, n_jobs=1, **settings).fit(train)
difference = model.forecast(train, 300) - here.forecast(train, 300)
print("largest difference:", np.abs(difference).max())
