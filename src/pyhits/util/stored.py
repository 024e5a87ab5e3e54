"""What goes into files: one protocol for all parts of a model, and the classes of a family by kind.

An object says what it is in plain values, which its class declares as a schema, and what it has
learned in named arrays, which its class declares, too. Both are checked before anything is built
from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar, cast

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.util.checks import shown, suggest
from pyhits.util.schema import Named, Plain, Record, Schema, SchemaError, wrong


class TensorSpec(NamedTuple):
    """What is known of a tensor before it is read: dtype as safetensors names it, and shape."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


@dataclass(frozen=True)
class Array:
    """What an array may be before it is read."""

    axes: int = 1  # number of axes
    dtypes: tuple[str, ...] = ("F64",)  # as safetensors names them


class Stored:
    """An object that files hold.

    A subclass declares ``schema`` and ``arrays``, and writes :meth:`plain`, :meth:`state` and
    :meth:`from_stored`.
    """

    #: Name of the class in files, where a file says of which class of a family an object is.
    kind: ClassVar[str] = ""

    #: What :meth:`plain` returns.
    schema: ClassVar[Schema] = Record({})

    #: What :meth:`state` may return; names are regular expressions.
    arrays: ClassVar[Mapping[str, Array]] = {}

    def plain(self) -> dict[str, Any]:
        """Return what the object is as JSON values."""
        return {}

    def state(self) -> Mapping[str, Any]:
        """Return what it has learned: arrays, or tensors, by name."""
        return {}

    @classmethod
    def plain_schema(cls) -> Schema:
        """Return what :meth:`plain` returns."""
        return cls.schema

    @classmethod
    def check_state(
        cls, plain: Mapping[str, Any], found: Mapping[str, TensorSpec], where: str = ""
    ) -> None:
        """Compare the arrays of a file, before they are read, with what :meth:`plain` calls for.

        Parameters
        ----------
        plain : mapping
            As ``schema`` has it.
        found : mapping of str to TensorSpec
        where : str
            What the names in the file begin with, for messages.

        Raises
        ------
        SchemaError
            An array is none that there may be.
        """
        check_arrays(cls.arrays, found, where)

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any], state: Mapping[str, Any]) -> Self:
        """Build an object from what :meth:`plain` and :meth:`state` have returned.

        Raises
        ------
        ValueError
            They do not fit together.
        """
        raise NotImplementedError(f"{cls.__name__} does not say how it is built.")


