"""Nets whose last layer is solved for: random features and ridge regression.

Hidden layers stay as drawn (Huang, Zhu, Siew 2006, "Extreme learning machine"); the last, in which
the net is linear, minimises the squared error with a penalty on its weights. How large the hidden
weights are and how strong the penalty decides the error of several steps on validation windows.
With more hidden units than windows the recorded steps are met to rounding. With coupled windows,
which are to be met and no others, units that are too few are then fitted
(:mod:`pyhits.training.varpro`).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps import FlowMap, ResidualNet, create
from pyhits.flowmaps.residual import ACTIVATIONS
from pyhits.numerics.ridge import Ridge
from pyhits.numerics.rollout import iterate
from pyhits.training.jobs import Progress, ScaleJob
from pyhits.training.objective import Objective
from pyhits.training.run import TrainingState
from pyhits.training.stages import Stages
from pyhits.training.varpro import fit_hidden, is_little, is_possible
from pyhits.training.windows import WindowSampler

#: Sizes of a hidden layer's inputs to its activation, in the order in which they are tried. Small
#: ones make smooth maps, which hold between the windows; with large ones small weights meet them.
GAINS = {"anywhere": (1.0, 0.3, 3.0, 0.1, 10.0), "coupled": (10.0, 3.0, 30.0, 1.0)}

#: Gains where the hidden layer is then fitted, which goes well where it is nearly linear.
_GAINS_TO_FIT = (1.5, 3.0)

#: Units of a small net that tells in which order the gains of a large one, of twice as many or
#: more, are worth trying.
_SCOUTS = 256

#: Draws of the hidden weights that are fitted, one after the other, while the error is not exact.
_DRAWS = 5

#: Penalties relative to the square of the features' largest singular value.
PENALTIES = tuple(10.0**k for k in range(-30, 1, 4))

#: Windows that are solved for and numbers in their states, at most; windows of errors; rows of
#: features that are reduced at once.
_N_FIT, _MOST_NUMBERS, _N_VALIDATION, _ROWS = 32_768, 4_000_000, 512, 8_192

#: Relative squared error that rounding leaves: nothing better is looked for where that takes long.
_EXACT = {torch.float32: 1e-12, torch.float64: 1e-28}

#: Squared errors, relative to the states' mean square, with which states arrive from coarser
#: scales at best; and the perturbation, likewise, whose growth tells what becomes of them.
_ARRIVING = {torch.float32: 1e-13, torch.float64: 1e-30}
_PERTURBED = {torch.float32: 1e-6, torch.float64: 1e-12}


def solve_last_layer(
    job: ScaleJob, stages: Stages, progress: Progress | None = None
) -> TrainingState:
    """Return the weights of the best hidden layers and last layer, with what was tried.

    Parameters
    ----------
    job : ScaleJob
        Its recipe's ``rollout_steps``, or with coupled windows the steps to the next coarser one,
        are those that errors are taken over. Seconds end the search for better hidden layers.
    stages : Stages
        Increments and polynomial base; its net is left untouched.
    progress : callable, optional
        Called after each gain.
    """
    begin = time.perf_counter()
    deadline = None if job.time_limit is None else begin + job.time_limit
    net = copy.deepcopy(stages.net)
    assert isinstance(net, ResidualNet)
    problem = LastLayer.of(job, stages, net)
    state = TrainingState()
    best = math.inf, math.inf
    tries = problem.tries(net)
    for k, (gain, draw, fit) in enumerate(tries):
        problem.draw(net, gain, draw)
        if fit:
            problem.fit_hidden(net, deadline)
        for penalty, errors in problem.solutions(net):
            record = {"gain": gain, "penalty": penalty, "validation_error": errors[0]}
            seconds = time.perf_counter() - begin
            state.records.append({"step": len(state.records) + 1, "seconds": seconds} | record)
            if errors < best:
                best = errors
                state.best = {k: v.detach().clone() for k, v in net.state_dict().items()}
        state.step, state.seconds = len(state.records), time.perf_counter() - begin
        if progress is not None:
            progress(k + 1, len(tries), best[0])
        late = deadline is not None and state.seconds * (k + 2) / (k + 1) > deadline - begin
        if late or (best[0] <= _EXACT[net.scale.dtype] and not problem.is_little(net)):
            break
    if state.best:
        net.load_state_dict(state.best)
        state.best_error = stages.one_step_error(net)
    return state


@dataclass(frozen=True)
class LastLayer:
    """What last layers are solved for, and what judges them."""

    job: ScaleJob
    #: inputs, targets: (n, d) and (n, m d); states and what the net is to return there, float64.
    inputs: Tensor
    targets: Tensor
    size: float  # root mean square norm of the inputs
    judge: ChainErrors

    @classmethod
    def of(cls, job: ScaleJob, stages: Stages, net: ResidualNet) -> LastLayer:
        """Return what a net of one scale is solved for."""
        inputs, targets = _pairs(job, stages, net)
        size = float(inputs.square().sum(dim=1).mean().sqrt()) or 1.0
        return cls(job, inputs, targets, size, ChainErrors(job, stages))

    def tries(self, net: ResidualNet) -> list[tuple[float, int, bool]]:
        """Return gains, numbers of draws, and whether hidden layers are fitted, in their order."""
        coupled = self.job.recipe.windows == "coupled"
        tries = [(gain, 0, False) for gain in GAINS["coupled" if coupled else "anywhere"]]
        if not net.hidden_sizes:
            return tries[:1]
        n, widest = len(self.inputs), max(net.hidden_sizes)
        if not coupled and widest >= 2 * _SCOUTS:
            scouted = self._scouted(net, [gain for gain, _, _ in tries])
            return sorted(tries, key=lambda t: scouted[t[0]])
        single = coupled and len(net.hidden_sizes) == 1
        if single and is_possible(n, widest, net.dimension, self.targets.shape[1]):
            # Units that meet the targets as they are drawn gain a little from being fitted, once.
            draws = _DRAWS if n > widest + 1 else 1
            tries += [(gain, draw, True) for draw in range(draws) for gain in _GAINS_TO_FIT]
        return tries

    def _scouted(self, net: ResidualNet, gains: list[float]) -> dict[float, tuple[float, float]]:
        """Return the errors that a net of few units has with each gain."""
        few = [min(width, _SCOUTS) for width in net.hidden_sizes]
        small = create(net.kind, net.config() | {"hidden_sizes": few}).to(net.scale.dtype)
        assert isinstance(small, ResidualNet)
        small.scale.copy_(net.scale)
        if small.base is not None and net.base is not None:
            small.base.load_state_dict(net.base.state_dict())
        errors = {}
        for gain in gains:
            self.draw(small, gain, 0)
            errors[gain] = min(error for _, error in self.solutions(small))
        return errors

    def draw(self, net: ResidualNet, gain: float, draw: int) -> None:
        """Draw the hidden layers of a net so that the inputs excite them by ``gain``."""
        draw_hidden(net, gain, self.size, [self.job.seed, draw])

    def fit_hidden(self, net: ResidualNet, deadline: float | None) -> None:
        """Fit the hidden layer of a net that has one (:mod:`pyhits.training.varpro`)."""
        hidden = copy.deepcopy(net).double()
        fit_hidden(hidden.linear[0], net.activation, self.inputs, self.targets, deadline)
        net.load_state_dict(hidden.state_dict())

    def solutions(self, net: ResidualNet) -> Iterator[tuple[float, tuple[float, float]]]:
        """Set the last layer under each penalty in turn; yield the penalty and the errors."""
        # Behind the hidden weights as the net's arithmetic rounds them.
        exact = copy.deepcopy(net).double()
        for penalty, weights in last_layers(exact, self.inputs, self.targets):
            _set_last(net, weights)
            yield penalty, self.judge(net)

    def is_little(self, net: ResidualNet) -> bool:
        """Whether the hidden layer is fitted in less than seconds."""
        return is_little(len(self.inputs), max(net.hidden_sizes, default=0), net.dimension)


def _pairs(job: ScaleJob, stages: Stages, net: ResidualNet) -> tuple[Tensor, Tensor]:
    """Return states and what the net is to return there, float64, ``(n, d)`` and ``(n, m d)``."""
    train = job.train
    d = len(train.encoder.mean_)
    if job.recipe.windows == "first":
        windows = train.first()
    else:
        # All that the units can meet at least, or a sequence of many features would not be met.
        least = 2 * max([256, *net.hidden_sizes])
        windows = train.spread(max(least, min(_N_FIT, _MOST_NUMBERS // d)))
    objective = Objective(copy.deepcopy(net).double(), stages.sigma, "cpu", 1)
    inputs, targets = objective.tensors(windows[: 1 + train.outputs])
    return inputs, targets[0]


def draw_hidden(net: ResidualNet, gain: float, size: float, seed: list[int]) -> None:
    """Draw the hidden layers: normal, so that inputs of norm ``size`` excite them by ``gain``."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for k, layer in enumerate(net.linear[:-1]):
            spread = gain / size if k == 0 else layer.in_features**-0.5
            layer.weight.copy_(torch.from_numpy(spread * rng.standard_normal(layer.weight.shape)))
            layer.bias.copy_(torch.from_numpy(rng.standard_normal(layer.bias.shape)))


