"""How the times of rows are written, where they do not show it."""

from __future__ import annotations

from dataclasses import dataclass

from pyhits.data.times.values import check_format
from pyhits.data.times.zones import check_zone


@dataclass(frozen=True)
class TimeStyle:
    """How times are written, checked.

    Attributes
    ----------
    time_format, time_zone : str, optional
        As of :func:`pyhits.read`.
    units, calendar : str, optional
        Of numbers, in the manner of CF: ``"days since 1850-01-01"``, ``"noleap"``.

    Raises
    ------
    ArgumentError
        ``time_format`` or ``time_zone`` is unknown.
    """

    time_format: str | None = None
    time_zone: str | None = None
    units: str | None = None
    calendar: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "time_format", check_format(self.time_format))
        if self.time_zone is not None:
            check_zone(self.time_zone)


#: Times that show how they are written.
SHOWN = TimeStyle()
