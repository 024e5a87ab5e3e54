"""The protocol that every flow map satisfies, and the registry that files rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from pyhits.errors import ArgumentError
from pyhits.util.checks import as_count, shown, suggest
from pyhits.util.schema import Plain, Schema, Whole

#: Writes the states that a step from ``states`` (n, d) leads to into ``out`` (n, outputs * d), both
#: contiguous.
StepInto = Callable[[Tensor, Tensor], None]


class FlowMap(nn.Module):
    """One step forward in time: ``x + increment(x)`` (paper, equation 7).

    A dense flow map returns, from one evaluation, ``outputs`` states at equally spaced times inside
    its step, the last of them at its end.

    Subclass it, write :meth:`increment` and :meth:`config`, and decorate the class with
    :func:`register` to make a new family that couples, forecasts and saves like the others. A net
    that :class:`~pyhits.HiTS` is to train subclasses :class:`~pyhits.flowmaps.ScaledNet` instead.

    Parameters
    ----------
    dimension : int
        Number of state variables d.
    outputs : int
        Number of states m inside one step; 1 is the end of the step alone.
    """

    kind: ClassVar[str] = ""

    #: What :meth:`config` returns, for files: without bounds for families of a user's own.
    schema: ClassVar[Schema] = Plain()

    #: Tensors, by the last part of their names, that may hold infinite numbers.
    unbounded: ClassVar[tuple[str, ...]] = ("low", "high", "threshold")

    def __init__(self, dimension: int, outputs: int = 1) -> None:
        super().__init__()
        self.dimension = dimension
        self.outputs = as_count(outputs, "outputs")

    def increment(self, states: Tensor) -> Tensor:
        """Return the changes of state at all outputs; ``(n, d)`` to ``(n, outputs * d)``."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to step.")

    def forward(self, states: Tensor) -> Tensor:
        """Return the states one step later; ``(n, d)`` to ``(n, d)``."""
        return states + self.increment(states)[:, -self.dimension :]

    def within(self, states: Tensor) -> Tensor:
        """Return the states at all outputs; ``(n, d)`` to ``(n, outputs, d)``."""
        change = self.increment(states)
        return states[:, None] + change.view(len(states), self.outputs, self.dimension)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values, for model files."""
        dense = {"outputs": self.outputs} if self.outputs > 1 else {}
        return {"dimension": self.dimension} | dense

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int | None:
        """Return how many numbers a map of this :meth:`config` keeps in a file, before it is built.

        None where a family does not say: it is then built on torch's meta device to know.
        """
        return None

    def fault(self) -> str | None:
        """Return which of its tensors holds numbers that it cannot step with; None if none does."""
        for name, tensor in self.state_dict().items():
            may_be_infinite = name.split(".")[-1] in self.unbounded
            sound = ~tensor.isnan() if may_be_infinite else tensor.isfinite()
            if not bool(sound.all()):
                return f"{name}: it holds a number that is not finite"
        return None

    def stepper(self, max_rows: int) -> StepInto:
        """Return a function that steps up to ``max_rows`` states into a given buffer.

        The forecast engine calls it thousands of times on equal shapes; a family may override it
        to work in buffers that it allocates once.
        """

        def step_into(states: Tensor, out: Tensor) -> None:
            spread_into(states, self.outputs, out)
            out += self.increment(states)

        return step_into

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping, from which blocks are sized."""
        return max(64, self.dimension)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation, about: the weights of a net."""
        return max(self.n_parameters, self.outputs * self.dimension)

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        return self.kind

    def describe(self) -> str:
        """Return what it is made of, and how many states it returns if these are several."""
        return self.parts + (f", {self.outputs} outputs" if self.outputs > 1 else "")

    @property
    def n_parameters(self) -> int:
        """Number of trained numbers."""
        return sum(p.numel() for p in self.parameters())


def spread_into(states: Tensor, outputs: int, out: Tensor) -> None:
    """Write every state ``outputs`` times side by side; ``(n, d)`` to ``(n, outputs * d)``."""
    n, d = states.shape
    out.view(n, outputs, d).copy_(states[:, None])


#: Most of anything that a file may say of a flow map's size; its tensors say less.
MOST = 2**40

#: Entries of the config of PyHiTS's own families.
DIMENSION: dict[str, Schema] = {"dimension": Whole(1, MOST)}
OUTPUTS: dict[str, Schema] = {"outputs": Whole(1, MOST)}

_KINDS: dict[str, type[FlowMap]] = {}
_Class = TypeVar("_Class", bound=type[FlowMap])


def register(kind: str) -> Callable[[_Class], _Class]:
    """Return a class decorator that makes a flow map known under ``kind``, for model files."""

    def add(cls: _Class) -> _Class:
        known = _KINDS.get(kind)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise ArgumentError(f"A flow map named {kind!r} is registered already.")
        cls.kind = kind
        _KINDS[kind] = cls
        return cls

    return add


def family(kind: str) -> type[FlowMap]:
    """Return the class registered under ``kind``."""
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ArgumentError(
            f"Unknown flow map {shown(kind)}{suggest(str(kind), sorted(_KINDS))} A family of "
            "your own must be registered (pyhits.flowmaps.register) before it is trained or loaded."
        )
    return _KINDS[kind]


def create(kind: str, config: dict[str, Any], *, seed: int = 0) -> FlowMap:
    """Build an untrained flow map of a registered kind from its :meth:`FlowMap.config`.

    Initial weights follow from ``seed``; torch's global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return family(kind)(**config)
