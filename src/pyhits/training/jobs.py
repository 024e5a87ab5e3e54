"""Training jobs, one a scale: what they hold, and how they follow from data and settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pyhits.coordinates.input_steps import over_packed_steps
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import DataError
from pyhits.training.recipe import Recipe
from pyhits.training.windows import WindowSampler

#: ``progress(step, total, validation_error)``.
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Tuning:
    """What no recipe says about nets: measured once on the paper's systems.

    Attributes
    ----------
    chunk : int
        Batches drawn at once, for fewer and larger gathers.
    base_certain, base_hopeless : float
        Below the first relative error a polynomial is the base of a net, above the second the net
        learns better alone. Between them a short training of both decides.
    synthetic_steps, synthetic_seconds : int and float
        Trainings of fewer steps or seconds do without synthetic windows, which take some seconds;
    synthetic_above : float
        so do those whose polynomial has a smaller relative error.
    n_synthetic : int
        Synthetic windows.
    """

    chunk: int = 64
    base_certain: float = 3e-7
    base_hopeless: float = 1e-2
    synthetic_steps: int = 2000
    synthetic_seconds: float = 20.0
    synthetic_above: float = 1e-11
    n_synthetic: int = 65_536


@dataclass
class ScaleJob:
    """All that one scale's training needs; plain values and arrays, so that it travels.

    Attributes
    ----------
    train, validation : WindowSampler
        Windows to train on, and to measure errors on.
    recipe : Recipe
        Resolved settings.
    seed : int
        Seeds the weights; the samplers hold their own.
    dtype : str
        ``float32`` or ``float64``.
    device : str
        A torch device.
    time_limit : float, optional
        Seconds; the learning rate reaches zero then. The result depends on the machine.
    checkpoint : Path, optional
        File in which progress is kept.
    checkpoint_seconds : float
        Time between two writings of it.
    tuning : Tuning, optional
        What no recipe says.
    """

    train: WindowSampler
    validation: WindowSampler
    recipe: Recipe
    seed: int
    dtype: str = "float32"
    device: str = "cpu"
    time_limit: float | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 5.0
    tuning: Tuning = Tuning()

    @property
    def step_size(self) -> int:
        """Rows per step."""
        return self.train.step_size

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype, as torch has it."""
        dtype: torch.dtype = getattr(torch, self.dtype)
        return dtype


def make_jobs(
    train: Trajectories,
    validation: Trajectories,
    encoder: Standardise,
    recipe: Recipe,
    step_sizes: Sequence[int],
    *,
    seed: int,
    dense: int = 1,
    dtype: str = "float32",
    device: str = "cpu",
    hidden_sizes: Mapping[int, Sequence[int]] | None = None,
    inputs: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[ScaleJob]:
    """Return one job a step size, the finest first: an interrupted fit then keeps those.

    Parameters
    ----------
    train, validation : Trajectories
        To train on, and to measure errors on.
    encoder : Standardise
        Fitted.
    recipe : Recipe
        Resolved.
    dense : int
        States inside a step of the finest size.
    hidden_sizes : mapping of int to sequence of int, optional
        Widths of hidden layers by step size, where they are not the recipe's.
    inputs : pair of arrays, shape (n_rows, k), optional
        Scaled inputs that act on ``train`` and on ``validation``.

    Raises
    ------
    DataError
        No trajectory is long enough for a step size.
    """
    assert recipe.early_bias is not None
    bias = recipe.early_bias
    sizes = sorted(step_sizes)
    coarser = dict(zip(sizes, [*sizes[1:], 0], strict=True))
    widths = hidden_sizes or {}

    def sampler(data: Trajectories, name: str, size: int, stream: int) -> WindowSampler:
        values, scaling, n_inputs = data.values, encoder, 0
        if inputs is not None:
            told = over_packed_steps(inputs[stream], data.offsets, size)
            n_inputs = told.shape[1]
            values = np.concatenate([values, told], axis=1)
            scaling = beside(encoder, n_inputs)
        windows = WindowSampler(
            values,
            data.offsets,
            scaling,
            size,
            recipe.rollout_steps,
            bias,
            2 * seed + stream,
            dense if size == sizes[0] else 1,
            coarser[size] if recipe.windows == "coupled" else None,
            n_inputs,
        )
        if windows.n_windows == 0:
            raise DataError(f"The {name} data: {windows.too_short()}")
        return windows

    return [
        ScaleJob(
            sampler(train, "training", size, 0),
            sampler(validation, "validation", size, 1),
            recipe.override(hidden_sizes=widths.get(size)),
            seed + size,
            dtype,
            device,
        )
        for size in sizes
    ]


def beside(encoder: Standardise, n_inputs: int) -> Standardise:
    """Return the scaling of states followed by numbers that are scaled already."""
    return Standardise(common=encoder.common).set_statistics(
        np.concatenate([encoder.mean_, np.zeros(n_inputs)]),
        np.concatenate([encoder.scale_, np.ones(n_inputs)]),
    )


def fingerprint(
    train: Trajectories,
    validation: Trajectories,
    recipe: Recipe,
    seed: int,
    dtype: str,
    dense: int = 1,
    encoder: Standardise | None = None,
    hidden_sizes: Mapping[int, Sequence[int]] | None = None,
    step_sizes: Sequence[int] = (),
    inputs: tuple[np.ndarray, np.ndarray] | None = None,
) -> str:
    """Return a fingerprint of everything that the training of a scale depends on.

    Of the other scales it does where windows are coupled.
    """
    text = f"{train.fingerprint()} {validation.fingerprint()} {recipe} {seed} {dtype} {dense}"
    # Of the scaling that the recipe asks for, the recipe tells.
    if encoder is not None and repr(encoder) != repr(Standardise(recipe.standardise)):
        text += f" {encoder!r}"
    if hidden_sizes:
        text += f" {sorted((size, tuple(of)) for size, of in hidden_sizes.items())}"
    if recipe.windows == "coupled":
        text += f" of {sorted(step_sizes)}"
    digest = hashlib.sha256(text.encode())
    for acting in inputs or ():
        digest.update(np.ascontiguousarray(acting).tobytes())
    return digest.hexdigest()
