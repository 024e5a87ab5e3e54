"""
Export to ONNX
==============

One step of a model as a graph that runs without Python: in C++, in a browser, on a phone.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

import pyhits

system = pyhits.systems.get("fitzhugh-nagumo")
data = system.simulate(n_trajectories=10, n_steps=390, random_state=0)
model = pyhits.HiTS([1, 4], random_state=0, n_jobs=1, verbose=False).fit(data)
path = Path(tempfile.mkdtemp()) / "step.onnx"
pyhits.export_model(model, path)
print(path.stat().st_size, "bytes")

# %%
# The graph takes states ``(n, d)`` to the next ones, in your units.

session = onnxruntime.InferenceSession(path)
states = [data.initial_states]
for _ in range(400):
    (after,) = session.run(["next_states"], {"states": states[-1]})
    states.append(after)
rollout = np.stack(states, axis=1)
same = model.forecast(data.initial_states, n_steps=400, step_sizes=[1])
print("largest difference:", np.abs(rollout - same).max())
pyhits.Trajectories(rollout[:6], data.dt, feature_names=data.feature_names).plot("portrait")
