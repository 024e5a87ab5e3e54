"""What plain values must be: types, ranges and lengths, declared once and checked in one walk.

Files hold what is declared here and nothing else, so that whoever builds from them need not ask.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyhits.util.checks import shown

#: Largest whole number that JSON readers agree on.
LARGEST = 2**53


class SchemaError(ValueError):
    """A value is not what was declared; the message begins with its place."""


class Schema(ABC):
    """What one value must be."""

    @abstractmethod
    def read(self, value: Any, where: str) -> Any:
        """Return the value as the library holds it.

        Raises SchemaError: it is not what was declared.

        Parameters
        ----------
        where : str
            Its place, for messages: ``scales[0].step_size``.
        """


def wrong(where: str, expected: str, value: Any) -> SchemaError:
    """Return the error that names a place, what was expected there and what came."""
    return SchemaError(f"{where or 'the whole'}: expected {expected}, got {shown(value)}")


@dataclass(frozen=True)
class Whole(Schema):
    """A whole number within bounds; booleans are none, and floats only where they are ``loose``.

    Arguments are loose: people write ``max_steps=1e4``.
    """

    least: int = 0
    most: int = LARGEST
    loose: bool = False

    def read(self, value: Any, where: str) -> int:
        """Return the number."""
        whole = type(value) is int or (self.loose and type(value) is float and value.is_integer())
        if not whole or not self.least <= value <= self.most:
            raise wrong(where, f"a whole number from {self.least} to {self.most}", value)
        number: int = value
        return number


@dataclass(frozen=True)
class Real(Schema):
    """A number within bounds; where ``finite`` is not asked for also infinity and NaN, as text."""

    least: float = -math.inf
    most: float = math.inf
    finite: bool = True
    positive: bool = False

    def read(self, value: Any, where: str) -> int | float:
        """Return the number."""
        if not self.finite and value in ("inf", "-inf", "nan"):
            value = float(value)
            if math.isnan(value):
                return float(value)
        is_number = type(value) in (int, float) and not (self.positive and value <= 0)
        if not is_number or not self.least <= value <= self.most:
            raise wrong(where, self._expected(), value)
        return float(value) if type(value) is float else int(value)

    def _expected(self) -> str:
        kind = "a positive number" if self.positive else "a number"
        bounds = (self.least, self.most)
        return (
            kind if bounds == (-math.inf, math.inf) else f"{kind} from {bounds[0]} to {bounds[1]}"
        )


@dataclass(frozen=True)
class Flag(Schema):
    """True or false; where it is ``loose``, as an argument is, also 1 or 0."""

    loose: bool = False

    def read(self, value: Any, where: str) -> bool:
        """Return the flag."""
        if not (isinstance(value, bool) or (self.loose and type(value) is int and value in (0, 1))):
            raise wrong(where, "true or false", value)
        return bool(value)


@dataclass(frozen=True)
class Text(Schema):
    """Text of Unicode characters, of ``least`` to ``most`` of them; or one of some choices."""

    least: int = 0
    most: int = 100_000
    choices: tuple[str, ...] = ()

    def read(self, value: Any, where: str) -> str:
        """Return the text."""
        if self.choices and value not in self.choices:
            raise wrong(where, f"one of {', '.join(self.choices)}", value)
        if not isinstance(value, str) or not self.least <= len(value) <= self.most:
            raise wrong(where, f"a text of {self.least} to {self.most} characters", value)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise wrong(where, "a text of Unicode characters", value) from None
        return value


@dataclass(frozen=True)
class Maybe(Schema):
    """A value, or null."""

    one: Schema

    def read(self, value: Any, where: str) -> Any:
        """Return the value, or None."""
        return None if value is None else self.one.read(value, where)


@dataclass(frozen=True)
class Many(Schema):
    """A list of like values, which ``unique`` ones do not repeat."""

    each: Schema
    least: int = 0
    most: int = LARGEST
    unique: bool = False

    def read(self, value: Any, where: str) -> list[Any]:
        """Return the values."""
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            upper = "" if self.most == LARGEST else f" to {self.most}"
            raise wrong(where, f"a list of {self.least}{upper or ' or more'} values", value)
        found = [self.each.read(part, f"{where}[{k}]") for k, part in enumerate(value)]
        if self.unique and len(set(found)) < len(found):
            raise wrong(where, "a list in which nothing is there twice", value)
        return found


@dataclass(frozen=True)
class Named(Schema):
    """An object of like values, under names of which no more is known."""

    each: Schema
    names: Schema = field(default_factory=Text)

    def read(self, value: Any, where: str) -> dict[str, Any]:
        """Return the values by name."""
        if not isinstance(value, dict):
            raise wrong(where, "an object", value)
        return {
            self.names.read(name, f"{where}, a name"): self.each.read(part, _join(where, name))
            for name, part in value.items()
        }


@dataclass(frozen=True)
class Record(Schema):
    """An object of declared entries: all of ``needed``, any of ``optional``, nothing else."""

    needed: Mapping[str, Schema]
    optional: Mapping[str, Schema] = field(default_factory=dict)

    @property
    def entries(self) -> dict[str, Schema]:
        """All that there may be."""
        return {**self.needed, **self.optional}

    def read(self, value: Any, where: str) -> dict[str, Any]:
        """Return the values by name, in the order that they came in."""
        if not isinstance(value, dict):
            raise wrong(where, "an object", value)
        known = self.entries
        for name in self.needed:
            if name not in value:
                raise SchemaError(f"{_join(where, name)}: it is missing")
        for name in value:
            if name not in known:
                raise SchemaError(f"{_join(where, name)}: there is no such entry")
        return {name: known[name].read(part, _join(where, name)) for name, part in value.items()}


@dataclass(frozen=True)
class Either(Schema):
    """A value of one of several kinds, each of another JSON type; ``expected`` names them."""

    kinds: Mapping[type, Schema]
    expected: str

    def read(self, value: Any, where: str) -> Any:
        """Return the value."""
        if type(value) not in self.kinds:
            raise wrong(where, self.expected, value)
        return self.kinds[type(value)].read(value, where)


@dataclass(frozen=True)
class Plain(Schema):
    """Any JSON value of sound texts and finite numbers, for what others define."""

    def read(self, value: Any, where: str) -> Any:
        """Return the value."""
        if isinstance(value, dict):
            return Named(self).read(value, where)
        if isinstance(value, list):
            return Many(self).read(value, where)
        if isinstance(value, str):
            return Text().read(value, where)
        if value is None or isinstance(value, bool):
            return value
        return Real().read(value, where)


def _join(where: str, name: str) -> str:
    return f"{where}.{name[:60]}" if where else name[:60]
