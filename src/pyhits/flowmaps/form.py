"""Closed forms: flow maps that are solved for, not trained; what a family of them provides."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from pyhits.data.grid import Grid
from pyhits.data.stretches import evenly
from pyhits.errors import ArgumentError
from pyhits.flowmaps.base import FlowMap
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.schema import Plain, Real, Record, Schema, Whole

#: Steps many states at once with each of several flow maps; ``(r, n, d)`` to ``(r, n, d)``.
Steps = Callable[[Tensor], Tensor]

_Any = TypeVar("_Any")
_FormClass = TypeVar("_FormClass", bound="type[Form]")


class Moves(NamedTuple):
    """Coordinates that are others of the state one step before: ``factor * source + shift``."""

    to: np.ndarray  # int, (n,)
    source: np.ndarray  # int, (n,)
    factor: np.ndarray  # (n,)
    shift: np.ndarray  # (n,)


class Units(NamedTuple):
    """The user's units, in those of encoded states."""

    #: zero, size: (d,); a state that is 0 there, and by how much one is more that is 1.
    zero: np.ndarray
    size: np.ndarray


class Finer(NamedTuple):
    """What the finest scale has come to, which coarser ones begin from."""

    flow_map: FlowMap
    steps: int  # of it in one of the coarser scale
    form: dict[str, Any]  # as :meth:`Form.as_dict` returned it; empty of nets
    scores: dict[str, float]  # the best of each family tried


class Increments:
    """States and their changes over one step, to which closed forms are fitted.

    Parameters
    ----------
    states : array, shape (n, d)
        Encoded, float64.
    changes : array, shape (n, outputs * d)
    grid : Grid, optional
        What the numbers of a state lie on.
    moves : Moves, optional
        Coordinates whose changes need not be found.
    finer : Finer, optional
        What the finest scale has come to.
    units : Units, optional
        By default those of the states themselves.
    clock : Clock, optional
        Solving for forms ends with it, by a TimeIsUpError or with what is best so far.

    Attributes
    ----------
    states, changes : Tensor
    dimension, outputs : int
    """

    def __init__(
        self,
        states: np.ndarray,
        changes: np.ndarray,
        grid: Grid | None = None,
        moves: Moves | None = None,
        finer: Finer | None = None,
        units: Units | None = None,
        clock: Clock = UNLIMITED,
    ) -> None:
        self.grid, self.finer, self.clock = grid, finer, clock
        d = states.shape[1]
        self.units = Units(np.zeros(d), np.ones(d)) if units is None else units
        self.states = torch.from_numpy(np.ascontiguousarray(states, dtype=np.float64))
        self.changes = torch.from_numpy(np.ascontiguousarray(changes, dtype=np.float64))
        self.dimension = d
        self.outputs = changes.shape[1] // states.shape[1]
        self.moves = moves
        self._made: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self.states)

    def at_most(self, count: int) -> Increments:
        """Return at most ``count`` of them, evenly chosen."""
        some = evenly(len(self), count)
        return Increments(
            self.states.numpy()[some], self.changes.numpy()[some],
            self.grid, self.moves, self.finer, self.units, self.clock,
        )  # fmt: skip

    @cached_property
    def mean(self) -> Tensor:
        """Mean state, shape ``(d,)``."""
        return self.states.mean(dim=0)

    def once(self, key: Hashable, make: Callable[[], _Any]) -> _Any:
        """Return what ``make`` returned when it was first called under this key."""
        if key not in self._made:
            self._made[key] = make()
        made: _Any = self._made[key]
        return made


