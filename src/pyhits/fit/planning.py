"""What a fit chooses from the data when nothing is said: step sizes, validation, rollouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError
from pyhits.hierarchy import chain

if TYPE_CHECKING:
    from pyhits.training import Recipe

#: Coarsest step size chosen without being asked: eleven scales, as in the paper.
_COARSEST = 1024

#: A trajectory must hold this many steps of a step size that is chosen without being asked.
_STEPS_PER_TRAJECTORY = 4


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

    Raises ArgumentError: the step of ``dense`` states does not divide the next coarser.
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
    *,
    on_grid: bool = False,
) -> str:
    """Return the sentence that says which nets are trained, and how."""
    if recipe.is_closed:
        forms, net = "polynomial", "small"
        if on_grid:
            forms, net = "equation, polynomial", "convolutional"
        kinds = {"closed": f"{forms} or kernel", "best": f"{forms}, kernel or {net} net"}
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
