"""Simple baselines, which a model must beat to be worth its training.

>>> import numpy as np
>>> from pyhits.baselines import Linear
>>> t = np.arange(200)
>>> wave = np.column_stack([np.sin(0.1 * t), np.cos(0.1 * t)])
>>> Linear().fit(wave).forecast(wave[0], n_steps=5).shape
(6, 2)

All have one face: ``fit``, ``forecast`` from a state, ``forecast_from`` a recording.
"""

from pyhits.baselines.analog import Analog
from pyhits.baselines.autoregression import NVAR, Autoregression
from pyhits.baselines.direct import DLinear
from pyhits.baselines.drift import SeasonalDrift
from pyhits.baselines.driven import DrivenLinear, DrivenPolynomial
from pyhits.baselines.polynomial import Linear, Polynomial
from pyhits.baselines.reservoir import EchoState
from pyhits.baselines.seasonal import Seasonal, SeasonMeans
from pyhits.baselines.simple import Mean, Persistence
from pyhits.baselines.structural import Structural

__all__ = [
    "NVAR",
    "Analog",
    "Autoregression",
    "DLinear",
    "DrivenLinear",
    "DrivenPolynomial",
    "EchoState",
    "Linear",
    "Mean",
    "Persistence",
    "Polynomial",
    "SeasonMeans",
    "Seasonal",
    "SeasonalDrift",
    "Structural",
]
