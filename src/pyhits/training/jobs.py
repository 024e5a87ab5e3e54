"""Training jobs, one a scale: what they hold, and how they follow from data and settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pyhits.coordinates.input_steps import over_packed_steps
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import DataError
from pyhits.flowmaps import FlowMap, bare
from pyhits.flowmaps.form import Finer
from pyhits.training.history import History
from pyhits.training.recipe import Recipe
from pyhits.training.windows import WindowSampler

#: ``progress(step, total, validation_error)``.
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Tuning:
    """What no recipe says about nets: measured once on the paper's systems."""

    chunk: int = 64  # batches drawn at once, for fewer and larger gathers
    #: base_certain, base_hopeless: Below the first relative error a polynomial is the base of a
    #: net, above the second the net learns better alone. Between them a short training of both
    #: decides.
    base_certain: float = 3e-7
    base_hopeless: float = 1e-2
    #: synthetic_steps, synthetic_seconds: Trainings of fewer steps or seconds do without synthetic
    #: windows, which take some seconds;.
    synthetic_steps: int = 2000
    synthetic_seconds: float = 20.0
    synthetic_above: float = 1e-11  # so do those whose polynomial has a smaller relative error
    n_synthetic: int = 65_536  # synthetic windows


@dataclass
class ScaleJob:
    """All that one scale's training needs; plain values and arrays, so that it travels."""

    #: train, validation: Windows to train on, and to measure errors on.
    train: WindowSampler
    validation: WindowSampler
    recipe: Recipe  # resolved settings
    seed: int  # seeds the weights; the samplers hold their own
    dtype: str = "float32"  # ``float32`` or ``float64``
    device: str = "cpu"  # a torch device
    #: Seconds; the learning rate reaches zero then. The result depends on the machine.
    time_limit: float | None = None
    checkpoint: Path | None = None  # file in which progress is kept
    checkpoint_seconds: float = 5.0  # time between two writings of it
    polynomial_only: bool = False  # no net: the polynomial, though it is not exact
    tuning: Tuning = Tuning()  # what no recipe says
    finer: Finer | None = None  # what the finest scale has come to
    #: Returns the error in rollouts of what a fit would take in place of poor maps of points: nets
    #: that stay far behind it are given up early. Of the finest scale, which trains in the process
    #: of the fit.
    rival: Callable[[], float] | None = None

    @property
    def step_size(self) -> int:
        """Rows per step."""
        return self.train.step_size

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype, as torch has it."""
        dtype: torch.dtype = getattr(torch, self.dtype)
        return dtype

    @property
    def leads_coarser(self) -> bool:
        """Whether coarser scales begin from what this one comes to: closed forms do."""
        return self.recipe.is_closed and self.finer is None

    def after(self, flow_map: FlowMap, history: History) -> ScaleJob:
        """Return the job with what the finest scale has come to."""
        steps = self.step_size // history.step_size
        known = Finer(bare(flow_map), steps, history.form, history.scores)
        return replace(self, finer=known, rival=None)


@dataclass(frozen=True)
class TrainingData:
    """What all scales of a fit are trained on."""

    #: train, validation: To train on, and to measure errors on.
    train: Trajectories
    validation: Trajectories
    scaling: Standardise  # fitted
    #: (n_rows, k): scaled inputs that act on ``train`` and on ``validation``.
    inputs: tuple[np.ndarray, np.ndarray] | None = None
    #: Inputs of which steps of many rows see the trends as well; by default all.
    trends: Sequence[int] | None = None


@dataclass(frozen=True)
class JobSettings:
    """How all scales of a fit are trained."""

    recipe: Recipe  # resolved
    seed: int = 0
    dense: int = 1  # states inside a step of the finest size
    #: dtype, device: As a :class:`ScaleJob` has them.
    dtype: str = "float32"
    device: str = "cpu"
    #: Widths of hidden layers by step size, where they are not the recipe's.
    hidden_sizes: Mapping[int, Sequence[int]] | None = None


def make_jobs(
    data: TrainingData, settings: JobSettings, step_sizes: Sequence[int]
) -> list[ScaleJob]:
    """Return one job a step size, the finest first: an interrupted fit then keeps those.

    Raises DataError: no trajectory is long enough for a step size.
    """
    sizes = sorted(step_sizes)
    widths = settings.hidden_sizes or {}
    return [
        ScaleJob(
            _windows(data, settings, sizes, size, 0),
            _windows(data, settings, sizes, size, 1),
            settings.recipe.override(hidden_sizes=widths.get(size)),
            settings.seed + size,
            settings.dtype,
            settings.device,
        )
        for size in sizes
    ]


def _windows(
    data: TrainingData, settings: JobSettings, sizes: list[int], size: int, part: int
) -> WindowSampler:
    """Return the windows of one of ``sizes``, of part 0, to train on, or 1, to validate on."""
    recipe, rows = settings.recipe, (data.train, data.validation)[part]
    assert recipe.early_bias is not None
    values, scaling, n_inputs = rows.values, data.scaling, 0
    if data.inputs is not None:
        trends = () if size == 1 else data.trends
        inputs = over_packed_steps(data.inputs[part], rows.offsets, size, trends)
        n_inputs = inputs.shape[1]
        values = np.concatenate([values, inputs], axis=1)
        scaling = _with_inputs(scaling, n_inputs)
    coarser = dict(zip(sizes, [*sizes[1:], 0], strict=True))
    windows = WindowSampler(
        values,
        rows.offsets,
        scaling,
        size,
        rollout_steps=recipe.rollout_steps,
        early_bias=recipe.early_bias,
        seed=2 * settings.seed + part,
        outputs=settings.dense if size == sizes[0] else 1,
        coarser=coarser[size] if recipe.windows == "coupled" else None,
        n_inputs=n_inputs,
        grid=rows.grid if n_inputs == 0 else None,
    )
    if windows.n_windows == 0:
        raise DataError(f"The {('training', 'validation')[part]} data: {windows.too_short()}")
    return windows


def _with_inputs(scaling: Standardise, n_inputs: int) -> Standardise:
    """Return the scaling of states followed by inputs that are scaled already."""
    return Standardise(common=scaling.common).set_statistics(
        np.concatenate([scaling.mean_, np.zeros(n_inputs)]),
        np.concatenate([scaling.scale_, np.ones(n_inputs)]),
    )


def fingerprint(data: TrainingData, settings: JobSettings, step_sizes: Sequence[int]) -> str:
    """Return a fingerprint of everything that the training of a scale depends on.

    Of the other scales it does where windows are coupled.
    """
    recipe, scaling = settings.recipe, data.scaling
    text = f"{data.train.fingerprint()} {data.validation.fingerprint()} {recipe}"
    text += f" {settings.seed} {settings.dtype} {settings.dense}"
    # Of the scaling that the recipe asks for, the recipe says it all.
    if repr(scaling) != repr(Standardise(recipe.standardise)):
        text += f" {scaling!r}"
    if settings.hidden_sizes:
        text += f" {sorted((size, tuple(of)) for size, of in settings.hidden_sizes.items())}"
    if recipe.windows == "coupled":
        text += f" of {sorted(step_sizes)}"
    digest = hashlib.sha256(text.encode())
    for inputs in data.inputs or ():
        digest.update(np.ascontiguousarray(inputs).tobytes())
    return digest.hexdigest()
