"""Flow maps and the coordinates that they step in: forecasts of the user's states, unchecked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.coordinates.coordinates import Coordinates
from pyhits.hierarchy.forecast import Forecaster, Keep, forecaster, in_memory
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.hierarchy.stepper import Stepper
from pyhits.util.progress import Advance


@dataclass(frozen=True, eq=False)
class FittedMaps:
    """Flow maps, and the coordinates that they step in."""

    hierarchy: Hierarchy
    coordinates: Coordinates
    interpolation: str = "cubic"  # {"cubic", "linear"}: between the finest coupled steps
    device: str = "cpu"

    def ahead(
        self,
        states: np.ndarray,
        n_steps: int,
        step_sizes: Sequence[int],
        *,
        encoded: bool = False,
        inputs: np.ndarray | None = None,
        keep: Keep = in_memory,
        progress: Advance | None = None,
        **settings: Any,
    ) -> np.ndarray:
        """Step states forward; diverged forecasts are NaN unless ``on_divergence`` is ``"raise"``.

        Returns array, shape (n, n_steps + 1, d) or (n, m, d).
        Raises ArgumentError: a step size was not trained.

        Parameters
        ----------
        states : array, shape (n, d), or (n, history, d) with delays
            In the user's units; or encoded, ``(n, k)``. Without delays the last row of each
            counts.
        encoded : bool
            Whether the states are those that the encoder returns: so is the result then.
        inputs : array, shape (n, n_steps, k) or (1, n_steps, k), optional
            In the user's units, each so many rows back as it acts from
            (:meth:`~pyhits.coordinates.inputs.Inputs.delayed`).
        keep, progress
            As in :func:`pyhits.hierarchy.forecast.forecast`.
        **settings
            As :class:`pyhits.hierarchy.forecast.Forecaster` takes them.
        """
        own = self.coordinates
        if inputs is not None:
            assert own.inputs is not None
            settings["inputs"] = own.inputs.scaled(inputs)
            settings["trends"] = own.inputs.trends
        if own.encoder is None and states.ndim == 3:
            states = states[:, -1]
        made = self.forecaster(len(states), n_steps, step_sizes, encoded=encoded, **settings)
        found: np.ndarray = keep(made, states, progress)
        return found

    def forecaster(
        self,
        n_trajectories: int,
        n_steps: int,
        step_sizes: Sequence[int],
        *,
        encoded: bool = False,
        **settings: Any,
    ) -> Forecaster:
        """Return what steps so many states forward; as :meth:`ahead`, with scaled inputs."""
        own = self.coordinates
        usual = {
            "step_sizes": step_sizes,
            "on_divergence": "return",
            "interpolation": self.interpolation,
            "device": self.device,
            "encoder": None if encoded else own.encoder,
        }
        return forecaster(
            self.hierarchy, own.scaling, n_steps, n_trajectories, **{**usual, **settings}
        )

    def scale(self, step_size: int) -> Stepper:
        """Return what steps with one of the scales.

        Raises ArgumentError: the step size was not trained.
        """
        return self.hierarchy.stepper([step_size], device=self.device)
