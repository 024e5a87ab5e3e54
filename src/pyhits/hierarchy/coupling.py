"""Which scales to couple: greedy cross-validation of the range of step sizes (Section 2.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """One coupling that was tried.

    Attributes
    ----------
    step_sizes : tuple of int
        What was coupled, finest first.
    error : float
        Validation error, infinite if the forecast diverged.
    seconds : float
        Time of its validation forecast.
    search : {"upper", "lower"}
        Which bound was being sought.
    """

    step_sizes: tuple[int, ...]
    error: float
    seconds: float
    search: str


@dataclass
class Selection:
    """The coupling chosen, and every candidate on the way.

    Attributes
    ----------
    step_sizes : tuple of int
        Coupled step sizes, finest first.
    error : float
        Their validation error: mean squared error in standardised coordinates.
    path : list of Candidate
    """

    step_sizes: tuple[int, ...]
    error: float
    path: list[Candidate] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Selection:
        """Rebuild from :meth:`as_dict`."""
        path = [
            Candidate(tuple(c["step_sizes"]), float(c["error"]), c["seconds"], c["search"])
            for c in values["path"]
        ]
        return cls(tuple(values["step_sizes"]), float(values["error"]), path)


#: Returns validation error and seconds of a coupling.
Measure = Callable[[tuple[int, ...]], tuple[float, float]]


def select(step_sizes: Sequence[int], measure: Measure) -> Selection:
    """Choose the range of scales by the paper's greedy rule.

    First the upper bound u: the best of the couplings of scales 0 to k. Then the lower bound l: the
    best of the couplings of scales k to u. Equal errors favour the first tried.

    Parameters
    ----------
    step_sizes : sequence of int
        All trained step sizes.
    measure : callable
        Gives the validation error and the seconds of a coupling.
    """
    sizes = sorted(step_sizes)
    path: list[Candidate] = []

    def best(candidates: list[tuple[int, ...]], search: str) -> Candidate:
        tried = []
        for sizes_tried in candidates:
            known = next((c for c in path if c.step_sizes == sizes_tried), None)
            if known is None:
                error, seconds = measure(sizes_tried)
                error = error if math.isfinite(error) else math.inf
                known = Candidate(sizes_tried, error, seconds, search)
                path.append(known)
            tried.append(known)
        return min(tried, key=lambda c: c.error)

    upper = best([tuple(sizes[: k + 1]) for k in range(len(sizes))], "upper").step_sizes
    chosen = best([upper[k:] for k in range(len(upper))], "lower")
    return Selection(chosen.step_sizes, chosen.error, path)
