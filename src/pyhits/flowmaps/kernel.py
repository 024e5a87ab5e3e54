"""A flow map of radial functions around recorded states, on top of a polynomial."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from pyhits.flowmaps.base import DIMENSION, MOST, OUTPUTS, FlowMap, StepInto, register
from pyhits.flowmaps.form import Form, Increments, Steps, Trials, closed_form
from pyhits.flowmaps.polynomial import DEGREE, PolynomialMap
from pyhits.flowmaps.polynomial_form import PolynomialForm
from pyhits.util.checks import as_choice, as_count
from pyhits.util.schema import Many, Real, Record, Schema, Text, Whole

#: Keeps the derivative of a distance finite at a centre.
_TINY = 1e-24


def _gaussian(squares: Tensor, room: Tensor | None) -> Tensor:
    return squares.mul_(-0.5).exp_()


def _matern(squares: Tensor, room: Tensor | None) -> Tensor:
    distance = squares.mul_(5.0).add_(_TINY).sqrt_()
    decay = torch.neg(distance, out=room).exp_()
    # 1 + distance + distance**2 / 3; derivatives take the distance as it was.
    shifted = torch.add(distance, 1.5, out=None if room is None else distance)
    return shifted.square_().mul_(1 / 3).add_(0.25).mul_(decay)


#: Radial functions of squared distances, which they write over, with room for as many numbers; they
#: are 1 at distance 0.
RADIAL: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "gaussian": _gaussian,
    "matern": _matern,
}


def radial(kernel: str, states: Tensor, centres: Tensor, room: Tensor | None = None) -> Tensor:
    """Return the radial functions; ``(n, d)`` and ``(m, d)``, both in their metric, to ``(n, m)``.

    Squared distances come from one product: nothing of shape ``(n, m, d)`` is made. Memory is fresh
    unless there is ``room``, shape ``(2, most, m)``: then nothing is differentiable, and the result
    lies in it.
    """
    first, second = (None, None) if room is None else room[:, : len(states)]
    squares = torch.addmm(centres.square().sum(dim=1), states, centres.T, alpha=-2.0, out=first)
    squares = squares.add_(states.square().sum(dim=1, keepdim=True))
    return RADIAL[kernel](squares.clamp_(min=0.0), second)


@register("kernel")
class KernelMap(FlowMap):
    """``x + base(x) + sum_j weights_j k(|A (x - c_j)|)``: kernel ridge regression.

    For few points it generalises where a net would not, and follows kinks and sharp turns that no
    polynomial does. Far from all centres its increment is that of the polynomial base.

    Parameters
    ----------
    dimension : int
        Number of state variables d.
    n_centres : int
        Number of recorded states m that radial functions are centred on.
    kernel : {"gaussian", "matern"}
        The Matern function is that of smoothness 5/2.
    base_degree : int
        Degree of the polynomial below.
    outputs : int
        Number of states inside one step.

    Attributes
    ----------
    metric : Tensor, shape (d, d)
        Distances are those of ``x @ metric``: it holds lengths, directions and their weights.
    centres : Tensor, shape (m, d)
        In that metric.
    weights : Tensor, shape (m, outputs * d)
    base : PolynomialMap
    """

    schema: ClassVar[Schema] = Record(
        DIMENSION
        | {
            "n_centres": Whole(1, MOST),
            "kernel": Text(choices=tuple(RADIAL)),
            "base_degree": DEGREE,
        },
        OUTPUTS,
    )

    metric: Tensor
    centres: Tensor
    weights: Tensor

    def __init__(
        self, dimension: int, n_centres: int, kernel: str, base_degree: int = 1, outputs: int = 1
    ) -> None:
        super().__init__(dimension, outputs)
        self.n_centres = as_count(n_centres, "n_centres")
        self.kernel = as_choice(kernel, "kernel", RADIAL)
        self.base = PolynomialMap(dimension, base_degree, outputs)
        self.register_buffer("metric", torch.eye(dimension))
        self.register_buffer("centres", torch.zeros(self.n_centres, dimension))
        self.register_buffer("weights", torch.zeros(self.n_centres, self.outputs * dimension))

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping: its radial functions."""
        return max(self.n_centres, self.base.width)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation: distances, weights, and the base."""
        numbers = self.centres.numel() + self.weights.numel() + self.metric.numel()
        return int(numbers + self.base.multiply_adds)

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        return f"{self.base.parts} + {self.kernel} kernel"

    @property
    def base_degree(self) -> int:
        """Degree of the polynomial below the kernels."""
        return self.base.degree

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many numbers it keeps: metric, centres, weights, and the base."""
        d, outputs = config["dimension"], config.get("outputs", 1)
        base = {"dimension": d, "degree": config["base_degree"], "outputs": outputs}
        own = d * d + config["n_centres"] * d * (1 + outputs)
        return int(own + PolynomialMap.n_stored(base))

    def increment(self, states: Tensor) -> Tensor:
        """Return the changes of state at all outputs; ``(n, d)`` to ``(n, outputs * d)``."""
        functions = radial(self.kernel, states @ self.metric, self.centres)
        return functions @ self.weights + self.base.increment(states)

    def stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function that adds the radial functions to the base's step."""
        base = self.base.stepper(max_rows)
        room = self.centres.new_empty(2, max_rows, self.n_centres)

        def step_into(states: Tensor, out: Tensor) -> None:
            base(states, out)
            out.addmm_(radial(self.kernel, states @ self.metric, self.centres, room), self.weights)

        return step_into


