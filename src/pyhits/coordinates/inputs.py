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

    Attributes
    ----------
    names : tuple of str
    mean, scale : array, shape (k,)
        Flow maps see ``(u - mean) / scale``.
    low, high : array, shape (k,)
        Extremes in the training data.
    lags : tuple of tuple of int
        Rows back of each input.
    varying : tuple of bool
        Whether each input varies within a trajectory; else it is a parameter.
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
    mean: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray
    lags: Lags
    varying: tuple[bool, ...]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        values: np.ndarray,
        offsets: np.ndarray,
        lags: Lags | None = None,
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

        Parameters
        ----------
        values : array, shape (..., n_rows, k)
            Of one trajectory.

        Returns
        -------
        array, shape (..., n_rows - memory, n_columns)
            Row i holds what acts from row ``i + memory`` on.
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


def attach(data: Trajectories, inputs: Any) -> tuple[Trajectories, tuple[str, ...]]:
    """Return trajectories whose last features are the inputs, and the inputs' names.

    Parameters
    ----------
    data : Trajectories
    inputs : str or sequence of str; mapping of str to array; array; list of arrays; Trajectories
        Names of features of ``data``; or values, row i of which acts from row i of the states to
        the next: ``(time, k)`` for one trajectory, ``(n, time, k)`` or a list of ``(time, k)`` for
        several, ``(n, k)`` for constants of each trajectory. The last row may be left out.

    Raises
    ------
    DataError
        Shapes do not fit, a value is not finite, or no feature is left for the states.
    ArgumentError
        A name is unknown.
    """
    names = [inputs] if isinstance(inputs, str) else inputs
    if isinstance(names, (list, tuple)) and names and all(isinstance(n, str) for n in names):
        known, used = set(data.feature_names), set(names)
        missing = [name for name in names if name not in known]
        if missing:
            raise ArgumentError(
                f"There is no feature {missing[0]!r} to be an input; there are "
                f"{', '.join(data.feature_names)}."
            )
        states = [name for name in data.feature_names if name not in used]
        if not states or len(used) < len(names):
            raise DataError("Inputs must be different features, and leave some for the states.")
        return data.select([*states, *names]), tuple(names)
    found, pieces = _pieces(inputs, data)
    both = [name for name in found if name in data.feature_names]
    if both:
        raise DataError(f"{both[0]!r} is a feature of the data and an input; rename one of them.")
    joined = Trajectories(
        [np.concatenate(pair, axis=1) for pair in zip(data, pieces, strict=True)],
        data.dt if data.dt_known else None,
        feature_names=[*data.feature_names, *found],
        start_times=data.start_times,
        axis=data.axis,
    )
    return joined, found


def acting(inputs: Any, names: Sequence[str], n: int, n_steps: int) -> np.ndarray:
    """Return the inputs of a forecast, shape ``(n, n_steps, k)``, or ``(1, n_steps, k)`` for all.

    Parameters
    ----------
    inputs : array, mapping of str to array, DataFrame or Trajectories
        ``(n_steps, k)`` acts on all trajectories alike; ``(n, n_steps, k)`` on each; ``(k,)``, and
        ``(n, 1, k)`` for each, are held all the time. One input needs no last axis. A mapping has
        such arrays, without it, by name. Later rows are not looked at.
    names : sequence of str
    n, n_steps : int
        Trajectories and steps of the forecast.

    Raises
    ------
    ArgumentError
        There are none, or too few rows, or the shape may mean two things.
    DataError
        A value is not finite.
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

    Parameters
    ----------
    past, names, n
        As in :func:`acting`.
    n_rows : int
        How many are needed.

    Raises
    ------
    ArgumentError, DataError
        As :func:`acting`.
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


def _pieces(inputs: Any, data: Trajectories) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Return names, and the inputs of every trajectory, as many rows as it has."""
    n = len(data)
    names: tuple[str, ...] | None = None
    if isinstance(inputs, Trajectories):
        names, listed = inputs.feature_names, list(inputs)
    elif isinstance(inputs, Mapping):
        names = tuple(str(name) for name in inputs)
        columns = [_listed(values, data) for values in inputs.values()]
        if not columns:
            raise ArgumentError("There is no input in inputs={}; leave it out.")
        if any(len(column) != n for column in columns):
            raise DataError(f"Expected inputs of {n} trajectories.")
        listed = [np.concatenate(parts, axis=1) for parts in zip(*columns, strict=True)]
    else:
        listed = _listed(inputs, data)
    if len(listed) != n:
        raise DataError(f"The data have {n} trajectories, the inputs {len(listed)}.")
    k = listed[0].shape[1]
    names = names or tuple(f"u{i}" for i in range(k))
    pieces = [
        _matched(values, int(length), len(names), f"trajectory {number}")
        for number, (values, length) in enumerate(zip(listed, data.lengths, strict=True))
    ]
    return names, pieces


def _matched(values: np.ndarray, length: int, k: int, which: str) -> np.ndarray:
    """Return inputs of one trajectory with as many rows as it has."""
    if values.shape[1] != k:
        raise DataError(f"The inputs of {which} have {values.shape[1]} columns, not {k}.")
    if len(values) == length - 1:
        return np.concatenate([values, values[-1:]])
    if len(values) != length:
        raise DataError(f"The {which} has {length} rows, its inputs have {len(values)}.")
    return values


def _listed(inputs: Any, data: Trajectories) -> list[np.ndarray]:
    """Return inputs of every trajectory, each ``(rows, k)``; constants on every row."""
    n, lengths = len(data), data.lengths
    if isinstance(inputs, (list, tuple)) and len(inputs) and np.ndim(inputs[0]) > 0:
        parts = [as_numeric(part, what="The inputs") for part in inputs]
        if len({part.shape for part in parts}) > 1 or parts[0].ndim > 1:
            return [part[:, None] if part.ndim == 1 else part for part in parts]
    values = as_numeric(inputs, what="The inputs")
    if values.ndim == 0:
        values = np.full((n, 1), values)
    in_time = n == 1 and values.ndim < 3 and len(values) in (lengths[0], lengths[0] - 1)
    if in_time:
        return [values[:, None] if values.ndim == 1 else values]
    if values.ndim == 1 and len(values) == n:
        values = values[:, None]
    if values.ndim == 2 and len(values) == n:
        if values.shape[1] in (*lengths, *(lengths - 1)):
            # One input in time: as many constants as steps nobody has.
            return list(values[:, :, None])
        rows = zip(values, lengths, strict=True)
        return [np.repeat(row[None], length, axis=0) for row, length in rows]
    if values.ndim == 3:
        return list(values)
    raise DataError(
        f"Expected inputs of shape (time, k), or (n, time, k) for {n} trajectories, or (n, k) of "
        f"constants, got {values.shape}."
    )
