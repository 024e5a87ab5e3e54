"""What one measurement came to: a row of a table, an entry of the JSON file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.timing import Timing


@dataclass
class Record:
    """One row of a benchmark.

    Attributes
    ----------
    benchmark, name : str
        The benchmark's ``NAME``, and what was measured.
    seconds, low, high : float, optional
        Median and quartiles of the wall time.
    error : float, optional
        Mean squared error against the truth, unless the note names another.
    states_per_second : float, optional
        States returned a second.
    share_of_floor : float, optional
        Time that the multiply-adds alone need at this machine's sgemm rate, over ``seconds``.
    ratio, ratio_to : float and str, optional
        How many times less time (or memory) this takes than the row named ``ratio_to``.
    value, unit : float and str, optional
        What was measured where it is no time: GFLOP/s, MB, a slope.
    threads : int, optional
    bar, met : str and bool, optional
        What is aimed at, and whether this row reaches it.
    note : str
    """

    benchmark: str
    name: str
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    error: float | None = None
    states_per_second: float | None = None
    share_of_floor: float | None = None
    ratio: float | None = None
    ratio_to: str = ""
    value: float | None = None
    unit: str = ""
    threads: int | None = None
    bar: str = ""
    met: bool | None = None
    note: str = ""

    @classmethod
    def timed(
        cls, benchmark: str, name: str, timing: Timing, n_states: int | None = None, **values: Any
    ) -> Record:
        """Return a row whose times come from repeated measurements of ``n_states`` states."""
        rate = n_states / timing.median if n_states else None
        return cls(
            benchmark,
            name,
            timing.median,
            timing.low,
            timing.high,
            states_per_second=rate,
            **values,
        )

    def against(self, other: Record, at_least: float | None = None) -> Record:
        """Set the ratio of times to another row, and the bar for it; return itself."""
        assert self.seconds is not None
        assert other.seconds is not None
        self.ratio, self.ratio_to = other.seconds / self.seconds, other.name
        if at_least is not None:
            self.aim(f"{at_least:g} x or more", self.ratio >= at_least)
        return self

    def aim(self, bar: str, met: bool) -> None:
        """Say what is aimed at and whether it is reached."""
        self.bar, self.met = bar, bool(met)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; numbers that are not finite become null."""
        values = asdict(self)
        odd = [k for k, v in values.items() if isinstance(v, float) and not math.isfinite(v)]
        return values | dict.fromkeys(odd)
