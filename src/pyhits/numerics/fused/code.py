"""Machine code made by LLVM while the program runs: vectors of 512 bits, loops, functions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from threading import RLock
from typing import Any, TypeVar

import llvmlite
import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from pyhits.numerics.fused import disk

#: States that are stepped side by side: a row of a block holds one feature of all of them.
LANES = 32

WHOLE = ir.IntType(64)

#: Where functions such as sin may be: what is loaded already, and libraries of several systems.
_LIBRARIES = (None, "libm.so.6", "libm.dylib", "ucrtbase")

#: Sums and products may be fused, nothing more: what is not finite stays so.
_FUSED = ("contract",)

#: What LLVM calls a value: llvmlite has no types of its own.
Value = Any


def real(dtype: np.dtype) -> ir.Type:
    """Return LLVM's name of float32 or float64."""
    return ir.DoubleType() if dtype == np.float64 else ir.FloatType()


def whole(value: int) -> Value:
    """Return a constant integer."""
    return ir.Constant(WHOLE, value)


class Function:
    """A function in the making: its arguments are pointers and integers.

    Parameters
    ----------
    dtype : dtype
        Of what :meth:`load` and :meth:`store` move.
    """

    def __init__(
        self,
        module: ir.Module,
        name: str,
        dtype: np.dtype,
        arguments: list[ir.Type],
        returns: ir.Type | None = None,
    ) -> None:
        kind = ir.FunctionType(returns or ir.VoidType(), arguments)
        self.function = ir.Function(module, kind, name)
        self.args = self.function.args
        self.real = real(dtype)
        self.width = 64 // dtype.itemsize
        self.vector = ir.VectorType(self.real, self.width)
        self.build = ir.IRBuilder(self.function.append_basic_block("entry"))

    @contextmanager
    def loop(self, stop: Value, step: int = 1) -> Iterator[Value]:
        """Repeat what is built inside for 0, ``step``, ... below ``stop``."""
        build, before = self.build, self.build.block
        head, body, end = (build.append_basic_block(name) for name in ("head", "body", "end"))
        build.branch(head)
        build.position_at_end(head)
        index = build.phi(WHOLE)
        index.add_incoming(whole(0), before)
        build.cbranch(build.icmp_signed("<", index, stop), body, end)
        build.position_at_end(body)
        yield index
        index.add_incoming(build.add(index, whole(step)), build.block)
        build.branch(head)
        build.position_at_end(end)

    def at(self, pointer: Value, offset: Value) -> Value:
        """Return a pointer ``offset`` numbers further on."""
        return self.build.gep(pointer, [offset])

    def load(self, pointer: Value, offset: Value, kind: ir.Type | None = None) -> Value:
        """Return the vector, or what else, that begins at an offset."""
        kind = kind or self.vector
        place = self.build.bitcast(self.at(pointer, offset), kind.as_pointer())
        return self.build.load(place, align=4)

    def store(self, value: Value, pointer: Value, offset: Value) -> None:
        """Write a vector, or a number."""
        place = self.build.bitcast(self.at(pointer, offset), value.type.as_pointer())
        self.build.store(value, place, align=4)

    def spread(self, number: Value, width: int | None = None) -> Value:
        """Return a vector of equal numbers."""
        kind = ir.VectorType(number.type, width or self.width)
        one = self.build.insert_element(ir.Constant(kind, ir.Undefined), number, _place(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
        return self.build.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask)

    def variable(self, kind: ir.Type, value: Value | None = None, size: int = 1) -> Value:
        """Return a place for a value that changes; the optimiser makes a register of it."""
        with self.build.goto_entry_block():
            place = self.build.alloca(kind, size)
        if value is not None:
            self.build.store(value, place)
        return place

    def plus(self, a: Value, b: Value) -> Value:
        """Return ``a + b``."""
        return self.build.fadd(a, b, flags=_FUSED)

    def times(self, a: Value, b: Value, more: Value | None = None) -> Value:
        """Return ``a * b``, or ``a * b + more``."""
        product = self.build.fmul(a, b, flags=_FUSED)
        return product if more is None else self.plus(product, more)

    def clamp(self, value: Value, low: Value, high: Value) -> Value:
        """Return a value within bounds; what is no number stays so."""
        build = self.build
        value = build.select(build.fcmp_ordered("<", value, low), low, value)
        return build.select(build.fcmp_ordered(">", value, high), high, value)

    def called(self, name: str, *vectors: Value) -> Value:
        """Return what a function of the C library makes of vectors, number by number."""
        build, number = self.build, ir.DoubleType()
        module = self.function.module
        known = module.globals.get(name)
        kind = ir.FunctionType(number, [number] * len(vectors))
        function = known or ir.Function(module, kind, name)
        result: Value = ir.Constant(self.vector, ir.Undefined)
        for lane in range(self.width):
            parts = [build.extract_element(vector, _place(lane)) for vector in vectors]
            if self.real != number:
                parts = [build.fpext(part, number) for part in parts]
            one = build.call(function, parts)
            one = one if self.real == number else build.fptrunc(one, self.real)
            result = build.insert_element(result, one, _place(lane))
        return result


def _place(number: int) -> Value:
    return ir.Constant(ir.IntType(32), number)


_Made = TypeVar("_Made")

_LOCK = RLock()


def once(make: Callable[..., _Made]) -> Callable[..., _Made]:
    """Keep what a function returns for good, made once however many threads ask for it."""
    kept = cache(make)

    @wraps(make)
    def made(*args: Any) -> _Made:
        with _LOCK:
            return kept(*args)

    return made


def can_call(names: Iterable[str]) -> bool:
    """Return whether code may call these functions of the C library."""
    return all(_made_known(name) for name in names)


@once
def _made_known(name: str) -> bool:
    """Tell LLVM where a function of the C library is, if it is found."""
    for library in _LIBRARIES:
        try:
            function = getattr(ctypes.CDLL(library), name)
        except (OSError, AttributeError, TypeError):
            continue
        llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
        return True
    return False


class Library:
    """Compiled functions; their code is gone with it, so that :func:`once` must keep it.

    Parameters
    ----------
    name : str
        What it is the code of, by which it is kept on disk.
    make : callable
        Returns the module, where there is none.
    """

    def __init__(self, name: str, make: Callable[[], ir.Module]) -> None:
        _initialise()
        cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(
            cpu=cpu, features=features, opt=2, codemodel="jitdefault"
        )
        key = f"{name} {cpu} {features} {machine.triple} {llvmlite.__version__}"
        code = disk.read(key)
        if code is None:
            code = _compiled(make(), machine)
            disk.write(key, code)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        self._engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self._functions: dict[str, Callable[..., int]] = {}
        self._addresses: dict[str, int] = {}

    def address(self, name: str) -> int:
        """Return where a function begins."""
        if name not in self._addresses:
            self._addresses[name] = int(self._engine.get_function_address(name))
        return self._addresses[name]

    def function(self, name: str, n_arguments: int) -> Callable[..., int]:
        """Return a function of integers and addresses."""
        if name not in self._functions:
            kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * n_arguments)
            self._functions[name] = kind(self.address(name))
        return self._functions[name]


def _compiled(module: ir.Module, machine: Any) -> bytes:
    """Return the machine code of a module, as the content of an object file."""
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    parsed = llvm.parse_assembly(str(module))
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(parsed, passes)
    return bytes(machine.emit_object(parsed))


@once
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def pointer(kind: ir.Type) -> Any:
    """Return the type of pointers."""
    return kind.as_pointer()
