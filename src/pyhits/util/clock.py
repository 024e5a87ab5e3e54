"""The time limit of a fit: one clock, made when the fit begins and passed through every stage."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace


class TimeIsUpError(Exception):
    """Ends work that is not worth anything before it is done; its caller goes on without it."""


@dataclass(frozen=True)
class Clock:
    """When a fit, or a stage of it, must end, and what that has cut short.

    A stage looks at its clock before each piece of work. It leaves out what it has no time for,
    says so by :meth:`cut`, and returns what it has: there is always a usable result.
    """

    #: begin, end: Readings of ``now`` between which the work lies; ``end`` is infinite without a
    #: limit.
    begin: float = 0.0
    end: float = math.inf
    #: Returns seconds. Readings of the default agree among the processes of one machine, so that a
    #: clock may be sent to a worker process.
    now: Callable[[], float] = time.perf_counter
    #: How long each stage took; shared by all clocks that were made from one.
    seconds: dict[str, float] = field(default_factory=dict)
    shortened: list[str] = field(default_factory=list)  # what was cut short; likewise
    #: Pieces of work that may be done, and those that were: what they bound ends in the same place
    #: however busy the machine is.
    most_work: float = math.inf
    spent: list[int] = field(default_factory=list)

    @classmethod
    def start(cls, limit: float | None = None, now: Callable[[], float] | None = None) -> Clock:
        """Return a clock that starts now, for ``limit`` seconds or without a limit."""
        now = now or time.perf_counter
        begin = now()
        return cls(begin, math.inf if limit is None else begin + limit, now)

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return math.isfinite(self.end)

    @property
    def elapsed(self) -> float:
        """Seconds since the begin."""
        return self.now() - self.begin

    @property
    def left(self) -> float:
        """Seconds to the end, 0 when that is past; infinite without a limit."""
        return max(self.end - self.now(), 0.0)

    @property
    def is_over(self) -> bool:
        """Whether the end is past."""
        return self.is_limited and self.now() >= self.end

    def check(self) -> None:
        """Raise a TimeIsUpError where the end is past."""
        if self.is_over:
            raise TimeIsUpError

    def allowing(self, work: int) -> Clock:
        """Return the clock of a stage that ends after so many pieces of work, too."""
        return replace(self, most_work=work, spent=[])

    def spend(self, work: int) -> None:
        """Count pieces of work that are about to be done, in any of the threads that share a clock.

        Raises TimeIsUpError: they are too many, or the end is past.
        """
        self.check()
        if math.isinf(self.most_work):
            return
        self.spent.append(work)
        if sum(self.spent) > self.most_work:
            raise TimeIsUpError

    def affords(self, seconds: float) -> bool:
        """Whether work of so many seconds would be done before the end."""
        return seconds <= self.left

    def until(self, share: float) -> Clock:
        """Return the clock of a stage that ends after this share of the whole time."""
        return self.ending(self.begin + share * (self.end - self.begin))

    def part(self, share: float) -> Clock:
        """Return the clock of a stage that ends after this share of the time that is left."""
        return self.ending(self.now() + share * self.left) if self.is_limited else self

    def ending(self, end: float) -> Clock:
        """Return a clock with another end, if that is no later."""
        return replace(self, end=min(end, self.end)) if self.is_limited else self

    def cut(self, what: str) -> None:
        """Note that the limit has cut ``what`` short."""
        if what not in self.shortened:
            self.shortened.append(what)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that a ``with`` block takes to that of the stage ``name``."""
        begin = self.now()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self.now() - begin

    def note(self) -> str | None:
        """Return the sentence that says what the limit has cut short; None if nothing."""
        if not self.shortened:
            return None
        return (
            f"The time limit has cut short: {', '.join(self.shortened)}. A longer time_limit "
            "(--time-limit) may do better."
        )


#: The clock of work without a limit.
UNLIMITED = Clock()
