"""A model made ready for few states and many calls, as a control loop makes them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pyhits.coordinates.starts import InitialStates
from pyhits.errors import ArgumentError
from pyhits.forecasting.fitted import FittedModel
from pyhits.hierarchy import Batching
from pyhits.hierarchy.forecast import Forecaster, in_memory
from pyhits.util.checks import as_count

#: However little there is to do.
_ALWAYS_FUSED = Batching(fused_seconds=0.0)


class PreparedStepper:
    """The coupled flow maps of a model, ready to step: little is looked at, nothing is warned of.

    States are checked for their shape and for numbers that are not finite; whether they lie in the
    training data is not. With the extra ``fast`` machine code steps what it can, and is made here.
    Baselines take no part.

    Raises ArgumentError: the model has inputs.
    """

    def __init__(self, model: FittedModel) -> None:
        if model.inputs is not None:
            raise ArgumentError("A model with inputs cannot be prepared: forecast with inputs=...")
        self._model, self._coordinates, self._maps = model, model.coordinates, model.maps
        self._coupled, self._finest = model.selection.step_sizes, min(model.flow_maps)
        self._forecaster = lru_cache(maxsize=16)(self._made)
        start = np.tile(model.summary.low, (1, model.coordinates.state_rows, 1))
        start = start if model.coordinates.state_rows > 1 else start[:, 0]
        self.predict(start)
        self._make_code(start)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be prepared anew in another process."""
        return PreparedStepper, (self._model,)

    def predict(self, states: Any, step_size: int | None = None) -> np.ndarray:
        """Return the states one step of ``step_size`` later (the finest by default).

        ``(d,)`` to ``(d,)``, or ``(n, d)`` to ``(n, d)``; NaN where they diverge.
        """
        size = self._finest if step_size is None else as_count(step_size, "step_size")
        starts = self._coordinates.starts(states)
        found = in_memory(self._forecaster(size, (size,), last=True), starts.states, None)
        return self._shaped(found[:, -1], starts)

    def forecast(self, states: Any, n_steps: int) -> np.ndarray:
        """Return the states of ``n_steps`` x ``dt``, by the coupled scales.

        ``(d,)`` to ``(n_steps + 1, d)``, or ``(n, d)`` to ``(n, n_steps + 1, d)``; NaN from where
        they diverge.
        """
        starts, n_steps = self._coordinates.starts(states), as_count(n_steps, "n_steps")
        found = in_memory(self._forecaster(n_steps, self._coupled), starts.states, None)
        return self._shaped(found, starts)

    def _made(self, n_steps: int, step_sizes: tuple[int, ...], last: bool = False) -> Forecaster:
        """Return what steps forward, and returns the ``last`` states alone, or all."""
        at: dict[str, Any] = {"at": np.array([float(n_steps)])} if last else {}
        return self._maps.forecaster(1, n_steps, step_sizes, batching=_ALWAYS_FUSED, **at)

    def _make_code(self, start: np.ndarray) -> None:
        """Have the code of coupled scales made, of splines too; torch has none to make.

        Nothing is decoded: of many features so many rows would fill the memory.
        """
        stepper = self._maps.hierarchy.stepper(self._coupled, batching=_ALWAYS_FUSED)
        if stepper.engine is None:
            return
        encoder, states = self._coordinates.encoder, start
        if encoder is not None:
            states = encoder.transform(start if start.ndim == 3 else start[:, None])[:, -1]
        n_steps = 4 * self._coupled[-1]
        self._maps.ahead(states, n_steps, self._coupled, encoded=True, batching=_ALWAYS_FUSED)

    def _shaped(self, found: np.ndarray, starts: InitialStates) -> np.ndarray:
        shaped = self._coordinates.shaped(found)
        return np.asarray(shaped[0] if starts.single else shaped)
