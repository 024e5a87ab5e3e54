"""A flow map whose increment is a polynomial of the state, fitted in closed form."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pyhits.errors import ArgumentError
from pyhits.flowmaps.base import (
    DIMENSION,
    OUTPUTS,
    FlowMap,
    StepInto,
    register,
    spread_into,
)
from pyhits.numerics.basis import MonomialBuffer, Monomials, n_monomials
from pyhits.util.checks import as_count
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.schema import Record, Schema, Whole

#: Columns from which on BLAS is as fast on a product with the coefficients from the right.
_WIDE = 16

#: What a file says of the degree of a polynomial.
DEGREE = Whole(0, 10_000)


@register("polynomial")
class PolynomialMap(FlowMap):
    """Polynomial increment of total degree ``degree``.

    Near-exact at small steps of systems with polynomial right-hand sides, where a net would need
    long training, and quick to fit on small data. Outside ``bounds`` the polynomial is
    evaluated at the nearest point of the box, so that high powers cannot run away.

    Parameters
    ----------
    dimension, degree : int
        Number of state variables and total degree (0 or more).
    outputs : int
        Number of states inside one step; each has its own coefficients, all share the monomials.
    """

    schema: ClassVar[Schema] = Record(DIMENSION | {"degree": DEGREE}, OUTPUTS)

    coefficients: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, dimension: int, degree: int, outputs: int = 1) -> None:
        super().__init__(dimension, outputs)
        self.degree = as_count(degree, "degree", least=0)
        self.basis = Monomials(dimension, self.degree)
        self.register_buffer("coefficients", torch.zeros(outputs * dimension, self.basis.size))
        self.register_buffer("low", torch.full((dimension,), -torch.inf))
        self.register_buffer("high", torch.full((dimension,), torch.inf))

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping: the monomials, or the outputs."""
        return max(self.coefficients.shape)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation: making each monomial, and its coefficients."""
        return int(self.coefficients.numel() + self.coefficients.shape[1])

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().config() | {"degree": self.degree}

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many numbers it keeps: coefficients, and the box."""
        d, outputs = config["dimension"], config.get("outputs", 1)
        return int(outputs * d * n_monomials(d, config["degree"]) + 2 * d)

    def set_bounds(self, states: np.ndarray, margin: float = 0.1) -> None:
        """Set the box to the range of ``states`` (n, d), widened by ``margin`` of it a side."""
        low, high = states.min(axis=0), states.max(axis=0)
        pad = margin * (high - low)
        self.low.copy_(torch.from_numpy(low - pad))
        self.high.copy_(torch.from_numpy(high + pad))

    def monomials(self, states: Tensor) -> Tensor:
        """Return all monomials, one a row: states ``(n, d)`` to ``(n_monomials, n)``."""
        variables = states.T
        if self.degree > 1:
            variables = torch.clamp(variables, self.low[:, None], self.high[:, None])
        return self.basis.of_tensor(variables)

    def increment(self, states: Tensor) -> Tensor:
        """Return the changes of state at all outputs; ``(n, d)`` to ``(n, outputs * d)``."""
        return (self.coefficients @ self.monomials(states)).T

    def stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function that reuses one block of monomials."""
        if len(self.coefficients) >= _WIDE:
            return self._wide_stepper(max_rows)
        n_changes, n_terms = self.coefficients.shape
        buffer = self.coefficients.new_empty(n_terms * max_rows)
        change = self.coefficients.new_empty(n_changes * max_rows)
        low, high = self.low[:, None], self.high[:, None]
        #: By number of rows. Few numbers occur.
        monomials: dict[int, MonomialBuffer] = {}

        def step_into(states: Tensor, out: Tensor) -> None:
            n = len(states)
            if n not in monomials:
                monomials[n] = self.basis.within(buffer[: n * n_terms].view(n_terms, n))
            terms = self._fill(monomials[n], states, low, high)
            # Coefficients from the left: BLAS is some 20 times slower on the transposed product.
            product = change[: n * n_changes].view(n_changes, n)
            torch.mm(self.coefficients, terms, out=product)
            if self.outputs == 1:
                torch.add(states, product.T, out=out)
            else:
                spread_into(states, self.outputs, out)
                out += product.T

        return step_into

    def _wide_stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function of one product, with coefficients from the right.

        The states themselves are the last rows of the monomials, with coefficients that copy them
        to every output: as large numbers they are added last, and in no pass of their own.
        """
        n_terms, d = self.coefficients.shape[1], self.dimension
        copies = torch.eye(d).repeat(1, self.outputs).to(self.coefficients)
        factors = torch.cat([self.coefficients.T, copies])
        buffer = self.coefficients.new_empty(len(factors) * max_rows)
        low, high = self.low[:, None], self.high[:, None]
        monomials: dict[int, MonomialBuffer] = {}

        def step_into(states: Tensor, out: Tensor) -> None:
            n = len(states)
            if n not in monomials:
                block = buffer[: n * len(factors)].view(len(factors), n)
                monomials[n] = self.basis.within(block)
            terms = self._fill(monomials[n], states, low, high)
            terms[n_terms : n_terms + d].copy_(states.T)
            torch.mm(terms.T, factors, out=out)

        return step_into

    def _fill(self, monomials: MonomialBuffer, states: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Return the monomials of ``states`` (n, d), clamped where they have powers."""
        if self.degree == 1:
            monomials.variables.copy_(states.T)
        elif self.degree > 1:
            torch.clamp(states.T, low, high, out=monomials.variables)
        return monomials.fill()


#: Ridge penalties tried, relative to the largest singular value squared.
RIDGES = (0.0, 1e-12, 1e-9, 1e-6, 1e-4, 1e-2)

#: Part of the error of lower degrees that a higher one must fall below.
_GAIN = 0.95

#: Degrees above the first must reach the second mean squared error.
_TAME, _ALL_BUT_EXACT = 9, 1e-9

#: Multiply-adds a second of a decomposition, at least.
_SPEED = 2e9

#: Larger coefficients would not survive float32.
_LARGEST_COEFFICIENT = 1e30


def fit_polynomial(
    states: np.ndarray,
    increments: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray],
    *,
    max_degree: int = 17,
    max_terms: int = 256,
    enough: float = 0.0,
    dtype: torch.dtype = torch.float64,
    clock: Clock = UNLIMITED,
) -> tuple[PolynomialMap, np.ndarray]:
    """Fit polynomials of rising degree by ridge regression and keep the best on validation.

    A higher degree must gain some per cent, and one above 9 be all but exact: its large terms
    cancel, and between the data it is the wilder one.

    Parameters
    ----------
    states : array, shape (n, d)
        Standardised states, float64.
    increments : array, shape (n, outputs * d)
        Their changes over one step, at each output, scaled to order one; float64.
    validation : pair of such arrays
        Held-out states and increments that choose degree and penalty.
    max_degree, max_terms : int
        The degree rises while it is at most ``max_degree`` and the number of monomials is at most
        a third of the rows and, above degree 1, ``max_terms``.
    enough : float
        Mean squared error on validation at which the degree need not rise further.
    dtype : torch.dtype
        Arithmetic that the polynomial will be evaluated in: validation is in it, since sums of high
        powers may cancel.
    clock : Clock, optional
        Degrees that it does not afford are not tried.

    Returns
    -------
    best : PolynomialMap
        In float64.
    residual : array, shape (outputs * d,)
        Its mean squared error on validation, each output and feature.
    """
    d = states.shape[1]
    if len(states) == 0 or len(states) != len(increments) or increments.shape[1] % d:
        raise ArgumentError(f"Cannot fit to states {states.shape}, increments {increments.shape}.")
    held_states, held = (torch.from_numpy(np.ascontiguousarray(a)) for a in validation)
    x, y = (torch.from_numpy(np.ascontiguousarray(a)) for a in (states, increments))
    best: PolynomialMap | None = None
    best_error = np.full(increments.shape[1], np.inf)
    tame = best, best_error
    for degree in range(max_degree + 1):
        if best is not None and best_error.mean() <= enough:
            break
        to_beat = _GAIN * best_error.mean()
        if degree == _TAME + 1:
            tame = best, best_error
        terms = n_monomials(d, degree)
        if (degree > 1 and terms > max_terms) or (degree > 0 and 3 * terms > len(states)):
            break
        work = 2 * len(states) * terms * (terms + increments.shape[1])
        if best is not None and not clock.affords(work / _SPEED):
            clock.cut("polynomials of higher degree")
            break
        candidate = PolynomialMap(d, degree, increments.shape[1] // d).double()
        candidate.set_bounds(states)
        design = candidate.monomials(x).T
        scale = design.square().mean(0).sqrt_()
        # A column of nothing but zeros or rounding, as a constant feature gives, has no say.
        scale = torch.where(scale > 1e-30, scale, torch.inf)
        q, r = torch.linalg.qr(design / scale)
        u, s, vt = torch.linalg.svd(r)
        projected = u.T @ (q.T @ y)
        keep = (s > 1e-13 * s[0]).double()
        # As it will be stepped: in the arithmetic to come, which rounds what cancels.
        probe = PolynomialMap(d, degree).to(dtype)
        probe.set_bounds(states)
        test = probe.monomials(held_states.to(dtype))
        for ridge in RIDGES:
            weight = keep * s / (s * s + ridge * s[0] * s[0]).clamp(min=1e-300)
            coefficients = (vt.T @ (weight[:, None] * projected)) / scale[:, None]
            found = (coefficients.T.to(dtype) @ test).double()
            error = (found - held.T).square().mean(1).numpy()
            fits = float(coefficients.abs().max()) < _LARGEST_COEFFICIENT
            if fits and error.mean() < min(to_beat, best_error.mean()):
                candidate.coefficients.copy_(coefficients.T)
                best, best_error = candidate, error
    if best is not None and best.degree > _TAME and best_error.mean() > _ALL_BUT_EXACT:
        best, best_error = tame
    if best is None:
        raise ArgumentError("No polynomial has a finite error; are the states finite?")
    return best, best_error
