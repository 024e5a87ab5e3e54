"""How one scale is trained: every setting in one place, and the presets."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from pyhits.errors import ArgumentError
from pyhits.policies import CLOSED_FORMS, Best, FlowMapPolicy, Nets, Training, refuse_float32
from pyhits.util.checks import as_choice, suggest
from pyhits.util.policy import as_widths, text
from pyhits.util.schema import Flag, Many, Maybe, Real, Record, Text, Whole

if TYPE_CHECKING:
    from pyhits.flowmaps import FlowMap

#: Values of ``flow_map`` for which closed forms are solved for and chosen among by rollouts; with
#: the last small nets are candidates too.
CLOSED = (*CLOSED_FORMS, "best")

#: Fewer trajectories than this are recordings.
FEW_TRAJECTORIES = 5

#: Rows up to which ``auto`` takes closed forms, of trajectories and of recordings; and features.
FEW_ROWS, FEW_ROWS_OF_RECORDINGS, FEW_FEATURES = 20_000, 200_000, 64

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


#: How each value is checked: as the field of its name of a policy.
_CHECKS = {one.name: one.metadata["check"] for of in (Nets, Training) for one in fields(of)}
_CHECKS["hidden_sizes"] = as_widths

#: Names of values in files, where they differ; and an optimiser that older files may name, with the
#: one that is nearest to it.
_NAMES, _GONE = {"taught": "synthetic"}, {"muon": "adamw"}


@dataclass(frozen=True)
class Recipe:
    """Settings that train one flow map: those of :class:`Nets` and :class:`Training` in one.

    What is None follows from the size of the data when fitting begins (:meth:`resolve`).
    """

    #: Take white noise off the data first, where they carry any (:mod:`pyhits.noise`).
    denoise: bool = True
    standardise: bool = True
    #: Registered family of nets; or ``polynomial``, ``kernel`` or ``closed``, closed forms alone
    #: (:mod:`pyhits.training.closed`); or ``best``, these and small residual nets; ``auto`` is
    #: ``best`` for few points, else ``residual``.
    flow_map: str = "residual"
    hidden_sizes: tuple[int, ...] | None = None
    activation: str = "gelu"
    polynomial_degree: int = 17
    windows: str = "anywhere"
    sampling: str = "early"
    early_bias: float | None = None
    rollout_steps: int = 1
    synthetic: float = 0.5
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
        text(self.flow_map, "flow_map")
        # Torch is imported for families of a user's own alone.
        if not self.is_closed and self.flow_map not in ("auto", "residual"):
            self._check_family()
        if not isinstance(self.denoise, bool):
            raise ArgumentError(f"Expected denoise to be True or False, got {self.denoise!r}.")
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in _CHECKS and not (value is None and one.default is None):
                object.__setattr__(self, one.name, _CHECKS[one.name](value, one.name))
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
        if self.windows == "coupled" and self.rollout_steps > 1:
            raise ArgumentError(
                f"windows='coupled' holds single steps, got rollout_steps={self.rollout_steps}; "
                "leave it out, or set windows='anywhere'."
            )

    @classmethod
    def of(cls, training: Training, flow_map: FlowMapPolicy, denoise: bool | None) -> Recipe:
        """Return what policies say, and their preset where they say nothing.

        Whoever says how nets are trained wants nets, and so does who wants their arithmetic.
        """
        given = {k: v for k, v in training.given().items() if k != "preset"}
        recipe = RECIPES[training.preset].override(
            denoise=denoise, flow_map=None if flow_map.kind == "auto" else flow_map.kind,
            polynomial_degree=flow_map.polynomial_degree, **given,
        )  # fmt: skip
        if isinstance(flow_map, (Nets, Best)):
            widths = flow_map.hidden_sizes
            recipe = recipe.override(
                hidden_sizes=None if isinstance(widths, Mapping) else widths,
                activation=flow_map.activation,
            )
        if recipe.flow_map == "auto" and (training.is_about_nets or flow_map.dtype == "float32"):
            recipe = recipe.override(flow_map="residual")
        if recipe.is_closed:
            refuse_float32(recipe.flow_map, flow_map.dtype)
        return recipe

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe that :meth:`as_dict` wrote."""
        known = {_NAMES.get(name, name): value for name, value in values.items()}
        if known.get("optimizer") in _GONE:
            known["optimizer"] = _GONE[known["optimizer"]]
        return cls(**known)

    def as_dict(self) -> dict[str, Any]:
        """Return the values by the names that they have in files."""
        files = {name: in_file for in_file, name in _NAMES.items()}
        return {files.get(name, name): value for name, value in asdict(self).items()}

    @property
    def is_closed(self) -> bool:
        """Whether closed forms are solved for and chosen by rollouts."""
        if self.flow_map in (*CLOSED, "auto", "residual"):
            return self.flow_map in CLOSED
        from pyhits.flowmaps.form import closed_forms  # torch, which no recipe takes

        return self.flow_map in closed_forms()

    @property
    def with_nets(self) -> bool:
        """Whether nets are tried as well as closed forms."""
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
        taken = inspect.signature(known).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
            return
        for name in ("dimension", "base_degree", *known.settings):
            if name not in taken:
                raise ArgumentError(
                    f"The flow map {self.flow_map!r} cannot be trained: its constructor does not "
                    f"take {name!r}. Its `settings` name those of training that it takes."
                )

    def override(self, **values: Any) -> Recipe:
        """Return a copy with the values that are not None replaced."""
        known = [f.name for f in fields(self)]
        for name in values:
            if name not in known:
                raise ArgumentError(f"Unknown setting {name!r}{suggest(name, known)}")
        return replace(self, **{k: v for k, v in values.items() if v is not None})

    def resolve(
        self, n_features: int, n_trajectories: int, n_rows: int, *, on_grid: bool = False
    ) -> Recipe:
        """Return a copy in which everything left open follows from the size of the data.

        Width grows with the number of features; the number of steps falls where the data are few
        (a net would only overfit) and where a step is costly; few points of few features, and
        fields on a grid, are left to closed forms and small nets; windows favour early times when
        there are many trajectories, whose beginnings hold the transients.
        """
        width = 64 if n_features <= 16 else min(512, 64 * -(-n_features // 16))
        hidden = self.hidden_sizes if self.hidden_sizes is not None else (width,) * 3
        sizes = [n_features, *hidden, n_features]
        n_weights = sum(a * b for a, b in itertools.pairwise(sizes))
        few = min(1.0, (n_rows / 20_000) ** 0.5)
        costly = min(1.0, (10_000 / n_weights) ** 0.5)
        steps = max(2000, round(FULL_STEPS * few * costly, -2))
        few_rows = FEW_ROWS_OF_RECORDINGS if n_trajectories < FEW_TRAJECTORIES else FEW_ROWS
        few_points = n_rows <= few_rows and n_features <= FEW_FEATURES
        judged = (few_points or on_grid) and self.windows == "anywhere"
        return self.override(
            flow_map=("best" if judged else "residual") if self.flow_map == "auto" else None,
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
        synthetic=0.0,
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
        synthetic=0.0,
        tables=False,
        optimizer="ridge",
    ),
}


def get_recipe(recipe: str | Recipe) -> Recipe:
    """Return a recipe by name (``"pyhits"``, ``"paper"``, ``"reproduce"``), or the one given."""
    if isinstance(recipe, Recipe):
        return recipe
    return RECIPES[as_choice(recipe, "recipe", RECIPES)]
