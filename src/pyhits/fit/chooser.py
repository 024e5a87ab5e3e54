"""Measuring couplings on validation rollouts, and choosing one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pyhits.coordinates.coordinates import Encoded
from pyhits.data.stretches import Stretches
from pyhits.errors import InterruptedWarning, warn
from pyhits.fit.effort import timed, within_effort
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy import Candidate, Selection, chain, cost, fastest, ranges, select
from pyhits.numerics import fused
from pyhits.numerics.forecast_errors import ForecastErrors
from pyhits.numerics.fused.numbers import numbers_of
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError
from pyhits.util.progress import bar

#: States forecast for one coupling, at most.
MOST_STATES = 2_000_000

#: States forecast for one candidate of the front, at most, and multiply-adds for all of them; the
#: sample holds one trajectory at least.
_FRONT_STATES, _FRONT_WORK = 100_000, 1e12

#: Multiply-adds, or what takes as long, of closed forms that are compared: for the choice, and for
#: the front.
_EFFORT, _FRONT_EFFORT = 3e10, 1.5e10

#: Mean squared error of the best coupling above which forecasts are lost: that of the mean is 1.
#: Rollouts are then halved, down to so many steps.
_LOST, _SHORTEST = 0.25, 16

#: The most that a state then counts: the error of the right attractor at the wrong place.
_MOST = 2.0

#: The part of the time that all forecasts are to be done in is one over this number.
_SPARE = 1.5

#: Numbers in the states that one coupling is compared on, at most.
_MOST_NUMBERS = 1 << 26

#: Errors whose ratio is no larger are the same.
_SAME = 1 + 1e-6

#: What may be given away in mean squared error, over shortened rollouts, for fewer that diverge.
_STEADY = 2.0

#: Forecasts initial states (n, d) over n_steps with step sizes coupled: (n, n_steps + 1, d).
CoupledForecast = Callable[..., np.ndarray]


class Chooser:
    """Measures couplings on validation data and chooses one.

    Parameters
    ----------
    flow_maps : mapping of int to FlowMap
        All trained scales.
    validation : Encoded
        Data to compare couplings on, in the coordinates that ``forecast`` takes. With inputs,
        forecasts take ``inputs``, ``(n, n_steps, k)``.
    scale : array, shape (d,)
        Standard deviations that errors are measured in.
    clock : Clock, optional
        Rollouts are as many and as long as it affords, and what is not tried when it is over is
        left out.
    verbose : bool
        Show progress.
    reproduce : bool
        The scales were trained for forecasts from the first rows with all of them coupled: other
        rollouts and couplings are not measured.
    """

    def __init__(
        self,
        forecast: CoupledForecast,
        flow_maps: Mapping[int, FlowMap],
        validation: Encoded,
        scale: np.ndarray,
        *,
        clock: Clock = UNLIMITED,
        verbose: bool = False,
        reproduce: bool = False,
    ) -> None:
        self._forecast = forecast
        self._flow_maps = flow_maps
        self._scale = scale
        self._clock = clock
        self._verbose = verbose
        self._tried: list[Candidate] = []
        self._counts: dict[tuple[int, ...], int] = {}
        self._values, self._inputs = validation.states.values, validation.inputs
        self._bound = np.inf
        n_features = validation.states.n_features
        most = max(1, min(MOST_STATES, _MOST_NUMBERS // n_features))
        chosen = validation_stretches(validation.states.offsets, whole=reproduce, most_states=most)
        sizes = chain(flow_maps)
        self._ranges = [tuple(sizes)] if reproduce else ranges(sizes)
        self._are_fields = validation.states.grid is not None
        #: Forecasts that are to be reproduced have bounds of their own.
        self._bounded = not reproduce
        chosen = self._within(chosen, _compared(sizes), _EFFORT)
        self._whole = self._compared = self._affordable(chosen)
        largest = max(flow_map.multiply_adds for flow_map in flow_maps.values())
        states = min(_FRONT_STATES, _FRONT_WORK / (len(self._ranges) * largest))
        self._sample = self._whole.at_most(max(1, int(states) // (self._whole.n_steps + 1)))
        #: Whether Ctrl-C has cut the choice short.
        self.interrupted = False

    def choose(self, how: str | Sequence[int], tolerance: float) -> Selection:
        """Return the selection; ``how`` and ``tolerance`` are those of :class:`~pyhits.HiTS`.

        Ctrl-C takes the best coupling tried so far. Where every coupling diverges, a warning says
        so and the first tried, the finest scale alone, is taken: what was trained is not lost.
        """
        sizes = chain(self._flow_maps)
        selection: Selection | None = None
        front: list[Candidate] = []
        try:
            if how != "speed":
                selection = self._choose(how, sizes)
            self._measure_front(front)
            if selection is None:
                self._clock.check()
                selection = self.fastest(front, tolerance)
        except TimeIsUpError:
            self._clock.cut("the choice of scales")
            selection = selection or self._best_so_far(sizes)
        except KeyboardInterrupt:
            return self._interrupted(selection, sizes, front)
        selection.front = front
        diverged = 0
        if selection.n_steps is not None or not math.isfinite(selection.error):
            known = self._counts.get(selection.step_sizes, 0)
            diverged = known if self._clock.is_over else self._diverged(selection.step_sizes)
        if diverged:
            warn(
                f"{diverged} of {len(self._whole)} forecasts with "
                f"{list(selection.step_sizes)} diverge on the validation data, over "
                f"{self._whole.n_steps} steps. Train longer, with more data, look for outliers, "
                "or validate on shorter trajectories."
            )
        return selection

    def error_of(self, forecast: CoupledForecast, step_sizes: tuple[int, ...]) -> float:
        """Return the error of another way to forecast with a coupling, on the same rollouts."""
        ahead = self._ahead(step_sizes, self._compared, forecast)
        truth = self._compared.gather(self._values)
        return ForecastErrors.of(truth, ahead, self._scale, bound=self._bound).mse

    def _choose(self, how: str | Sequence[int], sizes: list[int]) -> Selection:
        if how == "accuracy":
            return self._most_accurate(sizes)
        asked = tuple(sizes) if how == "all" else tuple(chain(int(s) for s in how))
        return Selection(asked, self._measure(asked).error)

    def _most_accurate(self, sizes: list[int]) -> Selection:
        """Return the paper's choice, over as many steps as forecasts are not lost.

        Far beyond the time that a chaotic motion can be predicted for, every good forecast has
        twice the error of the mean, which a coarse step alone comes close to.
        """
        whole = selection = _without_idle(select(sizes, self._measure))
        while selection.error > _LOST:
            n_steps = self._compared.n_steps // 2
            if n_steps < _SHORTEST:
                self._compared, self._bound = self._whole, np.inf
                return whole
            self._compared, self._bound = self._compared.cut(n_steps), _MOST
            sizes = [size for size in sizes if size <= n_steps] or sizes[:1]
            selection = replace(select(sizes, self._measure), n_steps=n_steps)
        if selection.n_steps is None:
            return selection
        self._ranges = ranges(sizes)
        self._sample = self._sample.cut(selection.n_steps)
        near = [c for c in selection.path if c.error <= _STEADY * selection.error]
        steady = min(near, key=lambda c: (self._diverged(c.step_sizes), c.error))
        return replace(selection, step_sizes=steady.step_sizes, error=steady.error)

    def _diverged(self, step_sizes: tuple[int, ...]) -> int:
        """Return how many of the uncut rollouts diverge."""
        if step_sizes not in self._counts:
            self._measure(step_sizes, self._whole)
        return self._counts[step_sizes]

    def _within(
        self, chosen: Stretches, couplings: Iterable[tuple[int, ...]], most: float
    ) -> Stretches:
        """Return as many rollouts as multiply-adds afford, in all of these couplings."""
        if not self._bounded:
            return chosen
        is_field = self._are_fields
        return within_effort(chosen, self._flow_maps, couplings, most, are_fields=is_field)

    def _affordable(self, chosen: Stretches) -> Stretches:
        """Return as many of the stretches, and as much of them, as there is time to compare on.

        A short forecast with the finest scale alone, which evaluates its flow map most often, says
        what one costs.
        """
        if not self._clock.is_limited:
            return chosen
        finest = (min(self._flow_maps),)
        n, n_steps = len(chosen), chosen.n_steps
        few = timed(lambda some: self._ahead(finest, some), chosen, self._clock, least=finest[0])
        # Couplings with the finest scale cost as much at most; all others take fewer evaluations.
        couplings = len(self._flow_maps) + 4
        # Steps of so many rollouts at once that each coupling may take.
        steps = self._clock.left / _SPARE / couplings / few.of_step
        least = min(2 * _SHORTEST, few.chosen.n_steps)
        if steps < n_steps:
            found = chosen.at_most(len(few.chosen)).cut(max(int(steps), least))
        else:
            found = chosen.at_most(max(len(few.chosen), int(len(few.chosen) * steps / n_steps)))
        if len(found) < n or found.n_steps < n_steps:
            self._clock.cut(
                f"the validation rollouts ({len(found)} of {n}, over {found.n_steps} of "
                f"{n_steps} steps)"
            )
        return found

    def _best_so_far(self, sizes: list[int]) -> Selection:
        """Return the best coupling tried; the finest scale alone if none was."""
        unknown = Candidate((sizes[0],), math.inf)
        best = min(self._tried, key=lambda c: c.error, default=unknown)
        return Selection(best.step_sizes, best.error)

    def _interrupted(
        self, selection: Selection | None, sizes: list[int], front: list[Candidate]
    ) -> Selection:
        """Return the selection if there is one already, else the best coupling tried so far."""
        self.interrupted = True
        selection = selection or self._best_so_far(sizes)
        warn(
            f"The choice of scales was interrupted: took {list(selection.step_sizes)}, the best so "
            "far.",
            InterruptedWarning,
        )
        selection.front = front
        return selection

    def fastest(self, front: list[Candidate], tolerance: float) -> Selection:
        """Return the cheapest coupling within the tolerance on all rollouts, not on the sample."""
        for candidate in fastest(front, tolerance):
            error = self._measure(candidate.step_sizes).error
            if error <= tolerance:
                return Selection(candidate.step_sizes, error)
        best = min(front, key=lambda c: c.error).step_sizes
        selection = Selection(best, self._measure(best).error)
        if not math.isfinite(selection.error):
            return selection
        warn(
            f"No coupling has a validation error within the tolerance of {tolerance:g}: took the "
            f"most accurate, {list(best)} with {selection.error:.2g}."
        )
        return selection

    def _ahead(
        self,
        step_sizes: tuple[int, ...],
        chosen: Stretches,
        forecast: CoupledForecast | None = None,
    ) -> np.ndarray:
        settings = {}
        if self._inputs is not None:
            settings["inputs"] = chosen.gather_inputs(self._inputs)
        starts = chosen.states(self._values)
        return (forecast or self._forecast)(starts, chosen.n_steps, step_sizes, **settings)

    def _measure_front(self, front: list[Candidate]) -> None:
        sample = self._within(self._sample, self._ranges, _FRONT_EFFORT)
        with bar("couplings", verbose=self._verbose) as progress:
            for step_sizes in self._ranges:
                if self._clock.is_over:
                    self._clock.cut("the front of couplings")
                    return
                front.append(replace(self._measure(step_sizes, sample), search="front"))
                if progress is not None:
                    progress(len(front), len(self._ranges))

    def _measure(self, step_sizes: tuple[int, ...], chosen: Stretches | None = None) -> Candidate:
        chosen = chosen or self._compared
        is_whole = chosen is self._whole
        if self._tried:
            self._clock.check()
        begin = self._clock.now()
        predicted = self._ahead(step_sizes, chosen)
        seconds = self._clock.now() - begin
        bound = np.inf if is_whole else self._bound
        truth = chosen.gather(self._values)
        errors = ForecastErrors.of(truth, predicted, self._scale, bound=bound)
        if is_whole:
            self._counts[step_sizes] = errors.n_diverged
        n_steps = (chosen if is_whole else self._compared).n_steps
        maps = {size: self._flow_maps[size] for size in step_sizes}
        needs, free = cost(maps, n_steps), self._inputs is None and fused.is_installed()
        candidate = Candidate(
            step_sizes,
            errors.mse,
            seconds,
            depth=needs.depth,
            evaluations=needs.evaluations,
            multiply_adds=needs.multiply_adds,
            nominal_seconds=needs.seconds(len(chosen), fused=free and bool(numbers_of(maps))),
        )
        self._tried.append(candidate)
        return candidate


def _compared(sizes: Sequence[int]) -> set[tuple[int, ...]]:
    """Return about the couplings that the greedy rule compares, with every single scale."""
    every = range(len(sizes))
    ends = {tuple(sizes[: k + 1]) for k in every} | {tuple(sizes[k:]) for k in every}
    return ends | {(size,) for size in sizes}


def _without_idle(selection: Selection) -> Selection:
    """Return the finest scale alone where others with it neither err less nor save work."""
    known = {c.step_sizes: c for c in selection.path}
    chosen, alone = known[selection.step_sizes], known.get(selection.step_sizes[:1])
    if alone is None or alone.error > _SAME * chosen.error:
        return selection
    if alone.multiply_adds > chosen.multiply_adds:
        return selection
    return replace(selection, step_sizes=alone.step_sizes, error=alone.error)


def validation_stretches(
    offsets: np.ndarray, *, whole: bool = False, enough: int = 8, most_states: int = MOST_STATES
) -> Stretches:
    """Choose the stretches on which couplings are compared.

    Many trajectories are taken whole. One or a few long recordings are cut into overlapping
    stretches of half their length, since a single rollout would decide by luck; unless they are to
    be taken ``whole``.

    Parameters
    ----------
    offsets : array of int, shape (n_trajectories + 1,)
        Row at which each trajectory begins.
    enough : int
        Trajectories that are not cut.
    most_states : int
        States forecast for one coupling, at most.
    """
    lengths = np.diff(offsets)
    n, longest = len(lengths), int(lengths.max())
    if whole:
        return Stretches.whole(offsets)
    if n >= enough:
        every = Stretches.whole(offsets).cut(max(1, most_states // enough))
        return every.at_most(max(enough, most_states // longest))
    each = -(-2 * enough // n)
    span = min(max(1, (longest - 1) // 2), max(1, most_states // (each * n)))
    return Stretches.overlapping(offsets, span, each)
