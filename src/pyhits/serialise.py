"""safetensors files with JSON metadata: no pickle, no code, written whole or not at all."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyhits.atomic import write_bytes
from pyhits.errors import FileFormatError
from pyhits.flowmaps import FlowMap, create

#: Metadata key that holds the JSON text; safetensors metadata are flat strings.
_KEY = "pyhits"


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors and metadata to ``path``; the old file stays until the new one is whole."""
    from safetensors.torch import save  # imported when used: it is not needed to forecast

    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    data = save(plain, metadata={_KEY: json.dumps(strict(metadata), allow_nan=False)})
    write_bytes(path, data)


def strict(value: Any) -> Any:
    """Return JSON values in which numbers that are not finite are text that ``float`` reads."""
    if isinstance(value, dict):
        return {k: strict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(v) for v in value]
    if isinstance(value, np.generic):
        return strict(value.item())
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_tensors(path: Path, *, what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote.

    Raises
    ------
    FileFormatError
        The file is missing, truncated, no safetensors file, or not from PyHiTS.
    """
    from safetensors import SafetensorError, safe_open  # as above

    if not path.exists():
        raise FileFormatError(f"There is no file {path}.")
    if path.is_dir():
        raise FileFormatError(f"{path} is a folder; expected {what}.")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            if _KEY not in metadata:
                raise FileFormatError(
                    f"{path} is a safetensors file, but not {what}: it has no PyHiTS metadata."
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(metadata[_KEY])
        if not isinstance(facts, dict):
            raise FileFormatError(f"{path} is not {what}: its metadata are no record.")
        return tensors, facts
    except (SafetensorError, json.JSONDecodeError) as error:
        raise FileFormatError(
            f"{path} is not {what}: it is truncated or of another kind ({error})."
        ) from None
    except OSError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"Cannot read {path}: {error.strerror or error}.") from None


def pack_flow_map(flow_map: FlowMap, prefix: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return a flow map as named tensors and plain values."""
    tensors = {f"{prefix}.{k}": v for k, v in flow_map.state_dict().items()}
    if not flow_map.kind:
        name = type(flow_map).__name__
        raise FileFormatError(
            f"A {name} cannot be written to a file: decorate its class with "
            "pyhits.flowmaps.register('a name of yours')."
        )
    dtype = next((str(v.dtype) for v in tensors.values() if v.is_floating_point()), "torch.float32")
    return tensors, {
        "kind": flow_map.kind,
        "config": flow_map.config(),
        "dtype": dtype.removeprefix("torch."),
    }


def unpack_flow_map(tensors: dict[str, Tensor], prefix: str, facts: dict[str, Any]) -> FlowMap:
    """Rebuild a flow map from :func:`pack_flow_map`'s tensors and values."""
    flow_map = create(facts["kind"], facts["config"]).to(getattr(torch, facts["dtype"]))
    start = f"{prefix}."
    state = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
    flow_map.load_state_dict(state)
    return flow_map.eval()


def pack_tree(tree: Any, prefix: str, tensors: dict[str, Tensor]) -> Any:
    """Return nested lists, tuples, dicts and numbers as JSON values, moving tensors out.

    Used for optimiser states, whose layout is the optimiser's own.
    """
    if isinstance(tree, Tensor):
        name = f"{prefix}.{len(tensors)}"
        tensors[name] = tree
        return {"tensor": name}
    if isinstance(tree, dict):
        return {"dict": [[k, pack_tree(v, prefix, tensors)] for k, v in tree.items()]}
    if isinstance(tree, tuple):
        return {"tuple": [pack_tree(v, prefix, tensors) for v in tree]}
    if isinstance(tree, list):
        return {"list": [pack_tree(v, prefix, tensors) for v in tree]}
    if isinstance(tree, float):
        return {"float": tree}
    if tree is None or isinstance(tree, (bool, int, str)):
        return {"value": tree}
    raise TypeError(f"A {type(tree).__name__} cannot be kept in a checkpoint.")


def unpack_tree(packed: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo :func:`pack_tree`."""
    ((kind, content),) = packed.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "float":
        return float(content)
    if kind == "dict":
        return {k: unpack_tree(v, tensors) for k, v in content}
    if kind == "tuple":
        return tuple(unpack_tree(v, tensors) for v in content)
    if kind == "list":
        return [unpack_tree(v, tensors) for v in content]
    return content
