"""Level 5 of MATLAB's .mat files (v5 to v7), element by element.

Every length is checked before it is believed: SciPy's reader ends the whole process on some damaged
files. The format: "MAT-File Format", The MathWorks, chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pyhits.data.limits import array_bytes, expect_to_fit

_MATRIX, _COMPRESSED = 14, 15

#: Types of stored numbers, and of the arrays that they belong to, by their numbers.
_STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_NAMES = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
_CLASSES = dict(zip(range(6, 16), _NAMES, strict=True))
_TEXTS = {16: "utf-8", 17: "utf-16", 18: "utf-32", 4: "utf-16", 1: "latin-1", 2: "latin-1"}
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _OPAQUE = 1, 2, 3, 4, 5, 17

#: Bytes of a packed variable that hold its name and shape.
_HEAD = 1 << 12

#: A packed byte holds no more than so many.
_DENSEST = 1100


@dataclass(frozen=True)
class Struct:
    """A struct array: the values of each field, one an element, in MATLAB's order."""

    fields: dict[str, list[Any]]


@dataclass(frozen=True)
class Foreign:
    """An object of a class that only MATLAB can read, such as ``datetime``."""

    kind: str


@dataclass(frozen=True)
class Variable:
    """A variable by its header; NumPy converts one of numbers, and loads it then."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]  # of its numbers; object for all others
    _path: Path = field(repr=False)
    _begin: int = field(repr=False)
    _size: int = field(repr=False)
    _order: str = field(repr=False)
    _packed: bool = field(repr=False)

    @property
    def has_numbers(self) -> bool:
        """Whether it is an array of numbers, not a text, cell, struct or object."""
        return self.dtype.kind != "O"

    def load(self) -> Any:
        """Return the array, text, list, :class:`Struct` or :class:`Foreign` that it is."""
        if self.has_numbers:
            expect_to_fit(array_bytes(self.shape, self.dtype), f"Array {self.name!r} {self.shape}")
        with self._path.open("rb") as stream:
            stream.seek(self._begin)
            data = stream.read(self._size)
        if self._packed:
            data = _unpacked(data, self._order)
        return _matrix(next(_elements(memoryview(data), self._order)).data, self._order)[1]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.load(), dtype=dtype)


class _Element(NamedTuple):
    kind: int
    data: memoryview


class _MatrixHead(NamedTuple):
    kind: int
    flags: int
    shape: tuple[int, ...]
    name: str


def variables(path: Path) -> list[Variable]:
    """Return the variables of a file, in its order.

    Raises ValueError, struct.error, zlib.error: the file is damaged.
    """
    size = path.stat().st_size
    if size < 136:
        raise ValueError(f"{size} bytes are no whole header")
    found = []
    with path.open("rb") as stream:
        order = ">" if stream.read(128)[126:] == b"MI" else "<"
        begin = 128
        while begin + 8 <= size:
            stream.seek(begin)
            kind, length = struct.unpack(order + "II", stream.read(8))
            if kind not in (_MATRIX, _COMPRESSED):
                raise ValueError(f"an element of the kind {kind} at byte {begin}")
            if length > size - begin - 8:
                raise ValueError(f"{length} bytes expected at byte {begin + 8}, {size} in all")
            packed = kind == _COMPRESSED
            data = stream.read(min(length, _HEAD))
            if packed:
                data = zlib.decompressobj().decompress(data, _HEAD)[8:]
            head = _head(_elements(memoryview(data), order), order)
            # One without a name holds what belongs to objects.
            if head.name:
                found.append(_variable(path, head, begin, length + 8, order, packed))
            begin += 8 + length + (0 if packed else -length % 8)
    return found


def _variable(
    path: Path, head: _MatrixHead, begin: int, size: int, order: str, packed: bool
) -> Variable:
    dtype = np.dtype(_CLASSES.get(head.kind, "O"))
    if head.flags & 2 and dtype.kind in "iu":
        dtype = np.dtype(bool)
    if head.flags & 8 and dtype.kind == "f":
        dtype = np.result_type(dtype, np.complex64)
    first, size = (begin + 8, size - 8) if packed else (begin, size)
    return Variable(head.name, head.shape, dtype, path, first, size, order, packed)


def _unpacked(data: bytes, order: str) -> bytes:
    """Return a packed element as it would stand unpacked."""
    unpacker = zlib.decompressobj()
    head = unpacker.decompress(data, 8)
    _, length = struct.unpack(order + "II", head)
    if length > _DENSEST * len(data):
        raise ValueError(f"{length} bytes cannot come of {len(data)} packed ones")
    expect_to_fit(length, "A variable, unpacked,")
    rest = unpacker.decompress(unpacker.unconsumed_tail, length + 1)
    if len(rest) != length or not unpacker.eof:
        raise ValueError(f"a packed variable is not the {length} bytes that it says")
    return head + rest


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """Yield the elements that stand one behind the other."""
    at = 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from(order + "II", data, at)
        if kind >> 16:
            # Up to four bytes fit into the second half of the tag.
            kind, length, begin, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if length > 4:
                raise ValueError(f"a small element of {length} bytes")
        else:
            begin, after = at + 8, at + 8 + length + -length % 8
        # Heads are read from the beginning of a variable alone; slices end where the data end.
        yield _Element(kind, data[begin : begin + length])
        at = after


def _head(parts: Iterator[_Element], order: str) -> _MatrixHead:
    """Return class, flags, shape and name, which every matrix begins with."""
    flags = bytes(_next(parts))
    if len(flags) < 8:
        raise ValueError("a variable without its flags")
    # The lowest bytes of a whole number.
    kind, bits = (flags[0], flags[1]) if order == "<" else (flags[3], flags[2])
    if kind == _OPAQUE:
        return _MatrixHead(kind, bits, (), bytes(_next(parts)).decode("latin-1"))
    sizes = _next(parts)
    shape = tuple(np.frombuffer(sizes[: len(sizes) // 4 * 4], order + "i4").tolist())
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"a variable of the shape {shape}")
    return _MatrixHead(kind, bits, shape, bytes(_next(parts)).decode("latin-1"))


def _next(parts: Iterator[_Element]) -> memoryview:
    return _any(parts).data


def _any(parts: Iterator[_Element]) -> _Element:
    found = next(parts, None)
    if found is None:
        raise ValueError("a variable ends before its values")
    return found


def _matrix(data: memoryview, order: str) -> tuple[str, Any]:
    """Return name and value of a matrix, whose elements are ``data``."""
    if not len(data):
        return "", np.empty((0, 0))  # how MATLAB stores empty cells
    parts = _elements(data, order)
    head = _head(parts, order)
    count = math.prod(head.shape)
    if head.kind in _CLASSES:
        return head.name, _numbers(parts, head, order)
    if head.kind == _CHAR:
        return head.name, _text(_any(parts), head.shape, order)
    if head.kind == _CELL:
        _expect(count, data)
        return head.name, [_matrix(_next(parts), order)[1] for _ in range(count)]
    if head.kind in (_STRUCT, _OBJECT):
        kind = bytes(_next(parts)).decode("latin-1") if head.kind == _OBJECT else ""
        found = _struct(parts, count, data, order)
        return head.name, Foreign(kind) if kind else found
    if head.kind == _SPARSE:
        return head.name, _sparse(parts, head, order)
    if head.kind == _OPAQUE:
        _next(parts)
        return head.name, Foreign(bytes(_next(parts)).decode("latin-1"))
    return head.name, Foreign(f"class {head.kind}")


def _numbers(parts: Iterator[_Element], head: _MatrixHead, order: str) -> np.ndarray:
    """Return numbers in MATLAB's shape; they may be stored in fewer bytes than they have."""
    values = _stored(_any(parts), order)
    if head.flags & 8:
        values = values + 1j * _stored(_any(parts), order)
    if values.size != math.prod(head.shape):
        raise ValueError(f"{values.size} numbers for the shape {head.shape}")
    dtype = bool if head.flags & 2 else _CLASSES[head.kind]
    array = values if head.flags & 8 else values.astype(dtype, copy=False)
    return array.reshape(head.shape, order="F")