def last_layers(
    net: ResidualNet, inputs: Tensor, targets: Tensor, *, rows: int = _ROWS
) -> Iterator[tuple[float, Tensor]]:
    """Yield penalties and the last layer's weights under each, ``(h + 1, m d)``, bias last.

    Of that many ``rows`` the features are made and reduced at once.
    """
    blocks = zip(torch.split(inputs, rows), torch.split(targets, rows), strict=True)
    ridge = Ridge.of_blocks((features(net, states), changes) for states, changes in blocks)
    for penalty in PENALTIES:
        yield penalty, ridge.solve(penalty)


@torch.inference_mode()
def features(net: ResidualNet, states: Tensor) -> Tensor:
    """Return the last hidden layer's outputs and a one, ``(n, h + 1)``."""
    activate = ACTIVATIONS[net.activation]
    for layer in net.linear[:-1]:
        states = activate(layer(states))
    return torch.hstack([states, states.new_ones(len(states), 1)])


@torch.no_grad()
def _set_last(net: ResidualNet, weights: Tensor) -> None:
    last = net.linear[-1]
    last.weight.copy_(weights[:-1].T)
    last.bias.copy_(weights[-1])


class ChainErrors:
    """Errors of several steps on validation windows, in the arithmetic that the net steps in."""

    def __init__(self, job: ScaleJob, stages: Stages) -> None:
        rows, self.inside = chains(job.validation, _N_VALIDATION, _MOST_NUMBERS)
        self.truth = job.validation.states(rows.ravel()).reshape(*rows.shape, -1)
        self.dtype = stages.net.scale.dtype
        d = self.truth.shape[-1]
        self.size = float(np.square(stages.sigma[-d:]).mean()) or 1.0
        square = float(np.square(self.truth[0]).mean()) or 1.0
        spread = math.sqrt(_PERTURBED[self.dtype] * square)
        rng = np.random.default_rng(job.seed)
        self.moved = self.truth[0] + spread * rng.standard_normal(self.truth[0].shape)

    def __call__(self, net: FlowMap) -> tuple[float, float]:
        """Return mean squared errors relative to the mean square of the increments.

        Of all steps, infinite where they diverge, and of the first, which ranks nets that do. Added
        is what becomes of the rounding with which states arrive.
        """
        n = len(self.truth[0])
        states = torch.from_numpy(np.concatenate([self.truth[0], self.moved])).to(self.dtype)
        total, grown, count, first = 0.0, 0.0, 0, math.inf
        with torch.inference_mode(), np.errstate(over="ignore", invalid="ignore"):
            n_steps = -(-(len(self.truth) - 1) // net.outputs)
            rollout = iterate(lambda x: net.within(x[:, -1]), states[:, None], n_steps)
            for k, within in zip(range(1, len(self.truth), net.outputs), rollout, strict=True):
                part = slice(k, k + net.outputs)
                truth, inside = self.truth[part], self.inside[part]
                found = within.double().numpy().swapaxes(0, 1)[: len(truth)]
                missed = found[:, :n][inside] - truth[inside]
                total += float(np.square(missed).sum())
                distance = found[:, n:][inside] - found[:, :n][inside]
                grown += float(np.square(distance).sum())
                count += missed.size
                if k == 1:
                    first = total / (max(count, 1) * self.size)
                if not math.isfinite(total):
                    break
        total += grown * _ARRIVING[self.dtype] / _PERTURBED[self.dtype]
        error = total / (max(count, 1) * self.size)
        return (error if math.isfinite(error) else math.inf), first


def chains(windows: WindowSampler, most: int, most_numbers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows that successive steps visit, and which of them were recorded.

    Parameters
    ----------
    windows : WindowSampler
        Chains of coupled windows begin where steps of the next coarser size end and go on to the
        next such row; others take the windows' own steps.
    most, most_numbers : int
        Chains, and numbers in their states, at most; one chain at least.

    Returns
    -------
    rows : array of int, shape (n_rows + 1, n)
        As far apart as the states that a step returns. Beyond a trajectory's end, its last row.
    recorded : array of bool, shape (n_rows + 1, n)
        The first row of a chain always is.
    """
    offsets = windows.offsets
    spacing = windows.step_size // windows.outputs
    begins = windows.all_rows()
    n_rows = windows.rollout_steps * windows.outputs
    if windows.coarser is not None:
        time = begins - offsets[np.searchsorted(offsets, begins, side="right") - 1]
        begins = begins[time % windows.coarser == 0 if windows.coarser else time == 0]
        longest = (int(np.diff(offsets).max()) - 1) // spacing
        n_rows = windows.coarser // spacing - 1 if windows.coarser else longest
    n = most_numbers // ((n_rows + 1) * windows.values.shape[1])
    n = min(len(begins), max(1, min(most, n)))
    begins = begins[np.linspace(0, len(begins) - 1, n).astype(int)]
    ends = offsets[np.searchsorted(offsets, begins, side="right")]
    rows = begins + spacing * np.arange(n_rows + 1)[:, None]
    return np.minimum(rows, ends - 1), rows < ends
