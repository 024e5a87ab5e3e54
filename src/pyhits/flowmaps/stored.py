"""Flow maps in files: named tensors, and what they are as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pyhits.errors import FileFormatError
from pyhits.flowmaps.base import FlowMap, create, family
from pyhits.util.checks import shown
from pyhits.util.schema import Named, Plain, Record, SchemaError, Text
from pyhits.util.stored import TensorSpec


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


#: What a file says of a flow map; the rest depends on its kind.
FLOW_MAP = Record(
    {
        "kind": Text(1, 1000),
        "config": Plain(),
        "dtype": Text(choices=("float16", "bfloat16", "float32", "float64")),
    }
)

#: Names of dtypes in safetensors files.
_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL", torch.complex64: "C64",
}  # fmt: skip


def flow_map_specs(
    facts: dict[str, Any], found: Mapping[str, TensorSpec], dimension: int | None, where: str
) -> dict[str, TensorSpec]:
    """Return the tensors that a flow map's plain values call for.

    Parameters
    ----------
    facts : dict
        As :data:`FLOW_MAP` has it.
    found : mapping of str to TensorSpec
        The tensors that are there, by their names in the flow map. What would hold more numbers is
        refused before it is built.
    dimension : int or None
        Variables that it must have, if that is known.
    where : str
        Place of ``facts``, for messages.

    Raises
    ------
    SchemaError, ArgumentError
    """
    cls = family(facts["kind"])
    config = facts["config"] = Named(Plain()).read(facts["config"], f"{where}.config")
    config = facts["config"] = cls.schema.read(config, f"{where}.config")
    if dimension is not None and config.get("dimension", dimension) != dimension:
        raise SchemaError(
            f"{where}.config.dimension: expected {dimension}, as many as the model has "
            f"coordinates, got {shown(config['dimension'])}"
        )
    held = sum(math.prod(spec.shape) for spec in found.values())
    needed = cls.n_stored(config)
    if needed is not None and needed != held:
        raise SchemaError(
            f"{where}.config: a {facts['kind']} flow map of these sizes does not hold the {held} "
            "numbers that the file does"
        )
    empty = _empty(facts["kind"], config).to(getattr(torch, facts["dtype"]))
    return {
        name: TensorSpec(_DTYPES.get(tensor.dtype, "unknown"), tuple(tensor.shape))
        for name, tensor in empty.state_dict().items()
    }


def _empty(kind: str, config: dict[str, Any]) -> FlowMap:
    """Return a flow map on the meta device, where nothing is allocated, or as it is if need be."""
    try:
        with torch.device("meta"):
            return create(kind, config)
    except (RuntimeError, NotImplementedError, TypeError):
        if family(kind).n_stored(config) is not None:
            raise
        return create(kind, config)  # of a user's own, which may look at its tensors


def unpack_flow_map(tensors: dict[str, Tensor], prefix: str, facts: dict[str, Any]) -> FlowMap:
    """Rebuild a flow map from :func:`pack_flow_map`'s tensors and values.

    Raises
    ------
    ValueError
        Its numbers are none that it can step with.
    """
    flow_map = create(facts["kind"], facts["config"]).to(getattr(torch, facts["dtype"]))
    start = f"{prefix}."
    state = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
    flow_map.load_state_dict(state)
    fault = flow_map.fault()
    if fault is not None:
        raise ValueError(f"{prefix}.{fault}")
    return flow_map.eval()
