"""A family of flow maps of your own: define it, fit it, couple its scales, forecast, save.

    python examples/own_flow_map.py [folder]

Here a flow map's increment is linear in random cosines of the state (Rahimi and Recht 2007), so a
linear least-squares problem replaces training. ``HiTS.fit`` trains its own families; with one of
yours, do the steps of a fit yourself, as below. A few seconds on one core.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import pyhits
from pyhits.encoders import Standardise
from pyhits.flowmaps import FlowMap, register
from pyhits.hierarchy import Candidate, select
from pyhits.hierarchy.forecast import forecast
from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.training import WindowSampler


@register("example-cosines")  # the name that model files know the family by
class Cosines(FlowMap):
    """``x + W cos(A x + b)`` with random A and b, and W by least squares.

    Parameters
    ----------
    dimension, n_cosines : int
        Number of state variables and of cosines.
    """

    frequencies: Tensor
    phases: Tensor
    weights: Tensor

    def __init__(self, dimension: int, n_cosines: int = 300) -> None:
        super().__init__(dimension)
        self.n_cosines = n_cosines
        # Parameters and buffers travel with .to(device), and into model files.
        draw = torch.Generator().manual_seed(0)
        frequencies = 0.3 * torch.randn(n_cosines, dimension, generator=draw, dtype=torch.float64)
        phases = 2 * torch.pi * torch.rand(n_cosines, generator=draw, dtype=torch.float64)
        self.register_buffer("frequencies", frequencies)
        self.register_buffer("phases", phases)
        self.register_buffer("weights", torch.zeros(n_cosines, dimension, dtype=torch.float64))

    def cosines(self, states: Tensor) -> Tensor:
        """Return the cosines; ``(n, d)`` to ``(n, n_cosines)``."""
        return torch.cos(states @ self.frequencies.T + self.phases)

    def increment(self, states: Tensor) -> Tensor:
        """Return the change of state over one step; ``(n, d)`` to ``(n, d)``."""
        return self.cosines(states) @ self.weights

    def fit(self, states: np.ndarray, later: np.ndarray) -> Cosines:
        """Fit the weights to pairs of states one step apart, each ``(n, d)``, float64."""
        design = self.cosines(torch.from_numpy(states))
        change = torch.from_numpy(later - states)
        penalty = 1e-13 * len(states) * torch.eye(self.n_cosines, dtype=torch.float64)
        self.weights.copy_(torch.linalg.solve(design.T @ design + penalty, design.T @ change))
        return self


def run(folder: Path) -> float:
    """Return the mean squared error on fresh trajectories, in standard deviations."""
    # Swings of up to 0.4 rad: regular, but no polynomial.
    region = [[-0.4, 0.4], [-0.4, 0.4], [-0.5, 0.5], [-0.5, 0.5]]
    system = pyhits.systems.get("double-pendulum").with_region(region)
    train, held, test = (
        system.simulate(n, 512, random_state=seed) for seed, n in enumerate((60, 10, 10))
    )

    # Flow maps work in standardised coordinates.
    encoder = Standardise().fit(train.values)
    maps: dict[int, FlowMap] = {}
    for step_size in (1, 4, 16):
        windows = WindowSampler(train.values, train.offsets, encoder, step_size)
        states, later = windows.draw(4000, batch=0)
        maps[step_size] = Cosines(train.n_features).fit(states, later)

    def error(data: pyhits.Trajectories, step_sizes: tuple[int, ...]) -> float:
        states = forecast(
            data.initial_states,
            {size: maps[size] for size in step_sizes},
            encoder,
            512,
            on_divergence="return",
        )
        return ForecastErrors.of(data.to_array(), states, encoder.scale_).mse

    # The paper's greedy rule on validation rollouts; the 0 would be the seconds they took.
    chosen = select(list(maps), lambda sizes: Candidate(sizes, error(held, sizes)))
    for candidate in chosen.path:
        print(f"{candidate.error:.2e}  {candidate.step_sizes}")
    found = error(test, chosen.step_sizes)
    print(f"coupled {chosen.step_sizes}: {found:.2e} on fresh trajectories")

    # A model of maps of any registered family forecasts, evaluates, is saved and loaded.
    model = pyhits.TimeStepper.from_flow_maps(
        maps, train, scaling=encoder, step_sizes=chosen.step_sizes
    )
    again = pyhits.load(model.save(folder / "pendulum.safetensors"))
    assert np.array_equal(
        again.forecast(test.initial_states, 512), model.forecast(test.initial_states, 512)
    )
    return found


def main() -> None:
    """Run in the folder given, or in a temporary one."""
    if len(sys.argv) > 1:
        run(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))


if __name__ == "__main__":
    main()
