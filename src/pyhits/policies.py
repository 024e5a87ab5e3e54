"""What users settle about a fit: frozen objects with checked values, and texts as shorthand.

HiTS(flow_map=Nets((64, 64)), training=Training(max_steps=2000), selection="speed")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from pyhits.errors import ArgumentError
from pyhits.util.checks import as_choice, as_count, as_positive, shown, suggest
from pyhits.util.policy import Policy, between, count, flag, one_of, setting, text, widths_by_scale

__all__ = [
    "POLICIES",
    "Auto",
    "Best",
    "ClosedForms",
    "Coupling",
    "FlowMapPolicy",
    "HoldOut",
    "Nets",
    "Training",
    "arguments",
    "as_coupling",
    "as_flow_map",
    "as_noise",
    "as_training",
    "as_validation",
    "with_values",
]

PRESETS = ("pyhits", "paper", "reproduce")
OPTIMIZERS = ("soap", "adam", "adamw", "sgd", "ridge")
SAMPLINGS = ("uniform", "early", "density", "residual")
ACTIVATIONS = ("gelu", "silu", "tanh", "relu")
CLOSED_FORMS = ("closed", "polynomial", "ode", "kernel", "equation", "velocities", "stencil")

#: Widths of hidden layers: of all nets, or by step size.
Widths = Sequence[int] | Mapping[int, Sequence[int]]


def _how(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return as_choice(value, "selection", ("accuracy", "speed", "all"))
    if not isinstance(value, Iterable):
        raise ArgumentError(
            f"Expected selection to be 'accuracy', 'speed', 'all' or step sizes, got {value!r}."
        )
    return tuple(as_count(size, "a step size") for size in value)


@dataclass(frozen=True, repr=False)
class Training(Policy):
    """How flow maps are trained. What is left ``None`` is as in the preset.

    Parameters
    ----------
    preset : {"pyhits", "paper", "reproduce"}
        Where the values come from that are not given, those of nets and noise, too: ``"paper"`` is
        Appendix A.1; ``"reproduce"`` learns to generate the training data from their first rows and
        nothing else (Section 3.2).
    optimizer : {"soap", "adam", "adamw", "sgd", "ridge"}
        What finds the weights of nets; ``"ridge"`` draws the hidden layers and solves for the last:
        seconds, and exact where there are fewer windows than hidden units.
    learning_rate : float
        Peak of the learning rate.
    schedule : {"cosine", "constant"}
        How the learning rate goes: warm-up, then cosine to zero; or constant.
    batch_size : int
        Windows a step; 0 takes all first windows at once.
    max_steps : int
        Optimiser steps a scale, at most.
    rollout_steps : int
        Steps p in the loss (equation 9).
    target_error : float
        One-step mean squared error at which a scale's training stops.
    patience : float
        Fraction of the steps without a better validation error after which training stops; 0 never
        does.
    windows : {"anywhere", "first", "coupled"}
        Windows of the trajectories to train on: from anywhere; the first of each; or those that
        forecasts from the first rows evaluate when all scales are coupled.
    sampling : {"early", "uniform", "density", "residual"}
        How windows are drawn for the nets: by ``early_bias``; every window equally often; evenly
        over the region visited; where the net's error is.
    early_bias : float
        Windows start at ``T u**early_bias``, u uniform: 1 draws uniformly over time, 3 favours
        transients. Closed forms are fitted to windows drawn so, whatever ``sampling`` says.
    synthetic : float
        Part of each batch that lies between the recorded windows, where a composed fine polynomial
        is exact enough to label them.
    tables : bool
        Tabulate coarse steps of up to three features, where that is exact enough.
    standardise : bool
        Train on standardised states, and on increments divided by their root mean square.
    """

    preset: str = setting("pyhits", one_of(PRESETS))
    optimizer: str | None = setting(None, one_of(OPTIMIZERS))
    learning_rate: float | None = setting(None, as_positive)
    schedule: str | None = setting(None, one_of(("cosine", "constant")))
    batch_size: int | None = setting(None, count(0))
    max_steps: int | None = setting(None, count())
    rollout_steps: int | None = setting(None, count())
    target_error: float | None = setting(None, between(0, float("inf"), "of 0 or more"))
    patience: float | None = setting(None, between(0, 1, "from 0 to 1"))
    windows: str | None = setting(None, one_of(("anywhere", "first", "coupled")))
    sampling: str | None = setting(None, one_of(SAMPLINGS))
    early_bias: float | None = setting(None, as_positive)
    synthetic: float | None = setting(None, between(0, 1, "from 0 to below 1"))
    tables: bool | None = setting(None, flag)
    standardise: bool | None = setting(None, flag)

    @property
    def is_about_nets(self) -> bool:
        """Whether something is said that only nets have."""
        values = (self.optimizer, self.learning_rate, self.batch_size, self.max_steps)
        return any(value is not None for value in values)


@dataclass(frozen=True, repr=False, kw_only=True)
class FlowMapPolicy(Policy):
    """What approximates the flow map of each scale; see its subclasses.

    Parameters
    ----------
    polynomial_degree : int, optional
        Highest degree of polynomials: of the first stage before nets, where 0 leaves it out, and of
        closed forms.
    dense : int
        States that the finest flow map returns from one evaluation: it then steps ``dense`` times
        as far, fills in everything inside that step, and stands in for all step sizes up to it. A
        forecast takes so many times fewer evaluations; 1 is the paper's plain hierarchy.
    dtype : {"float32", "float64"}, optional
        Arithmetic of the flow maps; by default float64 for closed forms, float32 for nets.
    """

    polynomial_degree: int | None = setting(None, count(0))
    dense: int = setting(1, count())
    dtype: str | None = setting(None, one_of(("float32", "float64")))

    def __post_init__(self) -> None:
        """Refuse arithmetic in which large terms would not cancel."""
        super().__post_init__()
        if self.kind in (*CLOSED_FORMS, "best"):
            refuse_float32(self.kind, self.dtype)

    @property
    def kind(self) -> str:
        """What a recipe calls it."""
        return "auto"


@dataclass(frozen=True, repr=False)
class Auto(FlowMapPolicy):
    """:class:`Best` for few points, else :class:`Nets`.

    Few are 20,000 rows, of fewer than five trajectories 200,000, of 64 features at most.

    Where the training policy says something about nets, they are nets.
    """


@dataclass(frozen=True, repr=False)
class Nets(FlowMapPolicy):
    """One net a scale, after a polynomial in closed form.

    Parameters
    ----------
    hidden_sizes : sequence of int, or mapping of int to such, optional
        Widths of the hidden layers: of all nets, or by step size.
    activation : {"gelu", "silu", "tanh", "relu"}, optional
        Between the hidden layers.
    family : str
        ``"residual"``, or another registered family.
    polynomial_degree, dense, dtype
        See :class:`FlowMapPolicy`.
    """

    hidden_sizes: Widths | None = setting(None, widths_by_scale)
    activation: str | None = setting(None, one_of(ACTIVATIONS))
    family: str = setting("residual", text)

    @property
    def kind(self) -> str:
        """The family."""
        return self.family


@dataclass(frozen=True, repr=False)
class ClosedForms(FlowMapPolicy):
    """Flow maps that are solved for, in float64, and solved for again with all the data.

    Parameters
    ----------
    form : {"closed", "polynomial", "ode", "kernel", "equation", "velocities", "stencil"}
        ``"closed"`` is of each scale the form that steps the validation data best.
    polynomial_degree, dense, dtype
        See :class:`FlowMapPolicy`.
    """

    form: str = setting("closed", one_of(CLOSED_FORMS))

    @property
    def kind(self) -> str:
        """The form."""
        return self.form


@dataclass(frozen=True, repr=False)
class Best(FlowMapPolicy):
    """Closed forms and, where they do poorly, small nets, judged alike by rollouts.

    Parameters
    ----------
    hidden_sizes, activation
        Of the nets, as in :class:`Nets`.
    polynomial_degree, dense, dtype
        See :class:`FlowMapPolicy`.
    """

    hidden_sizes: Widths | None = setting(None, widths_by_scale)
    activation: str | None = setting(None, one_of(ACTIVATIONS))

    @property
    def kind(self) -> str:
        """``best``."""
        return "best"


def refuse_float32(kind: str, dtype: str | None) -> None:
    """Raise an ArgumentError if closed forms are to be solved for in float32."""
    if dtype == "float32":
        raise ArgumentError(
            f"flow_map={kind!r} is solved for and stepped in float64, since large terms "
            "cancel; leave dtype out."
        )


@dataclass(frozen=True, repr=False)
class Coupling(Policy):
    """Which of the trained scales forecasts couple.

    Parameters
    ----------
    how : {"accuracy", "speed", "all"} or sequence of int
        By the paper's greedy rule; the cheapest coupling whose validation error is within
        ``tolerance``; all scales; or those given. Where windows are coupled, as by the training
        preset ``"reproduce"``, ``"accuracy"`` means all.
    tolerance : float
        Mean squared error, in standardised coordinates, that ``"speed"`` allows.
    interpolation : {"cubic", "linear"}
        Between the finest coupled steps where these are coarser than ``dt``; the paper is linear.
    """

    how: str | Sequence[int] = setting("accuracy", _how)
    tolerance: float = setting(1e-6, as_positive)
    interpolation: str = setting("cubic", one_of(("cubic", "linear")))


def _fraction(value: Any, name: str) -> float:
    if not 0 < as_positive(value, name) < 1:
        raise ArgumentError(f"Expected {name} between 0 and 1, got {value!r}.")
    return float(value)


@dataclass(frozen=True, repr=False)
class HoldOut(Policy):
    """Leave a part of the training data out of training, to choose weights and scales on.

    Parameters
    ----------
    fraction : float
        Of the trajectories, or of the rows of few recordings. Nothing is left out where validation
        data are given, nor where the training data themselves are to be met, as by the training
        preset ``"reproduce"``.
    """

    fraction: float = setting(0.2, _fraction)


def as_training(value: Any) -> Training:
    """Return a training policy; a text names a preset."""
    return value if isinstance(value, Training) else Training(as_choice(value, "training", PRESETS))


def as_flow_map(value: Any) -> FlowMapPolicy:
    """Return a policy for flow maps; a text names a kind, a closed form, or a family of nets."""
    if isinstance(value, FlowMapPolicy):
        return value
    kind = text(value, "flow_map")
    if kind in CLOSED_FORMS:
        return ClosedForms(kind)
    return {"auto": Auto(), "best": Best()}.get(kind) or Nets(family=kind)


def as_coupling(value: Any) -> Coupling:
    """Return a policy for coupling; otherwise it is said how."""
    return value if isinstance(value, Coupling) else Coupling(value)


def as_validation(value: Any) -> HoldOut:
    """Return a policy for validation; a number is the fraction that is left out of training."""
    return value if isinstance(value, HoldOut) else HoldOut(value)


def as_noise(value: Any) -> bool | None:
    """Return whether noise is taken off, None where the training preset says so."""
    if isinstance(value, bool):
        return value
    if not (isinstance(value, str) and value == "auto"):
        raise ArgumentError(f"Expected noise to be True, False or 'auto', got {shown(value)}.")
    return None


#: Arguments of :class:`~pyhits.HiTS` that are policies: what makes one of a shorthand.
POLICIES: dict[str, Callable[[Any], Policy]] = {
    "flow_map": as_flow_map,
    "training": as_training,
    "selection": as_coupling,
    "validation": as_validation,
}

_CLASSES: dict[str, tuple[type[Policy], ...]] = {
    "flow_map": (Auto, Nets, ClosedForms, Best),
    "training": (Training,),
    "selection": (Coupling,),
    "validation": (HoldOut,),
}

#: Arguments that are no policies.
_OTHERS = (
    "step_sizes", "encoder", "noise", "device", "n_jobs", "limits", "time_limit", "random_state",
    "verbose",
)  # fmt: skip

#: By the name of a value: the argument, and the first policy that has it.
_PLACES = {
    one.name: (argument, policy)
    for argument, classes in _CLASSES.items()
    for policy in classes[::-1]
    for one in fields(policy)
}


def with_values(policies: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Policy]:
    """Return the policies that single values, by their own names, change.

    Widths or an activation without a flow map are those of :class:`Nets`.

    ``policies``, or shorthand for them, are named as arguments of :class:`~pyhits.HiTS`.

    Raises
    ------
    ArgumentError
        A name is unknown, or not one of the policy that is asked for.
    """
    for name in values:
        if name not in _PLACES:
            known = suggest(name, [*POLICIES, *_OTHERS, *_PLACES])
            raise ArgumentError(f"Unknown argument {name!r} of HiTS{known}")
    found: dict[str, Policy] = {}
    for argument, make in POLICIES.items():
        own = {k: v for k, v in values.items() if _PLACES[k][0] == argument}
        if not own:
            continue
        base = make(policies[argument]) if argument in policies else _CLASSES[argument][0]()
        if isinstance(base, Auto) and own.keys() & {"hidden_sizes", "activation"}:
            base = Nets(**base.given())
        found[argument] = replace(base, **own)
    return found


def arguments(**settings: Any) -> dict[str, Any]:
    """Return the arguments of :class:`~pyhits.HiTS` for settings that are named one by one.

    The settings are arguments of ``HiTS`` and fields of its policies:
    ``arguments(flow_map="best", dense=4, max_steps=100)`` is
    ``{"flow_map": Best(dense=4), "training": Training(max_steps=100)}``. Those that are None are
    not given.

    Raises
    ------
    ArgumentError
        A setting is not one of the policy that is asked for.
    """
    settings = {name: value for name, value in settings.items() if value is not None}
    found = {name: value for name, value in settings.items() if name not in _PLACES}
    values = {name: value for name, value in settings.items() if name in _PLACES}
    return found | with_values(found, values)
