"""Nested lists, tuples, dicts and tensors as JSON values, such as the states of optimisers."""

from __future__ import annotations

from typing import Any

from torch import Tensor


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
