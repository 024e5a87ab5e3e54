"""Which scales are worth training: the finest first, coarser ones while they can still pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyhits.data.stretches import Stretches
from pyhits.fit.chooser import validation_stretches
from pyhits.fit.effort import timed, within_effort
from pyhits.fit.modes import ModesModel
from pyhits.fit.problem import Problem
from pyhits.flowmaps import FlowMap
from pyhits.forecasting.maps import FittedMaps
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.util.clock import UNLIMITED, Clock

#: Scales one after the other that must not pay, and the multiple of the least mean squared error
#: from which on one does not; one alone is enough of the last multiple, or if it is a net, since
#: the next would take another.
_PATIENCE, _POOR, _HOPELESS = 2, 1.5, 30.0

#: Parts of another scale's error, and of its work a row, below which a scale is better or cheaper.
_BETTER, _CHEAPER = 0.5, 0.9

#: Mean squared error below which rounding decides: two scales then are enough; and that which no
#: net of a coarse step reaches.
_EXACT, _BETTER_THAN_NETS = 1e-18, 1e-10

#: States forecast for one coupling, at most.
_MOST_STATES = 50_000

#: Mean squared error above which forecasts are lost; rollouts are then halved, down to so many
#: steps; and the most that a state counts.
_LOST, _SHORTEST, _MOST = 0.25, 16, 2.0

#: Multiple of a rival's mean squared error from which on no scale comes near it.
_FAR_BEHIND = 9.0

#: Multiply-adds, or what takes as long, that rollouts of fields with one coupling may take.
_EFFORT = 1e10

#: The part of the time that is left which the rollouts of one coupling may take.
_PART = 0.1


class Paying:
    """Tells when coarser scales can no longer pay, by rollouts of the validation data.

    A scale pays if forecasts that couple it to all finer ones, or take it alone, are about as good
    as the best so far, unless it takes as much work a row as a finer one and is no better. Where
    two in a row do not, or one whose net was trained beside closed forms, no coarser one will be
    coupled: each starts from the errors of the last. Closed forms, which take no training, also pay
    where they save work and are as good as couplings for speed ask for.

    Parameters
    ----------
    problem : Problem
        Prepared.
    clock : Clock, optional
        Of the training: rollouts take a small part of it, and no scale pays after it.
    rival : ModesModel, optional
        Of a field: no scale pays where this is known to be far better.
    """

    def __init__(
        self, problem: Problem, clock: Clock = UNLIMITED, rival: ModesModel[Any] | None = None
    ) -> None:
        self._problem, self._clock, self._rival = problem, clock, rival
        states = problem.states.validation
        chosen = validation_stretches(states.offsets)
        self._chosen = chosen.at_most(max(1, _MOST_STATES // (chosen.n_steps + 1)))
        self._errors: dict[int, float] = {}

    @classmethod
    def of(
        cls, problem: Problem, clock: Clock = UNLIMITED, rival: ModesModel[Any] | None = None
    ) -> Paying | None:
        """Return what tells; None where all scales are asked for."""
        settings = problem.settings
        open_ = not settings.sizes and settings.selection.how == "accuracy"
        is_open = open_ and problem.recipe.windows == "anywhere"
        return cls(problem, clock, rival) if is_open else None

    def enough(self, flow_maps: Mapping[int, FlowMap]) -> bool:
        """Whether the scales trained so far, from the finest on, suffice."""
        if self._clock.is_over:
            return True
        known = []
        if not self._errors:
            self._bound(flow_maps)
        for size in self._problem.step_sizes:
            if size not in flow_maps:
                break
            known.append(size)
            if size not in self._errors:
                error = self._least(flow_maps, known)
                idle = known[1:] and not _saves(flow_maps, known)
                is_better = error < _BETTER * min(self._errors.values(), default=np.inf)
                self._errors[size] = np.inf if idle and not is_better else error
        if self._rival is not None:
            least = min(self._errors.values())
            if least > _FAR_BEHIND * self._rival.known_error**2:
                return True
        last = self._errors[known[-1]]
        is_quick = (
            self._problem.recipe.is_closed and last <= self._problem.settings.selection.tolerance
        )
        took_net = self._problem.recipe.is_closed and flow_maps[known[-1]].trained
        patience = 1 if took_net else _PATIENCE
        return not is_quick and _poor([self._errors[size] for size in known], patience)

    def exact(self) -> bool:
        """Whether forecasts of the scales trained so far are better than any net's."""
        return min(self._errors.values(), default=np.inf) < _BETTER_THAN_NETS

    def _bound(self, flow_maps: Mapping[int, FlowMap]) -> None:
        """Take as many rollouts, and as much of them, as there is time for."""
        finest = min(flow_maps)
        if self._problem.on_grid:
            self._chosen = within_effort(
                self._chosen, flow_maps, [(finest,)], _EFFORT, are_fields=True
            )
        if not self._clock.is_limited:
            return
        few = timed(
            lambda some: self._measure(flow_maps, [finest], some),
            self._chosen,
            self._clock,
            least=finest,
        )
        states = int(_PART * self._clock.left / few.of_state)
        n, n_steps = len(self._chosen), self._chosen.n_steps
        if states < n * n_steps:
            self._chosen = self._chosen.at_most(max(1, states // n_steps)).cut(max(states, finest))

    def _least(self, flow_maps: Mapping[int, FlowMap], sizes: Sequence[int]) -> float:
        """Return the error of the last of some scales, coupled to the others or alone."""
        if len(sizes) == 1:
            error = self._measure(flow_maps, sizes)
            while error > _LOST and self._chosen.n_steps // 2 >= _SHORTEST:
                self._chosen = self._chosen.cut(self._chosen.n_steps // 2)
                error = self._measure(flow_maps, sizes)
            return error
        return min(self._measure(flow_maps, sizes), self._measure(flow_maps, sizes[-1:]))

    def _measure(
        self,
        flow_maps: Mapping[int, FlowMap],
        sizes: Sequence[int],
        chosen: Stretches | None = None,
    ) -> float:
        """Return the mean squared error of forecasts with some scales coupled."""
        problem, chosen = self._problem, chosen or self._chosen
        if sizes[-1] > chosen.n_steps:
            return np.inf
        own = problem.coordinates
        maps = FittedMaps(
            Hierarchy({size: flow_maps[size] for size in sizes}),
            own,
            problem.settings.selection.interpolation,
            problem.settings.device,
        )
        settings: dict[str, Any] = {}
        if problem.inputs is not None:
            settings["inputs"] = chosen.gather_inputs(problem.inputs.validation)
        values = problem.states.validation.values
        ahead = maps.ahead(chosen.states(values), chosen.n_steps, sizes, encoded=True, **settings)
        scale = own.scaling.scale_
        return ForecastErrors.of(chosen.gather(values), ahead, scale, bound=_MOST).mse


def _saves(flow_maps: Mapping[int, FlowMap], sizes: Sequence[int]) -> bool:
    """Whether the last of some scales takes less work a row than all others."""
    *finer, last = [flow_maps[size].multiply_adds / size for size in sizes]
    return last < _CHEAPER * min(finer)


def _poor(errors: Sequence[float], some: int) -> bool:
    """Whether the last errors are all above that of the best before, or that is exact.

    Far above of one alone, and clearly of ``some``.
    """
    if len(errors) > 1 and min(errors) < _EXACT:
        return True
    for patience, much in ((1, _HOPELESS), (some, _POOR)):
        if len(errors) > patience:
            best = min(errors[:-patience])
            if best <= _LOST and min(errors[-patience:]) > much * best:
                return True
    return False
