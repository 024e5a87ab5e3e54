"""Algorithm 1: coarse steps first, every finer scale filling in between them, vectorised."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.batching import USUAL, Batching
from pyhits.hierarchy.cost import cost
from pyhits.hierarchy.nesting import chain
from pyhits.hierarchy.stages import resolution, stages
from pyhits.numerics import fused
from pyhits.numerics.fused.numbers import Numbers, numbers_of
from pyhits.numerics.rollout import iterate
from pyhits.util.checks import as_count

if TYPE_CHECKING:
    from pyhits.hierarchy.engine import Engine

#: Returns the inputs of steps of a size, in multiples of ``dt``, that begin at each state of a
#: rollout; (n, length, k).
InputsOf = Callable[[int], Tensor]

#: Seconds that a number between the finest steps takes without machine code, about.
_SECONDS_BETWEEN = 2e-8

#: Terms of a polynomial whose code takes less than a tenth of a second to make.
_USUAL_TERMS = 100

#: States of a device other than a CPU that are stepped at once.
_ROWS_OF_A_DEVICE = 1 << 20


class Stepper:
    """Coupled flow maps that step any number of states; the rollout of the library.

    The buffers that it steps in are made once and used again. It may be called from several threads
    at once.

    Raises ArgumentError: as :func:`~pyhits.hierarchy.stages.resolution`.

    Parameters
    ----------
    flow_maps : mapping of int to FlowMap
        By step size in multiples of ``dt``; each divides the next coarser. They are not to be
        changed afterwards.
    rows_per_block : int, optional
        States that a flow map steps at once; by default chosen from the shapes.
    compiled : mapping of int to FlowMap, optional
        The same flow maps with compiled code, which steps in their place.

    Attributes
    ----------
    sizes : tuple of int
        Step sizes, finest first.
    spacing : int
        Of the states that it fills in, in multiples of ``dt``.
    dtype, device
        Of the states.
    is_wide : bool
        Whether torch's own threads are of use within one of its steps.
    """

    def __init__(
        self,
        flow_maps: Mapping[int, FlowMap],
        *,
        rows_per_block: int | None = None,
        batching: Batching = USUAL,
        compiled: Mapping[int, FlowMap] | None = None,
    ) -> None:
        self.flow_maps = {size: flow_maps[size] for size in chain(flow_maps)}
        self.sizes = tuple(self.flow_maps)
        self._stepped = self.flow_maps if compiled is None else compiled
        self.spacing = resolution(self.flow_maps)
        self.batching = batching
        self._compiled = compiled
        self.rows_per_block = rows_per_block
        if rows_per_block is not None:
            self.rows_per_block = as_count(rows_per_block, "rows_per_block")
        self.dtype, self.device = _kind(self.flow_maps)
        #: Step size in multiples of the spacing, and outputs of each scale, coarsest first.
        self.outputs = {s // self.spacing: self.flow_maps[s].outputs for s in self.sizes[::-1]}
        #: Multiply-adds of one evaluation of each scale.
        self.work = {size: f.multiply_adds for size, f in self.flow_maps.items()}
        item = self.dtype.itemsize
        self._bytes_each = {size: f.width * item for size, f in self.flow_maps.items()}
        self.is_wide = max(self.work.values()) >= batching.wide_work
        self._cost = lru_cache(maxsize=16)(lambda n_steps: cost(self.flow_maps, n_steps))
        self._free: dict[tuple[int, int, torch.dtype], list[_Blocks]] = {}

    @torch.inference_mode()
    def step(self, states: Tensor) -> Tensor:
        """Return the states one step of the coarsest scale later; ``(n, d)`` to ``(n, d)``."""
        return self.within(states)[:, -1]

    @torch.inference_mode()
    def steps(self, states: Tensor, count: int) -> Tensor:
        """Return the states after 1, 2, ... ``count`` steps of the coarsest scale.

        ``(n, d)`` to ``(n, count, d)``.
        """
        found = states.new_empty((len(states), count, states.shape[1]))
        for k, later in enumerate(iterate(self.step, states, count)):
            found[:, k] = later
        return found

    @torch.inference_mode()
    def within(self, states: Tensor) -> Tensor:
        """Return all states of one step of the coarsest scale; ``(n, d)`` to ``(n, m, d)``.

        It is its flow map's own step: finer scales take no part.
        """
        n, d = states.shape
        size = self.sizes[-1]
        out = states.new_empty((n, 1, self.flow_maps[size].outputs, d))
        with self._blocks(size, n, states.dtype) as blocks:
            blocks(states[:, None], out)
        return out[:, 0]

    @torch.inference_mode()
    def rollout(self, states: Tensor, n_steps: int, inputs: InputsOf | None = None) -> Tensor:
        """Return the states of ``n_steps`` steps of :attr:`spacing` each.

        Returns Tensor, shape (n, n_steps + 1, d): the first are ``states``.

        Parameters
        ----------
        states : Tensor, shape (n, d)
            Of the flow maps' dtype, on their device.
        inputs : callable, optional
            As in :meth:`fill`.
        """
        n, d = states.shape
        width = max(flow_map.dimension for flow_map in self.flow_maps.values())
        out = states.new_empty((n, n_steps + 1, width))
        out[:, 0, :d] = states
        self.fill(out, inputs)
        return out[:, :, :d]

    @torch.inference_mode()
    def fill(
        self, states: Tensor, inputs: InputsOf | None = None, engine: Engine | None = None
    ) -> None:
        """Fill in all states after the first, in place (paper, Algorithm 1).

        Parameters
        ----------
        states : Tensor, shape (n, n_steps + 1, d)
            States :attr:`spacing` apart. ``states[:, 0]`` holds the initial states; everything else
            is overwritten. Contiguous.
        inputs : callable, optional
            The inputs of the steps of a size; the last columns of ``states`` are room for them. A
            flow map of fewer features sees the first of them alone.
        engine : Engine, optional
            As :meth:`fused` returns it; steps in place of torch where there are no inputs.
        """
        n, length, n_states = states.shape
        if engine is not None and inputs is None and n_states == engine.dimension:
            filled = states.numpy()
            if engine(filled[:, 0].copy(), filled, check=engine.is_bounded):
                return
        along, row, item = states.stride()
        for size, group in itertools.groupby(stages(self.outputs, length - 1), lambda s: s.size):
            if inputs is not None:
                n_states = _write_inputs(states, inputs(size * self.spacing))
            spacing, first = size // self.outputs[size], next(group)
            width = self.flow_maps[size * self.spacing].dimension
            # None of a size takes more columns than the first.
            widest = n * first.columns
            with self._blocks(size * self.spacing, widest, states.dtype) as blocks:
                for stage in itertools.chain([first], group):
                    source = states[:, stage.begin :: stage.every, :width][:, : stage.columns]
                    target = states.as_strided(
                        (n, stage.columns, stage.count, n_states),
                        (along, stage.every * row, spacing * row, item),
                        states.storage_offset() + (stage.begin + spacing) * row,
                    )
                    blocks(source, target)

    @torch.inference_mode()
    def held(self, states: Tensor) -> Tensor | None:
        """Return which states were brought back to the bounds of the data.

        ``(n, length, d)`` to ``(n, length)``; None where no bounds are kept.
        """
        return next(iter(self.flow_maps.values())).held(states)

    def scale(self, size: int) -> Stepper:
        """Return a stepper of one of the scales, of the same settings."""
        return Stepper(
            {size: self.flow_maps[size]},
            rows_per_block=self.rows_per_block,
            batching=self.batching,
            compiled=self._compiled,
        )

    def fused(self, n_trajectories: int, n_steps: int) -> Engine | None:
        """Return what steps trajectories of ``n_steps`` x ``dt`` by machine code.

        None where torch is fast enough, or must step them: without the extra ``fast``, on other
        devices than a CPU, with nets.
        """
        if not fused.is_installed() or self._compiled is not None or self.device.type != "cpu":
            return None
        waiting = max(flow_map.stages for flow_map in self.flow_maps.values())
        seconds = self._cost(n_steps).seconds_by_torch(n_trajectories, waiting)
        if self.spacing > 1:
            width = next(iter(self.flow_maps.values())).dimension
            seconds += n_trajectories * n_steps * width * _SECONDS_BETWEEN
        if seconds < self.batching.fused_seconds:
            return None
        size = max((numbers.n_terms for numbers in self._numbers.values()), default=0)
        # Making long code takes more than little stepping.
        much = self.batching.fused_seconds * max(1.0, (size / _USUAL_TERMS) ** 2)
        return self.engine if seconds >= much else None

    @cached_property
    def _numbers(self) -> dict[int, Numbers]:
        return numbers_of(self.flow_maps)

    @cached_property
    def engine(self) -> Engine | None:
        """What steps by machine code, made when first asked for; None of flow maps without."""
        if self.dtype not in (torch.float32, torch.float64):
            return None
        known = self._numbers
        if not known:
            return None
        from pyhits.hierarchy.engine import Engine

        if not Engine.serves(known.values()):
            return None
        dtype = torch.empty(0, dtype=self.dtype).numpy().dtype
        maps = {size // self.spacing: numbers for size, numbers in known.items()}
        return Engine(maps, self.outputs, dtype)

    @property
    def is_compiled(self) -> bool:
        """Whether its code holds for one thread alone."""
        return self._compiled is not None

    def shares(self, n_trajectories: int, n_steps: int) -> int:
        """Return among how many threads trajectories of ``n_steps`` x ``dt`` may be divided."""
        coarser, depth = n_steps, 0
        for size in self.sizes[::-1]:
            depth += -(-coarser // size)
            coarser = size // self.flow_maps[size].outputs
        in_all = n_trajectories * n_steps // self.spacing
        # The finest fills in most states.
        return self.batching.shares(self.work[self.sizes[0]], in_all // max(1, depth), in_all)

    @contextmanager
    def _blocks(self, size: int, n_states: int, dtype: torch.dtype) -> Iterator[_Blocks]:
        """Lend buffers of one scale that step so many states, or as many as fit into caches."""
        bytes_each = self._bytes_each[size]
        if self.rows_per_block is not None:
            most = self.rows_per_block
        elif self.device.type != "cpu":
            most = _ROWS_OF_A_DEVICE
        else:
            most = self.batching.block_rows(bytes_each, torch.get_num_threads())
        rows = min(most, 1 << max(0, n_states - 1).bit_length())
        free = self._free.setdefault((size, rows, dtype), [])
        try:
            blocks = free.pop()
        except IndexError:  # the first, or others step in theirs
            blocks = _Blocks(self._stepped[size], rows, dtype, self.device)
        yield blocks
        # Of large ones one is enough on a CPU; devices have memory of their own at hand.
        is_small = rows * bytes_each <= self.batching.kept_bytes
        if is_small or (not free and self.device.type == "cpu"):
            free.append(blocks)


class _Blocks:
    """Steps a strided set of states in blocks of contiguous rows.

    It takes ``source``, a view ``(n, k, d)``, into ``target``, a view ``(n, k, count, d)``. A
    narrower ``target`` takes the first features alone.
    """

    def __init__(
        self, flow_map: FlowMap, rows: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.d, self.outputs = flow_map.dimension, flow_map.outputs
        self.rows = rows
        self.step = flow_map.stepper(rows)
        self.before = torch.empty(rows * self.d, dtype=dtype, device=device)
        self.after = torch.empty(rows * self.d * self.outputs, dtype=dtype, device=device)
        # Few shapes occur, and on few rows making views takes the time.
        self.views = lru_cache(maxsize=64)(self._views)

    def __call__(self, source: Tensor, target: Tensor) -> None:
        n, k, _ = source.shape
        if n * k <= self.rows:
            self._block(source, target)
            return
        columns = min(k, self.rows)
        together = max(1, self.rows // columns)
        for i in range(0, n, together):
            for j in range(0, k, columns):
                part = slice(i, i + together), slice(j, j + columns)
                self._block(source[part], target[part])

    def _block(self, source: Tensor, target: Tensor) -> None:
        n, k, d = source.shape
        before, states, after, inside = self.views(n, k)
        states.copy_(source)
        self.step(before, after)
        count, width = target.shape[2:]
        if count < self.outputs or width < d:
            inside = inside[:, :, :count, :width]
        target.copy_(inside)

    def _views(self, n: int, k: int) -> tuple[Tensor, ...]:
        """Return the buffers as rows and as blocks ``(n, k, ...)``, before and after a step."""
        rows, d = n * k, self.d
        before = self.before[: rows * d].view(rows, d)
        after = self.after[: rows * d * self.outputs].view(rows, self.outputs * d)
        return before, before.view(n, k, d), after, after.view(n, k, self.outputs, d)


def _write_inputs(states: Tensor, inputs: Tensor) -> int:
    """Write inputs into the last columns of all states; return how many columns come before."""
    n_states = states.shape[2] - inputs.shape[2]
    states[:, :, n_states:] = inputs
    return n_states


@torch.inference_mode()
def sequential(states: Tensor, stepper: Stepper, inputs: InputsOf | None = None) -> None:
    """Fill in all states after the first one after another: what Algorithm 1 computes, defined.

    State ``i`` comes from the coarsest flow map that reaches it, from the last multiple of its step
    size before i. This is the slow reference of :meth:`Stepper.fill`.
    """
    sizes = list(stepper.outputs)
    spacing = {size: size // outputs for size, outputs in stepper.outputs.items()}
    given = {} if inputs is None else {s: inputs(s * stepper.spacing) for s in sizes}
    n_states = states.shape[2] - (given[sizes[0]].shape[2] if given else 0)
    for i in range(1, states.shape[1]):
        size = next(s for s in sizes if i % spacing[s] == 0)
        start = (i - 1) // size * size
        if given:
            states[:, start, n_states:] = given[size][:, start]
        flow_map = stepper.flow_maps[size * stepper.spacing]
        before = states[:, start, : flow_map.dimension]
        after = flow_map.within(before)[:, (i - start) // spacing[size] - 1]
        states[:, i, :n_states] = after[:, :n_states]


def _kind(flow_maps: Mapping[int, FlowMap]) -> tuple[torch.dtype, torch.device]:
    """Return dtype and device of the states that flow maps step."""
    for flow_map in flow_maps.values():
        for tensor in (*flow_map.parameters(), *flow_map.buffers()):
            if tensor.is_floating_point():
                return tensor.dtype, tensor.device
    return torch.float32, torch.device("cpu")
