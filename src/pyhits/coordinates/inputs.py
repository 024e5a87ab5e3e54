"""Inputs as users give them: columns of the data, arrays in time, or constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import as_numeric
from pyhits.util.schema import Either, Flag, Many, Record, Schema, Text, Whole
from pyhits.util.stored import Array, Stored

#: Rows back that the values of an input act from, one entry an input: 0 is the row itself.
Lags = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Inputs(Stored):
    """The inputs of a model: when they act, how they are scaled, and the range they were seen in.

    Flow maps see the columns of :meth:`delayed`: each input so many rows back as it acts from.
    """

    schema: ClassVar[Schema] = Many(
        Either(
            {
                str: Text(),
                dict: Record({"name": Text(), "lags": Many(Whole(), 1), "varies": Flag()}),
            },
            "a name, or a name with lags",
        ),
        1,
    )
    arrays: ClassVar[Mapping[str, Array]] = {"mean|scale|low|high": Array()}

    names: tuple[str, ...]
    #: mean, scale: (k,); flow maps see ``(u - mean) / scale``.
    mean: np.ndarray
    scale: np.ndarray
    #: low, high: (k,); extremes in the training data.
    low: np.ndarray
    high: np.ndarray
    lags: Lags  # rows back of each input
    #: Whether each input varies within a trajectory; else it is a parameter.
    varying: tuple[bool, ...]

    @classmethod
    def of(
        cls, names: Sequence[str], values: np.ndarray, offsets: np.ndarray, lags: Lags | None = None
    ) -> Inputs:
        """Measure inputs of shape ``(n_rows, k)`` of packed trajectories."""
        scaling = Standardise().fit(values)
        return cls(
            tuple(names),
            scaling.mean_,
            scaling.scale_,
            values.min(axis=0).astype(float),
            values.max(axis=0).astype(float),
            ((0,),) * len(names) if lags is None else lags,
            tuple(bool(one) for one in varies(values, offsets)),
        )

    def plain(self) -> dict[str, Any]:
        """Return the names, with lags where there are any."""
        each = zip(self.names, self.lags, self.varying, strict=True)
        return {
            "inputs": [
                name
                if lags == (0,) and varies
                else {"name": name, "lags": list(lags), "varies": varies}
                for name, lags, varies in each
            ]
        }

    def state(self) -> dict[str, np.ndarray]:
        """Return scaling and range."""
        return {name: getattr(self, name) for name in ("mean", "scale", "low", "high")}

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Inputs:
        """Return inputs from what :meth:`plain` and :meth:`state` have returned."""
        each = [one if isinstance(one, dict) else {"name": one} for one in plain["inputs"]]
        return cls(
            names=tuple(one["name"] for one in each),
            lags=tuple(tuple(one.get("lags", (0,))) for one in each),
            varying=tuple(one.get("varies", True) for one in each),
            **state,
        )

    @staticmethod
    def counts(inputs: Sequence[Any]) -> tuple[int, int]:
        """Return how many means and trends a step sees, by what :meth:`plain` says of inputs."""
        each = [one if isinstance(one, dict) else {} for one in inputs]
        lags = [len(one.get("lags", (0,))) for one in each]
        varying = [one.get("varies", True) for one in each]
        return sum(lags), sum(n for n, varies in zip(lags, varying, strict=True) if varies)

    @property
    def memory(self) -> int:
        """Rows before a state whose inputs act from it on."""
        return max(max(lags) for lags in self.lags)

    @property
    def column_inputs(self) -> list[int]:
        """Number of the input that each column of :meth:`delayed` is of."""
        return [k for k, lags in enumerate(self.lags) for _ in lags]

    @property
    def trends(self) -> list[int]:
        """Columns of inputs that vary: steps of many rows see their trends, too."""
        return [j for j, k in enumerate(self.column_inputs) if self.varying[k]]

    @property
    def n_columns(self) -> int:
        """Number of the columns of :meth:`delayed`: the mean over a step is seen of each."""
        return len(self.column_inputs)

    def delayed(self, values: np.ndarray) -> np.ndarray:
        """Return each input so many rows back as it acts from.

        Returns array, shape (..., n_rows - memory, n_columns): row i holds what acts from row ``i +
        memory`` on.

        Parameters
        ----------
        values : array, shape (..., n_rows, k)
            Of one trajectory.
        """
        memory = self.memory
        if memory == 0:
            return values[..., self.column_inputs]
        n_rows = values.shape[-2] - memory
        pairs = [(k, memory - lag) for k, lags in enumerate(self.lags) for lag in lags]
        return np.stack([values[..., b : b + n_rows, k] for k, b in pairs], axis=-1)

    def delayed_packed(self, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return :meth:`delayed` on all rows of packed trajectories, ``(n_rows, n_columns)``.

        Before its first row a trajectory's inputs are held.
        """
        if self.memory == 0:
            return values[:, self.column_inputs]
        first = np.repeat(offsets[:-1], np.diff(offsets))
        rows = np.arange(len(values))
        pairs = [(k, lag) for k, lags in enumerate(self.lags) for lag in lags]
        return np.stack([values[np.maximum(rows - lag, first), k] for k, lag in pairs], axis=1)

    def scaled(self, columns: np.ndarray) -> np.ndarray:
        """Return ``columns``, shape ``(..., n_columns)``, as flow maps see them, float64."""
        of = self.column_inputs
        return np.asarray((columns - self.mean[of]) / self.scale[of])

    def outside(self, values: np.ndarray) -> list[str]:
        """Return the names of the inputs that leave the range they were seen in."""
        flat = values.reshape(-1, len(self.names))
        margin = 1e-9 * np.maximum(np.abs(self.low), np.abs(self.high))
        bad = (flat.min(axis=0) < self.low - margin) | (flat.max(axis=0) > self.high + margin)
        return [name for name, is_bad in zip(self.names, bad, strict=True) if is_bad]


