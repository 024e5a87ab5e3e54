"""Categories as whole numbers: codes whose order means nothing."""

from __future__ import annotations

import numpy as np

from pyhits.data.diagnostics.finding import Finding
from pyhits.data.diagnostics.sample import Sample
from pyhits.util.printable import listing

#: Levels, and changes between them, at least; levels at most.
_FEWEST_LEVELS, _MOST_LEVELS, _FEWEST_CHANGES = 3, 20, 20

#: Distance that a change covers, as a share of what names in any order would give, at least.
_ORDERLESS = 0.85

#: Correlation of levels with how often each is reached, in ranks, below which they are counts.
_THINNING = -0.8

#: Rows that the rarest of the levels' half shares, at least: counts thin out at their ends.
_COMMON = 0.25


def categories(sample: Sample) -> list[Finding]:
    """Look for features that are codes of categories."""
    found = []
    for k in sample.judged:
        levels = _levels([piece[:, k] for piece in sample.pieces])
        if levels is None:
            continue
        name = sample.names[k]
        shown = listing([f"{level:.0f}" for level in levels])
        found.append(
            Finding(
                "categories",
                f"{name!r} holds whole numbers alone ({shown}) and goes from each to any other, as "
                "codes of categories do: their order and size would be learned as if they meant "
                "something.",
                f"If it is set from outside, name it as an input: inputs=[{name!r}], or --input "
                f"{name}; else put one column of 0 and 1 a category in its place, or leave it out "
                f"(--without-columns {name}).",
                features=(name,),
            )
        )
    return found


def _levels(columns: list[np.ndarray]) -> np.ndarray | None:
    """Return the codes of a feature of categories, None of any other."""
    first = columns[0][:256]
    if not (first == np.round(first)).all() or len(np.unique(first)) > _MOST_LEVELS:
        return None
    values = np.concatenate(columns)
    if not (values == np.round(values)).all():
        return None
    levels, code = np.unique(values, return_inverse=True)
    n = len(levels)
    if not _FEWEST_LEVELS <= n <= _MOST_LEVELS or len(values) < 10 * n:
        return None
    bounds = np.cumsum([len(x) for x in columns])[:-1]
    change = np.concatenate([np.stack([c[:-1], c[1:]]) for c in np.split(code, bounds)], axis=1)
    change = change[:, change[0] != change[1]]
    if change.shape[1] < max(_FEWEST_CHANGES, 3 * n):
        return None
    visits = np.bincount(change[1], minlength=n) / change.shape[1]
    # Counts have a hump; codes are about as common at the ends as in the middle.
    if np.sort(visits)[: max(2, n // 2)].mean() < _COMMON / n or visits[[0, -1]].max() < 0.5 / n:
        return None
    # Counts of rare events thin out from none on.
    order = np.corrcoef(np.arange(n), visits.argsort().argsort())[0, 1]
    if levels[0] == 0 and order < _THINNING:
        return None
    rank = np.abs(change[0] - change[1]).mean()
    any_order = (n + 1) / 3
    return levels if rank >= _ORDERLESS * any_order else None
