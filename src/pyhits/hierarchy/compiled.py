"""Flow maps whose stepping torch compiles: for GPUs, and for families of one's own."""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from pyhits.errors import ArgumentError, MissingExtraError
from pyhits.flowmaps import FlowMap
from pyhits.flowmaps.base import StepInto
from pyhits.util.atomic import first_line

_Step = Callable[[FlowMap, Tensor], Tensor]

#: What was compiled, by kind of device, as long as the flow map lives: a second forecast compiles
#: nothing.
_KNOWN: weakref.WeakKeyDictionary[FlowMap, dict[str, _Step]] = weakref.WeakKeyDictionary()

#: What torch calls a compiler that is not there or does not work.
_NO_COMPILER = ("InvalidCxxCompiler", "CppCompileError", "TritonMissing", "C compiler")


def compiled(flow_maps: Mapping[int, FlowMap], device: str) -> dict[int, FlowMap]:
    """Return flow maps that step with code compiled for ``device``, any number of rows at once.

    On CUDA the kernels of a step are replayed as one graph, so that small steps do not wait for
    their launches. Results agree with those of the flow maps themselves up to rounding.

    Raises MissingExtraError: there is no compiler that torch can use.
    Raises ArgumentError: a flow map does what torch cannot compile.
    """
    return {size: _Compiled(flow_map, device) for size, flow_map in flow_maps.items()}


class _Compiled(FlowMap):
    """A flow map that steps with compiled code."""

    def __init__(self, flow_map: FlowMap, device: str) -> None:
        super().__init__(flow_map.dimension, flow_map.outputs)
        self.flow_map = flow_map
        kind = torch.device(device).type
        known = _KNOWN.setdefault(flow_map, {})
        if kind not in known:
            step = _compile(kind)
            _try(step, flow_map, device)
            known[kind] = step
        self._step = known[kind]

    @property
    def width(self) -> int:
        return self.flow_map.width

    @property
    def multiply_adds(self) -> int:
        return self.flow_map.multiply_adds

    def increment(self, states: Tensor) -> Tensor:
        return self.flow_map.increment(states)

    def stepper(self, max_rows: int) -> StepInto:
        def step_into(states: Tensor, out: Tensor) -> None:
            n = len(states)
            # Code compiled for any number of rows does not hold for one alone.
            rows = states if n > 1 else states.repeat(2, 1)
            # The results of a replayed graph lie where the next replay writes.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            out.copy_(self._step(self.flow_map, rows)[:n])

        return step_into


def _compile(kind: str) -> _Step:
    # Torch keeps what it compiled with the code of a function, and little of it: one for each map.
    own = types.FunctionType(_step.__code__.replace(), _step.__globals__, "step")
    mode = "reduce-overhead" if kind == "cuda" else None
    try:
        return torch.compile(own, dynamic=True, mode=mode)
    except RuntimeError as error:
        raise MissingExtraError(_advice(error)) from error


def _step(flow_map: FlowMap, states: Tensor) -> Tensor:
    return flow_map.within(states).flatten(1)


@torch.inference_mode()
def _try(step: _Step, flow_map: FlowMap, device: str) -> None:
    """Compile, and say plainly what goes wrong.

    In the calling thread: on a GPU graphs belong to it, and torch imports modules on the way.
    """
    dtype = next((v.dtype for v in flow_map.state_dict().values() if v.is_floating_point()), None)
    states = torch.zeros(64, flow_map.dimension, dtype=dtype, device=device)
    threads = torch.get_num_threads()
    # On a CPU the code holds for a number of threads: one, as where a forecast will run it.
    torch.set_num_threads(1)
    try:
        step(flow_map, states)
    except Exception as error:  # torch's compilers raise whatever they like
        if any(word in str(error) for word in _NO_COMPILER):
            raise MissingExtraError(_advice(error)) from error
        raise ArgumentError(
            f"A {type(flow_map).__name__} cannot be compiled ({first_line(error)}); forecast "
            "without compile."
        ) from error
    finally:
        torch.set_num_threads(threads)


def _advice(error: Exception) -> str:
    return (
        f"compile=True needs a compiler that torch can use ({first_line(error)}): a C++ compiler "
        "such as g++ on a CPU, Triton and a C compiler on a GPU. Install it, or forecast without "
        "compile."
    )
