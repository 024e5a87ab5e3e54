"""The linear part of a model: oscillations, how they grow, and what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits import plots
from pyhits.baselines.polynomial import Linear
from pyhits.data.grid import Grid
from pyhits.errors import ArgumentError
from pyhits.forecasting.fitted import FittedModel
from pyhits.util.card import card

#: Modes that tables list.
_LISTED = 12

#: Change over a step, as a part of a state, below which there is none.
_STILL = 1e-10


@dataclass(frozen=True, eq=False, repr=False)
class Modes:
    """Modes of the best linear map of the training data, one for each conjugate pair.

    Attributes
    ----------
    frequencies : array, shape (k,)
        In cycles per unit of ``dt``, the slowest decaying mode first.
    growth_rates : array, shape (k,)
        Per unit of ``dt``: negative for modes that decay.
    shapes : complex array, shape (k, d)
        In the user's features, of norm 1; the imaginary part comes a quarter of a cycle before.
    feature_names : tuple of str
    grid : Grid or None
    """

    frequencies: np.ndarray
    growth_rates: np.ndarray
    shapes: np.ndarray
    feature_names: tuple[str, ...]
    grid: Grid | None = None

    def __len__(self) -> int:
        """Return the number of modes."""
        return len(self.frequencies)

    def __repr__(self) -> str:
        """Return one line."""
        return f"Modes({len(self)} of {len(self.feature_names)} features)"

    def __str__(self) -> str:
        """Return a table."""
        rows = ["  ".join(f"{cell:>12}" for cell in row) for row in self._cells()]
        return "\n".join(rows)

    def _repr_html_(self) -> str:
        return card(repr(self), {}, self._cells())

    def _cells(self) -> list[list[str]]:
        heading = ["mode", "frequency", "period", "growth rate"]
        rows = zip(self.frequencies[:_LISTED], self.growth_rates[:_LISTED], strict=True)
        return [heading] + [
            [str(k), f"{f:.5g}", f"{1 / f:.5g}" if f > 0 else "-", f"{g:.4g}"]
            for k, (f, g) in enumerate(rows)
        ]

    def plot(self, numbers: Sequence[int] = (0, 1, 2), *, ax: Any = None) -> Any:
        """Draw some modes: fields as pictures a quarter of a cycle apart, features as bars.

        Parameters
        ----------
        numbers : sequence of int
        ax : array of Axes, or Figure, optional

        Returns
        -------
        array of Axes
        """
        some = [k for k in numbers if 0 <= k < len(self)]
        if not some:
            raise ArgumentError(f"There are {len(self)} modes, none of them numbered {numbers}.")
        shapes = [np.stack([self.shapes[k].real, self.shapes[k].imag]) for k in some]
        titles = [f"mode {k}, frequency {self.frequencies[k]:.3g}" for k in some]
        return plots.mode_shapes(shapes, titles, self.feature_names, self.grid, ax=ax)


def modes(model: FittedModel) -> Modes:
    """Return the modes of a model's linear map; see :meth:`pyhits.TimeStepper.modes`."""
    known = {} if model.baselines is None else model.baselines.by_kind
    linear = known.get("linear")
    if not isinstance(linear, Linear) or linear.n_inputs:
        raise ArgumentError(
            "There is no linear map of these data: they are too many, or inputs act on them."
        )
    matrix = np.eye(len(linear.scaling_.scale_)) + linear.map_.weights[1:].T
    values, vectors = np.linalg.eig(matrix)
    # One of each conjugate pair, and none of the directions that the data never moved in.
    whole = (np.abs(values) > 0) & (values.imag >= 0) & (np.abs(values - 1) > _STILL)
    values, vectors = values[whole], vectors[:, whole]
    exponents = np.log(values) / model.dt
    order = np.argsort(-exponents.real, kind="stable")
    coordinates = (vectors[:, order] * linear.scaling_.scale_[:, None]).T
    shapes = _decoded(model, coordinates)
    norms = np.linalg.norm(shapes, axis=1, keepdims=True)
    return Modes(
        exponents.imag[order] / (2 * np.pi),
        exponents.real[order],
        shapes / np.where(norms > 0, norms, 1.0),
        model.feature_names,
        model.coordinates.grid,
    )


def _decoded(model: FittedModel, directions: np.ndarray) -> np.ndarray:
    """Return directions of the coordinates, ``(k, n)``, in the user's features, ``(k, d)``."""
    if model.encoder is None:
        return directions
    centre = np.asarray(model.scaling.mean_, dtype=np.float64)
    size = 1e-3 * float(np.mean(model.scaling.scale_))
    length = np.linalg.norm(directions, axis=1, keepdims=True)
    parts = []
    for part in (directions.real, directions.imag):
        moved = centre + size * part / length
        parts.append(model.encoder.inverse_transform(np.concatenate([moved, centre[None]])))
    found = [np.asarray(rows[:-1] - rows[-1]) / size for rows in parts]
    return np.asarray((found[0] + 1j * found[1]) * length)
