"""Whether flow maps can be trained in the memory there is: asked before any of them is made."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from pyhits.data.limits import in_words, memory
from pyhits.errors import ArgumentError
from pyhits.training.recipe import Recipe

#: Arrays of the size of a net's weights that training holds: weights, gradients, the best so far,
#: and the optimiser's moments; SOAP keeps the gradients between two refreshes of its bases.
_COPIES, _COPIES_SOAP = 8, 30

#: Layers' outputs of a batch, kept for the gradients, beside the batch itself.
_KEPT = 3

#: Part of the memory that training may take.
_PART = 0.8

#: Matrices of coordinates by coordinates that a kernel's choice holds, float64.
_METRICS = 3

#: Copies of a field, float64, that solving for its equation holds: its continuation beyond walls,
#: transforms, factors of products, stages of the scheme.
_FIELDS = 400

#: What to do about fields too large to be fitted to.
_FEWER = (
    "take every second point along each axis, or modes "
    "(encoder=[POD(64), Standardise(common=True)], --encoder pod=64)"
)


def check_field_size(
    n_features: int, *, copies: int = _FIELDS, done: str = "fitted to", advice: str = _FEWER
) -> None:
    """Raise an ArgumentError where fields of so many numbers leave no memory to work on them.

    Parameters
    ----------
    n_features, copies : int
        Numbers of a field, and how many of its size are held.
    done, advice : str
        What is done to them, and what to do instead, for the sentence.
    """
    needed, available = 8 * copies * n_features, memory()
    if needed <= _PART * available:
        return
    raise ArgumentError(
        f"Fields of {n_features} numbers take about {in_words(needed)} to be {done} and this "
        f"process may use {in_words(available)}: {advice}."
    )


def training_bytes(
    recipe: Recipe, n_features: int, hidden_sizes: Sequence[int], dense: int, itemsize: int
) -> int:
    """Return about how many bytes the training of one scale takes.

    Parameters
    ----------
    recipe : Recipe
        Resolved.
    n_features : int
        Coordinates of a state, with what is said about inputs.
    dense : int
        States that the flow map returns.
    itemsize : int
        Bytes of a number.
    """
    if recipe.is_closed:
        with_kernel = recipe.flow_map != "polynomial"
        return 8 * _METRICS * n_features**2 if with_kernel else 0
    sizes = [n_features, *hidden_sizes, dense * n_features]
    weights = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    copies = _COPIES_SOAP if recipe.optimizer == "soap" else _COPIES
    batch = (recipe.batch_size or 1) * recipe.rollout_steps * (_KEPT * sum(sizes) + 4 * n_features)
    return itemsize * (copies * weights + batch)


def check_training_size(
    recipe: Recipe, n_features: int, hidden_sizes: Sequence[int], dense: int, itemsize: int
) -> None:
    """Raise an ArgumentError where a scale cannot be trained in the memory there is.

    Parameters are those of :func:`training_bytes`.
    """
    needed, available = training_bytes(recipe, n_features, hidden_sizes, dense, itemsize), memory()
    if needed <= _PART * available:
        return
    raise ArgumentError(
        f"The training of one scale would take {in_words(needed)} and this process may use "
        f"{in_words(available)}, for states of {n_features} numbers with hidden_sizes="
        f"{tuple(hidden_sizes)} and batch_size={recipe.batch_size}: take less of these, or modes "
        "of the states (encoder=[POD(16), Standardise(common=True)], --encoder pod=16)."
    )
