"""All checks, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyhits.data.diagnostics.categories import categories
from pyhits.data.diagnostics.film import film
from pyhits.data.diagnostics.finding import Finding
from pyhits.data.diagnostics.glued import glued
from pyhits.data.diagnostics.growing import growing
from pyhits.data.diagnostics.order import ordered, shuffled
from pyhits.data.diagnostics.quantised import quantised
from pyhits.data.diagnostics.regime import regime
from pyhits.data.diagnostics.repeated import repeated
from pyhits.data.diagnostics.sample import MOST_FEATURES, Sample
from pyhits.data.diagnostics.sideways import sideways
from pyhits.data.diagnostics.units import units
from pyhits.data.diagnostics.wrapped import wrapped
from pyhits.data.trajectories import Trajectories
from pyhits.util.threads import one_blas_thread

Examination = Callable[[Sample], list[Finding]]

#: Checks of single features. What they name, but for quantised ones, is left out of the rest.
OF_FEATURES: tuple[Examination, ...] = (wrapped, categories, quantised)

#: Checks of the rows. The first to find anything is the last: what it says explains the others.
OF_ROWS: tuple[Examination, ...] = (shuffled, ordered, glued, growing, regime)


@one_blas_thread()
def examine(data: Any, *, inputs: Sequence[str] = (), grid_is_said: bool = False) -> list[Finding]:
    """Look for what a person would object to in data: see ``docs/diagnostics.md``.

    Returns list of Finding: empty for sound data. At most about a second of work: of large data
    evenly chosen features, trajectories and stretches are looked at.

    Parameters
    ----------
    data : Trajectories, or anything that Trajectories accepts
    inputs : sequence of str
        Names of features that are inputs: they may jump and be set, and are not judged.
    grid_is_said : bool
        Whether the user has said what grid the rows lie on, or that they lie on none.
    """
    trajectories = data if isinstance(data, Trajectories) else Trajectories(data)
    found = sideways(trajectories)
    if not (found or grid_is_said or inputs):
        found = film(trajectories)
    if found:
        return found
    sample = Sample.of(trajectories, inputs)
    for check in OF_FEATURES:
        found += check(sample)
    odd = [name for one in found if one.kind != "quantised" for name in one.features]
    sample = sample.without(odd)
    for check in OF_ROWS:
        more = check(sample) if sample.names else []
        if more:
            return found + more
    return found


@one_blas_thread()
def compare(
    train: Trajectories,
    validation: Trajectories,
    *,
    inputs: Sequence[str] = (),
    continued: bool = False,
) -> list[Finding]:
    """Look whether validation data repeat the training data, or are in other units.

    Parameters
    ----------
    train, validation : Trajectories
        With the same features in the same order.
    inputs : sequence of str
        As in :func:`examine`.
    continued : bool
        Whether the validation data are the ends of the training data's recordings.
    """
    found = repeated(train, validation, continued=continued)
    if continued or train.n_features > MOST_FEATURES:
        return found
    judged = [k for k, name in enumerate(train.feature_names) if name not in inputs]
    names = [train.feature_names[k] for k in judged]
    low, high = train.values.min(axis=0)[judged], train.values.max(axis=0)[judged]
    values, what = validation.values[:, judged], "validation data"
    return found + units(values, names, low, high, what=what, grid=train.grid)
