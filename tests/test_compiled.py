"""Stepping with compiled code, and decoding: what surrounds the stepper."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import seeded

from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, MissingExtraError
from pyhits.flowmaps import FlowMap, PolynomialMap, ResidualNet
from pyhits.hierarchy import compiled
from pyhits.hierarchy.forecast import forecast

STARTS = np.random.default_rng(0).uniform(-1, 1, (53, 2)).astype(np.float32)


def plain() -> Standardise:
    return Standardise().set_statistics(np.array([0.1, -0.2]), np.array([1.5, 0.5]))


# Compiled stepping


def compile_with(backend: str, patch: pytest.MonkeyPatch) -> None:
    """Have torch trace and hand over to ``backend``, for any number of rows as ever."""
    patch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))


def check_compiled_equals_eager() -> None:
    """Blocks of one row included; the second forecast compiles nothing."""
    both = seeded(ResidualNet(2, (8,), base_degree=2, outputs=2), 0)
    base = both.get_submodule("base").get_buffer("coefficients")
    base.normal_(0, 0.01, generator=torch.Generator().manual_seed(0))
    maps: dict[int, FlowMap] = {2: both}
    first = forecast(STARTS, maps, plain(), 40, compile=True)
    one = forecast(STARTS[:1], maps, plain(), 40, compile=True)
    for starts, found in ((STARTS, first), (STARTS[:1], one)):
        eager = forecast(starts, maps, plain(), 40)
        np.testing.assert_allclose(found, eager, rtol=1e-5, atol=1e-6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch._dynamo.convert_frame.transform_code_object", None)
        np.testing.assert_array_equal(forecast(STARTS, maps, plain(), 40, compile=True), first)


def test_traced_steps_equal_eager_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_with("eager", monkeypatch)
    check_compiled_equals_eager()


@pytest.mark.slow
def test_compiled_equals_eager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled here and now: what torch kept of earlier runs may be of other kernels."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    check_compiled_equals_eager()


def test_without_a_compiler_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (str(tmp_path / "none"),))
    with pytest.raises(MissingExtraError, match="compile=True needs a compiler"):
        compiled.compiled({1: ResidualNet(2, (5,))}, "cpu")


def test_what_cannot_be_compiled_is_named() -> None:
    class Odd(FlowMap):
        def increment(self, states: torch.Tensor) -> torch.Tensor:
            raise ValueError("odd")

    with pytest.raises(ArgumentError, match="Odd cannot be compiled"):
        compiled.compiled({1: Odd(2)}, "cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_compiled_on_a_gpu_equals_eager() -> None:
    nets = {1: seeded(ResidualNet(2, (8,)), 0), 4: seeded(ResidualNet(2, (8,)), 1)}
    maps = {size: net.cuda() for size, net in nets.items()}
    for starts in (STARTS, STARTS[:1], STARTS):
        eager = forecast(starts, maps, plain(), 40, device="cuda")
        found = forecast(starts, maps, plain(), 40, device="cuda", compile=True)
        np.testing.assert_allclose(found, eager, rtol=1e-4, atol=1e-5)


# Decoding


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("inside", [torch.float32, torch.float64])
def test_results_are_decoded_in_full_precision(dtype: type, inside: torch.dtype) -> None:
    """Flow maps that stand still return the initial states, whatever the offset."""
    encoder = Standardise().set_statistics(np.array([101325.123, -3.0]), np.array([1.7, 1e-3]))
    starts = encoder.inverse_transform(STARTS.astype(np.float64)).astype(dtype)
    found = forecast(starts, {1: PolynomialMap(2, 1).to(inside)}, encoder, 5)
    single = dtype == np.float32 or inside == torch.float32
    close = 2 * np.spacing(np.abs(starts)) + (2e-7 * encoder.scale_ if single else 0)
    assert (np.abs(found - starts[:, None]) <= close[:, None]).all()


BESIDE = """
import resource
import numpy as np
import torch
from pyhits.encoders import Standardise
from pyhits.flowmaps import PolynomialMap
from pyhits.hierarchy.forecast import forecast
encoder = Standardise().set_statistics(np.zeros(2), np.ones(2))
maps = {16: PolynomialMap(2, 2, 16), 64: PolynomialMap(2, 2)}
torch.set_num_threads(2)  # each thread works on trajectories of its own
forecast(np.zeros((4, 2)), maps, encoder, 64)
begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
out = forecast(np.zeros((320, 2)), maps, encoder, 5120)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin - out.nbytes // 1024)
"""


@pytest.mark.slow
def test_memory_beside_the_result_is_small() -> None:
    """Float64 results of float32 flow maps: 26 MB, and less than 50 MB beside them."""
    done = subprocess.run(
        [sys.executable, "-c", BESIDE], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 50_000
