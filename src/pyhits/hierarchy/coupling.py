"""Which scales to couple: the paper's greedy rule (Section 2.3), and the whole front."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pyhits.util.checks import as_choice
from pyhits.util.schema import Many, Maybe, Real, Record, Text, Whole

#: Step sizes in model files.
STEP_SIZE = Whole(1, 2**31 - 1)
STEP_SIZES = Many(STEP_SIZE, 1, 1000, unique=True)

#: Arithmetic that is quicker than closed forms' own.
SINGLE = "float32"

#: Errors are infinite where forecasts diverged.
_ERROR, _SECONDS = Real(0.0, finite=False), Real(0.0, finite=False)

_CANDIDATE = Record(
    {"step_sizes": STEP_SIZES, "error": _ERROR},
    {
        "seconds": _SECONDS,
        "search": Text(most=100),
        "depth": Whole(),
        "evaluations": Whole(most=2**63),
        "multiply_adds": Whole(most=2**63),
        "nominal_seconds": _SECONDS,
    },
)

#: A :class:`Selection` in model files.
SELECTION = Record(
    {"step_sizes": STEP_SIZES, "error": _ERROR, "path": Many(_CANDIDATE)},
    {
        "front": Many(_CANDIDATE),
        "n_steps": Maybe(Whole(1)),
        "dtype": Maybe(Text(choices=(SINGLE,))),
    },
)


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
    search : {"upper", "lower", "front"}
        Which bound was being sought by the greedy rule, or that the front was being measured.
    depth, evaluations, multiply_adds : int
        Its cost apart from the machine; see :class:`~pyhits.hierarchy.cost.Cost`.
    nominal_seconds : float
        The cost in seconds of a nominal machine, by which ``"speed"`` ranks.
    """

    step_sizes: tuple[int, ...]
    error: float
    seconds: float = 0.0
    search: str = ""
    depth: int = 0
    evaluations: int = 0
    multiply_adds: int = 0
    nominal_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Count an error that is no number as infinite."""
        if math.isnan(self.error):
            object.__setattr__(self, "error", math.inf)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Candidate:
        """Rebuild from plain JSON values."""
        sizes, error = tuple(values["step_sizes"]), float(values["error"])
        return cls(**{**values, "step_sizes": sizes, "error": error})


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
        What the greedy rule tried.
    front : list of Candidate
        Error and cost of all ranges of scales, whole and thinned, on a sample of the validation
        data.
    n_steps : int or None
        Steps over which couplings were compared, where beyond them every forecast is lost; None
        where it was over all that the validation data allow.
    dtype : {"float32"} or None
        Arithmetic of forecasts, where ``"speed"`` may do with less than that of the flow maps.
    """

    step_sizes: tuple[int, ...]
    error: float
    path: list[Candidate] = field(default_factory=list)
    front: list[Candidate] = field(default_factory=list)
    n_steps: int | None = None
    dtype: str | None = None

    @property
    def best(self) -> list[Candidate]:
        """The candidates of the front that none is both cheaper and better than, cheapest first."""
        return undominated(self.front, "nominal_seconds")

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Selection:
        """Rebuild from :meth:`as_dict`."""
        path = [Candidate.from_dict(c) for c in values["path"]]
        front = [Candidate.from_dict(c) for c in values.get("front", [])]
        n_steps = values.get("n_steps")
        return cls(
            tuple(values["step_sizes"]),
            float(values["error"]),
            path,
            front,
            None if n_steps is None else int(n_steps),
            values.get("dtype"),
        )

    def plot(self, kind: str = "front", *, ax: Any = None) -> Any:
        """Draw error against cost of all couplings, or what the greedy rule tried.

        Parameters
        ----------
        kind : {"front", "path"}
        ax : array of two or three Axes, or Figure, optional

        Returns
        -------
        array of Axes
        """
        from pyhits import plots

        if as_choice(kind, "kind", ("front", "path")) == "path":
            return plots.selection_path(self.path, self.step_sizes, ax=ax)
        positive = [c for c in self.front if c.error > 0]
        best = {cost: undominated(positive, cost) for cost in ("nominal_seconds", "depth")}
        return plots.accuracy_front(positive, best, self.step_sizes, ax=ax)

    def note(self) -> str:
        """Return the sentence that says over how many steps scales were compared, if not all."""
        return (
            f"Scales were compared over {self.n_steps} steps: beyond, every forecast of the "
            "validation data is lost, and their mean would seem best."
        )


def undominated(front: Sequence[Candidate], cost: str) -> list[Candidate]:
    """Return the candidates that none is both cheaper and better than, by a cost they carry."""
    best: list[Candidate] = []
    for candidate in sorted(front, key=lambda c: (getattr(c, cost), c.error)):
        if math.isfinite(candidate.error) and (not best or candidate.error < best[-1].error):
            best.append(candidate)
    return best


#: Tries a coupling.
Measure = Callable[[tuple[int, ...]], Candidate]


def select(step_sizes: Sequence[int], measure: Measure) -> Selection:
    """Choose the range of scales by the paper's greedy rule (Section 2.3).

    First the upper bound u: the best of the couplings of scales 0 to k. Then the lower bound l: the
    best of the couplings of scales k to u. Then, beyond the paper, every single scale: one that is
    better than all couplings tried is taken by itself. Equal errors favour the first tried.

    Parameters
    ----------
    step_sizes : sequence of int
        All trained step sizes.
    measure : callable
        Tries a coupling: returns a Candidate with its error.
    """
    sizes = sorted(step_sizes)
    path: list[Candidate] = []

    def best(candidates: list[tuple[int, ...]], search: str) -> Candidate:
        tried = []
        for sizes_tried in candidates:
            known = next((c for c in path if c.step_sizes == sizes_tried), None)
            if known is None:
                known = replace(measure(sizes_tried), search=search)
                path.append(known)
            tried.append(known)
        return min(tried, key=lambda c: c.error)

    upper = best([tuple(sizes[: k + 1]) for k in range(len(sizes))], "upper").step_sizes
    lower = best([upper[k:] for k in range(len(upper))], "lower").step_sizes
    chosen = best([lower, *((size,) for size in sizes)], "single")
    return Selection(chosen.step_sizes, chosen.error, path)


def ranges(step_sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Return every range of scales: whole, with every k-th of them alone, and its two ends alone.

    They nest as ``step_sizes`` do, finest first; each is there once, in a fixed order.
    """
    sizes = sorted(step_sizes)
    found: dict[tuple[int, ...], None] = {}
    for first, last in itertools.combinations_with_replacement(range(len(sizes)), 2):
        for stride in range(1, max(1, last - first) + 1):
            if (last - first) % stride == 0:
                found[tuple(sizes[first : last + 1 : stride])] = None
    return list(found)


def fastest(front: Sequence[Candidate], tolerance: float) -> list[Candidate]:
    """Return the candidates whose error is within ``tolerance``, cheapest first."""
    within = [c for c in front if c.error <= tolerance]
    return sorted(within, key=lambda c: (c.nominal_seconds, c.error))
