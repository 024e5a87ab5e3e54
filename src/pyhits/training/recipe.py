"""How one scale is trained: every setting in one place, with the published ones beside ours."""

from __future__ import annotations

import itertools
import numbers
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from pyhits.errors import ArgumentError
from pyhits.util.checks import as_choice, as_count, as_positive, suggest
from pyhits.util.schema import (
    Flag,
    Many,
    Maybe,
    Real,
    Record,
    Text,
    Whole,
)

if TYPE_CHECKING:
    from pyhits.flowmaps import FlowMap

#: Values of ``flow_map`` for which closed forms are solved for and chosen among by rollouts; with
#: the last small nets are candidates too.
CLOSED = ("closed", "polynomial", "kernel", "best")

#: Rows and features up to which ``auto`` takes closed forms.
FEW_ROWS, FEW_FEATURES = 4_000, 64

ACTIVATIONS = ("gelu", "silu", "tanh", "relu")
SAMPLINGS = ("uniform", "early", "density", "residual")
#: Hidden layers of a net, at most: of more, no gradient comes through.
_MOST_LAYERS = 256

OPTIMIZERS = ("soap", "adam", "adamw", "muon", "sgd", "ridge")

#: Counts, flags and widths in files, as people may give them.
_COUNT, _YES = Whole(loose=True), Flag(loose=True)
_WIDTHS = Many(Whole(1, loose=True), 0, 1000)

#: A :class:`Recipe` in files.
RECIPE = Record(
    {},
    {
        "denoise": _YES,
        "standardise": _YES,
        "flow_map": Text(1, 1000),
        "hidden_sizes": Maybe(_WIDTHS),
        "activation": Text(most=100),
        "polynomial_degree": _COUNT,
        "windows": Text(most=100),
        "sampling": Text(most=100),
        "early_bias": Maybe(Real(positive=True)),
        "rollout_steps": _COUNT,
        "taught": Real(),
        "tables": _YES,
        "optimizer": Text(most=100),
        "learning_rate": Real(positive=True),
        "schedule": Text(most=100),
        "batch_size": Maybe(_COUNT),
        "max_steps": Maybe(_COUNT),
        "target_error": Real(0.0),
        "patience": Real(),
    },
)