def _stored(part: _Element, order: str) -> np.ndarray:
    dtype = _STORED.get(part.kind)
    if dtype is None:
        raise ValueError(f"numbers of the kind {part.kind}")
    width = np.dtype(dtype).itemsize
    return np.frombuffer(part.data[: len(part.data) // width * width], order + dtype)


def _text(part: _Element, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Return the rows of a text, none if it is empty."""
    encoding = _TEXTS.get(part.kind, "latin-1")
    if encoding[-2:] in ("16", "32"):
        encoding += "-le" if order == "<" else "-be"
    text = bytes(part.data).decode(encoding, errors="replace")
    n_rows = min(shape[0], len(text))
    return np.array([text[k::n_rows] for k in range(n_rows)], dtype=np.str_)


def _struct(parts: Iterator[_Element], count: int, data: memoryview, order: str) -> Struct:
    length = int(_stored(_any(parts), order)[0])
    texts = bytes(_next(parts))
    if length <= 0:
        raise ValueError(f"names of {length} bytes")
    names = [
        texts[k : k + length].split(b"\0")[0].decode("latin-1")
        for k in range(0, len(texts), length)
    ]
    _expect(count * max(1, len(names)), data)
    fields: dict[str, list[Any]] = {name: [] for name in names}
    for _ in range(count):
        for name in names:
            fields[name].append(_matrix(_next(parts), order)[1])
    return Struct(fields)


def _sparse(parts: Iterator[_Element], head: _MatrixHead, order: str) -> np.ndarray:
    """Return a sparse matrix in full, if that fits."""
    rows, starts = _stored(_any(parts), order), _stored(_any(parts), order)
    part = _any(parts)
    # Truth values are single bytes, whatever is said of them.
    values = np.frombuffer(part.data, bool) if head.flags & 2 else _stored(part, order)
    if head.flags & 8:
        values = values + 1j * _stored(_any(parts), order)
    return sparse_in_full(values, rows, starts, head.shape, head.name)


def sparse_in_full(
    values: np.ndarray, rows: np.ndarray, starts: np.ndarray, shape: tuple[int, ...], name: str
) -> np.ndarray:
    """Return a sparse matrix, kept column by column as MATLAB does, in full if that fits."""
    from scipy.sparse import csc_array

    expect_to_fit(array_bytes(shape, "f8"), f"The sparse array {name!r} {shape}")
    n = int(starts[-1]) if len(starts) else 0
    matrix = csc_array((values[:n], rows[:n], starts), shape=shape)
    matrix.check_format()
    return np.asarray(matrix.toarray())


def _expect(count: int, data: memoryview) -> None:
    """Raise a ValueError if so many elements, of 8 bytes or more, cannot be there."""
    if 8 * count > len(data):
        raise ValueError(f"{count} elements in {len(data)} bytes")
