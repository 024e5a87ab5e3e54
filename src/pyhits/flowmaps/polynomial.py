"""A flow map whose increment is a polynomial of the state, fitted in closed form."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pyhits.errors import ArgumentError
from pyhits.flowmaps.base import DIMENSION, OUTPUTS, FlowMap, StepInto, register, spread_into
from pyhits.numerics.basis import MonomialBuffer, Monomials, n_monomials
from pyhits.numerics.fused.factors import factored
from pyhits.numerics.fused.numbers import Numbers, spells_out
from pyhits.numerics.ridge import Ridge
from pyhits.util.checks import as_count
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.schema import Record, Schema, Whole

#: Columns from which on BLAS is as fast on a product with the coefficients from the right.
_WIDE = 16

#: Variables up to which one product adds the changes to the states.
_MOST_COPIED = 1024

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

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        return f"polynomial (degree {self.degree})"

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
        return self.basis.of_tensor(self.boxed(states).T)

    def boxed(self, states: Tensor) -> Tensor:
        """Return states ``(..., d)`` within the box; as they are below degree 2."""
        return torch.clamp(states, self.low, self.high) if self.degree > 1 else states

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

        @lru_cache(maxsize=64)  # few numbers of rows occur
        def monomials(n: int) -> MonomialBuffer:
            return self.basis.within(buffer[: n * n_terms].view(n_terms, n))

        def step_into(states: Tensor, out: Tensor) -> None:
            n = len(states)
            terms = self._fill(monomials(n), states, low, high)
            # Coefficients from the left: BLAS is some 20 times slower on the transposed product.
            product = change[: n * n_changes].view(n_changes, n)
            torch.mm(self.coefficients, terms, out=product)
            if self.outputs == 1:
                torch.add(states, product.T, out=out)
            else:
                spread_into(states, self.outputs, out)
                out += product.T

        return step_into

    def numbers(self) -> Numbers | None:
        """Return bounds and coefficients, of few variables."""
        if not spells_out(self.dimension, self.degree):
            return None
        low, high, coefficients = (
            t.detach().numpy() for t in (self.low, self.high, self.coefficients)
        )
        factors = factored(self.basis, coefficients, low, high)
        array = np.concatenate([low, high, *(factor.ravel() for factor in factors)])
        rank = len(factors[0]) if len(factors) > 1 else 0
        return Numbers.unbounded("polynomial", self.dimension, self.degree, [array], rank=rank)

    def _wide_stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function of one product, with coefficients from the right.

        The states themselves are the last rows of the monomials, with coefficients that copy them
        to every output: as large numbers they are added last, and in no pass of their own. Of very
        many variables these copies would be the square of them.
        """
        n_terms, d = self.coefficients.shape[1], self.dimension
        factors, copied = self.coefficients.T, d <= _MOST_COPIED
        if copied:
            copies = torch.eye(d).repeat(1, self.outputs).to(self.coefficients)
            factors = torch.cat([factors, copies])
        buffer = self.coefficients.new_empty(len(factors) * max_rows)
        low, high = self.low[:, None], self.high[:, None]

        @lru_cache(maxsize=64)
        def monomials(n: int) -> MonomialBuffer:
            return self.basis.within(buffer[: n * len(factors)].view(len(factors), n))

        def step_into(states: Tensor, out: Tensor) -> None:
            terms = self._fill(monomials(len(states)), states, low, high)
            if copied:
                terms[n_terms : n_terms + d].copy_(states.T)
                torch.mm(terms.T, factors, out=out)
            else:
                spread_into(states, self.outputs, out)
                out.addmm_(terms.T, factors)

        return step_into

    def _fill(self, monomials: MonomialBuffer, states: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Return the monomials of ``states`` (n, d), clamped where they have powers."""
        if self.degree == 1:
            monomials.variables.copy_(states.T)
        elif self.degree > 1:
            torch.clamp(states.T, low, high, out=monomials.variables)
        return monomials.fill()


#: Penalties tried, relative to the largest singular value squared, and the part of that value below
#: which directions are left out.
_PENALTIES, _CUTOFF = (0.0, 1e-12, 1e-9, 1e-6, 1e-4, 1e-2), 1e-13

#: Degrees up to which monomials are decomposed together.
_DECOMPOSED = (3, 6, 9, 13, 17)

#: Part of the error of lower degrees that a higher one must fall below.
_GAIN = 0.95

#: Degrees above the first must reach the second mean squared error.
_TAME, _ALL_BUT_EXACT = 9, 1e-9

#: Monomials of degrees above 1, at most, and rows that each monomial takes at least.
_MOST_TERMS, _ROWS_EACH = 256, 3

#: Multiply-adds a second of a decomposition, at least.
_SPEED = 2e9

#: Larger coefficients would not survive float32.
_LARGEST_COEFFICIENT = 1e30

#: States (n, d) and their increments (n, outputs * d), float64.
Pairs = tuple[np.ndarray, np.ndarray]


def fit_polynomial(
    train: Pairs,
    validation: Pairs,
    *,
    max_degree: int = 17,
    enough: float = 0.0,
    dtype: torch.dtype = torch.float64,
    clock: Clock = UNLIMITED,
) -> tuple[PolynomialMap, np.ndarray]:
    """Fit polynomials of rising degree by ridge regression and return the best on validation.

    A higher degree must gain some per cent, and one above 9 be all but exact: its large terms
    cancel, and between the data it is the wilder one. The number of monomials is at most a third of
    the rows and, above degree 1, 256.

    Parameters
    ----------
    train : pair of array, shapes (n, d) and (n, outputs * d)
        Standardised states, and their changes over one step, at each output, scaled to order one;
        float64.
    validation : pair of such arrays
        They choose degree and penalty.
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
    states, increments = (np.ascontiguousarray(a) for a in train)
    n, d = states.shape
    if n == 0 or n != len(increments) or increments.shape[1] % d:
        raise ArgumentError(f"Cannot fit to states {states.shape}, increments {increments.shape}.")
    best: PolynomialMap | None = None
    error = np.full(increments.shape[1], np.inf)
    tame = best, error
    triangle = _Triangle((states, increments))
    for degree in range(max_degree + 1):
        if degree == _TAME + 1:
            tame = best, error
        terms = n_monomials(d, degree)
        too_many = (degree > 1 and terms > _MOST_TERMS) or (degree > 0 and _ROWS_EACH * terms > n)
        if too_many or (best is not None and error.mean() <= enough):
            break
        work = 2 * n * terms * (terms + increments.shape[1])
        if best is not None and not clock.affords(work / _SPEED):
            clock.cut("polynomials of higher degree")
            break
        candidate = PolynomialMap(d, degree, increments.shape[1] // d).double()
        candidate.set_bounds(states)
        most = min(max_degree, next((k for k in _DECOMPOSED if k >= degree), max_degree))
        own = _solve_for(candidate, triangle.of(candidate, most), validation, dtype)
        if own.mean() < _GAIN * error.mean():
            best, error = candidate, own
    if best is not None and best.degree > _TAME and error.mean() > _ALL_BUT_EXACT:
        best, error = tame
    if best is None:
        raise ArgumentError("No polynomial has a finite error; are the states finite?")
    return best, error


class _Triangle:
    """Monomials and increments as a triangle: that of a degree holds those of all lower ones."""

    def __init__(self, train: Pairs) -> None:
        self._x, self._y = (torch.from_numpy(a) for a in train)
        self._reduced, self._terms = self._y[:0], 0

    def of(self, candidate: PolynomialMap, most: int) -> tuple[Tensor, Tensor]:
        """Return as few rows as monomials that are solved for alike, and their targets.

        Where another decomposition is needed, it is that of degree ``most``, as far as monomials
        are fewer than rows.
        """
        terms = candidate.basis.size
        if terms > self._terms:
            n, d = self._x.shape
            sizes = (n_monomials(d, k) for k in range(candidate.degree, most + 1))
            degree = candidate.degree - 1 + sum(k <= min(_MOST_TERMS, n) for k in sizes)
            whole = PolynomialMap(d, max(degree, candidate.degree)).double()
            whole.low.copy_(candidate.low)
            whole.high.copy_(candidate.high)
            design = whole.monomials(self._x).T
            self._terms = design.shape[1]
            self._reduced = torch.linalg.qr(torch.hstack([design, self._y]), mode="r")[1]
        return self._reduced[:terms, :terms], self._reduced[:terms, self._terms :]


def _solve_for(
    candidate: PolynomialMap, train: tuple[Tensor, Tensor], validation: Pairs, dtype: torch.dtype
) -> np.ndarray:
    """Set the coefficients under the best penalty; return their mean squared errors."""
    design, y = train
    x_validation, y_validation = (torch.from_numpy(np.ascontiguousarray(a)) for a in validation)
    # As it will be stepped: in the arithmetic to come, which rounds what cancels.
    probe = copy.deepcopy(candidate).to(dtype)
    terms = probe.monomials(x_validation.to(dtype))
    best = np.full(y.shape[1], np.inf)
    ridge = Ridge(design, y, scaled=True, cutoff=_CUTOFF)
    for penalty in _PENALTIES:
        coefficients = ridge.solve(penalty).T
        found = (coefficients.to(dtype) @ terms).double()
        error = (found - y_validation.T).square().mean(1).numpy()
        fits = float(coefficients.abs().max()) < _LARGEST_COEFFICIENT
        if fits and error.mean() < best.mean():
            candidate.coefficients.copy_(coefficients)
            best = error
    return best
