"""Any flow map, kept where data that are bounded may be, with the means that never move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pyhits.errors import ArgumentError
from pyhits.flowmaps.base import FLOW_MAPS, MOST, FlowMap, StepInto, create, register
from pyhits.flowmaps.other_grid import OtherGrid
from pyhits.numerics.fused.numbers import Numbers
from pyhits.util.checks import as_count
from pyhits.util.schema import Plain, Record, Schema, SchemaError, Whole

#: Parts of a channel's range by which it is widened to either side, and multiple of the largest
#: recorded root mean square of a row: far beyond what a good forecast meets.
_MARGIN, _ENERGY = 0.5, 1.5

#: Widths of these ranges by which closed forms, which hold beyond their data, may leave them, and
#: multiple of the energy.
_WIDER, _MORE_ENERGY = 1.0, 4.0

#: Multiple of the largest root mean square in the first halves of trajectories above which the
#: second halves show that data grow, so that nothing bounds them.
_GROWTH = 1.2

#: Part of the root mean square of rows by which a mean may move and still count as fixed: rounding
#: of float32.
_FIXED = 1e-6

#: How near to a bound, as a part of it, a state lies that was brought back to it.
_NEAR = 1e-4

#: Numbers in the rows that bounds are read from, at once.
_NUMBERS = 4_000_000


@dataclass(frozen=True)
class Bounds:
    """Where the states of data stay, in the coordinates of flow maps.

    Attributes
    ----------
    low, high : array, shape (channels,)
        Range of each channel.
    energy : float
        Root mean square of a row.
    fixed : array of bool, shape (channels,)
        Channels whose mean over all points never moves.
    """

    low: np.ndarray
    high: np.ndarray
    energy: float
    fixed: np.ndarray

    @classmethod
    def of(
        cls,
        rows: np.ndarray,
        offsets: np.ndarray,
        channels: int | None = None,
        encode: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> Bounds:
        """Return what bounds recorded states, by good margins.

        Data whose rows grow along their trajectories have no bounds: then they are infinite.

        Parameters
        ----------
        rows : array, shape (n_rows, d)
            Of all trajectories, one after the other; read and encoded part by part.
        offsets : array of int, shape (n_trajectories + 1,)
            Row at which each trajectory begins.
        channels : int, optional
            Of fields on a grid, the last axis of a row; by default every number is one of its own.
        encode : callable, optional
            Returns rows in the coordinates of flow maps.
        """
        n, d = rows.shape
        channels = d if channels is None else channels
        each = max(1, _NUMBERS // d)
        measured = [_measure(encode(rows[k : k + each]), channels) for k in range(0, n, each)]
        lows, highs, sizes, means = (np.concatenate(of) for of in zip(*measured, strict=True))
        low, high = lows.min(axis=0), highs.max(axis=0)
        starts = np.asarray(offsets[:-1])
        number = np.repeat(np.arange(len(starts)), np.diff(offsets))
        moved = np.abs(means - means[starts[number]]).max(axis=0)
        fixed = (moved <= _FIXED * np.sqrt(np.square(sizes).mean())) & (d > channels)
        late = np.arange(n) - starts[number] > np.diff(offsets)[number] / 2
        if sizes[late].max(initial=0.0) > _GROWTH * sizes[~late].max(initial=0.0):
            nothing = np.full(channels, np.inf)
            return cls(-nothing, nothing, float("inf"), fixed)
        width = _MARGIN * (high - low)
        return cls(low - width, high + width, _ENERGY * float(sizes.max()), fixed)

    def widened(self) -> Bounds:
        """Return bounds that only what grows without end meets."""
        width = _WIDER * (self.high - self.low)
        energy = _MORE_ENERGY * self.energy
        return Bounds(self.low - width, self.high + width, energy, self.fixed)

    @property
    def bind(self) -> bool:
        """Whether there are any."""
        return bool(np.isfinite(self.energy) or self.fixed.any())


def bare(flow_map: FlowMap) -> FlowMap:
    """Return a flow map without its bounds."""
    return flow_map.inner if isinstance(flow_map, BoundedMap) else flow_map


def _measure(rows: np.ndarray, channels: int) -> tuple[np.ndarray, ...]:
    """Return ranges of channels, ``(1, channels)``, and of each row its size and its means."""
    fields = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1, channels)
    sizes = np.sqrt(np.square(fields).mean(axis=(1, 2)))
    low, high = fields.min(axis=(0, 1))[None], fields.max(axis=(0, 1))[None]
    return low, high, sizes, fields.mean(axis=1)


@register("bounded")
class BoundedMap(FlowMap):
    """Another flow map, whose steps lead to no state beyond bounds.

    After each step, numbers beyond the range of their channel are clipped, rows of too large a root
    mean square are shrunk to it, and means that never move are kept. States that are within bounds
    are left as the flow map returned them, to the last bit. From a start beyond the bounds, no step
    leads further out than the state before it.

    Parameters
    ----------
    map : dict
        ``kind`` and ``config`` of the other flow map.
    channels : int
        As in :class:`Bounds`.

    Attributes
    ----------
    inner : FlowMap
    low, high : Tensor, shape (channels,)
    threshold : Tensor, shape ()
        The largest root mean square.
    fixed : Tensor, shape (channels,)
        1 where a mean never moves, 0 elsewhere.
    """

    schema: ClassVar[Schema] = Record({"map": Plain(), "channels": Whole(1, MOST)})

    low: Tensor
    high: Tensor
    threshold: Tensor
    fixed: Tensor

    def __init__(self, map: Mapping[str, Any], channels: int) -> None:
        inner = create(*_read(map))
        super().__init__(inner.dimension, inner.outputs)
        self.inner = inner
        self.trained, self.trained_once = inner.trained, inner.trained_once
        self.channels = as_count(channels, "channels")
        if self.dimension % channels:
            raise ArgumentError(
                f"Rows of {self.dimension} numbers do not have {channels} channels."
            )
        self.register_buffer("low", torch.full((channels,), -torch.inf))
        self.register_buffer("high", torch.full((channels,), torch.inf))
        self.register_buffer("threshold", torch.tensor(torch.inf))
        self.register_buffer("fixed", torch.zeros(channels))

    @classmethod
    def around(cls, flow_map: FlowMap, bounds: Bounds) -> BoundedMap:
        """Return a flow map kept within bounds."""
        config = {"kind": flow_map.kind, "config": flow_map.config()}
        made = cls(config, len(bounds.low))
        like = next(t for t in flow_map.state_dict().values() if t.is_floating_point())
        made.inner = flow_map
        for name, values in (
            ("low", bounds.low),
            ("high", bounds.high),
            ("threshold", np.array(bounds.energy)),
            ("fixed", bounds.fixed.astype(float)),
        ):
            setattr(made, name, torch.from_numpy(values).to(like.device, like.dtype))
        return made.eval()

    def on_grid(self, to: OtherGrid) -> BoundedMap:
        """Return the other flow map on another grid, within the same bounds."""
        inner = self.inner.on_grid(to)
        made = type(self)({"kind": inner.kind, "config": inner.config()}, self.channels)
        made.inner = inner
        for name in ("low", "high", "threshold", "fixed"):
            setattr(made, name, getattr(self, name).clone())
        return made.eval()

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        inner = {"kind": self.inner.kind, "config": self.inner.config()}
        return {"map": inner, "channels": self.channels}

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int | None:
        """Return how many numbers it keeps: those of the flow map, and the bounds."""
        kind, inner = _read(config["map"])
        numbers = FLOW_MAPS[kind].n_stored(inner)
        return None if numbers is None else numbers + 3 * config["channels"] + 1

    def fault(self) -> str | None:
        """Return which of its numbers it cannot step with; None if there is none."""
        return self.inner.fault() or super().fault()

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping."""
        return self.inner.width

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation, about."""
        return self.inner.multiply_adds

    @property
    def stages(self) -> int:
        """Evaluations within one step that wait for each other."""
        return self.inner.stages

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        return self.inner.parts

    def increment(self, states: Tensor) -> Tensor:
        """Return the changes of state at all outputs; ``(n, d)`` to ``(n, outputs * d)``."""
        return (self.within(states) - states[:, None]).flatten(1)

    def forward(self, states: Tensor) -> Tensor:
        """Return the states one step later; ``(n, d)`` to ``(n, d)``."""
        return self.within(states)[:, -1]

    def within(self, states: Tensor) -> Tensor:
        """Return the states at all outputs; ``(n, d)`` to ``(n, outputs, d)``."""
        return self._bound(states, self.inner.within(states))

    def stepper(self, max_rows: int) -> StepInto:
        """Return the flow map's own stepping, which is looked at after each step."""
        step = self.inner.stepper(max_rows)
        keeps = bool(self.fixed.any())
        # A row is no larger than its largest number: one look tells of most blocks.
        near = float(torch.minimum(self.high.min(), -self.low.max()).minimum(self.threshold))

        def step_into(states: Tensor, out: Tensor) -> None:
            step(states, out)
            after = out.view(len(states), self.outputs, self.dimension)
            if not len(states):
                return
            least, largest = torch.aminmax(out)
            if max(-float(least), float(largest)) > near and self._leaves(after):
                after.copy_(self._bound(states, after))
            elif keeps:
                after.copy_(self._with_means(states, after))

        return step_into

    def numbers(self) -> Numbers | None:
        """Return those of the flow map, and bounds that no state reaches which :meth:`held` names.

        Where means are kept every step changes what the flow map returns: then there are none.
        """
        inner = self.inner.numbers()
        if inner is None or bool(self.fixed.any()):
            return None
        low, high = (
            np.tile(bound.double().numpy(), self.dimension // self.channels)
            for bound in (self.low + self._near, self.high - self._near)
        )
        squares = self.dimension * ((1 - _NEAR) * float(self.threshold)) ** 2
        return replace(inner, low=low, high=high, squares=squares)

    @property
    def _near(self) -> Tensor:
        """How near to a bound a state lies that was brought back to it, by channel."""
        span = self.high - self.low
        return torch.where(span.isfinite(), _NEAR * span, 0.0)

    def _leaves(self, after: Tensor) -> bool:
        """Whether any state lies beyond a bound."""
        fields = after.view(*after.shape[:-1], -1, self.channels)
        beyond = (fields < self.low).any() | (fields > self.high).any()
        return bool(beyond | (self._size(after) > self.threshold).any())

    def _size(self, states: Tensor) -> Tensor:
        """Return the root mean square of each row, ``(..., d)`` to ``(..., 1)``."""
        return states.square().mean(dim=-1, keepdim=True).sqrt()

    def _bound(self, states: Tensor, after: Tensor) -> Tensor:
        """Return what lies within bounds; ``(n, d)``, ``(n, outputs, d)`` to the latter."""
        before = states.view(len(states), 1, -1, self.channels)
        fields = after.view(*after.shape[:-1], -1, self.channels)
        low = torch.minimum(self.low, before.amin(2, keepdim=True))
        high = torch.maximum(self.high, before.amax(2, keepdim=True))
        fields = torch.clamp(fields, low, high)
        size = self._size(fields.flatten(2))
        most = torch.maximum(self.threshold, self._size(states)[:, None])
        fields = torch.where((size > most)[..., None], fields * (most / size)[..., None], fields)
        return self._with_means(states, fields.flatten(2))

    def _with_means(self, states: Tensor, after: Tensor) -> Tensor:
        """Return states with the means that never move; of the same shapes."""
        before = states.view(len(states), 1, -1, self.channels)
        fields = after.view(*after.shape[:-1], -1, self.channels)
        moved = fields.mean(2, keepdim=True) - before.mean(2, keepdim=True)
        return (fields - self.fixed * moved).flatten(2)

    def held(self, states: Tensor) -> Tensor | None:
        """Return which states were brought back to a bound, ``(n, length, d)`` to ``(n, length)``.

        Of trajectories that begin beyond the bounds nothing is known: none of their states.
        """
        fields = states.view(*states.shape[:-1], -1, self.channels)
        least, most = self.low + self._near, self.high - self._near
        beyond = ((fields < least) | (fields > most)).flatten(2).any(dim=2)
        beyond |= self._size(states)[..., 0] > (1 - _NEAR) * self.threshold
        found: Tensor = beyond & ~beyond[:, :1]
        return found


def _read(map: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind and the config of the flow map that a bounded one is around."""
    kind = map.get("kind") if isinstance(map, Mapping) else None
    if not isinstance(kind, str) or kind not in FLOW_MAPS or kind == "bounded":
        raise SchemaError("map.kind: expected a family of flow maps other than bounded")
    found: dict[str, Any] = FLOW_MAPS[kind].schema.read(map.get("config"), "map.config")
    return kind, found
