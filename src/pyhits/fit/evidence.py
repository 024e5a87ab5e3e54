"""What a fit has measured of its scales, as forecasts to a tolerance need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.hierarchy import Selection
from pyhits.hierarchy.disagreement import Agreement, agreements
from pyhits.util.clock import UNLIMITED, Clock

if TYPE_CHECKING:
    from pyhits.stepping import Stepping

#: Validation error, in spreads, up to which a spline through the states of one scale alone follows
#: the motion between them.
_RESOLVED = 0.3

#: The longest spacing that is taken to resolve the motion where nothing was measured, over that of
#: the finest scale.
_UNMEASURED = 4


def weights(model: Stepping) -> np.ndarray:
    """Return one over the spread of each encoded coordinate, shape ``(n_coordinates,)``.

    They are 1 where the coordinates were scaled, together or each by itself.
    """
    scale = model.encoder_.scale_
    if model.encoder_.enabled or model.preprocessor_ is not None:
        return np.ones(len(scale))
    spread = np.array(model.data_["std"])
    return np.where(spread > 0, scale / np.where(spread > 0, spread, 1.0), 1.0)


def measured(
    model: Stepping, held: Trajectories, clock: Clock = UNLIMITED
) -> dict[str, list[float]]:
    """Return what the disagreements of the scales are worth on validation data, as JSON values."""
    rows = model.encoder_.transform(held.values)
    maps = {size: flow_map.to(model.device) for size, flow_map in model.flow_maps_.items()}
    found = agreements(rows, held.lengths, maps, weights(model), clock=clock)
    return {str(size): list(agreement) for size, agreement in found.items()}


def known(model: Stepping) -> dict[str, Any]:
    """Return the settings of an adaptive forecast that follow from what was measured."""
    per = weights(model)
    size = float(np.sqrt(np.mean(per**2)))
    plain: Mapping[str, list[float]] = model.data_.get("agreement", {})
    return {
        "weights": per,
        "known": {s: e * size for s, e in _path_errors(model.selection_, min(model.flow_maps_))},
        "longest": _longest(model, size),
        "agreement": {int(s): Agreement(*values) for s, values in plain.items()},
    }


def _path_errors(selection: Selection, finest: int) -> list[tuple[int, float]]:
    """Return the errors of the scales that were coupled with the finest alone, by step size."""
    tried = [*selection.front, *selection.path]
    return [
        (c.step_sizes[-1], c.error**0.5)
        for c in tried
        if c.step_sizes[0] == finest and len(c.step_sizes) <= 2
    ]


def _longest(model: Stepping, size: float) -> int:
    """Return the longest spacing at which the states of one scale alone resolve the motion."""
    alone = {c.step_sizes[0]: c.error for c in model.selection_.front if len(c.step_sizes) == 1}
    finest = min(model.flow_maps_)
    resolved = [s for s, error in alone.items() if error**0.5 * size <= _RESOLVED]
    return max(resolved, default=_UNMEASURED * finest // model.flow_maps_[finest].outputs)
