"""What to compare with: the rivals of the paper's Section 3.2, and simple baselines.

>>> import numpy as np
>>> from pyhits.baselines import EchoStateNetwork
>>> t = np.arange(200)
>>> wave = np.column_stack([np.sin(0.1 * t), np.cos(0.1 * t)])
>>> model = EchoStateNetwork(50, n_candidates=1, random_state=0, verbose=False).fit(wave)
>>> model.forecast(wave[0], n_steps=5).shape
(6, 2)

All have one face: ``fit``, ``forecast`` from a state, ``forecast_from`` a recording.
"""

from pyhits.baselines.driven import DrivenLinear, DrivenPolynomial
from pyhits.baselines.echo import EchoStateNetwork
from pyhits.baselines.polynomial import Linear, Polynomial
from pyhits.baselines.recurrent import LSTM, ClockworkRNN
from pyhits.baselines.seasonal import Seasonal
from pyhits.baselines.simple import Mean, Persistence

__all__ = [
    "LSTM",
    "ClockworkRNN",
    "DrivenLinear",
    "DrivenPolynomial",
    "EchoStateNetwork",
    "Linear",
    "Mean",
    "Persistence",
    "Polynomial",
    "Seasonal",
]
