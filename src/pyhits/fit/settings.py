"""Checks of the estimator's settings, made when fitting begins, as scikit-learn's do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.fit.planning import dense_step_sizes
from pyhits.hierarchy import chain
from pyhits.policies import (
    Best,
    Coupling,
    FlowMapPolicy,
    HoldOut,
    Nets,
    Training,
    as_coupling,
    as_flow_map,
    as_noise,
    as_training,
    as_validation,
)
from pyhits.training import Recipe
from pyhits.util.checks import as_count, as_positive, as_seed, check_device, shown
from pyhits.util.policy import Check, Policy, setting


def check_selection(selection: Coupling, step_sizes: Iterable[int] | None = None) -> None:
    """Check how scales are to be chosen among ``step_sizes``, if these are known."""
    if isinstance(selection.how, str):
        return
    asked = chain(selection.how)
    known = asked if step_sizes is None else sorted(step_sizes)
    missing = [size for size in asked if size not in known]
    if missing:
        raise ArgumentError(
            f"Step size {missing[0]} cannot be selected; there are {', '.join(map(str, known))}."
        )


def widths_by_scale(
    hidden_sizes: Sequence[int] | Mapping[int, Sequence[int]] | None, step_sizes: Iterable[int]
) -> dict[int, tuple[int, ...]]:
    """Return the widths that are given for single step sizes, each of which must be learned."""
    if not isinstance(hidden_sizes, Mapping):
        return {}
    known = sorted(step_sizes)
    unknown = [size for size in hidden_sizes if size not in known]
    if unknown:
        raise ArgumentError(
            f"hidden_sizes has an entry for step size {unknown[0]}; there are "
            f"{', '.join(map(str, known))}."
        )
    return {size: tuple(layers) for size, layers in hidden_sizes.items()}


def _n_jobs(value: Any, name: str) -> int:
    return -1 if value == -1 else as_count(value, name)


def _device(value: Any, _: str) -> str:
    check_device(value)
    return str(value)


def _checked(make: Callable[[Any], Any]) -> Check:
    return lambda value, _: make(value)


def _as_it_is(value: Any, _: str) -> Any:
    return value


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"Expected {name} to be True or False, got {shown(value)}.")
    return bool(value)


@dataclass(frozen=True, repr=False)
class Settings(Policy):
    """The arguments of :class:`~pyhits.HiTS`, checked, before any data are looked at.

    Its parameters and defaults are those of ``HiTS``; shorthand becomes policies.

    Raises ArgumentError: one of them cannot be used, or not with another.
    """

    step_sizes: tuple[int, ...] | None = setting(None, _checked(lambda sizes: tuple(chain(sizes))))
    flow_map: FlowMapPolicy = setting("auto", _checked(as_flow_map))
    encoder: Any = setting(None, _as_it_is)
    training: Training = setting("pyhits", _checked(as_training))
    selection: Coupling = setting("accuracy", _checked(as_coupling))
    noise: bool | None = setting("auto", _checked(as_noise))
    validation: HoldOut = setting(0.2, _checked(as_validation))
    device: str = setting("cpu", _device)
    n_jobs: int | None = setting(None, _n_jobs)
    limits: bool = setting(True, _flag)
    time_limit: float | None = setting(None, as_positive)
    random_state: int | None = setting(None, as_seed)
    verbose: bool = setting(True, _as_it_is)

    def __post_init__(self) -> None:
        """Check what must fit together, too."""
        super().__post_init__()
        _check_dense(self.flow_map, self.recipe)
        check_selection(self.selection, self.sizes or None)
        if self.sizes:
            widths_by_scale(self.hidden_sizes, self.sizes)

    @classmethod
    def of(cls, model: Any) -> Settings:
        """Return the settings of an estimator."""
        return cls(**model.get_params(deep=False))

    @cached_property
    def recipe(self) -> Recipe:
        """What policies for training, flow maps and noise say, with what is still open."""
        return Recipe.of(self.training, self.flow_map, self.noise)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Step sizes that are trained; none where they follow from the data."""
        known = self.step_sizes
        return () if known is None else tuple(dense_step_sizes(known, self.dense))

    def draw_seed(self, *, with_checkpoint: bool) -> int:
        """Return the seed: a new one where none is given, but 0 for fits that are continued."""
        if self.random_state is not None:
            return self.random_state
        return 0 if with_checkpoint else int(np.random.SeedSequence().generate_state(1)[0])

    @property
    def dense(self) -> int:
        """States that the finest flow map returns from one evaluation."""
        return self.flow_map.dense

    @property
    def dtype(self) -> str | None:
        """Arithmetic of the flow maps, if it is asked for."""
        return self.flow_map.dtype

    @property
    def hidden_sizes(self) -> Sequence[int] | Mapping[int, Sequence[int]] | None:
        """Widths of hidden layers, if they are asked for."""
        return self.flow_map.hidden_sizes if isinstance(self.flow_map, (Nets, Best)) else None


def _check_dense(flow_map: FlowMapPolicy, recipe: Recipe) -> None:
    """Raise an ArgumentError if nets cannot return several states."""
    if flow_map.dense == 1 or recipe.is_closed or recipe.flow_map == "auto":
        return
    from pyhits.flowmaps import family  # torch, for dense flow maps alone

    if "outputs" not in inspect.signature(family(recipe.flow_map)).parameters:
        raise ArgumentError(
            f"The flow map {recipe.flow_map!r} cannot be dense: its constructor takes no outputs."
        )