@dataclass(frozen=True)
class Form(ABC):
    """A closed form: a flow map, all but the numbers that are solved for.

    A family subclasses it with what it is chosen by, and is registered by :func:`closed_form`:
    fits then know it by that name. Its flow map must be registered under the same one.

    Attributes
    ----------
    degree : int
        Of the polynomial, or of that below what corrects it.
    penalty : float
        On the numbers that are solved for.
    """

    kind: ClassVar[str] = ""

    #: Whether it takes part where closed forms of any family are asked for, not its own alone.
    in_every_search: ClassVar[bool] = False

    #: Whether it grows so costly with the number of states that a search begins with few.
    begins_with_few: ClassVar[bool] = False

    #: States that it is chosen on, and solved for in the end, at most.
    most_states: ClassVar[tuple[int, int]] = (1_000, 2_000)

    #: Whether coarser scales are what the finest one comes to over longer steps.
    led_by_finest: ClassVar[bool] = False

    #: Numbers of a state beyond which it takes part only where it is asked for by name.
    widest: ClassVar[float] = math.inf

    #: What it is for and what it needs, for those who asked for it where it finds nothing.
    needs: ClassVar[str] = (
        "fields on a grid, one state a step, without inputs; give grid=... if the data are such"
    )

    #: What its attributes may be in files, any plain value otherwise; families add their own.
    limits: ClassVar[dict[str, Schema]] = {"degree": Whole(0, 20), "penalty": Real(0.0)}

    #: Penalties that it is tried with, if no others may be.
    penalties: ClassVar[tuple[float, ...]] = ()

    degree: int = 0
    penalty: float = 0.0

    def neighbours(self) -> list[Form]:
        """Return what is worth trying beside the best form for few states, of more of them."""
        return []

    @classmethod
    def work(cls, dimension: int) -> float:
        """Return the multiply-adds before the first form is tried; families go by that."""
        return 0.0

    @classmethod
    @abstractmethod
    def search(cls, trials: Trials) -> None:
        """Try forms of the family, from the cheap and likely ones on."""

    @abstractmethod
    def candidates(self, data: Increments, *, near: bool) -> tuple[list[Form], Steps]:
        """Return the form with the penalties that are worth trying, and how they step.

        ``near`` leaves out those that are far from its own.
        """

    @abstractmethod
    def solve(self, data: Increments) -> FlowMap:
        """Return the flow map that fits the increments best, float64."""

    def solve_again(self, data: Increments, found: Callable[[], FlowMap]) -> FlowMap:
        """Return the same for other data, where ``found`` returns the flow map of the first."""
        return self.solve(data)

    def may_be(self, flow_map: FlowMap) -> bool:
        """Whether a flow map may be what this form came to."""
        is_tried = not self.penalties or self.penalty in self.penalties
        return is_tried and bool(getattr(flow_map, "degree", self.degree) == self.degree)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from :meth:`as_dict`; what else is there is left out.

        Raises
        ------
        SchemaError
            A value is not of its kind, or beyond :attr:`limits`.
        """
        known = {field.name: Plain() for field in fields(cls)} | cls.limits
        read = Record({}, known).read({k: v for k, v in values.items() if k in known}, "form")
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in read.items()}
        return cls(**plain)


class Trials(Protocol):
    """What a family's search is given: it fits forms, steps them and remembers the best."""

    @property
    def data(self) -> Increments:
        """What forms are fitted to."""

    @property
    def max_degree(self) -> int:
        """Highest degree that may be tried."""

    @property
    def best(self) -> Form | None:
        """The best form of this family so far."""

    @property
    def score(self) -> float:
        """Its mean error in rollouts; infinite without one."""

    @property
    def score_of_any(self) -> float:
        """The lowest score of any family so far."""

    @property
    def is_far(self) -> bool:
        """Whether a family searched before does so much better that this one will not win."""

    @property
    def settled(self) -> bool:
        """Whether a form is exact, or time is over."""

    def __call__(self, form: Form, *, near: bool = True, gain: float = 1.0) -> bool:
        """Try a form with penalties near its own; return whether it is the best by ``gain``."""


_FORMS: dict[str, type[Form]] = {}


def closed_form(kind: str) -> Callable[[_FormClass], _FormClass]:
    """Return a class decorator that registers a family of closed forms under ``kind``."""

    def add(cls: _FormClass) -> _FormClass:
        known = _FORMS.get(kind)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise ArgumentError(f"Closed forms named {kind!r} are registered already.")
        cls.kind = kind
        _FORMS[kind] = cls
        return cls

    return add


def closed_forms() -> dict[str, type[Form]]:
    """Return all families of closed forms by name, in the order of their registration."""
    return dict(_FORMS)
