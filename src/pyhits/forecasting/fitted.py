"""What a fit has found: the parts of a model, without what it does with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from pyhits.baselines.fitted import FittedBaselines
from pyhits.baselines.recordings import RecordingBaselines
from pyhits.coordinates.inputs import Inputs
from pyhits.data.times import TimeAxis
from pyhits.encoders import Chain, Standardise
from pyhits.encoders.bounded import declared_bounds
from pyhits.flowmaps import FlowMap
from pyhits.forecasting.blend import Bounds
from pyhits.forecasting.described import Described
from pyhits.forecasting.heldout import HeldOut
from pyhits.forecasting.maps import FittedMaps
from pyhits.forecasting.uncertainty import Region
from pyhits.hierarchy.disagreement import Agreement
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.numerics.fused.numbers import numbers_of
from pyhits.util.progress import say


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedModel(Described):
    """The parts of a fitted model, beside those that are shown of it.

    Attributes
    ----------
    hierarchy : Hierarchy
        The flow maps of all trained scales.
    agreement : mapping of int to Agreement
        What the disagreement of a scale with the next finer one is worth, where it was measured.
    region : Region or None
        Where the training data lie.
    baselines : FittedBaselines or None
        Simple baselines fitted to the same data, for evaluations.
    recording_baselines : RecordingBaselines or None
        Baselines that look at many rows, in the user's features, of recordings.
    stage_seconds : mapping of str to float
        How long each stage of it took; files do not hold it.
    interrupted : tuple of str
        Stages of the fit that Ctrl-C has cut short.
    device : str
        Where to step.
    verbose : bool
        Show progress, on standard error.
    held_out : HeldOut or None
        What errors are measured on when scales are coupled anew; neither files nor pickles hold it.
    """

    hierarchy: Hierarchy
    agreement: Mapping[int, Agreement] = field(default_factory=dict)
    region: Region | None = None
    baselines: FittedBaselines | None = None
    recording_baselines: RecordingBaselines | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    interrupted: tuple[str, ...] = ()
    device: str = "cpu"
    verbose: bool = False
    held_out: HeldOut | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickles hold: all but the held-out data."""
        return {**self.__dict__, "held_out": None}

    def noted(self, *notes: str) -> Self:
        """Return the model with further notes, which are said."""
        for note in notes:
            say(note, verbose=self.verbose)
        return replace(self, notes=(*self.notes, *notes))

    def describe_data(self) -> dict[str, Any]:
        """Return what is remembered of the training data as JSON values, but for the arrays."""
        agreement = {str(size): list(one) for size, one in self.agreement.items()}
        axis = self.coordinates.axis.as_dict()
        return self.summary.plain() | {"time_axis": axis, "agreement": agreement}

    @property
    def interpolation(self) -> str:
        """How states between the finest coupled steps are found."""
        return self.coupling.interpolation

    @property
    def maps(self) -> FittedMaps:
        """Flow maps in their coordinates, in the arithmetic that was selected."""
        stepped = self.hierarchy.in_dtype(self.selection.dtype)
        return FittedMaps(stepped, self.coordinates, self.interpolation, self.device)

    @property
    def flow_maps(self) -> Mapping[int, FlowMap]:
        """The trained scales, by step size."""
        return self.hierarchy.flow_maps

    @property
    def scaling(self) -> Standardise:
        """From encoded rows to the states of the flow maps."""
        return self.coordinates.scaling

    @property
    def encoder(self) -> Chain | None:
        """What comes before the scaling."""
        return self.coordinates.encoder

    @property
    def inputs(self) -> Inputs | None:
        """What acts on the system."""
        return self.coordinates.inputs

    @property
    def axis(self) -> TimeAxis:
        """What the times of the training data meant: numbers, or dates and their steps."""
        return self.coordinates.axis

    @property
    def dt(self) -> float:
        """Time step of the data."""
        return self.coordinates.dt

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the user's features."""
        return self.coordinates.feature_names

    @property
    def coordinate_names(self) -> tuple[str, ...]:
        """Names of the encoded coordinates."""
        return self.coordinates.names

    @property
    def n_features_in(self) -> int:
        """Number of the user's features."""
        return self.coordinates.n_features

    @property
    def start_rows(self) -> int:
        """Rows that a forecast starts from: more than 1 with delays."""
        return self.coordinates.history

    @property
    def recording_rows(self) -> int:
        """Last rows of a recording that the model and all baselines of recordings look at."""
        known = self.recording_baselines
        return max(self.start_rows, 1 if known is None else known.n_rows)

    @property
    def blended_rows(self) -> int:
        """Last rows of a recording that its forecast looks at; 0 where the model is alone."""
        if self.blend is None or self.recording_baselines is None:
            return 0
        return self.blend.rows(self.recording_baselines)

    def blended(
        self, states: np.ndarray, known: Sequence[np.ndarray] | np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """Return forecasts with those of the baselines that they are blended with, within limits.

        Parameters
        ----------
        states, known, positions
            As of :meth:`~pyhits.forecasting.blend.Blend.blended`.
        """
        if self.blend is None or self.recording_baselines is None:
            return states if self.limits is None else self.held(states, _ends(known))
        seen = self.summary
        bounds = Bounds(seen.low, seen.high, seen.n_rows / seen.n_trajectories)
        found = self.blend.blended(states, known, positions, self.recording_baselines, bounds)
        return self.within_bounds(found, _ends(known))

    def held(self, states: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return what flow maps alone lead to within the limits that data showed, if they did.

        Parameters
        ----------
        states : array, shape (n, m, d)
            Decoded: the encoder's own bounds hold.
        starts : array, shape (n, d)
            What they start from: beyond a limit, there is none.
        """
        return states if self.limits is None else self.limits.held(states, starts)

    def within_bounds(self, states: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return states within the bounds that the encoder declares, and limits that data showed.

        Parameters
        ----------
        states : array, shape (n, m, d)
        starts : array, shape (n, d)
            What they start from: beyond a limit, there is none.
        """
        bounds = declared_bounds(self.encoder, self.n_features_in)
        states = states if bounds is None else np.clip(states, *bounds)
        return self.held(states, starts)

    @property
    def noise(self) -> np.ndarray:
        """Standard deviation of the noise that was taken off, shape ``(n_coordinates,)``."""
        return self.summary.noise

    @property
    def dense(self) -> int:
        """States that the finest flow map returns from one evaluation."""
        return self.flow_maps[min(self.flow_maps)].outputs

    @property
    def has_code(self) -> bool:
        """Whether machine code can step what is coupled."""
        return bool(numbers_of({size: self.flow_maps[size] for size in self.selection.step_sizes}))

    @property
    def dtype(self) -> str:
        """Arithmetic of the flow maps."""
        first = next(iter(self.flow_maps.values()))
        return str(next(iter(first.state_dict().values())).dtype).removeprefix("torch.")


def _ends(known: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return the last of the known rows of each recording, ``(n, d)``."""
    return known[:, -1] if isinstance(known, np.ndarray) else np.stack([rows[-1] for rows in known])
