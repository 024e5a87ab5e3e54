"""safetensors files read without torch: arrays, and the metadata beside them.

Metadata are JSON text, and begin with a checksum of themselves and of all arrays.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.errors import FileFormatError
from pyhits.util import jsontext
from pyhits.util.atomic import first_line
from pyhits.util.stored import TensorSpec
from pyhits.util.tensorheader import check_file

#: Metadata key that holds the JSON text; safetensors metadata are flat strings, in any order.
KEY = "pyhits"

#: Names of dtypes in files, and as torch and NumPy name them.
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U8": "uint8", "BOOL": "bool", "C64": "complex64",
}  # fmt: skip

#: Raises a ValueError if a file's plain values and tensors are not what is to be read; told whether
#: there is a checksum.
CheckFile = Callable[[dict[str, Any], dict[str, TensorSpec], bool], None]


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn errors of reading into a FileFormatError that says what the file should be."""
    from safetensors import SafetensorError  # imported when used: it is not needed to forecast

    try:
        yield
    except SafetensorError as error:
        raise FileFormatError(
            f"{path} is not {what}: it is truncated or of another kind ({first_line(error)})."
        ) from None
    except FileFormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"{path} is damaged: {first_line(error)}. Take another copy of it, or make it again."
        ) from None
    except OSError as error:
        raise FileFormatError(f"Cannot read {path}: {error.strerror or error}.") from None


def read_arrays(
    path: Path, *, what: str, check: CheckFile
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read arrays, mapped from the file, and plain values; the checksum must agree.

    Raises FileFormatError: the file is missing, truncated, damaged, no safetensors file, or not
    from PyHiTS; or it has no checksum, or tensors of a dtype that NumPy does not have.

    Parameters
    ----------
    what : str
        What the file should be, for messages.
    check : callable
        Called before any array is read.
    """
    from safetensors import safe_open

    with reading(path, what):
        check_file(path, what)
        with safe_open(path, framework="np") as file:  # it checks the header
            text, facts = metadata(file, path, what)
            specs = specs_of(file)
        expected = expected_checksum(text)
        check(facts, specs, expected is not None)
        if expected is None:
            raise ValueError("it has no checksum")
        arrays = _mapped(path, specs)
        contents = (
            (name, f"torch.{arrays[name].dtype}", list(arrays[name].shape), _bytes(arrays[name]))
            for name in sorted(arrays)
        )
        verify(expected, contents)
        return arrays, facts


def specs_of(file: Any) -> dict[str, TensorSpec]:
    """Return what an open safetensors file says of its tensors."""
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    return {k: TensorSpec(s.get_dtype(), tuple(s.get_shape())) for k, s in slices.items()}


def metadata(file: Any, path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """Return the JSON text of an open file, and its values without the checksum."""
    found = file.metadata() or {}
    if KEY not in found:
        raise FileFormatError(
            f"{path} is a safetensors file, but not {what}: it has no PyHiTS metadata."
        )
    facts = jsontext.parse(found[KEY])
    if not isinstance(facts, dict):
        raise FileFormatError(f"{path} is not {what}: its metadata are no record.")
    facts.pop("sha256", None)
    return found[KEY], facts


def _mapped(path: Path, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    """Return the tensors of a file whose header has been checked, as views of the file."""
    content = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8 : 8 + length].tobytes())
    arrays = {}
    for name, spec in specs.items():
        begin, end = (8 + length + place for place in header[name]["data_offsets"])
        dtype = np.dtype(DTYPES.get(spec.dtype, "unknown"))
        arrays[name] = np.frombuffer(content[begin:end], dtype=dtype).reshape(spec.shape)
    return arrays


def _bytes(array: np.ndarray) -> Any:
    return array.reshape(-1).view(np.uint8).data if array.size else None


#: The text begins with the checksum of all else.
_CHECKSUM = re.compile(r'\{"sha256": "([0-9a-f]{64})"(?:, )?')

#: Name, dtype as torch names it, shape and bytes of a tensor.
Content = tuple[str, str, list[int], Any]


def checksum(text: str, contents: Iterable[Content]) -> str:
    """Return the SHA-256 of metadata, and of names, dtypes, shapes and bytes of all tensors.

    Parameters
    ----------
    text : str
        The metadata without their checksum.
    contents : iterable of (str, str, list of int, buffer)
        Sorted by name. Nothing is copied: of files they are hashed from the page cache.
    """
    digest = hashlib.sha256()
    digest.update(text.encode())
    for *about, content in contents:
        digest.update(json.dumps(about).encode())
        if content is not None:
            digest.update(content)
    return digest.hexdigest()


def with_checksum(text: str, contents: Iterable[Content]) -> str:
    """Return the JSON text of an object with the checksum before all else."""
    separator = "" if text[1] == "}" else ", "
    return f'{{"sha256": "{checksum(text, contents)}"{separator}{text[1:]}'


def expected_checksum(text: str) -> tuple[str, str] | None:
    """Return the checksum that metadata begin with, and the text that it is of."""
    found = _CHECKSUM.match(text)
    return None if found is None else (found[1], f"{{{text[found.end() :]}")


def verify(expected: tuple[str, str], contents: Iterable[Content]) -> None:
    """Raise a ValueError if tensors and metadata are not those of the checksum.

    Parameters
    ----------
    expected : (str, str)
        Of :func:`expected_checksum`.
    contents : as of :func:`checksum`
    """
    if checksum(expected[1], contents) != expected[0]:
        raise ValueError("its content does not agree with its checksum")
