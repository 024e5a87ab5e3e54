"""The fitted model: what files hold, what is pickled, what forecasts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.coordinates.coordinates import Coordinates
from pyhits.data.summary import Summary
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, NotFittedError, warn
from pyhits.evaluation.backtest import Backtest
from pyhits.flowmaps import FlowMap
from pyhits.forecasting.described import headline, shown, text
from pyhits.forecasting.equations import equations
from pyhits.forecasting.model import ForecastingModel
from pyhits.forecasting.modes import Modes, modes
from pyhits.hierarchy import Selection, chain
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.modelfiles.write import save_model
from pyhits.policies import Coupling
from pyhits.training import History, Recipe

#: Part of the rows fitted to before, below which an update is likely to lack the old ones.
_FEWER = 0.5


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TimeStepper(ForecastingModel):
    """A fitted hierarchical time-stepper (Liu, Kutz, Brunton 2020): immutable.

    :class:`pyhits.HiTS` makes one, :func:`pyhits.load` reads one from a file. Its attributes are
    those of :class:`~pyhits.forecasting.described.Described` and
    :class:`~pyhits.forecasting.fitted.FittedModel`, its forecasts those of
    :class:`~pyhits.forecasting.model.ForecastingModel`.
    """

    @classmethod
    def from_flow_maps(
        cls,
        flow_maps: Mapping[int, FlowMap],
        data: Trajectories,
        *,
        scaling: Standardise | None = None,
        step_sizes: Sequence[int] | None = None,
    ) -> TimeStepper:
        """Return the model of flow maps that were made elsewhere.

        Parameters
        ----------
        flow_maps : mapping of int to FlowMap
            By step size, in multiples of the data's ``dt``.
        data : Trajectories
            What they were made from: their features, step, grid and extremes are the model's.
        scaling : Standardise, optional
            Fitted; from the data to the states that the maps step. By default there is none.
        step_sizes : sequence of int, optional
            Scales to couple; by default all.
        """
        if scaling is None:
            scaling = Standardise(False).fit(data.values)
        coupled = tuple(chain(flow_maps if step_sizes is None else step_sizes))
        return cls(
            coordinates=Coordinates(
                data.feature_names, data.dt, scaling, axis=data.axis, grid=data.grid
            ),
            hierarchy=Hierarchy(dict(flow_maps)),
            selection=Selection(coupled, math.nan),
            recipe=Recipe(),
            history={size: History(size, stopped_by="made elsewhere") for size in flow_maps},
            summary=Summary.of(data, np.zeros(data.n_features)),
        )

    def coupled(
        self, selection: Coupling | str | Sequence[int], *, validation: Any = None
    ) -> TimeStepper:
        """Return a model of the same flow maps, coupled anew; nothing is trained.

        Parameters
        ----------
        selection : Coupling, {"accuracy", "speed", "all"} or sequence of int
            As in :class:`pyhits.HiTS`; of a text or step sizes the other values stay.
        validation : Trajectories, or anything that Trajectories accepts, optional
            Data to choose on; by default what was measured in the fit decides.
        """
        from pyhits.fit.choice import couple_anew  # as all of a fit, not needed to forecast

        return couple_anew(self, selection, validation)

    def calibrated(self, data: Any) -> TimeStepper:
        """Return a model whose prediction intervals rest on errors measured on other data.

        Data that neither trained the model nor chose its scales make the promise of the intervals
        exact; more trajectories make it sharper.

        Parameters
        ----------
        data : Trajectories, or anything that Trajectories accepts
            Nine trajectories or more give one rollout each, from their first states; fewer are cut
            into overlapping ones.

        Raises
        ------
        DataError
            The data do not match the model, or are too short to forecast any of.
        """
        from pyhits.fit.calibrating import calibrate_anew

        return calibrate_anew(self, data)

    def updated(self, data: Any) -> TimeStepper:
        """Return a model fitted to other rows, with all that was chosen before: no new search.

        Encoders, closed forms and baselines are solved for again, coupled nets trained again; which
        forms, rows of a state, scales, settings and weights there are stays, and so do the errors
        that intervals rest on. It takes a fraction of a fit.

        Parameters
        ----------
        data : Trajectories, or anything that Trajectories accepts
            All rows to learn from: a recording up to now, the old rows that still count included.
            Far fewer than the model was fitted to, as new rows alone are, are warned of.

        Raises
        ------
        DataError
            The data do not match the model, or are too short for its steps.
        """
        from pyhits.fit.updating import updated

        new = updated(self, data)
        if new.summary.n_rows < _FEWER * self.summary.n_rows:
            warn(
                f"The model is now fitted to {new.summary.n_rows} rows alone, before to "
                f"{self.summary.n_rows}: give all rows that it is to learn from, the old ones "
                "included."
            )
        return new

    def on_grid(self, grid: Any, *, spacing: float | Sequence[float] | None = None) -> TimeStepper:
        """Return a model that steps fields on another grid; nothing is trained.

        An equation of derivatives is the same one on finer, coarser, smaller and larger grids. Laws
        of differences, products of neighbours and convolutional nets go to more or fewer points of
        the same spacing; maps that have numbers of their own for each point go nowhere. Edges, step
        and scales stay those of the model. What was measured on the old grid (prediction intervals,
        the region of the data, baselines) is left behind.

        Parameters
        ----------
        grid : Grid, sequence of int, or fields
            The other grid, its points along each axis, or xarray objects or Trajectories on it.
        spacing : float or sequence of float, optional
            Distance of its points along each axis, in the unit that the model's grid has; where
            that knows no spacing, in spacings of its own: 0.5 is twice as fine. By default that of
            ``grid``, if it says any.

        Raises
        ------
        ArgumentError
            The model steps no fields, or none but on its own grid; the grid has other axes or
            channels; or the spacing is not known.
        """
        from pyhits.forecasting.other_grid import on_grid

        return on_grid(self, grid, spacing)

    def backtest(
        self,
        recording: Any,
        *,
        origins: int | Sequence[int] = 8,
        horizon: int | None = None,
        refit: bool = False,
    ) -> Backtest:
        """Forecast from rolling origins of a recording, and measure errors by horizon.

        The baselines of recordings are measured beside the model.

        Parameters
        ----------
        recording : array, DataFrame, or Trajectories of one
            Without ``refit``, it should go on behind the rows that the model was fitted to: of
            these, errors look better than they are, which is said.
        origins : int or sequence of int
            How many, evenly over what the model was not fitted to, else the last quarter; or the
            rows to start from.
        horizon : int, optional
            Steps of each forecast; by default a tenth of the rows, at most 100.
        refit : bool
            Fit the model to the rows up to each origin first, as :meth:`updated` does.

        Raises
        ------
        ArgumentError, DataError
            The recording is too short, or there are several; the model takes inputs.
        """
        from pyhits.fit.backtesting import backtest

        return backtest(self, recording, origins=origins, horizon=horizon, refit=refit)

    def equations(self, step_size: int | None = None) -> str:
        """Return the equations that a scale has learned, in the units of the data.

        Of fields whose flow map integrates an equation or a law of differences: ``du/dt = ...``;
        of velocities that of their vorticity w. Of maps that are
        polynomials: increments over one step, of encoded coordinates where there is an encoder.
        Terms below a millionth of the largest, where the data lie, are left out.

        Parameters
        ----------
        step_size : int, optional
            By default the finest coupled scale.

        Raises
        ------
        ArgumentError
            The scale is no such map, or has more terms than anybody reads.
        """
        return equations(self, step_size)

    def modes(self) -> Modes:
        """Return frequencies, growth rates and shapes of the best linear map of the data.

        Of the encoded states: with POD or delays this is dynamic mode decomposition (Schmid 2010).

        Raises
        ------
        ArgumentError
            No linear map was fitted: to more than 512 coordinates, or with inputs.
        """
        return modes(self)

    def __repr__(self) -> str:
        """Return one line: what is stepped, and by which scales."""
        return headline(self)

    def __str__(self) -> str:
        """Return what ``pyhits info`` prints."""
        return text(self)

    def _repr_html_(self) -> str:
        """Return a card for notebooks: what was learned, what is coupled, how good it is."""
        return shown(self)

    def plot_scales(self, *, ax: Any = None) -> Any:
        """Draw the error of one step of every scale, and which of them are coupled.

        Parameters
        ----------
        ax : Axes or Figure, optional

        Returns
        -------
        Axes
        """
        from pyhits import plots

        step = self.axis.step_name(self.dt)
        return plots.scale_errors(self.history, self.selection.step_sizes, dt=step, ax=ax)

    def save(self, path: str | Path) -> Path:
        """Write the model to a safetensors file; see :func:`pyhits.load`."""
        return save_model(self, path)


def as_stepper(model: Any) -> TimeStepper:
    """Return the time-stepper that a model is, or that an estimator has fitted.

    Raises NotFittedError: nothing has been fitted yet.
    Raises ArgumentError: it is something else.
    """
    found = getattr(model, "stepper_", model)
    if isinstance(found, TimeStepper):
        return found
    if found is None:
        raise NotFittedError("This HiTS is not fitted yet; call fit with trajectories first.")
    raise ArgumentError(f"Expected a fitted HiTS or TimeStepper, got a {type(model).__name__}.")
