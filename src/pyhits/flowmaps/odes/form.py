"""Vector fields of few terms as closed forms: which degrees and functions are tried."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from pyhits.data.stretches import evenly
from pyhits.flowmaps.base import FlowMap
from pyhits.flowmaps.form import Form, Increments, Trials, closed_form
from pyhits.flowmaps.form import Steps as Stepping
from pyhits.flowmaps.odes.flowmap import ODEMap
from pyhits.flowmaps.odes.functions import Function
from pyhits.flowmaps.odes.integration import FieldSteps, integrated
from pyhits.flowmaps.odes.paths import Steps
from pyhits.flowmaps.odes.term_search import find_functions
from pyhits.numerics.basis import Monomials, n_monomials
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.schema import Many, Plain, Schema

#: Monomials at most, alone and as a share of the states.
_MOST_TERMS, _SHARE = 512, 0.3

#: Highest degree; part of the error so far that a degree must fall below; and how many may fail to:
#: where motion is symmetric, every other one adds nothing.
_HIGHEST, _GAIN, _FAILURES = 5, 0.7, 2

#: Score that no higher degree is needed for.
_ENOUGH = 1e-6

#: Substeps that are tried; and what they may err by: in standard deviations, and as a part of what
#: the vector field leaves of the steps.
_SUBSTEPS, _RESOLVED, _OF_LEFT = (1, 2, 4, 8, 16, 32), 1e-10, 0.02

#: States that substeps are chosen on, at most.
_LOOKED_AT = 500

#: They hold this far beyond the states they were fitted to, in their range, on each side.
_MARGIN = 1.0


@closed_form("ode")
@dataclass(frozen=True)
class ODEForm(Form):
    """A vector field of monomials and functions of one column, all but its coefficients.

    Penalties are those of :class:`~pyhits.numerics.ridge.Ridge`.
    """

    limits: ClassVar[dict[str, Schema]] = Form.limits | {"functions": Many(Many(Plain()), 0, 64)}

    functions: tuple[Function, ...] = ()  # in the user's units

    in_every_search: ClassVar[bool] = True

    led_by_finest: ClassVar[bool] = True

    most_states: ClassVar[tuple[int, int]] = (2_000, 20_000)

    needs: ClassVar[str] = (
        "states of single rows, without delays or a grid, of a degree of at least 1, and for four "
        "times as many steps as columns"
    )

    penalties: ClassVar[tuple[float, ...]] = (1e-15, 1e-12, 1e-9, 1e-6, 1e-3)

    @classmethod
    def work(cls, dimension: int) -> float:
        """Return more than polynomials of the state take, which go first, and less than kernels."""
        return 1.0

    @classmethod
    def search(cls, trials: Trials) -> None:
        """Try rising degrees; where none is exact, functions beside monomials.

        Coarser scales take the vector field of the finest, and where inputs change within their
        steps one of their own.
        """
        data, failures = trials.data, 0
        is_finest = data.finer is None
        if data.grid is not None or (is_finest and _holds_past(data)):
            return
        if data.finer is not None and not isinstance(data.finer.flow_map, ODEMap):
            return
        if data.finer is not None and _is_of_finest(data):
            trials(cls.from_dict(data.finer.form))
            return
        # Other families may be too far behind at the finest scale to be there for coarser ones.
        least = [] if is_finest else [cls(1)]
        for form in cls.of_degrees(data, trials.max_degree) or least:
            failures = 0 if trials(form, gain=_GAIN) else failures + 1
            if trials.settled or trials.score < _ENOUGH or failures == _FAILURES:
                break
        if is_finest and not trials.settled:
            for form in cls.with_functions(data):
                trials(form)

    @classmethod
    def with_functions(cls, data: Increments) -> Iterator[ODEForm]:
        """Yield the form whose functions leave much less than monomials do, if any."""
        found = find_functions(data, data.clock)
        if found is not None:
            yield cls(found.degree, functions=tuple(f.decoded(data.units) for f in found.functions))

    @classmethod
    def of_degrees(cls, data: Increments, most: int = _HIGHEST) -> list[ODEForm]:
        """Return forms of rising degree, as far as there are steps enough for their monomials."""
        few = min(_MOST_TERMS, _SHARE * len(data))
        degrees = range(1, min(_HIGHEST, most) + 1)
        return [cls(k) for k in degrees if n_monomials(data.dimension, k) <= few]

    def candidates(self, data: Increments, *, near: bool) -> tuple[list[Form], Stepping]:
        """Return the form with all penalties, and how they step."""
        empty, coefficients = self._solutions(data)

        of_fields = coefficients.transpose(1, 2).contiguous()
        stepping = FieldSteps(empty.terms, of_fields, empty.low, empty.high, empty.substeps)

        def steps(states: Tensor) -> Tensor:
            return stepping.last(states, empty.outputs)

        if len(coefficients) == 1:
            return [self], steps
        return [replace(self, penalty=penalty) for penalty in self.penalties], steps

    def solve(self, data: Increments) -> ODEMap:
        """Return the flow map, float64."""
        empty, coefficients = self._solutions(data)
        own = 0 if len(coefficients) == 1 else self.penalties.index(self.penalty)
        return _filled(empty, coefficients[own])

    def solve_again(self, data: Increments, found: Callable[[], FlowMap]) -> ODEMap:
        """Return the same for other data, along paths that the first led to."""
        known = found()
        assert isinstance(known, ODEMap)
        if _is_of_finest(data):
            return self.solve(data)
        empty = self._empty(data)
        steps = _recorded(data, empty)
        near = known.coefficients.double().T
        solved = _held(steps.coefficients([self.penalty], near), empty, data)[0]
        return _filled(_resolving(empty, solved, data, steps), solved)

    def may_be(self, flow_map: FlowMap) -> bool:
        """Whether a flow map is of the same terms, all but numbers."""
        own, other = (
            [(one.kind, one.column) for one in functions]
            for functions in (self.functions, getattr(flow_map, "functions", ()))
        )
        return super().may_be(flow_map) and own == other

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values, functions as lists of their attributes."""
        return super().as_dict() | {"functions": [list(one) for one in self.functions]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from :meth:`as_dict`."""
        found = super().from_dict(values)
        return replace(found, functions=tuple(Function.read(one) for one in found.functions))

    def _empty(self, data: Increments) -> ODEMap:
        """Return a flow map without coefficients, in a box about the states."""
        own = tuple(function.encoded(data.units) for function in self.functions)
        empty = ODEMap(data.dimension, self.degree, 1, data.outputs, own).double()
        low, high = data.states.amin(dim=0), data.states.amax(dim=0)
        empty.low.copy_(low - _MARGIN * (high - low))
        empty.high.copy_(high + _MARGIN * (high - low))
        return empty

    def _solutions(self, data: Increments) -> tuple[ODEMap, Tensor]:
        """Return an empty flow map, and coefficients ``(penalties, terms, d)``.

        Those of the finest scale are all there are of coarser ones.
        """

        def make() -> tuple[ODEMap, Tensor]:
            empty = self._empty(data)
            if _is_of_finest(data):
                return _coarser(empty, data)
            steps = _recorded(data, empty, data.clock)
            found = _held(steps.coefficients(self.penalties), empty, data)
            return _resolving(empty, found[0], data, steps), found

        return data.once((self.kind, self.degree, self.functions), make)


def _holds_past(data: Increments) -> bool:
    """Return whether states hold past rows; a constant moves on to itself, but never changes."""
    return data.moves is not None and bool(data.changes[:, data.moves.to].any())


def _is_of_finest(data: Increments) -> bool:
    """Return whether the steps are of a coarser scale, and of the same variables as the finest."""
    finest = None if data.finer is None else data.finer.flow_map
    return isinstance(finest, ODEMap) and finest.dimension == data.dimension


def _filled(empty: ODEMap, coefficients: Tensor) -> ODEMap:
    """Return the flow map with coefficients ``(terms, d)``."""
    solved = _with_substeps(empty, empty.substeps)
    solved.coefficients.copy_(coefficients.T)
    return solved


def _with_substeps(empty: ODEMap, substeps: int) -> ODEMap:
    """Return the flow map with other substeps."""
    found = ODEMap(**(empty.config() | {"substeps": substeps})).double()
    found.load_state_dict(empty.state_dict())
    return found


def _coarser(empty: ODEMap, data: Increments) -> tuple[ODEMap, Tensor]:
    """Return what the finest scale has come to, over longer steps."""
    assert data.finer is not None
    finer = data.finer.flow_map
    assert isinstance(finer, ODEMap)
    ratio = data.finer.steps * finer.outputs / data.outputs
    found = _with_substeps(empty, max(1, round(finer.substeps * ratio)))
    return found, ratio * finer.coefficients.double().T[None]


def _held(coefficients: Tensor, empty: ODEMap, data: Increments) -> Tensor:
    """Return coefficients ``(..., terms, d)`` that lead back to what all states keep to.

    Inputs, and other columns that no step changes, stay.
    """
    back = None if empty.functions else pull(empty.basis, data.states)
    if back is None:
        return coefficients
    moves = data.changes.view(len(data), data.outputs, -1).ne(0).any(dim=0).any(dim=0)
    return coefficients + torch.where(moves, back, 0.0)


def _recorded(data: Increments, empty: ODEMap, clock: Clock = UNLIMITED) -> Steps:
    """Return the steps from one output to the next."""
    n, d = data.states.shape
    after = data.states[:, None] + data.changes.view(n, data.outputs, d)
    before = torch.cat([data.states[:, None], after[:, :-1]], dim=1)
    starts, changes = before.reshape(-1, d), (after - before).reshape(-1, d)
    return Steps(empty.terms, (empty.low, empty.high), starts, changes, clock)


def _resolving(empty: ODEMap, coefficients: Tensor, data: Increments, steps: Steps) -> ODEMap:
    """Return the flow map with as many substeps as resolve its steps."""
    some = data.at_most(_LOOKED_AT).states
    enough = max(_RESOLVED, _OF_LEFT * steps.left(coefficients))
    trial = _filled(empty, coefficients)
    before = integrated(trial.slopes, some.T, _SUBSTEPS[0])
    for substeps, finer in itertools.pairwise(_SUBSTEPS):
        after = integrated(trial.slopes, some.T, finer)
        if float((after - before).square().mean().sqrt()) < enough:
            return _with_substeps(empty, substeps)
        before = after
    return _with_substeps(empty, _SUBSTEPS[-1])


#: Degree of the constraints; states that they are looked for on, and for each monomial at least.
_DEGREE, _MOST_STATES, _EACH = 2, 2_000, 3

#: Root mean square of a polynomial of unit size that is 0.
_NOTHING = 1e-7

#: How far a state beside the constraints comes nearer to them within a step.
_PULL = 0.5


def pull(basis: Monomials, states: Tensor) -> Tensor | None:
    """Return a vector field that is 0 on all states and leads those beside them there.

    A vector field that was fitted to states on a surface says nothing of what lies beside it, and
    may lead away from there, so that rounding grows. Polynomials g of degree 2 that are 0 on all
    states are such a surface, and the gradient of the sum of their squares leads back (Baumgarte
    1972, Comput. Methods Appl. Mech. Eng. 1, 1).

    Returns Tensor, shape (terms, d), or None: coefficients; None where states keep to nothing, or
    the degree does not suffice.

    Parameters
    ----------
    basis : Monomials
        Of the vector field.
    states : Tensor, shape (n, d)
        Standardised.
    """
    quadratic = Monomials(basis.dimension, _DEGREE)
    if basis.degree < 2 * _DEGREE - 1 or len(states) < _EACH * quadratic.size:
        return None
    some = states[torch.from_numpy(evenly(len(states), _MOST_STATES))].numpy()
    terms = quadratic(some.T)
    found = _that_vanish(terms)
    if len(found) == 0:
        return None
    # The gradient of g is of degree 1: g times that is of degree 3.
    slopes = _slopes(quadratic, found)
    field = np.zeros((basis.size, basis.dimension))
    rows = _products(basis, quadratic)
    each = np.einsum("gq,gjl->qlj", found, slopes)
    np.add.at(field, rows.ravel(), each.reshape(-1, basis.dimension))
    linear = terms[: 1 + basis.dimension]
    steepest = np.einsum("gjl,ln->gjn", slopes, linear)
    squares = np.einsum("gjn,gkn->jk", steepest, steepest) / len(some)
    largest = float(np.linalg.eigvalsh(squares)[-1])
    return torch.from_numpy(-_PULL / largest * field) if largest > 0 else None


def _that_vanish(terms: np.ndarray) -> np.ndarray:
    """Return polynomials of unit size that are 0 on all states, ``(constraints, terms)``."""
    size = np.sqrt(np.mean(np.square(terms), axis=1))
    is_there = size > 0
    scaled = terms[is_there] / size[is_there, None]
    values, vectors = np.linalg.eigh(scaled @ scaled.T / scaled.shape[1])
    vanish = vectors[:, np.sqrt(np.maximum(values, 0.0)) < _NOTHING].T
    found = np.zeros((len(vanish), len(terms)))
    found[:, is_there] = vanish / size[is_there]
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def _slopes(quadratic: Monomials, found: np.ndarray) -> np.ndarray:
    """Return the gradients, of degree 1, ``(constraints, d, 1 + d)``."""
    d = quadratic.dimension
    slopes = np.zeros((len(found), d, 1 + d))
    for j in range(d):
        factor = quadratic.exponents[:, j]
        has = factor > 0
        lower = quadratic.quotients[has, j]
        np.add.at(slopes[:, j].T, lower, (found[:, has] * factor[has]).T)
    return slopes


def _products(basis: Monomials, quadratic: Monomials) -> np.ndarray:
    """Return the rows of quadratic times linear monomials, ``(terms, 1 + d)``."""
    row = {tuple(powers): k for k, powers in enumerate(basis.exponents.tolist())}
    linear = quadratic.exponents[: 1 + basis.dimension]
    sums = quadratic.exponents[:, None] + linear
    return np.array([[row[tuple(p)] for p in line] for line in sums.tolist()])
