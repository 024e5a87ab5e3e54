"""POD: orthonormal, optimal, exact at full rank, and the same from data on disk."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import rounding

import pyhits.encoders.pod as module
from pyhits import Trajectories
from pyhits.encoders import POD
from pyhits.encoders.pod import _Centred, _orthonormal
from pyhits.errors import ArgumentError, DataError


def field(n: int, d: int, decay: float = 0.7, seed: int = 0) -> np.ndarray:
    """Snapshots whose singular values fall by ``decay`` each, on an offset of 1000."""
    rng = np.random.default_rng(seed)
    k = min(n, d)
    left = np.linalg.qr(rng.standard_normal((n, k)))[0]
    right = np.linalg.qr(rng.standard_normal((d, k)))[0]
    return (left * (100 * decay ** np.arange(k))) @ right.T + 1000


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take small data for large: the iteration instead of the exact decomposition."""
    monkeypatch.setattr(module, "_SMALL", 0)


def assert_same_modes(a: POD, b: POD, atol: float = 1e-9) -> None:
    np.testing.assert_allclose(a.singular_values_, b.singular_values_, rtol=1e-9)
    np.testing.assert_allclose(a.modes_, b.modes_, atol=atol)
    np.testing.assert_allclose(a.mean_, b.mean_, rtol=1e-13)
    assert a.energy_ == pytest.approx(b.energy_, rel=1e-12)


def turned_by_rounding(pod: POD, values: np.ndarray, n: int, power: int = 1) -> float:
    """Bound of how far two decompositions of the same ``n`` rows may turn the modes of ``pod``.

    Rounding of the data's norm over the gap between neighbouring singular values (Wedin 1972);
    of their squares (``power`` 2) where the snapshots' inner products are decomposed.
    """
    strengths = values[: len(pod.modes_) + 1] ** power
    gap = -np.diff(strengths).max()
    return rounding(n + pod.modes_.shape[1], strengths[0] / gap)


@pytest.mark.parametrize(("n", "d"), [(40, 200), (200, 40), (60, 60)])
def test_modes_are_those_of_the_svd(n: int, d: int) -> None:
    X = field(n, d)
    pod = POD(8).fit(X)
    _, values, modes = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(pod.singular_values_, values[:8], rtol=1e-12)
    np.testing.assert_allclose(np.abs(np.sum(pod.modes_ * modes[:8], axis=1)), 1, rtol=1e-12)
    np.testing.assert_allclose(pod.modes_ @ pod.modes_.T, np.eye(8), atol=1e-13)
    assert pod.energy_ == pytest.approx(np.square(values[:8]).sum() / np.square(values).sum())
    largest = np.abs(pod.modes_).argmax(axis=1)
    assert (pod.modes_[np.arange(8), largest] > 0).all()


@pytest.mark.parametrize(("n", "d"), [(30, 90), (90, 30)])
def test_full_rank_is_exact(n: int, d: int) -> None:
    X = field(n, d, decay=0.98)
    pod = POD(min(n, d)).fit(X)
    np.testing.assert_allclose(pod.modes_ @ pod.modes_.T, np.eye(min(n, d)), atol=1e-13)
    np.testing.assert_allclose(pod.inverse_transform(pod.transform(X)), X, rtol=1e-13)
    assert pod.energy_ == pytest.approx(1, abs=rounding(n * d))


def test_what_is_cut_off_is_what_energy_says() -> None:
    X = field(50, 120)
    pod = POD(5).fit(X)
    left = X - pod.inverse_transform(pod.transform(X))
    lost = np.square(left).sum() / np.square(X - X.mean(axis=0)).sum()
    assert lost == pytest.approx(1 - pod.energy_, rel=1e-9)


@pytest.mark.usefixtures("large")
def test_the_iteration_finds_the_same_modes() -> None:
    X = field(300, 400, decay=0.9)
    pod = POD(10).fit(X)
    _, values, modes = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(pod.singular_values_, values[:10], rtol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(pod.modes_ * modes[:10], axis=1)), 1, rtol=1e-9)
    np.testing.assert_allclose(pod.modes_ @ pod.modes_.T, np.eye(10), atol=1e-13)
    assert_same_modes(pod, POD(10).fit(X), atol=turned_by_rounding(pod, values, 300))
    assert_same_modes(pod, POD(10, random_state=3).fit(X), atol=1e-4)


