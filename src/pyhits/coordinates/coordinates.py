"""The way from the user's rows to the states that flow maps step, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from pyhits.coordinates.inputs import Inputs, acting, last_inputs
from pyhits.coordinates.starts import (
    InitialStates,
    Starts,
    as_states,
    endings,
    histories,
    without_first,
)
from pyhits.data.declared_grid import DeclaredGrid
from pyhits.data.grid import Grid
from pyhits.data.matching import are_states_alone, as_trajectories, in_same_steps, matched
from pyhits.data.packing import default_names
from pyhits.data.stretches import Stretches
from pyhits.data.times import NUMBERS, TimeAxis
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Chain, Standardise
from pyhits.encoders.angle import turns_of
from pyhits.encoders.chain import links
from pyhits.errors import ArgumentError, DataError, warn


class Encoded(NamedTuple):
    """Encoded states, and the inputs that act on them."""

    states: Trajectories
    #: (n_rows, k), or None: in the user's units, on the rows of ``states``, each so many rows back
    #: as it acts from.
    inputs: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Features, inputs, times, grid, encoder, scaling and history of a model: always together."""

    feature_names: tuple[str, ...]  # of the user's states, without the inputs
    dt: float  # time step of the data
    scaling: Standardise  # from encoded rows to states of order one, which the flow maps step
    encoder: Chain | None = None  # what comes before the scaling, such as modes or delays
    inputs: Inputs | None = None  # names, scaling and range of what acts on the system
    axis: TimeAxis = NUMBERS  # what the times of the training data meant
    grid: Grid | None = None  # where the user's features lie, where rows are fields

    @property
    def n_features(self) -> int:
        """Number of the user's features."""
        return len(self.feature_names)

    @property
    def state_rows(self) -> int:
        """Rows of states that a forecast starts from: more than 1 with delays."""
        return 1 if self.encoder is None else self.encoder.history

    @property
    def history(self) -> int:
        """Rows of a recording that a forecast starts from: its states', and its inputs' as well."""
        return max(self.state_rows, 1 if self.inputs is None else 1 + self.inputs.memory)

    @property
    def trends(self) -> list[int] | None:
        """Columns of delayed inputs of which steps of many rows see the trends."""
        return None if self.inputs is None else self.inputs.trends

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded coordinates."""
        if self.encoder is None:
            return self.feature_names
        return tuple(self.encoder.get_feature_names_out(self.feature_names))

    @property
    def step_name(self) -> str:
        """The time step of the data, for people."""
        return self.axis.step_name(self.dt)

    @property
    def snapshot(self) -> tuple[int, ...] | None:
        """Shape of the user's snapshots, where rows are fields: that of the grid."""
        return None if self.grid is None else self.grid.snapshot

    @cached_property
    def turns(self) -> np.ndarray | None:
        """Length of a turn of each of the user's features, infinite if it is no angle."""
        return turns_of(links(self.encoder), self.feature_names)

    @property
    def turned(self) -> list[int]:
        """Features that are angles."""
        turns = self.turns
        return [] if turns is None else np.flatnonzero(np.isfinite(turns)).tolist()

    # The user's data in

    def rows(self, data: Any) -> Any:
        """Return fields as rows, and everything else as it is."""
        return DeclaredGrid.of(self.grid).rows(data)

    def recorded(self, data: Any, *, inputs: bool = True) -> Trajectories:
        """Return data as Trajectories with this step, and these features in their order.

        Inputs come last, and may be lacking unless ``inputs``.

        Raises DataError: step or features are others than those of the training data.
        """
        given = as_trajectories(self.rows(data), None, default_dt=self.dt)
        given = in_same_steps(given, self.axis, "given")
        names = self.feature_names
        if self.inputs is not None:
            bare = not inputs and are_states_alone(given, names, self.inputs.names)
            names = names if bare else (*names, *self.inputs.names)
        n = given.n_features
        if given.grid is not None or given.feature_names == default_names(n):
            self._check_points((n,), given.grid)
        found = matched(given, self.dt, names, "given")
        return found.with_grid(self.grid) if found.n_features == self.n_features else found

    def _check_points(self, shape: tuple[int, ...], grid: Grid | None = None) -> None:
        """Raise a DataError for rows, the last axis of an array, that are fields on another grid.

        A field whose points have the names of some of these is on another grid, too.
        """
        own = self.grid
        if own is None or self.inputs is not None or not shape or shape[-1] == own.n_features:
            return
        given = f"an array of shape {shape}" if grid is None else f"fields of {grid.size_name()}"
        raise DataError(
            f"The model steps fields of {own.size_name()}, and was given {given}. Its method "
            "on_grid returns a model for another grid, if its flow maps know of neighbours."
        )

    def split(self, data: Trajectories) -> tuple[Trajectories, np.ndarray | None]:
        """Return the states, on the grid if there is one, and the inputs, ``(n_rows, k)``.

        Inputs are the last features, where data hold them.
        """
        states, inputs = data, None
        if self.inputs is not None and data.n_features != self.n_features:
            states, inputs = split_features(data, self.inputs.names)
        return states if states.grid == self.grid else states.with_grid(self.grid), inputs

    def encode(self, data: Trajectories) -> Encoded:
        """Return encoded states and the inputs on their rows.

        Delays, of states and of inputs, take the first rows of every trajectory.
        """
        states, _ = self.split(data)
        inputs = self.delayed_inputs(data)
        if inputs is not None:
            inputs = later_rows(inputs, states, self.history - 1)
        if self.encoder is not None:
            states = self.encoder.transform(states)
        return Encoded(without_first(states, self.history - self.state_rows), inputs)

    def delayed_inputs(self, data: Trajectories) -> np.ndarray | None:
        """Return the inputs that data hold on all rows, each so many rows back as it acts from."""
        states, inputs = self.split(data)
        if self.inputs is None or inputs is None:
            return None
        return self.inputs.delayed_packed(inputs, states.offsets)

    def scaled_inputs(self, encoded: Encoded) -> np.ndarray | None:
        """Return the inputs as flow maps see them."""
        if self.inputs is None or encoded.inputs is None:
            return None
        return self.inputs.scaled(encoded.inputs)

    def encode_starts(self, states: np.ndarray) -> np.ndarray:
        """Return the coordinates of initial states; ``(n, d)`` or histories to ``(n, k)``."""
        if self.encoder is None:
            return states if states.ndim == 2 else states[:, -1]
        rows = states if states.ndim == 3 else states[:, None]
        return np.asarray(self.encoder.transform(rows)[:, -1])

    # What forecasts start from

    def starts(self, initial_states: Any) -> InitialStates:
        """Return initial states in the user's units.

        Parameters
        ----------
        initial_states : array, DataFrame, Trajectories or Starts
            As :meth:`pyhits.HiTS.forecast` takes them.
        """
        times = None
        known: Sequence[np.ndarray] | np.ndarray | None = None
        if isinstance(initial_states, Trajectories):
            states, inputs = self.split(self.recorded(initial_states, inputs=False))
            rows = self.state_rows if inputs is None else self.history
            initial_states, rest = histories(states, rows)
            times = rest.start_times
            if rows > self.state_rows == 1:
                initial_states = initial_states[:, -1]
        elif isinstance(initial_states, Starts):
            initial_states, times, known = initial_states
        else:
            initial_states = self.rows(initial_states)
            self._check_points(np.shape(initial_states))
        found, single = as_states(initial_states, self.feature_names, self.state_rows)
        if known is None:
            known = found if self.state_rows > 1 else found[:, None]
        return InitialStates(found, times, single, known)

    def endings(self, data: Trajectories) -> Starts:
        """Return what forecasts go on from: the last rows of each trajectory."""
        return endings(self.split(data)[0], self.state_rows)

    def beginnings(self, data: Trajectories) -> tuple[np.ndarray, Trajectories]:
        """Return what forecasts of trajectories start from, and the rows from that state on."""
        return histories(self.split(data)[0], self.history)

    # Inputs of forecasts

    def inputs_of(self, data: Trajectories) -> np.ndarray | None:
        """Return the inputs that trajectories hold, from the rows that forecasts start from on.

        The shape is ``(n, time - 1, k)``; the last inputs of a trajectory that ends early are
        repeated.
        """
        states, inputs = self.split(self.recorded(data, inputs=False))
        if inputs is None:
            return None
        return Stretches.whole(states.offsets, self.history).gather_inputs(inputs)

    def inputs_before(self, data: Trajectories, *, end: bool = False) -> np.ndarray | None:
        """Return the inputs before the rows that forecasts start from, ``(n, memory, k)``.

        Those are where trajectories begin, or their last rows. None where the data do not hold
        enough of them, or none is asked for.
        """
        _, inputs = self.split(data)
        if self.inputs is None or inputs is None or self.inputs.memory == 0:
            return None
        memory = self.inputs.memory
        starts = data.offsets[1:] - 1 if end else data.offsets[:-1] + self.history - 1
        if (starts - memory < data.offsets[:-1]).any():
            return None
        return np.asarray(inputs[starts[:, None] + np.arange(-memory, 0)])

    def check_inputs(
        self, inputs: Any, n: int, n_steps: int, past: Any = None
    ) -> np.ndarray | None:
        """Return the inputs of a forecast, each so many rows back as it acts from.

        Returns array, shape (n or 1, n_steps, n_columns): in the user's units.
        Raises ArgumentError: they are missing, too few, or nobody asked for them.

        Parameters
        ----------
        inputs : any
            As users give them, from the initial states on.
        n, n_steps : int
            Trajectories and steps of the forecast.
        past : any, optional
            Inputs before the initial states, likewise, of which the last count; by default the
            first of ``inputs`` is taken for these, and a warning says so.
        """
        own = self.inputs
        if own is None:
            if inputs is not None or past is not None:
                raise ArgumentError("This model was fitted without inputs; leave inputs=... out.")
            return None
        found = acting(inputs, own.names, n, n_steps)
        beyond = own.outside(found)
        if beyond:
            warn(
                f"The input {beyond[0]!r} leaves the range of the training data: nothing is "
                "promised there."
            )
        if own.memory == 0:
            return own.delayed(found)
        if past is None:
            warn(
                f"The inputs before the initial states are not known: the first of them is taken "
                f"for the {own.memory} row(s) before, too. Give them as past_inputs=..., or go on "
                "from a recording that holds them."
            )
            before = found[:, :1].repeat(own.memory, axis=1)
        else:
            before = last_inputs(past, own.names, n, own.memory)
        both = max(len(before), len(found))
        rows = [np.broadcast_to(part, (both, *part.shape[1:])) for part in (before, found)]
        return own.delayed(np.concatenate(rows, axis=1))

    # The way back, and to other data

    def shaped(self, states: np.ndarray) -> np.ndarray:
        """Return states ``(..., d)`` with the shape of the user's snapshots as last axes."""
        return (
            states if self.snapshot is None else states.reshape(*states.shape[:-1], *self.snapshot)
        )

    def decoded(self, data: Trajectories) -> Trajectories | None:
        """Return data encoded and decoded, where the encoder loses something; else None.

        The first rows that delays take are left out.
        """
        if self.encoder is None or not self.encoder.lossy:
            return None
        states, _ = self.split(data)
        decoded = np.concatenate(self.encoder.inverse_transform(self.encoder.transform(states)))
        return self.beginnings(data)[1].with_values(decoded)

    def refitted(self, data: Trajectories) -> Coordinates:
        """Return coordinates of the same kind and number, fitted to other data, inputs last."""
        states, _ = self.split(data)
        encoder = None if self.encoder is None else self.encoder.refitted(states)
        same = replace(self, encoder=encoder)
        encoded = same.encode(data)
        inputs, values = self.inputs, self.split(data)[1]
        if inputs is not None and values is not None:
            inputs = Inputs.of(inputs.names, values, data.offsets, inputs.lags)
        scaling = self.scaling.refitted(encoded.states.values)
        return replace(same, scaling=scaling, inputs=inputs)


def later_rows(values: np.ndarray, data: Trajectories, lost: int) -> np.ndarray:
    """Return values on the rows of data without the first ``lost`` of each trajectory."""
    if lost == 0:
        return values
    number = np.arange(data.n_rows) - np.repeat(data.offsets[:-1], data.lengths)
    return np.asarray(values[number >= lost])


def split_features(
    data: Trajectories, inputs: Sequence[str]
) -> tuple[Trajectories, np.ndarray | None]:
    """Return the states, and the inputs that are the last features of data, ``(n_rows, k)``."""
    if not inputs:
        return data, None
    k = len(inputs)
    return data.select(data.feature_names[:-k]), np.asarray(data.values[:, -k:])
