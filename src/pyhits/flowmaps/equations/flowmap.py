"""A flow map that integrates an equation on a grid, whose coefficients are learned."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from torch import Tensor

from pyhits.flowmaps.base import MOST, StepInto, register
from pyhits.flowmaps.equations.edges import BEYOND, KINDS, Edges, periodic_length
from pyhits.flowmaps.equations.equation import DEALIASED, TWO_THIRDS, Equation, Scheme
from pyhits.flowmaps.equations.other_grid import carried
from pyhits.flowmaps.equations.slopes import Slopes
from pyhits.flowmaps.equations.terms import Terms
from pyhits.flowmaps.other_grid import OtherGrid
from pyhits.flowmaps.prepared import PreparedMap
from pyhits.numerics.exponential import ExponentialSteps
from pyhits.numerics.fourier import half_shape
from pyhits.util.schema import Flag, Many, Real, Record, Schema, Text, Whole

#: Weights of a scheme's result, by its order.
_N_WEIGHTS = {2: 3, 4: 4}

#: Numbers of a field from which on float32 is worth its rounding, fields that tell, and the part of
#: the error of a step that it may be.
_LARGE, _TRIED, _HIDDEN = 1 << 14, 4, 0.5

_OPERATOR: Schema = Many(Whole(-1000, 1000), 2, 4)
_SCHEME: dict[str, Schema] = {
    "substeps": Whole(1, 1024),
    "order": Whole(2, 4),
    "dealiased": Text(choices=DEALIASED),
    "kept": Real(0.0, 1.0, positive=True),
    "seen": Real(0.0, 1.0, positive=True),
    "weighted": Flag(),
}


@register("equation")
class EquationMap(PreparedMap):
    """``x + (Phi(x) - x)`` where Phi integrates a partial differential equation over one step.

    The equation is the same at every point of a grid: a linear part, exact in Fourier space, and
    products of derivatives or of neighbours, by exponential Runge-Kutta. Between walls it steps
    the field's even or odd continuation beyond them.

    Parameters
    ----------
    dimension : int
        Numbers in a row: points times channels, the channel last.
    shape : sequence of int
        Points along each axis, one to three.
    channels : int
    linear, features, products : sequences
        As :class:`~pyhits.flowmaps.terms.Terms` has them.
    substeps, order, dealiased, kept, seen
        As :class:`Scheme` has them.
    weighted : bool
        The scheme's weights, which follow from the linear part, are learned as well, one by one for
        each wavenumber: what made the data may have integrated in another way.
    kinds, odd : sequences, optional
        As :class:`~pyhits.flowmaps.equations.edges.Edges` has them; by default all axes are rings.
    sourced : bool
        Whether something drives the fields that is the same at all times, a field of its own.
    single : bool
        Whether it steps in float32, twice as fast: what it errs by hides what that rounds.
    """

    schema: ClassVar[Schema] = Record(
        {
            "dimension": Whole(1, MOST),
            "shape": Many(Whole(1, MOST), 1, 3),
            "channels": Whole(1, 10_000),
            "linear": Many(_OPERATOR, 0, 1000),
            "features": Many(Record({"channel": Whole(0, 10_000), "operator": _OPERATOR}), 0, 1000),
            "products": Many(
                Record({"operator": _OPERATOR, "factors": Many(Whole(0, 1000), 0, 8)}), 0, 10_000
            ),
            **_SCHEME,
        },
        {
            "kinds": Many(Text(choices=KINDS), 1, 3),
            "odd": Many(Many(Flag(), 1, 10_000), 1, 3),
            "sourced": Flag(),
            "single": Flag(),
        },
    )

    linear_coefficients: Tensor
    coefficients: Tensor
    weights: Tensor
    level: Tensor
    source: Tensor

    def __init__(
        self,
        dimension: int,
        shape: Sequence[int],
        channels: int,
        linear: Sequence[Sequence[int]],
        features: Sequence[Mapping[str, Any]],
        products: Sequence[Mapping[str, Any]],
        substeps: int = 1,
        order: int = 4,
        dealiased: str = "none",
        kept: float = TWO_THIRDS,
        seen: float = 1.0,
        weighted: bool = False,
        kinds: Sequence[str] | None = None,
        odd: Sequence[Sequence[bool]] | None = None,
        sourced: bool = False,
        single: bool = False,
    ) -> None:
        super().__init__(dimension)
        self.shape, self.channels = tuple(shape), channels
        rings = Edges.rings(shape, channels)
        self.kinds = rings.kinds if kinds is None else tuple(kinds)
        self.odd = rings.odd if odd is None else tuple(map(tuple, odd))
        self.terms = Terms(
            tuple(tuple(o) for o in linear),
            tuple((f["channel"], tuple(f["operator"])) for f in features),
            tuple((tuple(p["operator"]), tuple(p["factors"])) for p in products),
        )
        self.scheme, self.weighted = Scheme(substeps, order, dealiased, kept, seen), weighted
        self.sourced, self.single = sourced, single
        self._check()
        self.register_buffer("linear_coefficients", torch.zeros(channels, len(linear)))
        self.register_buffer("coefficients", torch.zeros(channels, len(products)))
        transform = half_shape(_periodic(self.kinds, shape))
        if weighted:
            n = _N_WEIGHTS[order]
            self.register_buffer("weights", torch.zeros(n, channels, *transform, 2))
        if sourced:
            self.register_buffer("source", torch.zeros(channels, *transform, 2))
        if self.kinds != rings.kinds:
            self.register_buffer("level", torch.zeros(channels))
        self._ready: tuple[Edges, Equation, ExponentialSteps, Slopes] | None = None

    @classmethod
    def of(
        cls,
        edges: Edges,
        terms: Terms,
        scheme: Scheme,
        values: Tensor,
        weights: Tensor | None = None,
        source: Tensor | None = None,
    ) -> EquationMap:
        """Return a map, float64.

        Parameters
        ----------
        edges, terms, scheme
        values : Tensor, shape (channels, n_linear + n_products)
        weights : Tensor, complex, shape (n_weights, channels, *transform), optional
        source : Tensor, complex, shape (channels, *transform), optional
        """
        config = _config(edges, terms, scheme) | {"weighted": weights is not None}
        config |= {"sourced": True} if source is not None else {}
        made = cls(math.prod(edges.shape) * len(edges.level), **config).double()
        n_linear = len(terms.linear)
        made.linear_coefficients.copy_(values[:, :n_linear])
        made.coefficients.copy_(values[:, n_linear:])
        if weights is not None:
            made.weights.copy_(torch.view_as_real(weights))
        if source is not None:
            made.source.copy_(torch.view_as_real(source.resolve_conj()))
        if not edges.are_rings:
            made.level.copy_(edges.level)
        return made

    @property
    def edges(self) -> Edges:
        """How fields continue beyond the grid."""
        level = getattr(self, "level", self.linear_coefficients.new_zeros(self.channels))
        return Edges(self.shape, self.kinds, self.odd, level)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = _config(self.edges, self.terms, self.scheme)
        flags = {name: True for name in ("sourced", "single") if getattr(self, name)}
        return {"dimension": self.dimension, **own, "weighted": self.weighted, **flags}

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many coefficients and weights there are."""
        terms = len(config["linear"]) + len(config["products"])
        kinds, shape = config.get("kinds"), config["shape"]
        waves = 2 * math.prod(half_shape(shape if kinds is None else _periodic(kinds, shape)))
        weights = waves * _N_WEIGHTS.get(config["order"], 0) if config["weighted"] else 0
        source = waves if config.get("sourced") else 0
        return int(config["channels"] * (terms + weights + source + (kinds is not None)))

    def _check(self) -> None:
        """Raise a ValueError where parts do not fit together."""
        n_axes = len(self.shape)
        operators = [*self.terms.linear, *(o for _, o in self.terms.features)]
        operators += [o for o, _ in self.terms.products]
        if math.prod(self.shape) * self.channels != self.dimension:
            raise ValueError(f"a grid of {self.shape} does not have {self.dimension} numbers")
        if any(len(o) != n_axes + 1 or o[0] not in (0, 1, 2) for o in operators):
            raise ValueError(f"an operator is none of {n_axes} axes")
        if any(o[0] != 2 and min(o[1:]) < 0 for o in operators):
            raise ValueError("a derivative has a negative order")
        if any(not 0 <= c < self.channels for c, _ in self.terms.features):
            raise ValueError("a feature is of a channel that is not there")
        if any(f >= len(self.terms.features) for _, of in self.terms.products for f in of):
            raise ValueError("a product has a factor that is not there")
        if self.scheme.order not in _N_WEIGHTS:
            raise ValueError("its scheme is of an order that is not there")
        if not len(self.kinds) == len(self.odd) == n_axes or not all(
            len(of) == self.channels and (kind != BEYOND or all(of))
            for kind, of in zip(self.kinds, self.odd, strict=False)
        ):
            raise ValueError("its edges are not those of its axes and channels")
        if self.weighted and self.scheme.substeps > 1:
            raise ValueError("its weights are those of several substeps")

    @property
    def values(self) -> Tensor:
        """Coefficients of all terms, float64, ``(channels, n_linear + n_products)``."""
        return torch.cat([self.linear_coefficients, self.coefficients], dim=1).double()

    def fields(self, states: Tensor) -> Tensor:
        """Return rows as fields; ``(n, d)`` to ``(n, channels, *shape)``."""
        return states.view(len(states), *self.shape, self.channels).movedim(-1, 1)

    def forward(self, states: Tensor) -> Tensor:
        """Return the states one step later; ``(n, d)`` to ``(n, d)``."""
        edges, equation, steps, slopes = self._prepared()
        fields = self.fields(states).to(equation.real)
        v = equation.forward(edges.continued(fields))
        after = edges.between(equation.back(steps(v, slopes)))
        return after.movedim(1, -1).reshape(len(states), -1).to(states.dtype)

    def in_single(self, states: Tensor, error: float) -> EquationMap:
        """Return the map that steps large fields in float32, where this hides in its error.

        Parameters
        ----------
        states : Tensor, shape (n, d)
            Of which a few are tried.
        error : float
            Root mean square of what a step misses.
        """
        if self.dimension < _LARGE:
            return self
        other = copy.deepcopy(self)
        other.single = True
        some = states[:: max(1, len(states) // _TRIED)]
        with torch.no_grad():
            rounded = (other(some) - self(some)).square().mean().sqrt()
        return other if float(rounded) < _HIDDEN * error else self

    def on_grid(self, to: OtherGrid) -> EquationMap:
        """Return the same equation on another grid; see :func:`carried`."""
        return carried(self, to)

    @property
    def fastest(self) -> float:
        """Most by which the linear part makes any wave grow in a step, at least 1."""
        _, equation, _, _ = self._prepared()
        exponents = equation.exponents(self.linear_coefficients.to(equation.real))
        return math.exp(min(50.0, max(0.0, float(exponents.real.max()))))

    def stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function that makes no increments of the states."""

        def step_into(states: Tensor, out: Tensor) -> None:
            out.copy_(self.forward(states))

        return step_into

    def _prepared(self) -> tuple[Edges, Equation, ExponentialSteps, Slopes]:
        """Return what does not change between steps, made anew where coefficients have."""
        if self._ready is None:
            own, edges = self.linear_coefficients, self.edges
            source = torch.view_as_complex(self.source) if self.sourced else None
            weights = torch.view_as_complex(self.weights) if self.weighted else None
            parts = edges.periodic, self.channels, self.terms, self.scheme
            equation = Equation(*parts, own, source)
            steps, coefficients = equation.steps(own, weights), self.coefficients
            if self.single:
                source = source if source is None else source.to(torch.complex64)
                equation = Equation(*parts, own.float(), source)
                steps, coefficients = steps.to(torch.complex64), coefficients.float()
            self._ready = (edges, equation, steps, equation.slopes(coefficients))
        return self._ready

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping."""
        fields = 2 * len(self.terms.features) + len(self.terms.products) + 6 * self.channels
        return max(64, math.prod(self.edges.periodic) * fields)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation, about."""
        points = math.prod(self.edges.periodic)
        outer = len({o for o, _ in self.terms.products}) * self.channels
        transforms = (len(self.terms.features) + outer) * 3 * max(1, math.log2(points))
        products = sum(len(f) + self.channels for _, f in self.terms.products)
        stages = self.scheme.substeps * (4 if self.scheme.order == 4 else 2)
        return int(stages * points * (transforms + products + 8 * self.channels))

    @property
    def n_parameters(self) -> int:
        """Number of coefficients."""
        return sum(tensor.numel() for tensor in self.buffers())

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        return f"equation of {len(self.terms.linear) + len(self.terms.products)} terms"


def _periodic(kinds: Sequence[str], shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(periodic_length, kinds, shape))


def _config(edges: Edges, terms: Terms, scheme: Scheme) -> dict[str, Any]:
    walls = {"kinds": list(edges.kinds), "odd": [list(of) for of in edges.odd]}
    return {
        "shape": list(edges.shape),
        "channels": len(edges.level),
        "linear": [list(o) for o in terms.linear],
        "features": [{"channel": c, "operator": list(o)} for c, o in terms.features],
        "products": [{"operator": list(o), "factors": list(f)} for o, f in terms.products],
        **asdict(scheme),
    } | ({} if edges.are_rings else walls)
