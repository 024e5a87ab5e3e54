"""What users say of the grid of their data, and the data as rows of it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Self, TypeGuard

from pyhits.data.grid import MOST_AXES, Grid, as_lengths
from pyhits.errors import ArgumentError

#: Stands for data that lie on no grid, and for snapshots whose shape is found out.
NONE, AUTO = "none", "auto"

#: The words for edges, as a line has them and a ring does not.
_EDGES = {"line": False, "ring": True}

#: A last axis of so few numbers, after two others, is of channels: no flow has three layers.
_MOST_CHANNELS = 4


@dataclass(frozen=True)
class DeclaredGrid:
    """A grid as it was declared, before the data are seen."""

    grid: Grid | None = None  # the whole of it
    #: Or its axes, and perhaps channels, alone; empty where nothing says them.
    shape: tuple[int, ...] = ()
    edges: tuple[bool, ...] = ()  # whether axes are periodic: one for all, one each, or empty
    is_none: bool = False  # the rows lie on no grid for certain

    @classmethod
    def of(cls, given: Any) -> Self:
        """Read a Grid, a shape, or a text: ``"64x64"``, ``"ring"``, ``"64x64,ring,line"``.

        ``"ring"`` are periodic edges, ``"line"`` are others, of all axes or of each; ``"none"`` is
        no grid, and None says nothing.

        Raises ArgumentError.
        """
        if given is None or isinstance(given, Grid):
            return cls(given)
        if not isinstance(given, str):
            lengths = as_lengths(given)
            if not 1 <= len(lengths) <= MOST_AXES + 1:
                raise ArgumentError(
                    f"Expected a grid of 1 to {MOST_AXES} axes, and channels, got {lengths}."
                )
            return cls(shape=lengths)
        if given == NONE:
            return cls(is_none=True)
        first, *rest = (part.strip() for part in given.split(","))
        is_shape = re.fullmatch(r"[1-9]\d*(x[1-9]\d*){0,3}", first) is not None
        words = rest if is_shape else [first, *rest]
        if not set(words) <= set(_EDGES) or len(words) > MOST_AXES:
            raise ArgumentError(
                "Expected a grid as a Grid, a shape such as (64, 64), or a text: '64x64', 'ring' "
                f"or 'line' for the edges, both as '64x64,ring,line', or 'none'; got {given!r}."
            )
        shape = tuple(map(int, first.split("x"))) if is_shape else ()
        return cls(shape=shape, edges=tuple(_EDGES[word] for word in words))

    def __bool__(self) -> bool:
        """Whether anything was declared."""
        return self.is_none or self.grid is not None or bool(self.shape or self.edges)

    def rows(self, data: Any) -> Any:
        """Return arrays whose last axes are this grid's as rows, and everything else as it is."""
        if hasattr(data, "dims") or hasattr(data, "columns"):
            return data
        if isinstance(data, (list, tuple)):
            return (
                [self.rows(item) for item in data] if data and hasattr(data[0], "shape") else data
            )
        n = self.n_row_axes(tuple(getattr(data, "shape", ())))
        return _joined(data, n)

    def n_row_axes(self, shape: tuple[int, ...]) -> int:
        """Return how many of an array's last axes are those of a row: 1 where that is not said."""
        sizes = self.shape if self.grid is None else self.grid.shape
        if not sizes:
            return 1
        n = len(sizes)
        several = self.grid is not None and self.grid.n_channels > 1
        if shape[-n:] == sizes and not several:
            return n
        channels = shape[-1] if self.grid is None and shape else self._n_channels
        return n + 1 if len(shape) > n and shape[-n - 1 :] == (*sizes, channels) else 1

    @property
    def _n_channels(self) -> int:
        return 1 if self.grid is None else self.grid.n_channels

    def of_rows(self, n_features: int, own: Grid | None) -> Grid | None:
        """Return the grid of rows of so many numbers.

        Raises ArgumentError: the grid is of other numbers.

        Parameters
        ----------
        own : Grid or None
            What the data themselves say.
        """
        own = own if own is not None and own.n_features == n_features else None
        if self.is_none:
            return None
        if self.grid is not None:
            found = self.grid
            if found.n_features != n_features:
                raise ArgumentError(_other_size(n_features, found.size_name(), found.n_features))
            is_bare = not found.state() and found == Grid(
                found.shape, found.n_channels, periodic=found.periodic
            )
            return own.with_edges(*found.periodic) if is_bare and _alike(own, found) else found
        if self.shape:
            found = _of_shape(self.shape, n_features)
            own = own if _alike(own, found) else found
        elif self.edges and own is None:
            own = Grid((n_features,))
        return own.with_edges(*self.edges) if own is not None and self.edges else own


def _alike(own: Grid | None, other: Grid) -> TypeGuard[Grid]:
    """Tell whether there is a grid, of the other's points and channels."""
    return own is not None and own.snapshot == other.snapshot and own.n_axes == other.n_axes


def _of_shape(shape: tuple[int, ...], n_features: int) -> Grid:
    """Return the grid that a shape says, whose last axis may be of channels."""
    size = math.prod(shape)
    few = len(shape) == MOST_AXES and shape[-1] <= _MOST_CHANNELS
    if size == n_features and (few or len(shape) > MOST_AXES):
        return Grid(shape[:-1], shape[-1])
    if n_features % size or len(shape) > MOST_AXES:
        raise ArgumentError(_other_size(n_features, str(shape), size))
    return Grid(shape, n_features // size)


def _other_size(n_features: int, what: str, size: int) -> str:
    return f"Expected the grid of rows of {n_features} numbers, got {what}, which holds {size}."


def _joined(data: Any, n: int) -> Any:
    """Return an array, or a tensor, with its last ``n`` axes as one."""
    return data if n == 1 else data.reshape(*data.shape[:-n], -1)
