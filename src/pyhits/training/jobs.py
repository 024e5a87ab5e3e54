"""From data and settings to one training job a scale."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pyhits.encoders import Standardise
from pyhits.errors import DataError
from pyhits.training.recipe import Recipe
from pyhits.training.run import ScaleJob
from pyhits.training.windows import WindowSampler
from pyhits.trajectories import Trajectories


def make_jobs(
    train: Trajectories,
    held: Trajectories,
    encoder: Standardise,
    recipe: Recipe,
    step_sizes: Sequence[int],
    *,
    seed: int,
    dense: int = 1,
    dtype: str = "float32",
    device: str = "cpu",
) -> list[ScaleJob]:
    """Return one job a step size, the finest first: an interrupted fit then keeps those.

    Parameters
    ----------
    train, held : Trajectories
        To train on, and to measure errors on.
    encoder : Standardise
        Fitted.
    recipe : Recipe
        Resolved.
    dense : int
        States inside a step of the finest size.

    Raises
    ------
    DataError
        No trajectory is long enough for a step size.
    """
    assert recipe.early_bias is not None
    bias = recipe.early_bias
    sizes = sorted(step_sizes)

    def sampler(data: Trajectories, name: str, size: int, stream: int) -> WindowSampler:
        windows = WindowSampler(
            data.values,
            data.offsets,
            encoder,
            size,
            recipe.rollout_steps,
            bias,
            2 * seed + stream,
            dense if size == sizes[0] else 1,
        )
        if windows.n_windows == 0:
            raise DataError(f"The {name} data: {windows.too_short()}")
        return windows

    return [
        ScaleJob(
            sampler(train, "training", size, 0),
            sampler(held, "validation", size, 1),
            recipe,
            seed + size,
            dtype,
            device,
        )
        for size in sizes
    ]


def fingerprint(
    train: Trajectories,
    held: Trajectories,
    recipe: Recipe,
    seed: int,
    dtype: str,
    dense: int = 1,
    encoder: Standardise | None = None,
) -> str:
    """Return a fingerprint of everything that the training of a scale depends on."""
    text = f"{train.fingerprint()} {held.fingerprint()} {recipe} {seed} {dtype} {dense}"
    # Of the scaling that the recipe asks for, the recipe tells.
    if encoder is not None and repr(encoder) != repr(Standardise(recipe.standardise)):
        text += f" {encoder!r}"
    return hashlib.sha256(text.encode()).hexdigest()
