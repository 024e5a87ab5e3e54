"""How many rows a state holds, and how far apart: what was chosen, in numbers and words."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: Error of one row that is good enough.
GOOD = 1e-3


@dataclass(frozen=True)
class StateRows:
    """How many rows a state holds, and what that was chosen by.

    Attributes
    ----------
    n_rows, lag : int
        Rows that a state should hold, and from one to the next.
    scores : dict of (int, int) to float
        By rows and lag: mean error of rollouts, in standard deviations. Empty where the rows are
        too few to compare any.
    """

    n_rows: int
    lag: int
    scores: dict[tuple[int, int], float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Error of the rows that were chosen."""
        return self.scores[self.n_rows, self.lag]

    @property
    def history(self) -> int:
        """Rows that a state spans."""
        return 1 + (self.n_rows - 1) * self.lag

    def note(self) -> str:
        """Return the sentence that says what was chosen."""
        rows = "one row" if self.n_rows == 1 else f"{self.n_rows} rows"
        if not self.scores:
            return f"A state is {rows}, as the recordings are too short to compare any."
        one, own = self.scores[1, 1], self.score
        if self.n_rows == 1:
            best = min(self.scores.values())
            least = f", {best:.2g} with more" if len(self.scores) > 1 else ""
            return f"A state is one row (error of rollouts {one:.2g}{least})."
        apart = f", {self.lag} apart" if self.lag > 1 else ""
        if one < GOOD:
            return (
                f"A state is {rows}{apart}, from which the next follows more exactly (errors "
                f"of rollouts {own:.2g}, {one:.2g} with one). Forecasts start from {self.history} "
                "rows; encoder=[] does without."
            )
        return (
            f"A state is {rows}{apart}, as one does not show all that the next depends "
            f"on (errors of rollouts {own:.2g}, {one:.2g} with one). Forecasts start from "
            f"{self.history} rows; encoder=[] does without."
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was compared as named arrays, for model files."""
        tried = np.array(list(self.scores), dtype=np.int64)
        return {"tried": tried.reshape(-1), "scores": np.array(list(self.scores.values()))}