class StoredRecord(Stored):
    """A dataclass that files hold field by field: those that ``schema`` names, and the arrays."""

    schema: ClassVar[Record] = Record({})

    def plain(self) -> dict[str, Any]:
        """Return the fields that ``schema`` names."""
        named = {name: getattr(self, name) for name in self.schema.entries}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in named.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Return the fields that are arrays."""
        every = {one.name: getattr(self, one.name) for one in fields(cast(Any, self))}
        return {name: one for name, one in every.items() if isinstance(one, np.ndarray)}

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any], state: Mapping[str, Any]) -> Self:
        """Build an object from all fields; a ValueError if it cannot be one."""
        known = {name: plain[name] for name in cls.schema.entries if name in plain}
        made = cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}, **state)
        made._check()
        return made

    def _check(self) -> None:
        """Raise a ValueError if what was read does not fit together."""


def check_arrays(
    declared: Mapping[str, Array], found: Mapping[str, TensorSpec], where: str = ""
) -> None:
    """Raise a SchemaError for arrays that nothing declares, or declares otherwise."""
    for name, spec in found.items():
        array = next((a for pattern, a in declared.items() if re.fullmatch(pattern, name)), None)
        if array is None:
            raise SchemaError(f"there is a tensor {(where + name)[:80]!r} that nothing asks for")
        if spec.dtype not in array.dtypes or len(spec.shape) != array.axes:
            kind = " or ".join(array.dtypes)
            raise SchemaError(
                f"the tensor {where}{name} is {spec}, expected {kind} of {array.axes} axes"
            )


def check_specs(
    expected: Mapping[str, TensorSpec], found: Mapping[str, TensorSpec], where: str = ""
) -> None:
    """Raise a SchemaError unless tensors are exactly those that are expected."""
    for name, spec in expected.items():
        if name not in found:
            raise SchemaError(f"the tensor {where}{name} is missing")
        if found[name] != spec:
            raise SchemaError(f"the tensor {where}{name} is {found[name]}, expected {spec}")
    for name in found:
        if name not in expected:
            raise SchemaError(f"there is a tensor {(where + name)[:80]!r} that nothing asks for")


def same_names(expected: Mapping[str, Any], found: Mapping[str, Any], what: str) -> None:
    """Raise a ValueError that names what is missing, or is there for nothing."""
    for name in {*expected} ^ {*found}:
        lacks = "lacks" if name in expected else "does not know"
        raise ValueError(f"{what} {lacks} {name[:60]!r}")


S = TypeVar("S", bound=Stored)


class Family(Generic[S]):
    """Classes that stand for each other, by their kind, such as all encoders.

    A class joins by ``@FAMILY.register``; files then know it, and nothing else is touched.

    Parameters
    ----------
    what : str
        What one of them is, for messages.
    hint : str
        What to do where a kind is not known.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        self.what = what
        self.hint = f" {hint}" if hint else ""
        #: Classes by kind.
        self.classes: dict[str, type[S]] = {}

    def register(self, cls: type[S]) -> type[S]:
        """Make a class known under its ``kind``; a class decorator."""
        known = self.classes.get(cls.kind)
        if not cls.kind or (known is not None and known.__qualname__ != cls.__qualname__):
            raise ArgumentError(f"{cls.__name__} has no kind of its own: {cls.kind!r}.")
        self.classes[cls.kind] = cls
        return cls

    def __iter__(self) -> Iterator[str]:
        return iter(self.classes)

    def __getitem__(self, kind: str) -> type[S]:
        """Return the class of a kind; an ArgumentError names those that there are."""
        if not isinstance(kind, str) or kind not in self.classes:
            hint = suggest(str(kind), sorted(self.classes))
            raise ArgumentError(f"Unknown {self.what} {shown(kind)}{hint}{self.hint}")
        return self.classes[kind]

    def plain(self, one: S) -> dict[str, Any]:
        """Return an object as JSON values, its kind among them."""
        known = self.classes.get(one.kind)
        # A class that was defined anew, as in a notebook, has replaced its own.
        if known is None or known.__qualname__ != type(one).__qualname__:
            raise ArgumentError(
                f"A {type(one).__name__} cannot be written to a file: its class is not registered "
                f"as {self.what}.{self.hint}"
            )
        return {"kind": one.kind, **one.plain()}

    def check_state(
        self, plain: Mapping[str, Any], found: Mapping[str, TensorSpec], where: str = ""
    ) -> None:
        """Compare arrays with what the class of the kind in ``plain`` calls for."""
        self[plain["kind"]].check_state(_without_kind(plain), found, where)

    def from_stored(self, plain: Mapping[str, Any], state: Mapping[str, Any]) -> S:
        """Build an object of the kind in ``plain``."""
        return self[plain["kind"]].from_stored(_without_kind(plain), state)

    @property
    def kinds(self) -> Schema:
        """One of the kinds, in a file."""
        return _Kind(self)

    @property
    def schema(self) -> Schema:
        """What :meth:`plain` returns, in a file."""
        return _OfKind(self)


@dataclass(frozen=True)
class _Kind(Schema):
    family: Family[Any]

    def read(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or value not in self.family:
            error = wrong(where, f"one of {', '.join(self.family)}", value)
            raise SchemaError(f"{error}.{self.family.hint}" if self.family.hint else str(error))
        return value


@dataclass(frozen=True)
class _OfKind(Schema):
    family: Family[Any]

    def read(self, value: Any, where: str) -> dict[str, Any]:
        named = Named(Plain()).read(value, where)
        kind = _Kind(self.family).read(named.pop("kind", None), f"{where}.kind")
        return {"kind": kind, **self.family[kind].plain_schema().read(named, where)}


def _without_kind(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plain.items() if name != "kind"}


def under(prefix: str, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has names that begin with a prefix, by the rest of the names."""
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}