#: The penalty of the polynomial below, which the kernel corrects anyway.
_BASE_PENALTY = 1e-11

#: Principal axes shorter than this part of the longest are rounding, and not stretched further.
_SHORTEST_AXIS = 1e-6

#: Degrees of the polynomial below, and its share of the states, at most.
_BASE_DEGREES, _BASE_SHARE = (1, 2, 3), 0.2

#: Lengths, powers of the principal axes, and kernels, in the order of their trial.
_LENGTHS, _WHITENINGS, _KERNELS = (
    (0.25, 0.5, 1.0, 2.0, 4.0),
    (0.0, 0.5, 1.0),
    ("matern", "gaussian"),
)

#: Factors by which single axes of the best kernel are stretched, passes over them, the part of the
#: score that a stretch must reach, and the most axes.
_FACTORS, _PASSES, _GAIN, _MOST_AXES = (3.0, 1 / 3), 2, 0.97, 6

#: Multiply-adds of the principal axes, over the cube of the dimension.
_AXES = 10


@closed_form("kernel")
@dataclass(frozen=True)
class KernelForm(Form):
    """Kernel ridge regression on a polynomial of :attr:`degree`.

    Its penalty is for each state that is fitted.
    """

    in_every_search: ClassVar[bool] = True
    begins_with_few: ClassVar[bool] = True
    widest: ClassVar[float] = 512

    penalties: ClassVar[tuple[float, ...]] = tuple(10.0**k for k in range(-13, 0, 2))

    limits: ClassVar[dict[str, Schema]] = Form.limits | {
        "kernel": Text(choices=tuple(RADIAL)),
        "length": Real(positive=True),
        "whitening": Real(0.0, 1.0),
        "stretch": Many(Real(positive=True)),
    }

    kernel: str = "matern"  # or "gaussian"
    length: float = 1.0  # where states are 1 apart from their mean in the root mean square
    #: Power of the principal axes' lengths that distances are divided by: 0 takes states as they
    #: are, 1 makes all axes equally long.
    whitening: float = 0.0
    stretch: tuple[float, ...] = ()  # weight of each principal axis in distances; empty: equal

    def may_be(self, flow_map: FlowMap) -> bool:
        """Whether a flow map is of the same kernel on a polynomial of the same degree."""
        if not isinstance(flow_map, KernelMap) or not super().may_be(flow_map):
            return False
        same = (flow_map.kernel, flow_map.base_degree) == (self.kernel, self.degree)
        return same and len(self.stretch) in (0, flow_map.dimension)

    @classmethod
    def work(cls, dimension: int) -> float:
        """Return the multiply-adds of the principal axes."""
        return float(_AXES * dimension**3)

    @classmethod
    def search(cls, trials: Trials) -> None:
        """Try one property after the other, from the best so far, then single axes."""
        data = trials.data
        allowed = [degree for degree in _BASE_DEGREES if degree <= trials.max_degree]
        degrees = [k for k in allowed if PolynomialForm.affords(data, k, _BASE_SHARE)]
        trials(cls(degrees[0] if degrees else 0, whitening=_WHITENINGS[-1]), near=False)
        before = math.inf
        for _ in range(_PASSES):
            cls._vary(trials, "length", _LENGTHS)
            cls._vary(trials, "whitening", _WHITENINGS)
            if trials.is_far:
                return
            cls._vary(trials, "degree", degrees)
            cls._vary(trials, "kernel", _KERNELS)
            cls._vary(trials, "length", _LENGTHS)
            if trials.score > _GAIN * before:
                break
            before = trials.score
        if data.dimension <= _MOST_AXES:
            cls._stretch(trials)

    @classmethod
    def _vary(cls, trials: Trials, name: str, values: Sequence[object]) -> None:
        """Try other values of one property of the best form."""
        best = trials.best
        if isinstance(best, cls):
            for value in values:
                if value != getattr(best, name):
                    trials(replace(best, **{name: value}))  # type: ignore[arg-type]

    @classmethod
    def _stretch(cls, trials: Trials) -> None:
        """Stretch single axes of the best form as long as that gains."""
        for _ in range(_PASSES):
            before = trials.score
            for axis in range(trials.data.dimension):
                best = trials.best
                if not isinstance(best, cls):
                    return
                for factor in _FACTORS:
                    if trials(best.stretched(axis, factor, trials.data.dimension), gain=_GAIN):
                        break
            if trials.score > _GAIN * before:
                break

    def neighbours(self) -> list[Form]:
        """Return shorter and longer kernels."""
        return [replace(self, length=factor * self.length) for factor in (0.5, 2.0)]

    def stretched(self, axis: int, factor: float, dimension: int) -> KernelForm:
        """Return the form in which one principal axis counts ``factor`` times as much."""
        weights = list(self.stretch or (1.0,) * dimension)
        weights[axis] *= factor
        return replace(self, stretch=tuple(weights))

    def candidates(self, data: Increments, *, near: bool) -> tuple[list[Form], Steps]:
        """Return the form with all penalties, or those next to its own, that can be solved for."""
        problem = _KernelProblem.of(self, data)
        tried = self.penalties
        if near:
            own = self.penalties.index(self.penalty)
            tried = self.penalties[max(0, own - 1) : own + 2]
        solved = {penalty: problem.solve(penalty) for penalty in tried}
        found = {penalty: weights for penalty, weights in solved.items() if weights is not None}
        if not found:
            found = {self.penalties[-1]: torch.zeros_like(problem.left)}
        last = torch.stack([*found.values()])[:, :, -data.dimension :]

        def steps(states: Tensor) -> Tensor:
            flat = states.flatten(0, 1)
            functions = radial(self.kernel, flat @ problem.metric, problem.centres)
            change = problem.base.increment(flat)[:, -data.dimension :].view(states.shape)
            return states + change + torch.bmm(functions.view(*states.shape[:2], -1), last)

        return [replace(self, penalty=penalty) for penalty in found], steps

    def solve(self, data: Increments) -> KernelMap:
        """Return the kernel map, float64."""
        problem = _KernelProblem.of(self, data)
        weights = None
        # With more states than it was chosen on, a matrix may be too near to singular.
        for penalty in self.penalties[self.penalties.index(self.penalty) :]:
            weights = problem.solve(penalty)
            if weights is not None:
                break
        solved = KernelMap(data.dimension, len(data), self.kernel, self.degree, data.outputs)
        solved = solved.double()
        solved.base.load_state_dict(problem.base.state_dict())
        solved.metric.copy_(problem.metric)
        solved.centres.copy_(problem.centres)
        if weights is not None:
            solved.weights.copy_(weights)
        return solved

    def metric(self, data: Increments) -> Tensor:
        """Return the metric ``(d, d)`` of distances, the length included."""
        axes, lengths = data.once((self.kind, "axes"), lambda: _principal_axes(data))
        metric = axes / lengths**self.whitening
        spread = ((data.states - data.mean) @ metric).square().sum(dim=1).mean().sqrt()
        metric = metric / spread.clamp(min=1e-300)
        if self.stretch:
            metric = metric * torch.tensor(self.stretch, dtype=torch.float64)
        return metric / self.length


