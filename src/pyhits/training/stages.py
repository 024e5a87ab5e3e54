"""What is settled before a net is trained: increment scales, the polynomial stage, the net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pyhits.flowmaps import CellMap, FlowMap, PolynomialMap, ScaledNet, create, family
from pyhits.flowmaps.polynomial import fit_polynomial
from pyhits.training.jobs import ScaleJob
from pyhits.training.objective import side_by_side
from pyhits.training.synthetic import SyntheticWindows
from pyhits.util.clock import UNLIMITED, Clock

#: Windows that the increment's scale and the polynomial are fitted to, and errors measured on.
_N_FIT, _N_VALIDATION = 32_768, 8_192

#: Numbers in them at most, for states of many features.
_MOST_NUMBERS = 4_000_000

#: One-step mean squared error, in standardised coordinates, that rounding of the state hides.
ROUNDING_FLOOR = {torch.float32: 1e-15, torch.float64: 1e-30}

#: Relative mean squared error that the rounding inside a flow map's own sums leaves.
_EVALUATION_FLOOR = {torch.float32: 3e-13, torch.float64: 1e-27}

#: Parts of the relative target, since errors of many steps add up, and of the rounding inside a
#: flow map at which a polynomial's degree need not rise further.
_AMPLE, _ROUNDED = 1e-3, 0.2


@dataclass
class Stages:
    """The start of one scale's training."""

    #: (outputs * d,): root mean square of each feature's increment at each output, or of those of
    #: all features where these have a common scale; 0 for a feature that never changes.
    sigma: np.ndarray
    polynomial: PolynomialMap | None  # best closed-form flow map, float64, in encoded coordinates
    #: Its relative mean squared one-step error on held-out windows; infinite without one.
    polynomial_error: float
    #: Untrained, with its scale set and the polynomial as its base where that may be worth it.
    net: ScaledNet
    #: The same without a base, where it is open which of them will be better.
    alternative: ScaledNet | None
    validation: np.ndarray  # (p * outputs + 1, n, d): held-out windows that errors are measured on
    #: Windows between the recorded ones, where a composed fine map can label them.
    synthetic: SyntheticWindows | None = None
    table: CellMap | None = None  # the composed fine map tabulated, in few dimensions
    table_error: float = np.inf  # as ``polynomial_error``

    def relative_target(self, dtype: torch.dtype, target: float) -> float:
        """Return the relative error at which training has nothing left to gain.

        Either the one-step mean squared error ``target`` is met, or it drowns in the rounding of
        the state or of the sums that make the increment.
        """
        return _target(self.sigma[-self.validation.shape[-1] :], dtype, target)

    def one_step_error(self, flow_map: FlowMap) -> float:
        """Return the held-out error of one step, relative to the mean square of the increments."""
        with torch.inference_mode():
            like = next(flow_map.buffers())
            states = torch.from_numpy(self.validation[0]).to(like.device, like.dtype)
            after = flow_map.within(states).flatten(1).cpu().double().numpy()
        safe = np.where(self.sigma > 0, self.sigma, np.inf)
        truth = side_by_side(self.validation[1 : 1 + flow_map.outputs])
        return float(np.mean(np.square((after - truth) / safe)))


def _target(sigma: np.ndarray, dtype: torch.dtype, target: float) -> float:
    size = float(np.square(sigma).mean())
    if size == 0:
        return np.inf
    return max(max(target, ROUNDING_FLOOR[dtype]) / size, _EVALUATION_FLOOR[dtype])


def _ample(sigma: np.ndarray, dtype: torch.dtype, target: float) -> float:
    return max(_AMPLE * _target(sigma, dtype, target), _ROUNDED * _EVALUATION_FLOOR[dtype])


