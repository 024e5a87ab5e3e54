"""The stages of Algorithm 1: which steps wait for which, and which are taken at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from pyhits.errors import ArgumentError
from pyhits.hierarchy.nesting import chain


class HasOutputs(Protocol):
    """A flow map, as far as stages depend on it."""

    outputs: int


def resolution(flow_maps: Mapping[int, HasOutputs]) -> int:
    """Return the spacing of the states that coupled flow maps fill in, checked to be even.

    A dense flow map of step size s and m outputs fills in every multiple of s / m.

    Raises ArgumentError: as :func:`chain`; or a step size lies inside the step of a coarser, dense
    flow map.
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


@dataclass(frozen=True)
class Stage:
    """Steps that do not depend on each other and are taken at once."""

    size: int  # step size of the flow map that takes them
    #: begin, every: They start from every ``every``-th state from ``begin`` on.
    begin: int
    every: int
    columns: int  # how many of these there are in each trajectory
    #: The first ``count`` outputs of each step are written; what a coarser scale has filled in
    #: already is left as it is.
    count: int


def stages(outputs: Mapping[int, int], n_steps: int) -> Iterator[Stage]:
    """Yield the stages that fill in ``n_steps`` states, in the order of Algorithm 1.

    Parameters
    ----------
    outputs : mapping of int to int
        States inside one step of each scale, by step size.
    """
    coarser: int | None = None
    for size in sorted(outputs, reverse=True):
        n_outputs = outputs[size]
        spacing = size // n_outputs
        every = coarser or n_steps
        for begin in range(0, min(every, n_steps), size):
            # The end of the last step between two coarse states is the second of these.
            count = n_outputs - 1 if coarser == begin + size else n_outputs
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