@dataclass(frozen=True)
class Recipe:
    """Settings that train one flow map.

    ``None`` means: chosen from the size of the data when fitting begins (:func:`resolve`).

    Attributes
    ----------
    denoise : bool
        Take white noise off the data first, where they carry any (:mod:`pyhits.noise`).
    standardise : bool
        Train on standardised states, and on increments divided by their root mean square.
    flow_map : str
        Registered family of nets; ``residual`` is fully connected. The next two settings are its.
        Or ``polynomial``, ``kernel``, or ``closed``: closed forms alone, in the last case of the
        family that rollouts prefer (:mod:`pyhits.training.few`). Or ``best``: these and, where they
        do poorly, small residual nets of ``hidden_sizes`` and ``activation``, judged alike; other
        settings of nets then have no say. ``auto`` is ``best`` for few points, else ``residual``.
    hidden_sizes : tuple of int
        Widths of the hidden layers.
    activation : str
        One of ``gelu``, ``silu``, ``tanh``, ``relu``.
    polynomial_degree : int
        Highest degree of the closed-form first stage; 0 leaves it out.
    windows : {"anywhere", "first", "coupled"}
        Train on windows from anywhere in the trajectories; on the first of each alone; or on those
        that forecasts from the first rows evaluate when all scales are coupled.
    sampling : {"early", "uniform", "density", "residual"}
        How windows from anywhere are drawn for nets: by ``early_bias``; every window equally
        often; evenly over the region visited; where the net's error is
        (:mod:`pyhits.training.sampling`).
    early_bias : float
        Windows start at ``T u**early_bias``; see :class:`~pyhits.training.windows.WindowSampler`.
        Closed forms are fitted to windows drawn so, whatever ``sampling`` says.
    rollout_steps : int
        Steps p in the loss (paper, equation 9).
    taught : float
        Part of each batch that lies between the recorded windows, where a composed fine polynomial
        is exact enough to label them (:mod:`pyhits.training.synthetic`); 0 takes none.
    tables : bool
        Tabulate coarse steps of up to three features, where taught windows are to be had, and train
        no net where the table is exact enough.
    optimizer : str
        One of ``soap``, ``adam``, ``adamw``, ``muon``, ``sgd``; or ``ridge``, which leaves the
        hidden layers as they are drawn and solves for the last (:mod:`pyhits.training.ridge`).
    learning_rate : float
        Peak learning rate.
    schedule : {"cosine", "constant"}
        Warm-up then cosine to zero, or constant.
    batch_size : int
        Windows a step; 0 takes all first windows at once.
    max_steps : int
        Optimiser steps.
    target_error : float
        Stop when the one-step mean squared error, in the coordinates trained in, is below it.
    patience : float
        Stop after this fraction of the steps (1000 at least) without a better held-out error; 0
        never does.
    """

    denoise: bool = True
    standardise: bool = True
    flow_map: str = "residual"
    hidden_sizes: tuple[int, ...] | None = None
    activation: str = "gelu"
    polynomial_degree: int = 17
    windows: str = "anywhere"
    sampling: str = "early"
    early_bias: float | None = None
    rollout_steps: int = 1
    taught: float = 0.5
    tables: bool = True
    optimizer: str = "soap"
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    batch_size: int | None = None
    max_steps: int | None = None
    target_error: float = 0.0
    patience: float = 0.3

    def __post_init__(self) -> None:
        """Refuse values that training could not use."""
        # Torch is imported for families of a user's own alone.
        if not self.is_closed and self.flow_map not in ("auto", "residual"):
            self._check_family()
        as_choice(self.activation, "activation", ACTIVATIONS)
        as_choice(self.optimizer, "optimizer", OPTIMIZERS)
        as_choice(self.schedule, "schedule", ("cosine", "constant"))
        as_choice(self.windows, "windows", ("anywhere", "first", "coupled"))
        as_choice(self.sampling, "sampling", SAMPLINGS)
        if self.windows != "anywhere" and self.sampling != "early":
            raise ArgumentError(
                f"With windows={self.windows!r} there is nothing to choose from, so "
                f"sampling={self.sampling!r} has no use; leave it out, or set windows='anywhere'."
            )
        if self.optimizer == "ridge" and self.flow_map not in ("residual", "auto"):
            raise ArgumentError(
                f"optimizer='ridge' solves for the last layer of a residual net, got "
                f"flow_map={self.flow_map!r}."
            )
        if not isinstance(self.denoise, bool):
            raise ArgumentError(f"Expected denoise to be True or False, got {self.denoise!r}.")
        as_positive(self.learning_rate, "learning_rate")
        if self.hidden_sizes is not None:
            try:
                sizes = tuple(as_count(w, "a hidden size") for w in self.hidden_sizes)
            except TypeError:
                raise ArgumentError(
                    f"Expected hidden_sizes to be widths such as (64, 64), got "
                    f"{self.hidden_sizes!r}."
                ) from None
            if len(sizes) > _MOST_LAYERS:
                raise ArgumentError(
                    f"Expected at most {_MOST_LAYERS} hidden layers, got {len(sizes)}."
                )
            object.__setattr__(self, "hidden_sizes", sizes)
        counts = ("batch_size", 0), ("max_steps", 1), ("rollout_steps", 1), ("polynomial_degree", 0)
        for name, least in counts:
            if getattr(self, name) is not None or name not in ("batch_size", "max_steps"):
                object.__setattr__(self, name, as_count(getattr(self, name), name, least=least))
        if self.windows == "coupled" and self.rollout_steps > 1:
            raise ArgumentError(
                f"windows='coupled' holds single steps, got rollout_steps={self.rollout_steps}; "
                "leave it out, or set windows='anywhere'."
            )
        if self.early_bias is not None:
            as_positive(self.early_bias, "early_bias")
        is_number = isinstance(self.target_error, numbers.Real)
        if not (is_number and self.target_error >= 0):
            raise ArgumentError(f"Expected target_error of 0 or more, got {self.target_error!r}.")
        is_number = isinstance(self.taught, numbers.Real)
        if not (is_number and 0 <= self.taught < 1):
            raise ArgumentError(f"Expected taught from 0 to below 1, got {self.taught!r}.")
        is_number = isinstance(self.patience, numbers.Real)
        if not (is_number and 0 <= self.patience <= 1):
            raise ArgumentError(f"Expected patience from 0 to 1, got {self.patience!r}.")

    @property
    def is_closed(self) -> bool:
        """Whether closed forms are solved for and chosen by rollouts."""
        return self.flow_map in CLOSED

    @property
    def with_nets(self) -> bool:
        """Whether nets are tried beside closed forms."""
        return self.flow_map == "best"

    @property
    def net(self) -> type[FlowMap] | None:
        """The class of the nets to train; None for closed forms."""
        from pyhits.flowmaps import family  # torch, which no recipe takes

        return None if self.is_closed else family(self.flow_map)

    def _check_family(self) -> None:
        from pyhits.flowmaps import ScaledNet, family  # as above

        try:
            known = family(self.flow_map)
        except ArgumentError as error:
            forms = ", ".join(CLOSED)
            raise ArgumentError(f"{error} Closed forms are asked for by {forms}.") from None
        if not issubclass(known, ScaledNet):
            raise ArgumentError(
                f"The flow map {self.flow_map!r} cannot be trained; it must subclass ScaledNet."
            )

    def override(self, **values: Any) -> Recipe:
        """Return a copy with the values that are not None replaced."""
        known = [f.name for f in fields(self)]
        for name in values:
            if name not in known:
                raise ArgumentError(f"Unknown setting {name!r}{suggest(name, known)}")
        return replace(self, **{k: v for k, v in values.items() if v is not None})

    def resolve(self, n_features: int, n_trajectories: int, n_rows: int) -> Recipe:
        """Return a copy in which everything left open follows from the size of the data.

        Width grows with the number of features; the number of steps falls where the data are few
        (a net would only overfit) and where a step is costly; few points of few features are left
        to closed forms and small nets; windows favour early times when there
        are many trajectories, whose beginnings hold the transients.
        """
        width = 64 if n_features <= 16 else min(512, 64 * -(-n_features // 16))
        hidden = self.hidden_sizes if self.hidden_sizes is not None else (width,) * 3
        sizes = [n_features, *hidden, n_features]
        n_weights = sum(a * b for a, b in itertools.pairwise(sizes))
        few = min(1.0, (n_rows / 20_000) ** 0.5)
        costly = min(1.0, (10_000 / n_weights) ** 0.5)
        steps = max(2000, round(FULL_STEPS * few * costly, -2))
        few_points = n_rows <= FEW_ROWS and n_features <= FEW_FEATURES
        chosen = "best" if few_points and self.windows == "anywhere" else "residual"
        return self.override(
            flow_map=chosen if self.flow_map == "auto" else None,
            hidden_sizes=hidden,
            early_bias=self.early_bias or (3.0 if n_trajectories >= 16 else 1.0),
            batch_size=min(1024, max(32, n_rows // 4)) if self.batch_size is None else None,
            max_steps=int(steps) if self.max_steps is None else None,
        )


#: Optimiser steps a scale when there are data enough: about 40 s on one core for a planar system.
FULL_STEPS = 25_000

RECIPES = {
    "pyhits": Recipe(flow_map="auto"),
    # Appendix A.1: raw increments, ReLU, Adam at 1e-3, p = 5, the first window of each trajectory,
    # all of them in every step, 100000 steps or a one-step error of 1e-8.
    "paper": Recipe(
        denoise=False,
        standardise=False,
        hidden_sizes=(128, 128, 128),
        activation="relu",
        polynomial_degree=0,
        windows="first",
        sampling="early",
        early_bias=1.0,
        rollout_steps=5,
        taught=0.0,
        tables=False,
        optimizer="adam",
        learning_rate=1e-3,
        schedule="constant",
        batch_size=0,
        max_steps=100_000,
        target_error=1e-8,
        patience=0.0,
    ),
    # The recording itself is to be generated from its first row (Section 3.2), nothing else.
    "reproduce": Recipe(
        denoise=False,
        hidden_sizes=(1024,),
        polynomial_degree=0,
        windows="coupled",
        early_bias=1.0,
        taught=0.0,
        tables=False,
        optimizer="ridge",
    ),
}


def get_recipe(recipe: str | Recipe) -> Recipe:
    """Return a recipe by name (``"pyhits"``, ``"paper"``, ``"reproduce"``), or the one given."""
    if isinstance(recipe, Recipe):
        return recipe
    return RECIPES[as_choice(recipe, "recipe", RECIPES)]