def prepare(job: ScaleJob, clock: Clock = UNLIMITED) -> Stages:
    """Measure the increments, fit the polynomial stage, as far as time goes, and set up the net."""
    d = len(job.train.encoder.mean_)
    windows = job.train.spread(max(512, min(_N_FIT, _MOST_NUMBERS // d)))
    validation = job.validation.spread(max(256, min(_N_VALIDATION, _MOST_NUMBERS // d)))
    sigma = _increment_scale(job, windows)
    polynomial, errors = None, np.full(len(sigma), np.inf)
    if job.recipe.polynomial_degree > 0:
        polynomial, errors = _fit_base(job, windows, validation, sigma, clock)
    error = float(errors.mean())
    base = polynomial if error < job.tuning.base_hopeless else None
    is_open = base is not None and error > job.tuning.base_certain
    alternative = _net(job, sigma) if is_open else None
    return Stages(sigma, polynomial, error, _net(job, sigma, base, errors), alternative, validation)


def _changes(job: ScaleJob, windows: np.ndarray) -> np.ndarray:
    """Return the increments of the first step at each output, shape ``(n, outputs * d)``."""
    changes = windows[1 : 1 + job.train.outputs] - windows[0]
    if job.train.n_inputs:
        changes[..., -job.train.n_inputs :] = 0.0
    return side_by_side(changes)


def _increment_scale(job: ScaleJob, windows: np.ndarray) -> np.ndarray:
    """Return ``sigma`` of :class:`Stages`."""
    size = np.sqrt(np.mean(np.square(_changes(job, windows)), axis=0))
    if not job.recipe.standardise:
        size = np.ones_like(size)
    # Nothing but rounding: such a feature stays exactly constant.
    sigma = np.where(size > 1e-12, size, 0.0)
    if job.train.encoder.common and job.recipe.standardise:
        # Small features stay small in their changes too, or their errors would count the most.
        at_output = sigma.reshape(job.train.outputs, -1)
        changing = at_output > 0
        mean = np.square(at_output).sum(axis=1) / np.maximum(changing.sum(axis=1), 1)
        sigma = (changing * np.sqrt(mean)[:, None]).ravel()
    return sigma


def _fit_base(
    job: ScaleJob, windows: np.ndarray, validation: np.ndarray, sigma: np.ndarray, clock: Clock
) -> tuple[PolynomialMap, np.ndarray]:
    """Return the polynomial of one step, float64, and its relative error of each increment."""
    dtype, d = job.torch_dtype, windows.shape[-1]
    safe, active = np.where(sigma > 0, sigma, 1.0), (sigma > 0).astype(float)
    polynomial, errors = fit_polynomial(
        (windows[0], _changes(job, windows) / safe * active),
        (validation[0], _changes(job, validation) / safe * active),
        max_degree=job.recipe.polynomial_degree,
        enough=_ample(sigma[-d:], dtype, job.recipe.target_error),
        dtype=dtype,
        clock=clock,
    )
    polynomial.coefficients.mul_(torch.from_numpy(sigma)[:, None])
    return polynomial, errors


def _net(
    job: ScaleJob,
    sigma: np.ndarray,
    base: PolynomialMap | None = None,
    errors: np.ndarray | None = None,
) -> ScaledNet:
    """Return an untrained net, alone or with a base that leaves relative ``errors``."""
    recipe, outputs = job.recipe, job.train.outputs
    d = len(sigma) // outputs
    config: dict[str, Any] = {"dimension": d, "base_degree": base.degree if base else None}
    if outputs > 1:
        config["outputs"] = outputs
    net_family = family(recipe.flow_map)
    assert issubclass(net_family, ScaledNet)
    config |= {name: getattr(recipe, name) for name in net_family.settings}
    net = create(recipe.flow_map, config, seed=job.seed).to(job.torch_dtype)
    assert isinstance(net, ScaledNet)
    scale = sigma
    if base is not None and errors is not None and net.base is not None:
        net.base.load_state_dict(base.state_dict())
        # The net learns what the base leaves at each output, brought to order one again.
        left = np.sqrt(errors.reshape(outputs, d).mean(axis=1))
        scale = sigma * np.repeat(np.maximum(left, 1e-12), d)
    net.scale.copy_(torch.from_numpy(scale))
    return net
