"""Trained flow maps as ONNX graphs and torch programs, in the user's units, to step without PyHiTS.

The encoder's arithmetic is part of the graph. A change over a fine step is far smaller than the
state, and the state may be far smaller than its offset, so the change is added to the state as it
came in: only the change itself passes through the flow map's precision.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from pyhits._version import __version__
from pyhits.data.files.guard import as_path
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError
from pyhits.flowmaps import FlowMap
from pyhits.hits import HiTS
from pyhits.timestepper import TimeStepper, as_stepper
from pyhits.util.atomic import check_target, first_line, replacing, write_bytes
from pyhits.util.checks import as_choice, as_count
from pyhits.util.extras import need

#: Extensions that can be written: an ONNX graph, and a program of torch.export.
EXTENSIONS = (".onnx", ".pt2")

#: Stages of a step, at most: of some hundred, tracing takes minutes.
_MOST_STAGES = 500

#: Arithmetic at the interface.
DTYPES = {"float32": torch.float32, "float64": torch.float64}


class StepModule(nn.Module):
    """One step of a flow map in the user's units: encode, step, decode.

    It holds a copy of the flow map, on the CPU, and can be differentiated by the states.

    Raises ArgumentError: the dtype is unknown, or the encoder's statistics do not fit into it.

    Parameters
    ----------
    encoder : Standardise
        Fitted.
    dense : bool, optional
        Return the states at all outputs of the flow map. By default it does where there are
        several.
    dtype : {"float64", "float32"}
        Of the states that come and go. With ``"float64"`` the encoder's arithmetic is float64 and
        the flow map keeps its own; with ``"float32"`` all arithmetic is float32.
    """

    shift: Tensor
    rest: Tensor
    scale: Tensor

    def __init__(
        self,
        flow_map: FlowMap,
        encoder: Standardise,
        *,
        dense: bool | None = None,
        dtype: str = "float64",
    ) -> None:
        super().__init__()
        self.dtype = DTYPES[as_choice(dtype, "dtype", DTYPES)]
        self.flow_map = copy.deepcopy(flow_map).cpu().eval()
        if self.dtype == torch.float32:
            self.flow_map = self.flow_map.float()
        kinds = [t.dtype for t in self.flow_map.state_dict().values() if t.is_floating_point()]
        self.inner_dtype = kinds[0] if kinds else torch.float32
        self.dense = flow_map.outputs > 1 if dense is None else dense
        # In float32 the mean is held as the sum of two numbers: a state near it loses nothing when
        # the first is subtracted, and the second brings the digits that the first lacks.
        with np.errstate(over="ignore"):
            shift = encoder.mean_.astype(dtype)
            scale = encoder.scale_.astype(dtype)
        if not (np.isfinite(shift).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ArgumentError(
                "The data are too large or too small for float32; export with dtype='float64'."
            )
        self.register_buffer("shift", torch.from_numpy(shift))
        self.register_buffer("rest", torch.from_numpy((encoder.mean_ - shift).astype(dtype)))
        self.register_buffer("scale", torch.from_numpy(scale))

    def forward(self, states: Tensor) -> Tensor:
        """Return the states one step later; ``(n, d)`` to ``(n, d)``, or ``(n, outputs, d)``."""
        encoded = (states - self.shift - self.rest) / self.scale
        change = self.flow_map.increment(encoded.to(self.inner_dtype)).to(self.dtype)
        if not self.dense:
            return states + change[:, -self.flow_map.dimension :] * self.scale
        inside = change.reshape(-1, self.flow_map.outputs, self.flow_map.dimension)
        return states[:, None] + inside * self.scale


def export_model(
    model: HiTS | TimeStepper,
    path: str | Path,
    *,
    step_size: int | None = None,
    dense: bool | None = None,
    dtype: str = "float64",
) -> Path:
    """Write one step of a fitted model to a file that needs no PyHiTS.

    The graph takes ``states`` (n, d), any n, to ``next_states`` (n, d), both in the user's units;
    for a dense flow map to the states inside the step, (n, outputs, d), the last at its end. It
    neither checks its input nor catches divergence.

    Parameters
    ----------
    model : HiTS or TimeStepper
        Fitted.
    path : path
        ``.onnx``: an ONNX graph. ``.pt2``: a program for :func:`torch.export.load`. The file
        appears whole or not at all.
    step_size : int, optional
        A trained step size; the finest by default.
    dense : bool, optional
        False returns the end of the step alone, for a dense flow map.
    dtype : {"float64", "float32"}
        Of the states. float64 is right wherever the graph is iterated on data with an offset: an
        increment below the spacing of float32 numbers at the state would vanish. The flow map
        computes in the model's dtype all the same. float32 is for runtimes that have nothing else;
        the graph then holds no other floating type.

    Returns
    -------
    Path
        The file. Its metadata hold ``pyhits_version``, ``feature_names``, ``dt``, ``step_size`` and
        ``times``, those of the returned states since the given ones.

    Raises
    ------
    ArgumentError
        The extension, the step size or the dtype is none of those known, the step has too many
        stages, or torch cannot trace the flow map.
    FileFormatError
        The file cannot be written.
    MissingExtraError
        The onnx package is not installed.
    NotFittedError
        The model is not fitted.
    """
    stepper = as_stepper(model)
    size = _size(stepper, step_size)
    path = as_path(path)
    check_target(path, EXTENSIONS)
    is_onnx = path.suffix.lower() == ".onnx"
    if is_onnx:
        for package in ("onnx", "onnxscript"):
            need(package, action="Writing .onnx files", extra="export")
    step = StepModule(stepper.flow_maps[size], stepper.scaling, dense=dense, dtype=dtype)
    facts = _facts(stepper, size, step)
    try:
        with _quiet():
            program = _trace(step)
            content = _onnx_bytes(program, facts) if is_onnx else b""
    except Exception as error:  # tracers raise anything on code they cannot follow
        raise ArgumentError(
            f"The {type(stepper.flow_maps[size]).__name__} of step size {size} cannot be exported: "
            f"{first_line(error)}. Its increment must consist of tensor operations, none chosen by "
            "the values of the states."
        ) from error
    if is_onnx:
        write_bytes(path, content)
    else:
        with replacing(path) as temporary, _quiet():
            torch.export.save(program, temporary, extra_files={"pyhits.json": json.dumps(facts)})
    return path


def _size(model: TimeStepper, step_size: int | None) -> int:
    """Return the step size to export, of a model that can be."""
    if model.inputs is not None:
        raise ArgumentError("Models with inputs cannot be exported.")
    if model.encoder is not None:
        raise ArgumentError(
            "This model steps encoded coordinates, and its encoder "
            f"({', '.join(map(repr, model.encoder.encoders))}) cannot be exported; export a "
            "model fitted on encoded data."
        )
    size = min(model.flow_maps) if step_size is None else as_count(step_size, "step_size")
    if size not in model.flow_maps:
        raise ArgumentError(
            f"Step size {size} was not trained; there are {', '.join(map(str, model.flow_maps))}."
        )
    stages = model.flow_maps[size].stages
    if stages > _MOST_STAGES:
        raise ArgumentError(
            f"A step of size {size} takes {stages} stages one after the other, and a graph writes "
            f"out each of them: {_MOST_STAGES} at most; export a finer step size."
        )
    return size


def _facts(model: TimeStepper, size: int, step: StepModule) -> dict[str, Any]:
    """Return the metadata of the file."""
    outputs = step.flow_map.outputs
    first = 1 if step.dense else outputs
    return {
        "pyhits_version": __version__,
        "feature_names": list(model.feature_names),
        "dt": model.dt,
        "step_size": size,
        "times": [k * size / outputs * model.dt for k in range(first, outputs + 1)],
    }


def _trace(step: StepModule) -> ExportedProgram:
    """Return the graph for any number of states."""
    example = step.shift.expand(2, -1).clone()
    program = torch.export.export(step, (example,), dynamic_shapes=({0: Dim("n")},))
    _forget_sources(program)
    return program


def _onnx_bytes(program: ExportedProgram, facts: dict[str, Any]) -> bytes:
    """Return an ONNX file of a program, with facts among its metadata."""
    gelu = torch.ops.aten.gelu.default
    if any(node.target is gelu for node in program.graph.nodes):
        program = program.run_decompositions({gelu: _gelu})
        _forget_sources(program)
    exported = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        input_names=["states"],
        output_names=["next_states"],
        dynamic_shapes=({0: Dim("n")},),
        custom_translation_table=_translations(),
    )
    assert exported is not None
    proto = exported.model_proto
    proto.producer_name, proto.producer_version = "pyhits", __version__
    for key, value in facts.items():
        text = value if isinstance(value, str) else json.dumps(value)
        proto.metadata_props.add(key=key, value=text)
    return bytes(proto.SerializeToString())


def _forget_sources(program: ExportedProgram) -> None:
    """Take the paths of this machine's source files out of a program."""
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch's exporters warn and log of their own affairs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _gelu(x: Tensor, *, approximate: str = "none") -> Any:
    """Write GELU out in float64, in which runtimes have no such operation."""
    if x.dtype != torch.float64:
        return NotImplemented
    if approximate == "tanh":
        return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + torch.erf(x / 2**0.5))


