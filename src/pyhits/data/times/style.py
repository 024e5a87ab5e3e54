"""How the times of rows are written, where they do not show it."""

from __future__ import annotations

from dataclasses import dataclass

from pyhits.data.times.values import check_format
from pyhits.data.times.zones import check_zone


@dataclass(frozen=True)
class TimeStyle:
    """How times are written, checked.

    Raises ArgumentError: ``time_format`` or ``time_zone`` is unknown.
    """

    #: time_format, time_zone: As of :func:`pyhits.read`.
    time_format: str | None = None
    time_zone: str | None = None
    #: units, calendar: Of numbers, in the manner of CF: ``"days since 1850-01-01"``, ``"noleap"``.
    units: str | None = None
    calendar: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "time_format", check_format(self.time_format))
        if self.time_zone is not None:
            check_zone(self.time_zone)


#: Times that show how they are written.
SHOWN = TimeStyle()
