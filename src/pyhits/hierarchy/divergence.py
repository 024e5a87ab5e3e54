"""Forecasts that leave every bound: found, named, and blanked on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pyhits.errors import DivergenceError
from pyhits.numerics.rollout import DIVERGED


class Lost(NamedTuple):
    """Trajectories that diverged: the first, its first diverged step, and how many there are."""

    trajectory: int
    step: int
    n_lost: int

    @staticmethod
    def together(parts: Sequence[Lost | None]) -> Lost | None:
        """Return what is lost in consecutive ``parts``, None if nothing is."""
        lost = [part for part in parts if part is not None]
        return lost[0]._replace(n_lost=sum(part.n_lost for part in lost)) if lost else None

    def error(self) -> DivergenceError:
        """Return the error that names the first of them."""
        more = f" ({self.n_lost - 1} more diverged)" if self.n_lost > 1 else ""
        return DivergenceError(
            f"The forecast of trajectory {self.trajectory} diverged at step {self.step}{more}. Its "
            "states left the training data far behind: train on more of the state space, couple "
            'fewer scales, or ask for the rest with on_divergence="return".',
            self.trajectory,
            self.step,
        )


def find_divergence(
    states: Tensor, first: int, finest: int, *, blank: bool, held: Tensor | None = None
) -> Lost | None:
    """Find states out of bounds; on request blank their trajectories from there on.

    Parameters
    ----------
    states : Tensor, shape (n, length, d)
    first : int
        Number of the first trajectory.
    finest : int
        Rows from one state to the next.
    held : Tensor, shape (n, length), optional
        Which states were brought back to the bounds of the data: these are lost, too.
    """
    low, high = (float(extreme) for extreme in torch.aminmax(states))
    is_far = not (low > -DIVERGED and high < DIVERGED)  # neither is true of NaN
    if not is_far and (held is None or not bool(held.any())):
        return None
    bad = ~(states.abs() < DIVERGED).all(dim=2)
    if held is not None:
        bad |= held
    lost = bad.any(dim=1)
    begin = bad.to(torch.int8).argmax(dim=1)
    if blank:
        after = torch.arange(states.shape[1], device=states.device) >= begin[:, None]
        states[after & lost[:, None]] = torch.nan
    trajectory = int(torch.nonzero(lost)[0])
    return Lost(first + trajectory, int(begin[trajectory]) * finest, int(lost.sum()))
