"""Checkpoint folders: finished scales, and how far the others are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyhits.data.files.guard import as_path
from pyhits.errors import CheckpointError, FileFormatError
from pyhits.flowmaps import FlowMap
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.training.history import HISTORY, History
from pyhits.util import jsontext
from pyhits.util.atomic import make_folder, write_bytes
from pyhits.util.schema import Record
from pyhits.util.stored import TensorSpec, under
from pyhits.util.tensorfile import as_tensors, read_tensors, write_tensors

#: What the file of a finished scale says.
_FINISHED = Record({"map": FLOW_MAPS.schema, "history": HISTORY})


def save_progress(
    path: Path,
    factor: float,
    values: dict[str, Any],
    net: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write an unfinished training: weights, best weights, optimiser state and counters."""
    tensors: dict[str, Tensor] = {}
    tree = pack_tree(
        {"values": values, "weights": net.state_dict(), "optimiser": optimiser.state_dict()},
        "t",
        tensors,
    )
    write_tensors(path, tensors, {"progress": tree, "factor": factor})


def load_progress(
    path: Path, factor: float
) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Any]] | None:
    """Return values, weights and optimiser state, or None where there is nothing to resume."""
    if not path.exists():
        return None
    try:
        tensors, facts = read_tensors(path, what="an unfinished scale")
        if facts["factor"] != factor:
            return None
        tree = unpack_tree(facts["progress"], tensors)
        return tree["values"], dict(tree["weights"]), tree["optimiser"]
    except (FileFormatError, KeyError, TypeError, ValueError, AttributeError):
        # Files are replaced whole, so a broken one was damaged from outside: begin anew.
        return None


class CheckpointFolder:
    """A folder that holds the finished and unfinished scales of one fit.

    Raises CheckpointError: the folder belongs to another fit.

    Parameters
    ----------
    path : Path
        Made if it is missing and its own folder is there.
    key : str
        Fingerprint of data and settings; a folder with another key is refused.
    """

    def __init__(self, path: str | Path, key: str) -> None:
        self.path = as_path(path)
        index = self.path / "fit.json"
        try:
            make_folder(self.path)
            if index.exists():
                found = jsontext.parse(index.read_bytes())["key"]
                if found != key:
                    raise CheckpointError(
                        f"The checkpoint folder {self.path} belongs to a fit of other data or "
                        "other settings; give another folder, or delete this one."
                    )
            else:
                write_bytes(index, json.dumps({"key": key}).encode())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"Cannot use {self.path} for checkpoints: {error}.") from None

    def progress_file(self, step_size: int) -> Path:
        """File of an unfinished scale."""
        return self.path / f"scale-{step_size:06d}.part.safetensors"

    def _finished_file(self, step_size: int) -> Path:
        return self.path / f"scale-{step_size:06d}.safetensors"

    def save(self, step_size: int, flow_map: FlowMap, history: History) -> None:
        """Keep a finished scale, and drop its unfinished state."""
        about = {"map": FLOW_MAPS.plain(flow_map), "history": history.as_dict()}
        write_tensors(self._finished_file(step_size), as_tensors(flow_map.state(), "map."), about)
        self.progress_file(step_size).unlink(missing_ok=True)

    def load(self, step_size: int) -> tuple[FlowMap, History] | None:
        """Return a finished scale, or None."""
        path = self._finished_file(step_size)
        if not path.exists():
            return None
        try:
            tensors, facts = read_tensors(path, what="a finished scale", check=_check_finished)
            if facts["history"]["step_size"] != step_size:
                return None
            flow_map = FLOW_MAPS.from_stored(facts["map"], under("map.", tensors))
        except (FileFormatError, ValueError):
            return None  # damaged from outside, or of another version: it is trained anew
        return flow_map, History.from_dict(facts["history"])


def _check_finished(
    facts: dict[str, Any], found: dict[str, TensorSpec], has_checksum: bool
) -> None:
    """Check what the file of a finished scale says, before its tensors are read."""
    if not has_checksum:
        raise ValueError("it has no checksum")
    facts.update(_FINISHED.read(facts, ""))
    own = under("map.", found)
    if len(own) < len(found):
        raise ValueError("it has tensors that nothing asks for")
    FLOW_MAPS.check_state(facts["map"], own, "map.")


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
