"""safetensors files with JSON metadata and a checksum: no pickle, no code, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyhits.errors import ArgumentError, FileFormatError
from pyhits.util import jsontext
from pyhits.util.atomic import first_line, write_bytes
from pyhits.util.stored import TensorSpec
from pyhits.util.tensorheader import check_file, header_room

#: Metadata key that holds the JSON text; safetensors metadata are flat strings, in any order.
_KEY = "pyhits"

#: The text begins with the checksum of all else.
_CHECKSUM = re.compile(r'\{"sha256": "([0-9a-f]{64})"(?:, )?')


#: Raises a ValueError if a file's plain values and tensors are not what is to be read; told whether
#: there is a checksum.
CheckFile = Callable[[dict[str, Any], dict[str, TensorSpec], bool], None]


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors and metadata to ``path``; the old file stays until the new one is whole.

    Raises
    ------
    ArgumentError
        The metadata are longer than would be read again.
    """
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    text = json.dumps(strict(metadata), allow_nan=False)
    # The header is JSON that holds ours as a text: quotes are escaped once more.
    size = len(text) + text.count('"') + text.count("\\") + 200 * (1 + len(plain))
    if size > header_room(sum(v.nbytes for v in plain.values())):
        raise ArgumentError(
            f"Cannot write {path}: names, notes and histories take {size / 1e6:.0f} MB, too much "
            "for one file; give shorter feature names, or none."
        )
    write_bytes(path, to_bytes(plain, text))


def to_bytes(tensors: dict[str, Tensor], text: str) -> bytes:
    """Return the file of tensors, on the CPU and contiguous, and of the JSON text of an object."""
    from safetensors.torch import save  # imported when used: it is not needed to forecast

    if text[0] == "{":
        separator = "" if text[1] == "}" else ", "
        text = f'{{"sha256": "{_checksum(text, tensors)}"{separator}{text[1:]}'
    return save(tensors, metadata={_KEY: text})


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of metadata, and of names, dtypes, shapes and bytes of all tensors.

    Nothing is copied: the hash reads the tensors where they lie, of files from the page cache.
    """
    digest = hashlib.sha256()
    digest.update(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        about = [name, str(tensor.dtype), list(tensor.shape)]
        digest.update(json.dumps(about).encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def strict(value: Any) -> Any:
    """Return JSON values in which numbers that are not finite are text that ``float`` reads."""
    if isinstance(value, dict):
        return {k: strict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(v) for v in value]
    if isinstance(value, np.generic):
        return strict(value.item())
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_tensors(
    path: Path, *, what: str, check: CheckFile | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote: tensors, mapped from the file, and plain values.

    Parameters
    ----------
    path : Path
    what : str
        What the file should be, for messages.
    check : callable, optional
        Called before any tensor is read. By default a file must have a checksum.

    Raises
    ------
    FileFormatError
        The file is missing, truncated, damaged, no safetensors file, or not from PyHiTS.
    """
    from safetensors import SafetensorError, safe_open  # as above

    try:
        check_file(path, what)
        with safe_open(path, framework="pt", device="cpu") as file:
            text, facts = _metadata(file, path, what)
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            specs = {k: TensorSpec(s.get_dtype(), tuple(s.get_shape())) for k, s in slices.items()}
            expected = _CHECKSUM.match(text)
            (check or _must_have_checksum)(facts, specs, expected is not None)
            tensors = {name: file.get_tensor(name) for name in slices}
        if expected and _checksum(f"{{{text[expected.end() :]}", tensors) != expected[1]:
            raise ValueError("its content does not agree with its checksum")
        return tensors, facts
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


def _metadata(file: Any, path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """Return the JSON text of an open file, and its values without the checksum."""
    metadata = file.metadata() or {}
    if _KEY not in metadata:
        raise FileFormatError(
            f"{path} is a safetensors file, but not {what}: it has no PyHiTS metadata."
        )
    facts = jsontext.parse(metadata[_KEY])
    if not isinstance(facts, dict):
        raise FileFormatError(f"{path} is not {what}: its metadata are no record.")
    facts.pop("sha256", None)
    return metadata[_KEY], facts


def _must_have_checksum(_: dict[str, Any], __: dict[str, TensorSpec], has_checksum: bool) -> None:
    if not has_checksum:
        raise ValueError("it has lost its checksum")


#: Names of dtypes in safetensors files.
_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL", torch.complex64: "C64",
}  # fmt: skip


def tensor_spec(tensor: Tensor) -> TensorSpec:
    """Return what a file would say of a tensor."""
    return TensorSpec(_DTYPES.get(tensor.dtype, "unknown"), tuple(tensor.shape))


def as_tensors(state: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    """Return named arrays or tensors as tensors, with names that begin with a prefix."""
    return {
        prefix + name: value
        if isinstance(value, Tensor)
        else torch.from_numpy(np.array(value, order="C"))
        for name, value in state.items()
    }
