"""Algorithm 1: coarse steps first, every finer scale filling in between them, vectorised."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from pyhits.checks import as_count
from pyhits.errors import ArgumentError
from pyhits.flowmaps import FlowMap

#: Step sizes beyond it would overflow row numbers.
_LARGEST_STEP = 1 << 40

#: Bytes that one block's activations may take: they should stay in a core's cache.
_CACHE_BYTES = 1 << 20


def chain(step_sizes: Iterable[int]) -> list[int]:
    """Return step sizes in rising order, checked to be a hierarchy.

    Raises
    ------
    ArgumentError
        There are none, one repeats, or one does not divide the next coarser.
    """
    try:
        sizes = sorted(as_count(s, "a step size") for s in step_sizes)
    except TypeError:
        raise ArgumentError(f"Expected step sizes such as [1, 2, 4], got {step_sizes!r}.") from None
    if not sizes:
        raise ArgumentError("Expected at least one step size, got none.")
    if sizes[-1] > _LARGEST_STEP:
        raise ArgumentError(f"Step size {sizes[-1]} is longer than any recording.")
    for fine, coarse in itertools.pairwise(sizes):
        if fine == coarse:
            raise ArgumentError(f"Step size {fine} is given twice.")
        if coarse % fine:
            raise ArgumentError(
                f"Step size {fine} does not divide the next coarser, {coarse}; coupled step sizes "
                "must nest, such as 1, 2, 4 or 1, 5, 25."
            )
    return sizes


def block_rows(flow_map: FlowMap, states: Tensor) -> int:
    """Return how many of ``states`` to step at once, so that activations stay in cache."""
    if states.device.type != "cpu":
        return 1 << 20
    bytes_each = flow_map.width * states.element_size()
    return int(max(256, _CACHE_BYTES * torch.get_num_threads() // bytes_each))


def fill(
    states: Tensor, flow_maps: Mapping[int, FlowMap], *, rows_per_block: int | None = None
) -> None:
    """Fill in all states after the first, in place (paper, Algorithm 1).

    Parameters
    ----------
    states : Tensor, shape (n, n_steps + 1, d)
        ``states[:, 0]`` holds the initial states; everything else is overwritten.
    flow_maps : mapping of int to FlowMap
        By step size; the finest must be 1 and each must divide the next coarser.
    rows_per_block : int, optional
        States stepped at once; by default chosen from the shapes.
    """
    sizes = chain(flow_maps)
    if sizes[0] != 1:
        raise ArgumentError(f"The finest step size to fill with must be 1, got {sizes[0]}.")
    threads = torch.get_num_threads()
    shares = min(threads, len(states) // 2)
    if states.device.type != "cpu" or shares < 2:
        _fill(states, flow_maps, sizes, rows_per_block)
        return

    def work(part: Tensor) -> None:
        # One thread of torch's a share: no barrier after every small operation, and no waiting
        # where other programs use the cores too. The setting belongs to the calling thread.
        torch.set_num_threads(1)
        _fill(part, flow_maps, sizes, rows_per_block)

    with ThreadPoolExecutor(shares) as pool:
        list(pool.map(work, states.tensor_split(shares)))


@torch.inference_mode()
def _fill(
    states: Tensor,
    flow_maps: Mapping[int, FlowMap],
    sizes: list[int],
    rows_per_block: int | None,
) -> None:
    n_steps = states.shape[1] - 1
    coarser: int | None = None
    for size in reversed(sizes):
        rows = rows_per_block or block_rows(flow_maps[size], states)
        stepper = _Blocks(flow_maps[size], states, rows)
        if coarser is None:
            for k in range(size, n_steps + 1, size):
                stepper(states[:, k - size : k - size + 1], states[:, k : k + 1])
        else:
            for k in range(size, min(coarser, n_steps + 1), size):
                target = states[:, k::coarser]
                stepper(states[:, k - size :: coarser][:, : target.shape[1]], target)
        coarser = size


class _Blocks:
    """Steps a strided set of states in blocks of contiguous rows."""

    def __init__(self, flow_map: FlowMap, like: Tensor, rows: int) -> None:
        n, length, d = like.shape
        self.rows = min(rows, n * length)
        self.step = flow_map.stepper(self.rows)
        self.before = like.new_empty(self.rows * d)
        self.after = like.new_empty(self.rows * d)

    def __call__(self, source: Tensor, target: Tensor) -> None:
        """Step ``source`` into ``target``, both ``(n, k, d)`` views."""
        n, k, d = source.shape
        columns = min(k, self.rows)
        together = max(1, self.rows // max(1, columns))
        for i in range(0, n, together):
            for j in range(0, k, columns):
                block = source[i : i + together, j : j + columns]
                count = block.shape[0] * block.shape[1]
                before = self.before[: count * d].view(count, d)
                after = self.after[: count * d].view(count, d)
                before.view(block.shape).copy_(block)
                self.step(before, after)
                target[i : i + together, j : j + columns].copy_(after.view(block.shape))


@torch.inference_mode()
def sequential(states: Tensor, flow_maps: Mapping[int, FlowMap]) -> None:
    """Fill in all states after the first one after another: what Algorithm 1 computes, defined.

    State ``i`` is one step ``s`` from state ``i - s``, with s the largest step size that divides
    i. Arguments are those of :func:`fill`; this is its slow reference.
    """
    sizes = chain(flow_maps)[::-1]
    for i in range(1, states.shape[1]):
        size = next(s for s in sizes if i % s == 0)
        states[:, i] = flow_maps[size](states[:, i - size])
