"""Settings as frozen objects: each with its checks, said once; unknown names refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.util.checks import as_choice, as_count, is_number, shown, suggest


class NamedArguments:
    """A class whose constructor refuses unknown names in a sentence that says what is meant."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an object, if ``__init__`` takes all the names that are given.

        Raises ArgumentError: it does not; the nearest name is suggested.
        """
        parameters = inspect.signature(cls).parameters if kwargs else {}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            for name in kwargs:
                if name not in parameters:
                    known = suggest(name, list(parameters))
                    raise ArgumentError(f"Unknown argument {name!r} of {cls.__name__}{known}")
        return super().__new__(cls)


#: Hidden layers of a net, at most: of more, no gradient comes through.
_MOST_LAYERS = 256

Check = Callable[[Any, str], Any]


def one_of(choices: Iterable[str]) -> Check:
    """Return a check for one of several texts."""
    return lambda value, name: as_choice(value, name, choices)


def count(least: int = 1) -> Check:
    """Return a check for whole numbers of at least ``least``."""
    return lambda value, name: as_count(value, name, least=least)


def between(low: float, high: float, words: str) -> Check:
    """Return a check for numbers from ``low`` to ``high``; words that end in "below" exclude it."""

    def check(value: Any, name: str) -> Any:
        inside = is_number(value) and low <= value <= high
        if not inside or (value == high and "below" in words):
            raise ArgumentError(f"Expected {name} {words}, got {value!r}.")
        return value

    return check


def flag(value: Any, name: str) -> bool:
    """Return True or False, for which 1 and 0 stand, too."""
    if not isinstance(value, (bool, np.bool_)) and not (type(value) is int and value in (0, 1)):
        raise ArgumentError(f"Expected {name} to be True or False, got {shown(value)}.")
    return bool(value)


def text(value: Any, name: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise ArgumentError(f"Expected {name} to be a name, got {shown(value)}.")
    return value


def setting(default: Any, check: Check, **metadata: Any) -> Any:
    """Return a field of a policy.

    Parameters
    ----------
    default
        Its value where none is given. Where that is None, None is a value, and not checked.
    check : callable
        Takes the value and the name; returns the value in its usual form, or raises an
        ArgumentError.
    """
    return field(default=default, metadata={"check": check, **metadata})


@dataclass(frozen=True, repr=False)
class Policy(NamedArguments):
    """How one thing is to be done: a frozen object of plain values, each checked when it is made.

    Two are equal if their values are. ``dataclasses.replace`` returns one with other values.
    """

    def __post_init__(self) -> None:
        """Check all values and bring them into their usual form."""
        for one in fields(self):
            value = getattr(self, one.name)
            if not (value is None and one.default is None):
                object.__setattr__(self, one.name, one.metadata["check"](value, one.name))

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.given().items())})"

    def given(self) -> dict[str, Any]:
        """Return the values that differ from their defaults, by name."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        defaults = {one.name: one.default for one in fields(self)}
        return {
            name: value
            for name, value in values.items()
            if defaults[name] is MISSING or value != defaults[name]
        }


def as_widths(value: Any, name: str = "hidden_sizes") -> tuple[int, ...]:
    """Return widths of hidden layers as a tuple; raise an ArgumentError for others."""
    try:
        sizes = tuple(as_count(width, "a hidden size") for width in value)
    except TypeError:
        raise ArgumentError(
            f"Expected {name} to be widths such as (64, 64), got {value!r}."
        ) from None
    if len(sizes) > _MOST_LAYERS:
        raise ArgumentError(f"Expected at most {_MOST_LAYERS} hidden layers, got {len(sizes)}.")
    return sizes


def widths_by_scale(value: Any, name: str) -> Any:
    """Return widths as :func:`as_widths`, or such by step size."""
    if not isinstance(value, Mapping):
        return as_widths(value, name)
    widths = {}
    for given, layers in value.items():
        size = as_count(given, f"a step size of {name}")
        if layers is None:
            raise ArgumentError(f"{name} has no widths for step size {size}; leave it out.")
        widths[size] = as_widths(layers, name)
    return widths
