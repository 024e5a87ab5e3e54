"""What flow maps are chosen by: rollouts of the validation part, many stretches at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pyhits.data.stretches import Stretches, evenly
from pyhits.errors import DataError
from pyhits.flowmaps import FlowMap
from pyhits.flowmaps.form import Steps
from pyhits.numerics.rollout import beyond, last_state
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock

#: A state's error counts up to so many standard deviations: beyond, a forecast is lost, and how far
#: does not matter.
LOST = 2.0**0.5

#: Rollouts and steps of each, and numbers in all of them, at most.
_ROLLOUTS, _STEPS, _MOST_NUMBERS = 12, 100, 16_000_000


@dataclass(frozen=True)
class Rollouts:
    """Stretches of recorded states, which flow maps are to follow from the first."""

    starts: Tensor  # (n, d)
    truth: Tensor  # (steps, n, d)
    n_inputs: int = 0  # the last features are inputs, which each step takes as they were recorded

    @classmethod
    def of(
        cls,
        validation: WindowSampler,
        most: int = _ROLLOUTS,
        steps: int = _STEPS,
        share: float = 0.5,
    ) -> Rollouts:
        """Return stretches spread over all trajectories, many of several from their first rows on.

        Parameters
        ----------
        most, steps : int
            Stretches and steps of each, at most.
        share : float
            Part of its trajectory that a stretch takes, at most.

        Raises
        ------
        DataError
            No trajectory is long enough for a step.
        """
        size, lengths = validation.step_size, np.diff(validation.offsets)
        affordable = max(1, _MOST_NUMBERS // validation.values.shape[1])
        most = max(1, min(most, affordable // min(steps, affordable)))
        longest = int(share * (np.median(lengths) - 1)) // size
        steps = min(steps, affordable, max(1, longest))
        stretches = Stretches.anywhere(validation.offsets, steps * size)
        if len(stretches) == 0:
            steps, stretches = 1, Stretches.anywhere(validation.offsets, size)
        if len(stretches) == 0:
            raise DataError(f"The validation data: {validation.too_short()}")
        starts = _starts(stretches, validation.offsets, most)
        visited = starts + size * np.arange(steps + 1)[:, None]
        rows = validation.encoder.transform(validation.values[visited])
        states = torch.from_numpy(np.asarray(rows))
        return cls(states[0], states[1:], validation.n_inputs)

    def rate(self, steps: Steps, n: int, clock: Clock = UNLIMITED) -> list[float]:
        """Return the scores of ``n`` flow maps that step together.

        A score is the mean error in standard deviations, each error at most :data:`LOST`.

        Raises
        ------
        TimeIsUpError
        """
        states = self.starts.expand(n, *self.starts.shape)
        total = torch.zeros(n, dtype=torch.float64)
        own = self.starts.shape[1] - self.n_inputs
        for truth in self.truth:
            clock.check()
            states = steps(states)
            errors = (states - truth)[..., :own].square().mean(dim=2).sqrt()
            if self.n_inputs:
                # The next step takes the inputs that were recorded.
                inputs = truth[:, own:].expand(n, -1, -1)
                states = torch.cat([states[..., :own], inputs], dim=2)
            total += errors.nan_to_num(nan=LOST).clamp(max=LOST).mean(dim=1)
        scores: list[float] = (total / len(self.truth)).tolist()
        return scores

    @property
    def of_mean(self) -> float:
        """The score of forecasts that stay at the mean of the training data, which is zero."""
        own = self.starts.shape[1] - self.n_inputs
        errors = self.truth[..., :own].square().mean(dim=2).sqrt()
        return float(errors.clamp(max=LOST).mean())

    @torch.inference_mode()
    def score(self, flow_map: FlowMap, clock: Clock = UNLIMITED) -> float:
        """Return the score of a flow map, which steps in its own dtype.

        Raises
        ------
        TimeIsUpError
        """
        dtype = next((t.dtype for t in flow_map.state_dict().values()), torch.float64)
        return self.rate(lambda states: flow_map(states[0].to(dtype))[None].double(), 1, clock)[0]


@dataclass(frozen=True)
class Beyond:
    """Starts a little beyond recorded ones, from which flow maps are to stay near the data."""

    starts: Tensor  # (n, d)
    steps: int
    low: Tensor  # (d,): with ``high``, between which a state is near the data
    high: Tensor
    n_inputs: int = 0  # the last features are inputs, which stay as they are

    @classmethod
    def of(cls, data: WindowSampler) -> Beyond:
        """Return starts a little beyond the first rows of trajectories, for the time of these."""
        lengths = np.diff(data.offsets)
        rows = np.asarray(data.encoder.transform(data.values), dtype=np.float64)
        starts, low, high = (torch.from_numpy(a) for a in beyond(rows[data.offsets[:-1]], rows))
        steps = max(1, int(np.median(lengths) - 1) // data.step_size)
        return cls(starts, min(steps, 2 * _STEPS), low, high, data.n_inputs)

    def rate(self, steps: Steps, n: int, clock: Clock = UNLIMITED) -> list[float]:
        """Return 0 for each of ``n`` flow maps that stays near, else :data:`LOST`.

        Raises TimeIsUpError.
        """
        own, span = self.starts.shape[1] - self.n_inputs, self.high - self.low

        def step(states: Tensor) -> Tensor:
            after = torch.cat([steps(states)[..., :own], states[..., own:]], dim=2)
            # What is lost stays lost, and a number.
            return after.nan_to_num(nan=torch.inf).clamp(self.low - span, self.high + span)

        begin = self.starts.expand(n, *self.starts.shape)
        states = last_state(step, begin, self.steps, clock=clock)
        near = ((states >= self.low) & (states <= self.high))[..., :own].flatten(1).all(dim=1)
        return [0.0 if is_near else LOST for is_near in near.tolist()]


def _starts(stretches: Stretches, offsets: np.ndarray, most: int) -> np.ndarray:
    """Return rows to start from, up to half of them the first ones of several trajectories.

    Forecasts start there, and what is fast may be so there alone.
    """
    leading = stretches.starts[np.isin(stretches.starts, offsets[:-1])]
    if len(leading) < 2:
        return np.asarray(stretches.at_most(most).starts)
    leading = leading[evenly(len(leading), max(1, most // 2))]
    others = stretches.at_most(max(1, most - len(leading))).starts
    return np.union1d(leading, others)
