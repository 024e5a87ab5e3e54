"""The paper's rivals (Section 3.2): LSTM, clockwork RNN and echo state network.

>>> import numpy as np
>>> from pyhits.paper.rivals import EchoStateNetwork
>>> t = np.arange(200)
>>> wave = np.column_stack([np.sin(0.1 * t), np.cos(0.1 * t)])
>>> model = EchoStateNetwork(50, n_candidates=1, random_state=0, verbose=False).fit(wave)
>>> model.forecast(wave[0], n_steps=5).shape
(6, 2)
"""

from pyhits.paper.rivals.echo import EchoStateNetwork
from pyhits.paper.rivals.recurrent import LSTM, ClockworkRNN

__all__ = ["LSTM", "ClockworkRNN", "EchoStateNetwork"]
