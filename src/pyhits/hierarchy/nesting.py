"""Step sizes that nest: each divides the next coarser."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from pyhits.errors import ArgumentError
from pyhits.util.checks import as_count, shown

#: Step sizes beyond it would overflow row numbers.
_LARGEST_STEP = 1 << 40


def chain(step_sizes: Iterable[int]) -> list[int]:
    """Return step sizes in rising order, checked to be a hierarchy.

    Raises ArgumentError: there are none, one repeats, or one does not divide the next coarser.
    """
    try:
        sizes = sorted(as_count(s, "a step size", most=None) for s in step_sizes)
    except TypeError:
        raise ArgumentError(f"Expected step sizes such as [1, 2, 4], got {step_sizes!r}.") from None
    if not sizes:
        raise ArgumentError("Expected at least one step size, got none.")
    if sizes[-1] > _LARGEST_STEP:
        raise ArgumentError(f"Step size {shown(sizes[-1])} is longer than any recording.")
    for fine, coarse in itertools.pairwise(sizes):
        if fine == coarse:
            raise ArgumentError(f"Step size {fine} is given twice.")
        if coarse % fine:
            raise ArgumentError(
                f"Step size {fine} does not divide the next coarser, {coarse}; coupled step sizes "
                "must nest, such as 1, 2, 4 or 1, 5, 25."
            )
    return sizes
