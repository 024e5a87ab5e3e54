"""Methods that change their object wholly or not at all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def copied(instance: T) -> T:
    """Return an object of the same class that shares the attributes' values, without its hooks.

    ``copy.copy`` asks ``__getstate__``, which leaves out what files do not hold.
    """
    twin: T = object.__new__(type(instance))
    twin.__dict__.update(instance.__dict__)
    return twin


def transactional(method: Callable[Concatenate[T, P], T]) -> Callable[Concatenate[T, P], T]:
    """Let a method that returns its object work on a copy, which becomes the object at the end.

    Whatever the method raises, KeyboardInterrupt included, the object stays as it was: all its
    attributes are assigned in one step, once everything has gone well. The method must not change
    values in place that the object held before. Warnings count one level of the stack more.
    """

    @functools.wraps(method)
    def whole(self: T, /, *args: P.args, **kwargs: P.kwargs) -> T:
        draft = copied(self)
        method(draft, *args, **kwargs)
        self.__dict__ = draft.__dict__
        return self

    return whole