def varies(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return which inputs ``(n_rows, k)`` vary within a trajectory, shape ``(k,)``."""
    first = np.repeat(offsets[:-1], np.diff(offsets))
    return np.asarray((values != values[first]).any(axis=0))


def acting(inputs: Any, names: Sequence[str], n: int, n_steps: int) -> np.ndarray:
    """Return the inputs of a forecast, shape ``(n, n_steps, k)``, or ``(1, n_steps, k)`` for all.

    Raises ArgumentError: there are none, or too few rows, or the shape may mean two things.
    Raises DataError: a value is not finite.

    Parameters
    ----------
    inputs : array, mapping of str to array, DataFrame or Trajectories
        ``(n_steps, k)`` acts on all trajectories alike; ``(n, n_steps, k)`` on each; ``(k,)``, and
        ``(n, 1, k)`` for each, are held all the time. One input needs no last axis. A mapping has
        such arrays, without it, by name. Later rows are not looked at.
    n, n_steps : int
        Trajectories and steps of the forecast.
    """
    listed = ", ".join(names)
    if inputs is None:
        raise ArgumentError(
            f"This model takes inputs ({listed}): give them as inputs=... (--inputs)."
        )
    values = _rows(inputs, names, n, n_steps)
    if values.shape[1] < n_steps:
        raise ArgumentError(
            f"The forecast takes {n_steps} steps, but the inputs ({listed}) are given for "
            f"{values.shape[1]}."
        )
    return values[:, :n_steps]


def last_inputs(past: Any, names: Sequence[str], n: int, n_rows: int) -> np.ndarray:
    """Return inputs before the initial states, ``(n or 1, n_rows, k)``: the last of those given.

    Raises ArgumentError, DataError: as :func:`acting`.

    Parameters
    ----------
    past, names, n
        As in :func:`acting`.
    n_rows : int
        How many are needed.
    """
    values = _rows(past, names, n, n_rows)
    if values.shape[1] < n_rows:
        raise ArgumentError(
            f"Inputs act up to {n_rows} rows later, but past_inputs are given for "
            f"{values.shape[1]}."
        )
    return values[:, -n_rows:]


def _rows(inputs: Any, names: Sequence[str], n: int, n_steps: int) -> np.ndarray:
    """Return inputs as they are given, ``(n or 1, rows, k)``; constants on ``n_steps`` rows."""
    k = len(names)
    listed = ", ".join(names)
    if isinstance(inputs, Trajectories):
        values = inputs.select(names).to_array()
    elif isinstance(inputs, Mapping) or hasattr(inputs, "columns"):
        missing = [name for name in names if name not in inputs]
        if missing:
            raise ArgumentError(f"The inputs lack {missing[0]!r}; the model takes {listed}.")
        arrays = [np.asarray(inputs[name], dtype=np.float64)[..., None] for name in names]
        each = [_shaped(array, 1, n, n_steps) for array in arrays]
        values = np.concatenate(np.broadcast_arrays(*each), axis=-1)
    else:
        values = as_numeric(inputs, what="The inputs").astype(np.float64)
        if k == 1 and (values.ndim == 0 or values.shape[-1] != 1 or values.ndim == 1):
            values = values[..., None]
        values = _shaped(values, k, n, n_steps)
    if len(values) not in (1, n):
        raise ArgumentError(f"Expected inputs of 1 or {n} trajectories, got {len(values)}.")
    if values.shape[1] == 1:
        values = np.broadcast_to(values, (len(values), n_steps, k))
    if not np.isfinite(values).all():
        trajectory, row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise DataError(
            f"Input {names[column]!r} is {values[trajectory, row, column]} in row {row} of "
            f"trajectory {trajectory}."
        )
    return values


def _shaped(values: np.ndarray, k: int, n: int, n_steps: int) -> np.ndarray:
    """Return ``(1 or n, 1 or rows, k)``."""
    if values.shape[-1:] != (k,) or values.ndim > 3:
        raise ArgumentError(
            f"Expected inputs of shape ({n_steps}, {k}), or ({n}, {n_steps}, {k}) for each "
            f"trajectory, got {values.shape}."
        )
    if values.ndim == 1:
        return values[None, None]
    if values.ndim == 3:
        return values
    rows = len(values)
    if rows == n > 1 and rows >= n_steps:
        raise ArgumentError(
            f"Inputs of shape {values.shape} may be {rows} rows that act on all trajectories, or "
            f"constants of each of {n}; give them as (1, {rows}, {k}) or ({n}, 1, {k})."
        )
    return values[:, None] if rows == n > 1 else values[None]
