"""What a fit chooses from the data when nothing is said: step sizes, validation, rollouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError
from pyhits.hierarchy import chain

if TYPE_CHECKING:
    from pyhits.training import Recipe

#: Coarsest step size chosen without being asked: eleven scales, as in the paper.
_COARSEST = 1024

#: A trajectory must hold this many steps of a step size that is chosen without being asked.
_STEPS_PER_TRAJECTORY = 4

#: Fewer trajectories than this are recordings, of which the end is held out.
FEW_TRAJECTORIES = 5

#: Fewer validation trajectories than this are cut into several rollouts.
_FEW = 8

#: States forecast for one candidate of the selection, at most.
_MAX_STATES = 2_000_000


def default_step_sizes(
    train: Trajectories, validation: Trajectories, rollout_steps: int = 1, dense: int = 1
) -> list[int]:
    """Return powers of two, as far as the trajectories allow windows of ``rollout_steps``.

    With ``dense`` states in the finest step they begin at that many rows.
    """
    longest = (int(train.lengths.max()) - 1) // max(_STEPS_PER_TRAJECTORY, rollout_steps)
    held = (int(validation.lengths.max()) - 1) // rollout_steps
    allowed = max(1, min(longest, held, _COARSEST) // dense)
    return [dense << k for k in range(allowed.bit_length())]


def dense_step_sizes(step_sizes: Sequence[int], dense: int) -> list[int]:
    """Return the step sizes with those up to ``dense`` times the finest replaced by that one.

    Raises
    ------
    ArgumentError
        The step of ``dense`` states does not divide the next coarser.
    """
    sizes = chain(step_sizes)
    # Sizes that begin with the dense step itself, in a list of their own, are as good.
    finest = dense if dense > 1 and sizes[0] == dense else dense * sizes[0]
    coarser = [s for s in sizes if s > finest]
    if coarser and coarser[0] % finest:
        raise ArgumentError(
            f"dense={dense} makes a flow map of step size {finest}, which does not divide the next "
            f"coarser, {coarser[0]}."
        )
    return [finest, *coarser]


def nets_note(
    recipe: Recipe,
    n_features: int,
    step_sizes: Sequence[int],
    widths: Mapping[int, Sequence[int]],
) -> str:
    """Return the sentence that says which nets are trained, and how."""
    if recipe.is_closed:
        kinds = {"closed": "polynomial or kernel", "best": "polynomial, kernel or small net"}
        which = kinds.get(recipe.flow_map, recipe.flow_map)
        return f"Each scale: the {which} that steps the held-out part best."
    nets = {tuple(widths.get(size, recipe.hidden_sizes or ())) for size in step_sizes}
    if len(nets) == 1:
        which = f"net {[n_features, *nets.pop(), n_features]}"
    else:
        hidden = (widths.get(size, recipe.hidden_sizes or ()) for size in step_sizes)
        which = f"hidden layers of {'; '.join(', '.join(map(str, of)) for of in hidden)} units"
    how = f"{recipe.optimizer}, at most {recipe.max_steps} steps"
    if recipe.optimizer == "ridge":
        how = "the last layer by ridge regression"
    return f"Each scale: {which} where no polynomial is exact, {how}."


def evenly(data: Trajectories, most: int) -> Trajectories:
    """Return at most so many of the trajectories, evenly chosen."""
    if len(data) <= most:
        return data
    return data[np.linspace(0, len(data) - 1, most).astype(int)]


@dataclass(frozen=True)
class Rollouts:
    """Stretches of trajectories that forecasts are compared with.

    Attributes
    ----------
    truth : array, shape (n, n_steps + 1, d)
        Padded with NaN where a trajectory ends early.
    inputs : array, shape (n, n_steps, k), or None
        What acts on them; beyond a trajectory's end its last row.
    """

    truth: np.ndarray
    inputs: np.ndarray | None = None

    def __getitem__(self, some: np.ndarray) -> Rollouts:
        """Return some of the stretches."""
        return Rollouts(self.truth[some], None if self.inputs is None else self.inputs[some])

    def cut(self, n_steps: int) -> Rollouts:
        """Return their first steps."""
        inputs = None if self.inputs is None else self.inputs[:, :n_steps]
        return Rollouts(self.truth[:, : n_steps + 1], inputs)

    @property
    def initial_states(self) -> np.ndarray:
        """First states, shape ``(n, d)``."""
        return np.ascontiguousarray(self.truth[:, 0])

    @property
    def n_steps(self) -> int:
        """Horizon in rows."""
        return int(self.truth.shape[1]) - 1


def padded(trajectories: Trajectories) -> np.ndarray:
    """Return ``(n, time, d)``, padded with NaN where trajectories are uneven."""
    if trajectories.is_even:
        return trajectories.to_array()
    lengths = trajectories.lengths
    out = np.full(
        (len(trajectories), int(lengths.max()), trajectories.n_features),
        np.nan,
        dtype=trajectories.dtype,
    )
    out[np.arange(out.shape[1]) < lengths[:, None]] = trajectories.values
    return out


def beside(trajectories: Trajectories, inputs: np.ndarray) -> Trajectories:
    """Return trajectories with inputs ``(n_rows, k)`` as their last features, without names."""
    values = np.concatenate([trajectories.values, inputs], axis=1)
    pieces = np.split(values, trajectories.offsets[1:-1])
    return Trajectories(pieces, trajectories.dt, start_times=trajectories.start_times)


def apart(joined: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return padded states ``(n, time, d)`` and the inputs on their steps, ``(n, time - 1, k)``.

    Where a trajectory has ended its last inputs are repeated: forecasts there do not count.
    """
    states, inputs = joined[..., :-k], joined[:, :-1, -k:]
    rows = np.where(np.isfinite(inputs).all(axis=2), np.arange(inputs.shape[1]), 0)
    last = np.maximum.accumulate(rows, axis=1)
    return states, np.take_along_axis(inputs, last[..., None], axis=1)


def rollouts(
    trajectories: Trajectories, *, whole: bool = False, inputs: np.ndarray | None = None
) -> Rollouts:
    """Choose the stretches on which couplings are compared.

    Many trajectories are taken whole. One or a few long recordings are cut into overlapping
    stretches of half their length, since a single rollout would decide by luck; unless they are to
    be taken ``whole``. Inputs ``(n_rows, k)`` are cut alike.
    """
    if inputs is not None:
        joined = rollouts(beside(trajectories, inputs), whole=whole)
        return Rollouts(*apart(joined.truth, inputs.shape[1]))
    if whole:
        return Rollouts(padded(trajectories))
    if len(trajectories) >= _FEW:
        length = int(trajectories.lengths.max())
        most = max(_FEW, _MAX_STATES // length)
        return Rollouts(padded(evenly(trajectories, most)))
    each = -(-2 * _FEW // len(trajectories))
    span = max(1, int(trajectories.lengths.max() - 1) // 2)
    span = min(span, max(1, _MAX_STATES // (each * len(trajectories))))
    pieces = []
    for values in trajectories:
        last = max(0, len(values) - 1 - span)
        starts = np.unique(np.linspace(0, last, each).astype(int))
        pieces += [values[start : start + span + 1] for start in starts]
    return Rollouts(padded(Trajectories(pieces)))
