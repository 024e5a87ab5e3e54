"""The flow maps of all scales: torch alone, in coordinates, knowing nothing of users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pyhits.errors import ArgumentError
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.batching import USUAL, Batching
from pyhits.hierarchy.compiled import compiled
from pyhits.hierarchy.nesting import chain
from pyhits.hierarchy.stepper import Stepper
from pyhits.util.checks import as_count

#: Steppers kept of one hierarchy.
_KEPT = 4


@dataclass(frozen=True)
class Hierarchy:
    """Flow maps by step size."""

    flow_maps: Mapping[int, FlowMap]  # by step size in multiples of ``dt``
    _steppers: dict[tuple[Any, ...], _Prepared] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _others: dict[str, Hierarchy] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def step_sizes(self) -> tuple[int, ...]:
        """All step sizes, finest first."""
        return tuple(chain(self.flow_maps))

    def stepper(
        self,
        step_sizes: Sequence[int] | None = None,
        *,
        device: str = "cpu",
        compile: bool = False,
        rows_per_block: int | None = None,
        batching: Batching = USUAL,
    ) -> Stepper:
        """Return the coupled scales, ready to step; what was made lately is not made again.

        Raises ArgumentError: a scale was not trained, or the step sizes do not nest.
        Raises MissingExtraError: there is no compiler.

        Parameters
        ----------
        step_sizes : sequence of int, optional
            The scales to couple, in any order; by default all.
        device : str
            Where they step; the flow maps are moved there.
        compile : bool
            Step with code that torch compiles for the device.
        rows_per_block, batching
            As in :class:`~pyhits.hierarchy.Stepper`.
        """
        sizes = tuple(chain(self.flow_maps if step_sizes is None else step_sizes))
        if rows_per_block is not None:
            rows_per_block = as_count(rows_per_block, "rows_per_block")
        key = (sizes, device, compile, rows_per_block, batching)
        known = self._steppers.get(key)
        if known is not None and known.is_current():
            return known.stepper
        missing = [s for s in sizes if s not in self.flow_maps]
        if missing:
            raise ArgumentError(
                f"Step size {missing[0]} was not trained; there are "
                f"{', '.join(map(str, self.flow_maps))}."
            )
        maps = {s: self.flow_maps[s].to(device) for s in sizes}
        stepper = Stepper(
            maps,
            rows_per_block=rows_per_block,
            batching=batching,
            compiled=compiled(maps, device) if compile else None,
        )
        self._keep(key, _Prepared.of(stepper, maps))
        return stepper

    def in_dtype(self, dtype: str | None) -> Hierarchy:
        """Return the same flow maps in an arithmetic, made once; themselves for None."""
        if dtype is None:
            return self
        if dtype not in self._others:
            wanted = getattr(torch, dtype)
            copies = {size: deepcopy(own).to(wanted) for size, own in self.flow_maps.items()}
            self._others[dtype] = Hierarchy(copies)
        return self._others[dtype]

    def _keep(self, key: tuple[Any, ...], prepared: _Prepared) -> None:
        """Keep a stepper, and some of those made lately for the same device."""
        # What stepped on another has its flow maps moved away.
        same = [k for k in list(self._steppers) if k[1] == key[1]][1 - _KEPT :]
        for other in set(self._steppers).difference(same):
            self._steppers.pop(other, None)
        self._steppers[key] = prepared

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made again."""
        return {"flow_maps": self.flow_maps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _steppers={}, _others={})


@dataclass(frozen=True)
class _Prepared:
    """A stepper, and the numbers that it was made from."""

    stepper: Stepper
    tensors: list[Tensor]  # those of its flow maps
    versions: list[int]  # torch counts how often each was written to

    @classmethod
    def of(cls, stepper: Stepper, flow_maps: Mapping[int, FlowMap]) -> _Prepared:
        tensors = [t for f in flow_maps.values() for t in (*f.parameters(), *f.buffers())]
        tensors = [t for t in tensors if not t.is_inference()]
        return cls(stepper, tensors, [t._version for t in tensors])

    def is_current(self) -> bool:
        """Whether the numbers are still the same."""
        return [t._version for t in self.tensors] == self.versions
