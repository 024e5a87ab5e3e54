"""How outliers are said."""

from __future__ import annotations

from collections.abc import Sequence

from pyhits.data.repair.outliers import Outlier, outliers_of
from pyhits.data.trajectories import Trajectories

#: Outliers that a note shows, at most.
_MOST_SHOWN = 3

#: Numbers, and features, up to which a fit looks for outliers by itself: a second of work.
_MOST_EXAMINED, _MOST_FEATURES = 1 << 24, 1 << 10


def outlier_note(found: Sequence[Outlier], names: Sequence[str], *, dropped: str = "keep") -> str:
    """Return one sentence on outliers: how many, the first of them, and what is done."""
    shown = [
        f"{o.value:.4g} in trajectory {o.trajectory}, row {o.row}, {names[o.feature]!r}, where "
        f"{o.expected:.4g} was to be expected"
        for o in found[:_MOST_SHOWN]
    ]
    more = "; ..." if len(found) > _MOST_SHOWN else "."
    stand = "value stands" if len(found) == 1 else "values stand"
    done = (
        "Taken as missing."
        if dropped == "drop"
        else 'Kept; outliers="drop" of pyhits.repair (or --drop-outliers) takes them as missing.'
    )
    return f"{len(found)} {stand} out: {'; '.join(shown)}{more} {done}"


def outlier_notes(data: Trajectories) -> list[str]:
    """Return what a fit says about outliers: at most one sentence, none about very large data."""
    if data.values.size > _MOST_EXAMINED or data.n_features > _MOST_FEATURES:
        return []
    found = outliers_of(data)
    return [outlier_note(found, data.feature_names)] if found else []