@dataclass(frozen=True)
class _KernelProblem:
    """What is solved for: metric, centres in it, kernel matrix, and what the base leaves."""

    base: PolynomialMap
    metric: Tensor
    centres: Tensor
    matrix: Tensor
    left: Tensor

    @classmethod
    def of(cls, form: KernelForm, data: Increments) -> _KernelProblem:
        base = PolynomialForm(form.degree, _BASE_PENALTY).solve(data)
        metric = form.metric(data)
        centres = data.states @ metric
        left = data.changes - base.increment(data.states)
        return cls(base, metric, centres, radial(form.kernel, centres, centres), left)

    def solve(self, penalty: float) -> Tensor | None:
        """Return the weights of kernel ridge regression; None where rounding forbids them."""
        shifted = self.matrix.clone()
        shifted.diagonal().add_(len(shifted) * penalty)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        return None if int(failed) else torch.cholesky_solve(self.left, factor)


def _principal_axes(data: Increments) -> tuple[Tensor, Tensor]:
    """Return the principal axes of the states, one a column, and their lengths."""
    centred = data.states - data.mean
    squares, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    lengths = squares.clamp(min=0).sqrt()
    return axes, lengths.clamp(min=max(_SHORTEST_AXIS * float(lengths.max()), 1e-300))
