"""The choice of the coupled scales of a fit, on validation rollouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.errors import InterruptedWarning, TrainingError, warn
from pyhits.evaluation.metrics import masked_mse
from pyhits.fit import planning
from pyhits.fit.planning import Rollouts
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy import (
    Candidate,
    Selection,
    chain,
    cost,
    fastest,
    ranges,
    select,
)
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError
from pyhits.util.progress import bar

#: States forecast for one candidate of the front, and multiply-adds for all of them, at most; the
#: sample holds one trajectory at least.
_FRONT_STATES, _FRONT_WORK = 100_000, 1e12

#: Mean squared error of the best coupling above which forecasts are lost: that of the mean is 1.
#: Rollouts are then halved, down to so many steps.
_LOST, _SHORTEST = 0.25, 16

#: The most that a state then counts: the error of the right attractor at the wrong place.
_MOST = 2.0

#: Rollouts, and their steps, that say what a forecast costs where there is a time limit, and the
#: part of the time that all forecasts are to be done in is one over the last number.
_TIMED, _TIMED_STEPS, _SPARE = 8, 64, 1.5

#: What may be given away in mean squared error, over shortened rollouts, for fewer that diverge.
_STEADY = 2.0

#: Forecasts initial states (n, d) over n_steps with step sizes coupled: (n, n_steps + 1, d).
Forecast = Callable[..., np.ndarray]


class Chooser:
    """Measures couplings on validation data and chooses one.

    Parameters
    ----------
    forecast : callable
    flow_maps : mapping of int to FlowMap
        All trained scales.
    held : Trajectories
        Validation data.
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
    inputs : array, shape (n_rows, k), optional
        What acts on the rows of ``held``; forecasts then take ``inputs``, ``(n, n_steps, k)``.
    """

    def __init__(
        self,
        forecast: Forecast,
        flow_maps: Mapping[int, FlowMap],
        held: Trajectories,
        scale: np.ndarray,
        *,
        clock: Clock = UNLIMITED,
        verbose: bool = False,
        reproduce: bool = False,
        inputs: np.ndarray | None = None,
    ) -> None:
        self._forecast = forecast
        self._flow_maps = flow_maps
        self._scale = scale
        self._clock = clock
        self._verbose = verbose
        self._tried: list[Candidate] = []
        self._counts: dict[tuple[int, ...], int] = {}
        whole = planning.rollouts(held, whole=reproduce, inputs=inputs)
        self._whole = self._rolled = self._affordable(whole)
        n, length, _ = self._rolled.truth.shape
        sizes = chain(flow_maps)
        self._ranges = [tuple(sizes)] if reproduce else ranges(sizes)
        largest = max(flow_map.multiply_adds for flow_map in flow_maps.values())
        states = min(_FRONT_STATES, _FRONT_WORK / (len(self._ranges) * largest))
        some = np.linspace(0, n - 1, min(n, max(1, int(states) // length))).astype(int)
        self._sample = self._rolled[some]
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
                selection = self._fastest(front, tolerance)
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
                f"{diverged} of {len(self._whole.truth)} forecasts with "
                f"{list(selection.step_sizes)} diverge on the validation data, over "
                f"{self._whole.n_steps} steps. Train longer, with more data, look for outliers, "
                "or validate on shorter trajectories."
            )
        return selection

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
        whole = selection = select(sizes, self._measure)
        while selection.error > _LOST:
            n_steps = self._rolled.n_steps // 2
            if n_steps < _SHORTEST:
                self._rolled = self._whole
                return whole
            self._rolled = self._rolled.cut(n_steps)
            sizes = [size for size in sizes if size <= n_steps] or sizes[:1]
            selection = replace(select(sizes, self._measure), n_steps=n_steps)
        if selection.n_steps is None:
            return selection
        self._sample = self._sample.cut(selection.n_steps)
        self._ranges = ranges(sizes)
        near = [c for c in selection.path if c.error <= _STEADY * selection.error]
        steady = min(near, key=lambda c: (self._diverged(c.step_sizes), c.error))
        return replace(selection, step_sizes=steady.step_sizes, error=steady.error)

    def _diverged(self, step_sizes: tuple[int, ...]) -> int:
        """Return how many of the uncut rollouts diverge."""
        if step_sizes not in self._counts:
            self._measure(step_sizes, self._whole)
        return self._counts[step_sizes]

    def _affordable(self, rolled: Rollouts) -> Rollouts:
        """Return as many of the rollouts, and as much of them, as there is time to compare on.

        A short forecast with the finest scale alone, which evaluates its flow map most often, says
        what one costs.
        """
        if not self._clock.is_limited:
            return rolled
        finest = (min(self._flow_maps),)
        n, n_steps = len(rolled.truth), rolled.n_steps
        rows = np.linspace(0, n - 1, min(n, _TIMED)).astype(int)
        brief = rolled.cut(min(n_steps, max(_TIMED_STEPS, finest[0])))[rows]
        self._ahead(finest, brief)  # what is set up once
        begin = self._clock.now()
        self._ahead(finest, brief)
        each = (self._clock.now() - begin) / brief.n_steps
        # Couplings with the finest scale cost as much at most; all others take fewer evaluations.
        couplings = len(self._flow_maps) + 4
        # Steps of so many rollouts at once that each coupling may take.
        steps = self._clock.left / _SPARE / couplings / max(each, 1e-9)
        if steps < n_steps:
            n_steps = min(n_steps, max(int(steps), 2 * _SHORTEST))
            found = rolled.cut(n_steps)[rows]
        else:
            most = min(n, max(len(rows), int(len(rows) * steps / n_steps)))
            found = rolled[np.linspace(0, n - 1, most).astype(int)]
        if found.truth.shape != rolled.truth.shape:
            self._clock.cut(
                f"the validation rollouts ({len(found.truth)} of {n}, over {n_steps} of "
                f"{rolled.n_steps} steps)"
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

    def _fastest(self, front: list[Candidate], tolerance: float) -> Selection:
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

    def _ahead(self, step_sizes: tuple[int, ...], rolled: Rollouts) -> np.ndarray:
        acting = {} if rolled.inputs is None else {"inputs": rolled.inputs}
        return self._forecast(rolled.initial_states, rolled.n_steps, step_sizes, **acting)

    def _measure_front(self, front: list[Candidate]) -> None:
        with bar("couplings", verbose=self._verbose) as progress:
            for step_sizes in self._ranges:
                if self._clock.is_over:
                    self._clock.cut("the front of couplings")
                    return
                front.append(replace(self._measure(step_sizes, self._sample), search="front"))
                if progress is not None:
                    progress(len(front), len(self._ranges))

    def _measure(self, step_sizes: tuple[int, ...], rolled: Rollouts | None = None) -> Candidate:
        rolled = rolled or self._rolled
        if self._tried:
            self._clock.check()
        begin = self._clock.now()
        predicted = self._ahead(step_sizes, rolled)
        seconds = self._clock.now() - begin
        most = None if rolled.n_steps == self._whole.n_steps else _MOST
        error = masked_mse(rolled.truth, predicted, self._scale, most)
        if rolled is self._whole:
            lost = np.isfinite(rolled.truth) & ~np.isfinite(predicted)
            self._counts[step_sizes] = int(lost.any(axis=(1, 2)).sum())
        needs = cost({s: self._flow_maps[s] for s in step_sizes}, rolled.n_steps)
        candidate = Candidate(
            step_sizes,
            error,
            seconds,
            depth=needs.depth,
            evaluations=needs.evaluations,
            multiply_adds=needs.multiply_adds,
            nominal_seconds=needs.seconds(len(rolled.truth)),
        )
        self._tried.append(candidate)
        return candidate


def choose_again(
    selection: Selection, sizes: Sequence[int], how: str | Sequence[int], tolerance: float
) -> Selection:
    """Return another selection from what was measured when the model was fitted.

    Raises
    ------
    ArgumentError
        The step sizes asked for do not nest.
    TrainingError
        What the choice needs was not measured.
    """
    known = {c.step_sizes: c for c in [*selection.front, *selection.path]}

    def recall(step_sizes: tuple[int, ...]) -> Candidate:
        if step_sizes not in known:
            raise TrainingError(
                f"The coupling {list(step_sizes)} was not measured when this model was fitted; "
                "give validation data to measure it."
            )
        return known[step_sizes]

    if how == "accuracy":
        if selection.n_steps is not None:
            sizes = [size for size in sizes if size <= selection.n_steps] or sizes[:1]
        chosen = select(sizes, recall)
        return replace(chosen, front=selection.front, n_steps=selection.n_steps)
    if how == "speed":
        within = fastest(selection.front, tolerance)
        if not within:
            least = min((c.error for c in selection.front), default=math.inf)
            raise TrainingError(
                f"No coupling has a validation error within the tolerance of {tolerance:g}; the "
                f"least is {least:.2g}."
            )
        return replace(selection, step_sizes=within[0].step_sizes, error=within[0].error)
    asked = tuple(sizes) if how == "all" else tuple(chain(int(s) for s in how))
    error = known[asked].error if asked in known else math.nan
    return replace(selection, step_sizes=asked, error=error)