def test_energy_chooses_the_number_of_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    X = field(300, 400, decay=0.95)
    _, values, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    share = np.cumsum(np.square(values)) / np.square(values).sum()
    for energy in (0.5, 0.999):
        pod = POD(energy=energy).fit(X)
        assert len(pod.modes_) == np.flatnonzero(share >= energy)[0] + 1
        assert pod.energy_ >= energy
    monkeypatch.setattr(module, "_SMALL", 0)
    monkeypatch.setattr(module, "_FIRST", 4)
    assert_same_modes(pod, POD(energy=0.999).fit(X), atol=1e-4)
    low_rank = field(40, 60)[:, :1] @ np.ones((1, 60))
    assert len(POD(energy=1.0).fit(low_rank).modes_) == 1


def wide(n: int = 60, d: int = 900) -> np.ndarray:
    """Fields of which each mode is a third of the one before."""
    return field(n, d, decay=1 / 3)


@pytest.mark.parametrize("wanted", [{"n_modes": 16}, {"energy": 1 - 1e-13}])
def test_snapshots_give_the_modes_of_the_svd(
    wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all modes would not fit: weak modes too, though their inner products lose digits."""
    monkeypatch.setattr(module, "_FIRST", 4)
    monkeypatch.setattr(_Centred, "iterate", None)
    X = wide()
    pod = POD(**wanted, max_bytes=100_000).fit(X)
    _, values, modes = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    n = len(pod.modes_)
    assert n >= 13
    np.testing.assert_allclose(pod.singular_values_, values[:n], rtol=1e-7)
    assert pod.singular_values_[-1] < 1e-6 * values[0]
    # Angles from the exact modes; where a mode is weak, rounding of the strongest turns it.
    apart = modes[:n] - pod.modes_ * np.sign(np.sum(pod.modes_ * modes[:n], axis=1))[:, None]
    assert (np.linalg.norm(apart, axis=1) < 1e-8 * values[0] / values[:n]).all()
    np.testing.assert_allclose(pod.modes_ @ pod.modes_.T, np.eye(n), atol=1e-13)
    assert_same_modes(pod, POD(n).fit(X), atol=1e-7)


def test_snapshots_are_looked_at_where_rows_are_few_or_no_array(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    used = []
    original = _Centred.snapshots
    monkeypatch.setattr(
        _Centred, "snapshots", lambda self, size: used.append(size) or original(self, size)
    )
    X = wide()
    small = POD(5, max_bytes=100_000)
    exact = POD(5).fit(X)
    assert used == []
    assert_same_modes(small.fit(X), exact, atol=1e-8)
    assert used == [15]
    # Columns of a file, some of them alone, are read as those of an array.
    np.save(tmp_path / "x.npy", np.hstack([X, X]))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")[:, 900:]
    values = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    within = turned_by_rounding(small, values, 60, power=2)
    assert_same_modes(POD(5, max_bytes=100_000).fit(mapped), small, atol=within)
    np.save(tmp_path / "y.npy", np.asfortranarray(X[:, ::2]))
    mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
    assert_same_modes(POD(5, max_bytes=50_000).fit(mapped), POD(5).fit(X[:, ::2]), atol=1e-8)
    # Blocks have no columns: they are iterated on.
    assert_same_modes(small.fit(OnDisk(X, 7)), exact, atol=1e-6)


def test_dependent_rows_are_made_orthonormal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((6, 50)) * np.logspace(0, -12, 6)[:, None]
    households = []
    original = np.linalg.qr
    monkeypatch.setattr(np.linalg, "qr", lambda *a, **k: households.append(0) or original(*a, **k))

    def check(rows: np.ndarray) -> None:
        basis = _orthonormal(rows)
        np.testing.assert_allclose(basis @ basis.T, np.eye(len(rows)), atol=rounding(50))
        left = rows - rows @ basis.T @ basis
        assert (np.linalg.norm(left, axis=1) <= 1e-13 * np.linalg.norm(rows, axis=1)).all()

    check(rows)
    nearly = rows + 1e-4 * np.roll(rows, 1, axis=0)
    nearly[1] = nearly[0] + 1e-3 * nearly[1] / np.linalg.norm(nearly[1])
    check(nearly)
    assert households == []
    for k, dependent in enumerate((2 * rows[0], 0 * rows[0], rows[0] + 1e-9 * rows[1]), start=1):
        changed = rows.copy()
        changed[3] = dependent
        check(changed)
        assert len(households) == k


class OnDisk:
    """Blocks of rows that are made anew each time they are gone through."""

    def __init__(self, X: np.ndarray, size: int) -> None:
        self.X, self.size = X, size

    def __iter__(self) -> Iterator[np.ndarray]:
        for begin in range(0, len(self.X), self.size):
            yield self.X[begin : begin + self.size].copy()


@pytest.mark.parametrize("small", [True, False])
def test_data_on_disk_give_the_same_modes(
    small: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not small:
        monkeypatch.setattr(module, "_SMALL", 0)
    X = field(200, 150)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    whole = POD(6).fit(X)
    values = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    assert_same_modes(POD(6).fit(mapped), whole, atol=turned_by_rounding(whole, values, 200))
    sources: list[Any] = [
        OnDisk(X, 7),
        [X[:31], X[31:]],
        Trajectories(X.reshape(4, 50, 150)),
        X.reshape(4, 50, 150),
        mapped.reshape(4, 50, 150),
    ]
    for source in sources:
        assert_same_modes(POD(6).fit(source), whole)
    few = POD(6, max_bytes=50_000).fit(mapped)
    assert_same_modes(few, whole)
    np.testing.assert_allclose(few.transform(mapped), whole.transform(X), atol=1e-6)
    with pytest.raises(DataError, match="gone through several times, got generator"):
        POD(6).fit(block for block in [X])


def test_memory_is_bounded(tmp_path: Path) -> None:
    n, d, modes = 4000, 2000, 4
    rng = np.random.default_rng(0)
    path = tmp_path / "x.npy"
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n, d))
    shapes = rng.standard_normal((3, d))
    for begin in range(0, n, 500):
        X[begin : begin + 500] = rng.standard_normal((500, 3)) @ shapes
    X.flush()
    del X
    mapped = np.load(path, mmap_mode="r")
    most = 2 << 20
    tracemalloc.start()
    pod = POD(modes, max_bytes=most).fit(mapped)
    pod.transform(mapped)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = 8 * d * (modes + 10)
    assert peak < most + 5 * size + 8 * n * modes < mapped.nbytes / 8
    assert pod.energy_ == pytest.approx(1, abs=1e-9)


def test_uncentred_modes_hold_the_mean() -> None:
    X = field(40, 30)
    pod = POD(1, center=False).fit(X)
    assert not pod.mean_.any()
    direction = X.mean(axis=0) / np.linalg.norm(X.mean(axis=0))
    assert abs(pod.modes_[0] @ direction) > 0.999


def test_what_cannot_be_decomposed() -> None:
    X = field(10, 20)
    with pytest.raises(DataError, match="11 modes were asked for; 10 rows of 20 features have 10"):
        POD(11).fit(X)
    with pytest.raises(DataError, match="do not vary"):
        POD(1).fit(np.ones((5, 3)))
    with pytest.raises(ArgumentError, match="Expected energy above 0 and at most 1, got 2"):
        POD(energy=2).fit(X)
    broken = X.copy()
    broken[7, 3] = np.nan
    with pytest.raises(DataError, match="The data are nan in row 7, column 3"):
        POD(2).fit([broken[:5], broken[5:]])
    with pytest.raises(DataError, match="Row 5 has 19 features, row 0 has 20"):
        POD(2).fit([X[:5], X[5:, 1:]])
    with pytest.raises(DataError, match="Expected rows of shape"):
        POD(2).fit(X[0])
    with pytest.raises(DataError, match="Expected rows, got none"):
        POD(2).fit(X[:0])
