"""What a file may say of the times of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyhits.data.times.axis import TimeAxis
from pyhits.data.times.calendars import CALENDARS
from pyhits.data.times.frequency import ANCHORS
from pyhits.data.times.writing import MICRO
from pyhits.util.schema import Either, Flag, Many, Maybe, Record, Schema, SchemaError, Text, Whole

#: Ticks of int64, and the days of calendars that NumPy has dates for.
_MOST_TICKS, _MOST_DAYS = 2**63 - 1, 10**8

_MONTHS = Record({"n": Whole(1, 12_000), "anchor": Text(choices=ANCHORS), "day": Whole(1, 31)})
_DAYS = Record({"week": Text(7, 7), "holidays": Many(Whole(-_MOST_DAYS, _MOST_DAYS), 0, 1_000_000)})


@dataclass(frozen=True)
class _StepSchema(Schema):
    """Steps of months, or of the days of a week."""

    def read(self, value: Any, where: str) -> Any:
        chosen = _DAYS if isinstance(value, dict) and "week" in value else _MONTHS
        found = chosen.read(value, where)
        if "week" in found and (set(found["week"]) - set("01") or "1" not in found["week"]):
            raise SchemaError(f"{where}.week: expected seven of 0 and 1, got {found['week']!r}")
        return found


@dataclass(frozen=True)
class _Axis(Schema):
    """What :meth:`~pyhits.data.times.TimeAxis.as_dict` writes."""

    fields: Record

    def read(self, value: Any, where: str) -> dict[str, Any]:
        found: dict[str, Any] = self.fields.read(value, where)
        try:
            TimeAxis.from_dict(found)
        except ValueError as error:
            raise SchemaError(f"{where}: {error}") from None
        return found


TIME_AXIS = _Axis(
    Record(
        {},
        {
            "step": Either({dict: _StepSchema()}, "a step"),
            "origin": Whole(-_MOST_TICKS, _MOST_TICKS),
            "second": Whole(MICRO, 10**9),
            "calendar": Text(choices=CALENDARS),
            "zone": Maybe(Text(1, 100)),
            "is_wall": Flag(),
        },
    )
)