#: The error function as Cephes has it (S. L. Moshier, ndtr.c), exact to rounding: numerator and
#: denominator, in x**2, of erf(x) / x below 1, then those, in x, of exp(x**2) * (1 - erf(x)) from 1
#: on. Coefficients go from the highest power down.
_ERF = (
    (9.60497373987051638749, 9.00260197203842689217e1, 2.23200534594684319226e3,
     7.00332514112805075473e3, 5.55923013010394962768e4),
    (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3,
     2.26290000613890934246e4, 4.92673942608635921086e4),
    (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687,
     4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2,
     9.34528527171957607540e2, 1.02755188689515727272e3, 5.57535335369399327526e2),
    (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2,
     9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3,
     1.65666309194161350182e3, 5.57535340817727675546e2),
)  # fmt: skip


def _translations() -> dict[Any, Any]:
    """Return ONNX translations of operations whose usual ones are not good for float64.

    The exporter rounds numbers of Python to float32 whatever they meet, and ONNX Runtime has no
    error function in float64.
    """
    from onnxscript import ir
    from onnxscript import opset18 as op

    def constant(value: Any, dtype: Any = np.float64) -> Any:
        return op.Constant(value=ir.tensor(np.asarray(value, dtype)))

    def scalar(
        s: float, dtype: int = -1, layout: str = "", device: str = "", pin_memory: bool = False
    ) -> Any:
        return constant(s, np.float32 if dtype == -1 else ir.DataType(dtype).numpy())

    def erf(x: Any) -> Any:
        if x.dtype != ir.DataType.DOUBLE:
            return op.Erf(x)
        size = op.Abs(x)
        near = op.Min(size, constant(1))
        # Beyond 6 the error function is 1 to rounding.
        far = op.Clip(size, constant(1), constant(6))
        square = op.Mul(near, near)
        # All four polynomials at once, along a new first axis.
        first = constant([0], np.int64)
        powers = op.Concat(
            *(op.Unsqueeze(value, first) for value in (square, square, far, far)), axis=0
        )
        longest = max(map(len, _ERF))
        rows = [(0.0,) * (longest - len(row)) + row for row in _ERF]
        shape = (len(_ERF), *(1 for _ in x.shape))
        total = constant(np.zeros(shape))
        for column in zip(*rows, strict=True):
            total = op.Add(op.Mul(total, powers), constant(np.reshape(column, shape)))
        parts = op.Split(total, num_outputs=len(_ERF), axis=0)
        below = op.Mul(near, op.Squeeze(op.Div(parts[0], parts[1]), first))
        tail = op.Mul(op.Exp(op.Neg(op.Mul(far, far))), op.Squeeze(op.Div(*parts[2:]), first))
        above = op.Sub(constant(1), tail)
        return op.Mul(op.Sign(x), op.Where(op.Less(size, constant(1)), below, above))

    return {torch.ops.aten.scalar_tensor.default: scalar, torch.ops.aten.erf.default: erf}
