"""Errors of a model's forecasts, beside those of simple baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.errors import warn
from pyhits.evaluation.evaluate import evaluate
from pyhits.evaluation.evaluation import Evaluation
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.forecast import other_units
from pyhits.hierarchy import chain
from pyhits.util.checks import as_count
from pyhits.util.progress import bar


def evaluate_model(
    model: FittedModel,
    test: Any,
    *,
    n_steps: int | None,
    step_sizes: Sequence[int] | None,
    interpolation: str | None,
    baselines: bool,
    lyapunov: float | None,
) -> Evaluation:
    """Forecast every trajectory and measure; see :meth:`pyhits.TimeStepper.evaluate`."""
    own = model.coordinates
    recorded = own.recorded(test)
    for sentence in other_units(model, own.split(recorded)[0].values, "data"):
        warn(sentence)
    starts, data = own.beginnings(recorded)
    sizes = tuple(chain(model.selection.step_sizes if step_sizes is None else step_sizes))
    inputs = own.inputs_of(recorded)
    settings: dict[str, Any] = {} if interpolation is None else {"interpolation": interpolation}

    def forecaster(states: np.ndarray, steps: int) -> np.ndarray:
        given = own.check_inputs(inputs, len(starts), steps)
        with bar("forecasting", verbose=model.verbose) as progress:
            return model.maps.ahead(
                starts, steps, sizes, inputs=given, progress=progress, **settings
            )

    others: dict[str, Any] = {}
    if baselines and model.baselines is not None:
        others = model.baselines.forecasters(own.encoder, starts, inputs)
    return evaluate(
        forecaster,
        data,
        scale=model.summary.spread,
        n_steps=None if n_steps is None else as_count(n_steps, "n_steps", most=None),
        step_sizes=sizes,
        baselines=others,
        decoded=own.decoded(recorded),
        lyapunov=lyapunov,
    )
