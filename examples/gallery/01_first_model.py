"""
A first model
=============

Learn the Van der Pol oscillator from 40 recorded trajectories, and step others forward.
"""

import pyhits

system = pyhits.systems.get("van-der-pol")
train = system.simulate(n_trajectories=40, n_steps=200, dt=0.05, random_state=1)
test = system.simulate(n_trajectories=8, n_steps=200, dt=0.05, random_state=3)
train.plot("portrait")

# %%
# ``fit`` holds some trajectories out, learns a flow map for each of several step sizes, and
# chooses on the held-out ones which of them to couple.

model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(train)
print(repr(model.stepper_))
model.plot_scales()

# %%
# A forecast needs initial states and a number of steps. With ``interval`` it knows its errors.

forecast = model.forecast(test, n_steps=200, interval=0.9)
forecast.plot(truth=test)

# %%
# The evaluation puts simple forecasts beside the model.

result = model.evaluate(test)
print(result.verdict)
result.plot()
