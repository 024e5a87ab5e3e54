"""The protocol that every flow map satisfies, and the registry that files rely on."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar, cast

import torch
from torch import Tensor, nn

from pyhits.errors import ArgumentError
from pyhits.flowmaps.other_grid import OtherGrid
from pyhits.numerics.fused.numbers import Numbers
from pyhits.util.checks import as_count
from pyhits.util.schema import Plain, Record, Schema, SchemaError, Text, Whole
from pyhits.util.stored import Family, Stored, TensorSpec, check_specs
from pyhits.util.tensorfile import tensor_spec

#: Writes the states that a step from ``states`` (n, d) leads to into ``out`` (n, outputs * d), both
#: contiguous.
StepInto = Callable[[Tensor, Tensor], None]


class FlowMap(nn.Module, Stored):
    """One step forward in time: ``x + increment(x)`` (paper, equation 7).

    A dense flow map returns, from one evaluation, ``outputs`` states at equally spaced times inside
    its step, the last of them at its end.

    Subclass it, write :meth:`increment`, keep the constructor's arguments under their names, and
    decorate the class with :func:`register` to make a new family that couples, forecasts and saves
    like the others. A net that :class:`~pyhits.HiTS` is to train subclasses
    :class:`~pyhits.flowmaps.ScaledNet` instead.

    Parameters
    ----------
    dimension : int
        Number of state variables d.
    outputs : int
        Number of states m inside one step; 1 is the end of the step alone.
    """

    #: What :meth:`config` returns, for files: without bounds for families of a user's own.
    schema: ClassVar[Schema] = Plain()

    #: Whether it is trained by gradient steps: it then knows the coordinates that it was trained in
    #: alone. And whether that takes so long that what is chosen is not trained again on all rows.
    trained: bool = False
    trained_once: bool = False

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
        """Return the constructor's arguments as plain JSON values, for model files.

        They are the attributes of these names, if a family does not say otherwise.
        """
        names = [name for name in inspect.signature(type(self)).parameters if hasattr(self, name)]
        found = {name: getattr(self, name) for name in names}
        if self.outputs == 1:
            found.pop("outputs", None)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int | None:
        """Return how many numbers a map of this :meth:`config` keeps in a file, before it is built.

        None where a family does not say: it is then built on torch's meta device to know.
        """
        return None

    @classmethod
    def plain_schema(cls) -> Schema:
        """Return what :meth:`plain` returns; of the arguments no more is known than ``schema``."""
        return Record({"config": cls.schema, "dtype": Text(choices=_FLOATS)})

    def plain(self) -> dict[str, Any]:
        """Return the constructor's arguments, and the dtype."""
        floating = (t for t in self.state_dict().values() if t.is_floating_point())
        dtype = next((t.dtype for t in floating), torch.float32)
        return {"config": self.config(), "dtype": str(dtype).removeprefix("torch.")}

    def state(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        return dict(self.state_dict())

    @classmethod
    def check_state(
        cls, plain: Mapping[str, Any], found: Mapping[str, TensorSpec], where: str = ""
    ) -> None:
        """Compare tensors with those of a map of these arguments.

        What would hold other numbers than there are is refused before it is built.
        """
        there = sum(math.prod(spec.shape) for spec in found.values())
        needed = cls.n_stored(plain["config"])
        if needed is not None and needed != there:
            raise SchemaError(
                f"{where.rstrip('.')}: a {cls.kind} flow map of these sizes does not hold the "
                f"{there} numbers that the file does"
            )
        empty = cls._empty(plain["config"]).to(getattr(torch, plain["dtype"]))
        tensors = empty.state_dict().items()
        check_specs({name: tensor_spec(tensor) for name, tensor in tensors}, found, where)

    @classmethod
    def _empty(cls, config: dict[str, Any]) -> FlowMap:
        """Return a flow map to compare with: of unknown size on the meta device, if it can be.

        That device takes seconds to import, so that where sizes are known it is left alone.
        """
        if cls.n_stored(config) is not None:
            return create(cls.kind, config)
        try:
            with torch.device("meta"):
                return create(cls.kind, config)
        except (RuntimeError, NotImplementedError, TypeError):
            return create(cls.kind, config)  # of a user's own, which may look at its tensors

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any], state: Mapping[str, Tensor]) -> Self:
        """Return a flow map; a ValueError if its numbers are none that it can step with."""
        flow_map = create(cls.kind, plain["config"]).to(getattr(torch, plain["dtype"]))
        flow_map.load_state_dict(state)
        fault = flow_map.fault()
        if fault is not None:
            raise ValueError(fault)
        return cast(Self, flow_map.eval())

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

        A ``Stepper`` calls it thousands of times on equal shapes; a family may override it
        to work in buffers that it allocates once.
        """

        def step_into(states: Tensor, out: Tensor) -> None:
            spread_into(states, self.outputs, out)
            out += self.increment(states)

        return step_into

    def on_grid(self, to: OtherGrid) -> FlowMap:
        """Return the flow map that steps fields on another grid.

        Raises
        ------
        ArgumentError
            It does not know of neighbours, or of their distance, and steps its own grid alone.
        """
        raise ArgumentError(
            f"A flow map that is a {self.describe()} has numbers of its own for each point, and "
            "steps no grid but the one that it was learned on. One of neighbours does: "
            "HiTS(flow_map='equation')."
        )

    def numbers(self) -> Numbers | None:
        """Return what machine code steps it with; None where torch alone does."""
        return None

    def held(self, states: Tensor) -> Tensor | None:
        """Return which states of trajectories were brought back to the bounds of the data.

        ``(n, length, d)`` to ``(n, length)``; None of a flow map that keeps to no bounds.
        """
        return None

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping, from which blocks are sized."""
        return max(64, self.dimension)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation, about: the weights of a net."""
        return max(self.n_parameters, self.outputs * self.dimension)

    @property
    def stages(self) -> int:
        """Evaluations within one step that wait for each other."""
        return 1

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

#: Dtypes of flow maps in files.
_FLOATS = ("float16", "bfloat16", "float32", "float64")

#: All flow maps that can be trained and stored.
FLOW_MAPS: Family[FlowMap] = Family(
    "flow map",
    "A family of your own must be registered (pyhits.flowmaps.register) before it is trained, "
    "saved or loaded.",
)
_Class = TypeVar("_Class", bound=type[FlowMap])


def register(kind: str) -> Callable[[_Class], _Class]:
    """Return a class decorator that makes a flow map known under ``kind``, for model files."""

    def add(cls: _Class) -> _Class:
        known = FLOW_MAPS.classes.get(kind)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise ArgumentError(f"A flow map named {kind!r} is registered already.")
        cls.kind = kind
        FLOW_MAPS.register(cls)
        return cls

    return add


def family(kind: str) -> type[FlowMap]:
    """Return the class registered under ``kind``."""
    return FLOW_MAPS[kind]


def create(kind: str, config: dict[str, Any], *, seed: int = 0) -> FlowMap:
    """Build an untrained flow map of a registered kind from its :meth:`FlowMap.config`.

    Initial weights follow from ``seed``; torch's global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return family(kind)(**config)
