"""What a check has to say."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """Something in the data that a person would object to."""

    #: ``"sideways"``, ``"film"``, ``"wrapped"``, ``"categories"``, ``"quantised"``,
    #: ``"shuffled"``, ``"sorted"``, ``"glued"``, ``"regime"``, ``"growing"``, ``"repeated"`` or
    #: ``"units"``.
    kind: str
    message: str  # what it is, and where; one sentence or two
    advice: str  # what to do
    #: trajectory, row: The first place, both from 0; None where it is the whole.
    trajectory: int | None = None
    row: int | None = None
    features: tuple[str, ...] = ()  # the features that show it; empty where all do

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values."""
        return asdict(self) | {"features": list(self.features)}


def place(trajectory: int, row: int, n_trajectories: int) -> str:
    """Return ``"row 17"``, with the trajectory where there are several."""
    return f"row {row}" if n_trajectories == 1 else f"trajectory {trajectory}, row {row}"
