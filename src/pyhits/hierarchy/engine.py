"""Algorithm 1: coarse steps first, every finer scale filling in between them, vectorised."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pyhits.errors import ArgumentError
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.nesting import chain

#: Returns what steps of a size are told about inputs, beginning at each state; (n, length, k).
InputsOf = Callable[[int], Tensor]

#: Bytes that one layer of a block may take, as measured: larger ones leave the caches, smaller ones
#: spend the time on calls.
_CACHE_BYTES = 2 << 20

#: Multiply-adds of one step of a batch from which two threads gain, as measured, and the bounds of
#: the number of rows that it may come to.
_WORK_TO_SHARE, _ROWS_TO_SHARE = 6_000_000, (64, 4_096)

#: So many such steps must each thread have at least, or starting it does not pay.
_STEPS_TO_SHARE = 32


def resolution(flow_maps: Mapping[int, FlowMap]) -> int:
    """Return the spacing of the states that coupled flow maps fill in, checked to be even.

    A dense flow map of step size s and m outputs fills in every multiple of s / m.

    Raises
    ------
    ArgumentError
        As :func:`chain`; or a step size lies inside the step of a coarser, dense flow map.
    """
    sizes = chain(flow_maps)
    spacing = {}
    for size in sizes:
        outputs = flow_maps[size].outputs
        if size % outputs:
            raise ArgumentError(f"Step size {size} cannot hold {outputs} states evenly.")
        spacing[size] = size // outputs
    for fine, coarse in itertools.pairwise(sizes):
        if spacing[coarse] % fine or spacing[coarse] == spacing[fine]:
            raise ArgumentError(
                f"Step size {fine} lies inside the step of {coarse}, whose flow map returns the "
                f"states every {spacing[coarse]} x dt itself: leave one of them out."
            )
    return spacing[sizes[0]]


def block_rows(flow_map: FlowMap, states: Tensor) -> int:
    """Return how many of ``states`` to step at once, so that activations stay in cache."""
    if states.device.type != "cpu":
        return 1 << 20
    bytes_each = flow_map.width * states.element_size()
    return int(max(256, _CACHE_BYTES * torch.get_num_threads() // bytes_each))


@dataclass(frozen=True)
class Stage:
    """Steps that do not depend on each other and are taken at once.

    Attributes
    ----------
    size : int
        Step size of the flow map that takes them.
    begin, every : int
        They start from every ``every``-th state from ``begin`` on.
    columns : int
        How many of these there are in each trajectory.
    count : int
        The first ``count`` outputs of each step are written; what a coarser scale has filled in
        already is left as it is.
    """

    size: int
    begin: int
    every: int
    columns: int
    count: int


def stages(flow_maps: Mapping[int, FlowMap], n_steps: int) -> Iterator[Stage]:
    """Yield the stages that fill in ``n_steps`` states, in the order of Algorithm 1."""
    coarser: int | None = None
    for size in reversed(chain(flow_maps)):
        outputs = flow_maps[size].outputs
        spacing = size // outputs
        every = coarser or n_steps
        for begin in range(0, min(every, n_steps), size):
            # The end of the last step between two coarse states is the second of these.
            count = outputs - 1 if coarser == begin + size else outputs
            if count == 0:
                continue
            columns = max(0, (n_steps - begin - count * spacing) // every + 1)
            if columns:
                yield Stage(size, begin, every, columns, count)
            last = begin + columns * every
            count = min(count, (n_steps - last) // spacing) if last < n_steps else 0
            if count:
                yield Stage(size, last, every, 1, count)
        coarser = spacing


def worthwhile_shares(flow_maps: Mapping[int, FlowMap], n_trajectories: int, n_steps: int) -> int:
    """Return among how many threads a batch of trajectories may be divided to gain by it.

    Python's lock makes threads wait for each other at every operation of a step, which costs more
    than is gained unless the step has rows enough.
    """
    coarser, depth = n_steps, 0
    for size in reversed(chain(flow_maps)):
        depth += -(-coarser // size)
        coarser = size // flow_maps[size].outputs
    rows = n_trajectories * n_steps // max(1, depth)
    work = flow_maps[min(flow_maps)].multiply_adds  # the finest fills in most states
    enough = min(max(_WORK_TO_SHARE // max(1, work), _ROWS_TO_SHARE[0]), _ROWS_TO_SHARE[1])
    in_all = n_trajectories * n_steps // (_STEPS_TO_SHARE * enough)
    return max(1, min(2 * rows // enough, in_all))


@torch.inference_mode()
def fill(
    states: Tensor,
    flow_maps: Mapping[int, FlowMap],
    *,
    rows_per_block: int | None = None,
    inputs: InputsOf | None = None,
) -> None:
    """Fill in all states after the first, in place (paper, Algorithm 1).

    Parameters
    ----------
    states : Tensor, shape (n, n_steps + 1, d)
        ``states[:, 0]`` holds the initial states; everything else is overwritten. Contiguous.
    flow_maps : mapping of int to FlowMap
        By step size; the finest must fill in every state and each must divide the next coarser.
    rows_per_block : int, optional
        States stepped at once; by default chosen from the shapes.
    inputs : callable, optional
        What the steps of a size are told; the last columns of ``states`` are room for it.
    """
    finest = resolution(flow_maps)
    if finest != 1:
        raise ArgumentError(f"The finest step size to fill with must be 1, got {finest}.")
    n, length, n_states = states.shape
    along, row, item = states.stride()
    for size, same in itertools.groupby(stages(flow_maps, length - 1), lambda s: s.size):
        flow_map = flow_maps[size]
        if inputs is not None:
            n_states = _tell(states, inputs(size))
        blocks = _Blocks(flow_map, states, rows_per_block or block_rows(flow_map, states))
        spacing = size // flow_map.outputs
        for stage in same:
            source = states[:, stage.begin :: stage.every][:, : stage.columns]
            target = states.as_strided(
                (n, stage.columns, stage.count, n_states),
                (along, stage.every * row, spacing * row, item),
                states.storage_offset() + (stage.begin + spacing) * row,
            )
            blocks(source, target)


class _Blocks:
    """Steps a strided set of states in blocks of contiguous rows."""

    def __init__(self, flow_map: FlowMap, like: Tensor, rows: int) -> None:
        n, length, d = like.shape
        self.rows = min(rows, n * length)
        self.step = flow_map.stepper(self.rows)
        self.outputs = flow_map.outputs
        self.before = like.new_empty(self.rows * d)
        self.after = like.new_empty(self.rows * d * self.outputs)

    def __call__(self, source: Tensor, target: Tensor) -> None:
        """Step ``source``, a view ``(n, k, d)``, into ``target``, a view ``(n, k, count, d)``.

        A narrower ``target`` takes the first features alone.
        """
        n, k, d = source.shape
        count, kept = target.shape[2:]
        columns = min(k, self.rows)
        together = max(1, self.rows // columns)
        for i in range(0, n, together):
            for j in range(0, k, columns):
                block = source[i : i + together, j : j + columns]
                here, across, _ = block.shape
                rows = here * across
                before = self.before[: rows * d].view(rows, d)
                after = self.after[: rows * d * self.outputs].view(rows, self.outputs * d)
                before.view(block.shape).copy_(block)
                self.step(before, after)
                inside = after.view(here, across, self.outputs, d)[:, :, :count, :kept]
                target[i : i + together, j : j + columns].copy_(inside)


def _tell(states: Tensor, inputs: Tensor) -> int:
    """Write inputs into the last columns of all states; return how many columns come before."""
    n_states = states.shape[2] - inputs.shape[2]
    states[:, :, n_states:] = inputs
    return n_states


@torch.inference_mode()
def sequential(
    states: Tensor, flow_maps: Mapping[int, FlowMap], *, inputs: InputsOf | None = None
) -> None:
    """Fill in all states after the first one after another: what Algorithm 1 computes, defined.

    State ``i`` comes from the coarsest flow map that reaches it, from the last multiple of its step
    size before i. Arguments are those of :func:`fill`; this is its slow reference.
    """
    sizes = chain(flow_maps)[::-1]
    spacing = {size: size // flow_maps[size].outputs for size in sizes}
    told = {} if inputs is None else {size: inputs(size) for size in sizes}
    n_states = states.shape[2] - (told[sizes[0]].shape[2] if told else 0)
    for i in range(1, states.shape[1]):
        size = next(s for s in sizes if i % spacing[s] == 0)
        start = (i - 1) // size * size
        if told:
            states[:, start, n_states:] = told[size][:, start]
        after = flow_maps[size].within(states[:, start])[:, (i - start) // spacing[size] - 1]
        states[:, i, :n_states] = after[:, :n_states]
