"""safetensors files with JSON metadata and a checksum: no pickle, no code, whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyhits.errors import ArgumentError
from pyhits.util.arrayfile import (
    DTYPES,
    KEY,
    CheckFile,
    Content,
    expected_checksum,
    metadata,
    reading,
    specs_of,
    verify,
    with_checksum,
)
from pyhits.util.atomic import write_bytes
from pyhits.util.stored import TensorSpec
from pyhits.util.tensorheader import check_file, header_room


def write_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and plain values to ``path``; the old file stays until the new one is whole.

    Raises ArgumentError: the metadata are longer than would be read again.
    """
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    text = json.dumps(strict(facts), allow_nan=False)
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
        text = with_checksum(text, _contents(tensors))
    return save(tensors, metadata={KEY: text})


def _contents(tensors: Mapping[str, Tensor]) -> Iterator[Content]:
    for name in sorted(tensors):
        tensor = tensors[name]
        flat = tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else None
        yield name, str(tensor.dtype), list(tensor.shape), flat


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

    Raises FileFormatError: the file is missing, truncated, damaged, no safetensors file, or not
    from PyHiTS.

    Parameters
    ----------
    what : str
        What the file should be, for messages.
    check : callable, optional
        Called before any tensor is read. By default a file must have a checksum.
    """
    from safetensors import safe_open  # as above

    with reading(path, what):
        check_file(path, what)
        with safe_open(path, framework="pt", device="cpu") as file:
            text, facts = metadata(file, path, what)
            specs = specs_of(file)
            expected = expected_checksum(text)
            (check or _must_have_checksum)(facts, specs, expected is not None)
            tensors = {name: file.get_tensor(name) for name in specs}
        if expected:
            verify(expected, _contents(tensors))
        return tensors, facts


def _must_have_checksum(_: dict[str, Any], __: dict[str, TensorSpec], has_checksum: bool) -> None:
    if not has_checksum:
        raise ValueError("it has lost its checksum")


_NAMES = {f"torch.{name}": short for short, name in DTYPES.items()}


def tensor_spec(tensor: Tensor) -> TensorSpec:
    """Return what a file would say of a tensor."""
    return TensorSpec(_NAMES.get(str(tensor.dtype), "unknown"), tuple(tensor.shape))


def as_tensors(state: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    """Return named arrays or tensors as tensors, with names that begin with a prefix."""
    return {
        prefix + name: value
        if isinstance(value, Tensor)
        else torch.from_numpy(np.array(value, order="C"))
        for name, value in state.items()
    }
