"""Closed forms of a flow map: polynomials and kernels, solved for by ridge regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps import FlowMap, KernelMap, PolynomialMap
from pyhits.flowmaps.kernel import radial
from pyhits.numerics.basis import n_monomials
from pyhits.numerics.ridge import Ridge

#: Penalties of polynomials, relative to the square of the largest singular value.
PENALTIES = tuple(10.0**k for k in range(-15, 0, 2))

#: Penalties of kernels, for each state that is fitted.
NUGGETS = tuple(10.0**k for k in range(-13, 0, 2))

#: The penalty of the polynomial below a kernel, which the kernel corrects anyway.
_BASE_PENALTY = 1e-11

#: Polynomials hold this far beyond the states they were fitted to, in their range, on each side:
#: few points leave much of a system's region unseen.
_MARGIN = 1.0

#: Principal axes shorter than this part of the longest are rounding, and not stretched further.
_SHORTEST_AXIS = 1e-6

#: Steps many states at once with each of several penalties; ``(r, n, d)`` to ``(r, n, d)``.
Steps = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Form:
    """A closed form, all but the numbers that are solved for.

    Attributes
    ----------
    degree : int
        Of the polynomial, or of that below the kernel.
    penalty : float
    kernel : {"", "gaussian", "matern"}
        Empty for a polynomial alone.
    length : float
        Length of the kernel, where states are 1 apart from their mean in the root mean square.
    whitening : float
        Power of the principal axes' lengths that distances are divided by: 0 takes states as they
        are, 1 makes all axes equally long.
    stretch : tuple of float
        Weight of each principal axis in distances; empty for equal ones.
    """

    degree: int
    penalty: float = 0.0
    kernel: str = ""
    length: float = 1.0
    whitening: float = 0.0
    stretch: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return vars(self) | {"stretch": list(self.stretch)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Form:
        """Rebuild from :meth:`as_dict`; what else is there is left out."""
        known = {k: v for k, v in values.items() if k in cls.__dataclass_fields__}
        return cls(**known | {"stretch": tuple(known.get("stretch", ()))})

    def but(self, name: str, value: Any) -> Form:
        """Return the form with another value of one attribute."""
        return replace(self, **{name: value})

    def __str__(self) -> str:
        polynomial = f"polynomial (degree {self.degree})"
        return f"{polynomial} + {self.kernel} kernel" if self.kernel else polynomial


class Regression:
    """States and their changes, to which closed forms are fitted.

    Parameters
    ----------
    states : array, shape (n, d)
        Encoded, float64.
    changes : array, shape (n, outputs * d)
    """

    def __init__(self, states: np.ndarray, changes: np.ndarray) -> None:
        self.states = torch.from_numpy(np.ascontiguousarray(states, dtype=np.float64))
        self.changes = torch.from_numpy(np.ascontiguousarray(changes, dtype=np.float64))
        self.outputs = changes.shape[1] // states.shape[1]
        self._polynomials: dict[int, tuple[PolynomialMap, Tensor]] = {}
        self._mean = self.states.mean(dim=0)

    @cached_property
    def _principal(self) -> tuple[Tensor, Tensor]:
        """Principal axes, one a column, and their lengths; for kernels alone, which take d**3."""
        centred = self.states - self._mean
        squares, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
        lengths = squares.clamp(min=0).sqrt()
        return axes, lengths.clamp(min=max(_SHORTEST_AXIS * float(lengths.max()), 1e-300))

    def affords(self, degree: int, share: float, most: int) -> bool:
        """Whether a polynomial has at most that share of the rows, and ``most`` terms."""
        terms = n_monomials(self.states.shape[1], degree)
        return terms <= min(most, share * len(self.states))

    def family(self, form: Form, reach: int | None = None) -> tuple[list[Form], Steps]:
        """Return a form with the penalties that are worth trying, and how they step.

        Of a polynomial these are all of :data:`PENALTIES`; of a kernel all of :data:`NUGGETS`, or
        those at most ``reach`` from the form's own, as far as they can be solved for.
        """
        base, coefficients = self._polynomial(form.degree)
        if not form.kernel:
            forms = [replace(form, penalty=penalty) for penalty in PENALTIES]
            return forms, _polynomial_steps(base, coefficients)
        base = _with(base, coefficients[PENALTIES.index(_BASE_PENALTY)])
        metric, centres, gram, left = self._kernel(form, base)
        nuggets = NUGGETS
        if reach is not None:
            own = NUGGETS.index(form.penalty)
            nuggets = NUGGETS[max(0, own - reach) : own + reach + 1]
        solved = {nugget: _solve(gram, nugget, left) for nugget in nuggets}
        found = {nugget: weights for nugget, weights in solved.items() if weights is not None}
        if not found:
            found = {NUGGETS[-1]: torch.zeros_like(left)}
        forms = [replace(form, penalty=nugget) for nugget in found]
        return forms, _kernel_steps(
            form.kernel, metric, centres, torch.stack([*found.values()]), base
        )

    def solve(self, form: Form) -> FlowMap:
        """Return the flow map of a form, float64."""
        base, coefficients = self._polynomial(form.degree)
        if not form.kernel:
            return _with(base, coefficients[PENALTIES.index(form.penalty)])
        base = _with(base, coefficients[PENALTIES.index(_BASE_PENALTY)])
        metric, centres, gram, left = self._kernel(form, base)
        weights = None
        # With more states than it was chosen on, a matrix may be too near to singular.
        for nugget in NUGGETS[NUGGETS.index(form.penalty) :]:
            weights = _solve(gram, nugget, left)
            if weights is not None:
                break
        flow_map = KernelMap(
            len(metric), len(self.states), form.kernel, form.degree, self.outputs
        ).double()
        flow_map.base.load_state_dict(base.state_dict())
        flow_map.metric.copy_(metric)
        flow_map.centres.copy_(centres)
        if weights is not None:
            flow_map.weights.copy_(weights)
        return flow_map

    def _kernel(self, form: Form, base: PolynomialMap) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return metric, centres in it, kernel matrix, and what the base leaves to learn."""
        metric = self._metric(form)
        centres = self.states @ metric
        left = self.changes - base.increment(self.states)
        return metric, centres, radial(form.kernel, centres, centres), left

    def _metric(self, form: Form) -> Tensor:
        """Return the metric ``(d, d)`` of a kernel, its length included."""
        axes, lengths = self._principal
        metric: Tensor = axes / lengths**form.whitening
        spread = ((self.states - self._mean) @ metric).square().sum(dim=1).mean().sqrt()
        metric = metric / spread.clamp(min=1e-300)
        if form.stretch:
            metric = metric * _row(form.stretch)
        return metric / form.length

    def _polynomial(self, degree: int) -> tuple[PolynomialMap, Tensor]:
        """Return an empty polynomial, and coefficients ``(penalties, outputs * d, terms)``."""
        if degree not in self._polynomials:
            empty = PolynomialMap(self.states.shape[1], degree, self.outputs).double()
            empty.set_bounds(self.states.numpy(), margin=_MARGIN)
            ridge = Ridge(empty.monomials(self.states).T, self.changes, scaled=True)
            self._polynomials[degree] = empty, ridge.path(PENALTIES).mT.contiguous()
        return self._polynomials[degree]


