"""The way from the user's rows to the states that flow maps step, inputs on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pyhits.coordinates.inputs import Inputs
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Chain, Standardise
from pyhits.flowmaps import FlowMap


@dataclass(frozen=True)
class Encoded:
    """Encoded states, and the inputs that act on them.

    Attributes
    ----------
    states : Trajectories
    inputs : array, shape (n_rows, k), or None
        In the user's units, on the rows of ``states``.
    """

    states: Trajectories
    inputs: np.ndarray | None


@dataclass(frozen=True)
class Coordinates:
    """What stands between the user's rows and the flow maps; all of it fitted to the same rows.

    Attributes
    ----------
    preprocessor : Chain or None
        What comes before the scaling, such as modes or delays.
    encoder : Standardise
        The scaling.
    inputs : Inputs or None
        Names and scaling of what acts on the system.
    """

    preprocessor: Chain | None
    encoder: Standardise
    inputs: Inputs | None

    def encode(self, data: Trajectories) -> Encoded:
        """Return states and inputs of data in the user's features, the inputs last.

        Where delays take the first rows of a trajectory, its first inputs go with them.
        """
        states, inputs = split_inputs(data, self.inputs)
        if self.preprocessor is None:
            return Encoded(states, inputs)
        if inputs is not None:
            inputs = later_rows(inputs, states, self.preprocessor.history - 1)
        return Encoded(self.preprocessor.transform(states), inputs)

    def scaled(self, encoded: Encoded) -> np.ndarray | None:
        """Return the inputs as flow maps see them."""
        if self.inputs is None or encoded.inputs is None:
            return None
        return self.inputs.scaled(encoded.inputs)

    def refitted(self, data: Trajectories) -> Coordinates:
        """Return coordinates of the same kind and number, fitted to other data, inputs last."""
        states, _ = split_inputs(data, self.inputs)
        chain = None if self.preprocessor is None else self.preprocessor.refitted(states)
        same = Coordinates(chain, self.encoder, self.inputs)
        encoded = same.encode(data)
        inputs = self.inputs
        if inputs is not None and encoded.inputs is not None:
            inputs = Inputs.of(inputs.names, encoded.inputs)
        return Coordinates(chain, self.encoder.refitted(encoded.states.values), inputs)


@dataclass(frozen=True)
class Fitted:
    """Flow maps, and the coordinates that they step in.

    Attributes
    ----------
    maps : mapping of int to FlowMap
        By step size.
    coordinates : Coordinates
    """

    maps: Mapping[int, FlowMap]
    coordinates: Coordinates


def split_inputs(
    data: Trajectories, inputs: Inputs | None
) -> tuple[Trajectories, np.ndarray | None]:
    """Return the states, and the inputs that are the last features of data, ``(n_rows, k)``."""
    if inputs is None:
        return data, None
    k = len(inputs.names)
    return data.select(data.feature_names[:-k]), np.asarray(data.values[:, -k:])


def later_rows(values: np.ndarray, data: Trajectories, lost: int) -> np.ndarray:
    """Return values on the rows of data without the first ``lost`` of each trajectory."""
    if lost == 0:
        return values
    number = np.arange(data.n_rows) - np.repeat(data.offsets[:-1], data.lengths)
    return np.asarray(values[number >= lost])
