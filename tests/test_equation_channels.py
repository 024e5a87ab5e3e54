"""Equations of several channels, of which some are parameters that stay."""

import numpy as np
import torch

import pyhits
from pyhits.data.grid import Grid
from pyhits.flowmaps import EquationMap
from pyhits.flowmaps.equations.edges import Edges
from pyhits.flowmaps.equations.equation import Scheme
from pyhits.flowmaps.equations.terms import Terms
from pyhits.numerics.fourier import DERIVATIVE

N = 32
NONE, SECOND = (DERIVATIVE, 0), (DERIVATIVE, 2)


def waves(n: int, rng: np.random.Generator) -> np.ndarray:
    x = 2 * np.pi * np.arange(N) / N
    k = np.arange(1, 4)
    phase, size = rng.uniform(0, 2 * np.pi, (n, 1, 3)), rng.normal(size=(n, 1, 3))
    return np.sum(size * np.cos(k * x[:, None] + phase), axis=-1)


def simulated(terms: Terms, values: list[list[float]], starts: np.ndarray) -> np.ndarray:
    """Return eight steps of fields ``(n, N, 2)``, and where they begin."""
    coefficients = torch.tensor(values, dtype=torch.float64)
    maker = EquationMap.of(Edges.rings((N,), 2), terms, Scheme(8, 4), coefficients)
    states = [torch.from_numpy(starts.reshape(len(starts), -1))]
    with torch.inference_mode():
        for _ in range(8):
            states.append(maker(states[-1]))
    return torch.stack(states, dim=1).numpy().reshape(len(starts), 9, N, 2)


def forecast(data: np.ndarray, n_learned: int) -> np.ndarray:
    model = pyhits.HiTS(flow_map="equation", step_sizes=[1], random_state=0, verbose=False)
    model.fit(data[:n_learned], grid=Grid((N,), 2, periodic=True))
    ahead = model.forecast(data[n_learned:, 0], n_steps=8)
    return np.asarray(ahead).reshape(data[n_learned:].shape)


def test_parameters_of_runs_are_channels_that_stay() -> None:
    rng = np.random.default_rng(3)
    terms = Terms((), ((0, NONE), (1, NONE)), ((SECOND, (0, 1)),))
    spread = np.broadcast_to(rng.uniform(0.1, 0.5, (12, 1)), (12, N))
    data = simulated(terms, [[1.0], [0.0]], np.stack([waves(12, rng), spread], axis=2))
    ahead = forecast(data, 9)
    np.testing.assert_allclose(ahead, data[9:], atol=1e-3)
    np.testing.assert_allclose(ahead[..., 1], data[9:, ..., 1], rtol=1e-6)