def _solve(gram: Tensor, nugget: float, targets: Tensor) -> Tensor | None:
    """Return the weights of kernel ridge regression; None where rounding forbids them."""
    shifted = gram.clone()
    shifted.diagonal().add_(len(gram) * nugget)
    factor, failed = torch.linalg.cholesky_ex(shifted)
    return None if int(failed) else torch.cholesky_solve(targets, factor)


def _row(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _with(empty: PolynomialMap, coefficients: Tensor) -> PolynomialMap:
    filled = PolynomialMap(empty.dimension, empty.degree, empty.outputs).double()
    filled.load_state_dict(empty.state_dict())
    filled.coefficients.copy_(coefficients)
    return filled


def _polynomial_steps(base: PolynomialMap, coefficients: Tensor) -> Steps:
    last = coefficients[:, -base.dimension :]

    def steps(states: Tensor) -> Tensor:
        terms = base.monomials(states.flatten(0, 1)).view(-1, *states.shape[:2])
        return states + torch.einsum("rdt,trn->rnd", last, terms)

    return steps


def _kernel_steps(
    kernel: str, metric: Tensor, centres: Tensor, weights: Tensor, base: PolynomialMap
) -> Steps:
    last = weights[:, :, -base.dimension :]

    def steps(states: Tensor) -> Tensor:
        flat = states.flatten(0, 1)
        functions = radial(kernel, flat @ metric, centres).view(*states.shape[:2], -1)
        change = base.increment(flat)[:, -base.dimension :].view(states.shape)
        return states + change + torch.bmm(functions, last)

    return steps


def stretched(form: Form, axis: int, factor: float, dimension: int) -> Form:
    """Return a kernel in which one principal axis counts ``factor`` times as much."""
    stretch: Sequence[float] = form.stretch or (1.0,) * dimension
    return replace(
        form, stretch=tuple(s * factor if k == axis else s for k, s in enumerate(stretch))
    )
