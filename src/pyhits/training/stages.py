"""What is settled before a net is trained: increment scales, the polynomial stage, the net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pyhits.flowmaps import PolynomialMap, ResidualNet, ScaledNet, create
from pyhits.flowmaps.polynomial import fit_polynomial
from pyhits.training.recipe import Recipe
from pyhits.training.windows import WindowSampler

#: Windows that the increment's scale and the polynomial are fitted to, and errors measured on.
_N_FIT, _N_HELD = 32_768, 8_192

#: Numbers in them at most, for states of many features.
_MOST_NUMBERS = 4_000_000

#: A polynomial stage is kept below this relative error: above it the net learns better alone.
_BASE_WORTH = 1e-3

#: One-step mean squared error, in standardised coordinates, that rounding of the state hides.
ROUNDING_FLOOR = {torch.float32: 1e-16, torch.float64: 1e-30}


@dataclass
class Stages:
    """The start of one scale's training.

    Attributes
    ----------
    sigma : array, shape (d,)
        Standard deviation of each feature's increment; 0 for a feature that never changes.
    polynomial : PolynomialMap or None
        Best closed-form flow map, float64, in encoded coordinates.
    polynomial_error : float
        Its relative mean squared one-step error on held-out windows; infinite without one.
    net : ScaledNet
        Untrained, with its scale set and the polynomial as its base where that is worth it.
    held : array, shape (p + 1, n, d)
        Held-out windows that errors are measured on.
    """

    sigma: np.ndarray
    polynomial: PolynomialMap | None
    polynomial_error: float
    net: ScaledNet
    held: np.ndarray

    def relative_target(self, dtype: torch.dtype, target: float) -> float:
        """Return the relative error at which training has nothing left to gain.

        Either the one-step mean squared error ``target`` is met, or it drowns in the rounding of
        the state.
        """
        variance = float(np.square(self.sigma).mean())
        return max(target, ROUNDING_FLOOR[dtype]) / variance if variance > 0 else np.inf


def prepare(
    train: WindowSampler, held: WindowSampler, recipe: Recipe, dtype: torch.dtype, seed: int
) -> Stages:
    """Measure the increments, fit the polynomial stage and set up the net."""
    d = len(train.encoder.mean_)
    windows = train.spread(max(512, min(_N_FIT, _MOST_NUMBERS // d)))
    held_windows = held.spread(max(256, min(_N_HELD, _MOST_NUMBERS // d)))
    change = windows[1] - windows[0]
    spread = change.std(axis=0) if recipe.standardise else np.ones(d)
    # Nothing but rounding: such a feature is kept exactly constant.
    sigma = np.where(spread > 1e-12, spread, 0.0)
    if len(change) == 1:
        sigma = np.where(change[0] != 0, np.abs(change[0]), 0.0)
    safe = np.where(sigma > 0, sigma, 1.0)
    active = (sigma > 0).astype(float)

    polynomial, error = None, np.inf
    if recipe.polynomial_degree > 0:
        target = (held_windows[1] - held_windows[0]) / safe * active
        polynomial, errors = fit_polynomial(
            windows[0],
            change / safe * active,
            (held_windows[0], target),
            max_degree=recipe.polynomial_degree,
        )
        error = float(errors.mean())
        polynomial.coefficients.mul_(torch.from_numpy(sigma)[:, None])
    use_base = polynomial is not None and error < _BASE_WORTH
    config: dict[str, Any] = {
        "dimension": d,
        "base_degree": polynomial.degree if use_base and polynomial is not None else None,
    }
    if recipe.flow_map == ResidualNet.kind:
        config |= {"hidden_sizes": recipe.hidden_sizes, "activation": recipe.activation}
    net = create(recipe.flow_map, config, seed=seed).to(dtype)
    assert isinstance(net, ScaledNet)
    if net.base is not None and polynomial is not None:
        net.base.load_state_dict(polynomial.state_dict())
    # With a base the net learns its remainder, brought to order one again.
    remainder = max(float(np.sqrt(error)), 1e-12) if use_base else 1.0
    net.scale.copy_(torch.from_numpy(sigma * remainder))
    return Stages(sigma, polynomial, error, net, held_windows)
