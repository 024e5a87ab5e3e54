"""Proper orthogonal decomposition: a field as a few modes, from data of any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pyhits.encoders.base import ENCODERS, Encoder
from pyhits.encoders.blocks import Blocks
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import as_count, as_seed, is_number
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.schema import Flag, Maybe, Real, Record, Whole
from pyhits.util.stored import Array

#: Up to so many snapshots or features all modes are computed, within max_bytes.
_SMALL = 1024

#: Multiply-adds a second, at least.
_SPEED = 2e9

#: Modes looked for first where their number follows from the energy.
_FIRST = 64

#: Modes more than wanted, which make the wanted ones converge: at least so many, or half of them.
_SPARE = 10

#: Smallest diagonal of a Cholesky factor of rows of norm 1 that is trusted.
_NEARLY_DEPENDENT = 1e-5

#: Passes through the data, at most, and the change of the kept energy that ends them.
_PASSES, _CONVERGED = 20, 1e-12


@ENCODERS.register
class POD(Encoder):
    """Project fields on the orthonormal modes that hold most of their variance (Lumley 1967).

    Rows are snapshots. With up to 1024 snapshots or features the decomposition is exact, or follows
    from the snapshots' inner products (Sirovich 1987) where all modes would not fit ``max_bytes``;
    beyond, the modes are found by randomised subspace iteration (Halko, Martinsson, Tropp 2011),
    until the energy that they keep no longer changes. All go through the data in blocks, so that
    data in memory and on disk give equal modes.

    Beside the data a fit holds ``max_bytes`` and about four arrays of the size of the modes, which
    are half as many again as those that are kept.

    Parameters
    ----------
    n_modes : int, optional
        Modes to keep. By default ``energy`` decides.
    energy : float
        Share of the variance to keep, at most 1; without ``n_modes``.
    center : bool
        Subtract the mean field first.
    random_state : int
        Seed of the subspace that the iteration begins with.
    max_bytes : int
        Bytes of the rows worked on at a time, one row at least.

    Attributes
    ----------
    modes_ : array, shape (n_modes, n_features)
        Orthonormal rows, the most energetic first; the largest entry of each is positive.
    mean_ : array, shape (n_features,)
        Zero without ``center``.
    singular_values_ : array, shape (n_modes,)
    energy_ : float
        Share of the variance that is kept.
    """

    kind: ClassVar[str] = "pod"
    arrays: ClassVar[Mapping[str, Array]] = {
        "modes": Array(2),
        "mean|singular_values|energy": Array(),
    }
    schema: ClassVar[Record] = Record(
        {
            "n_modes": Maybe(Whole(1, loose=True)),
            "energy": Real(),
            "center": Flag(loose=True),
            "random_state": Whole(loose=True),
            "max_bytes": Whole(1, loose=True),
        }
    )

    def __init__(
        self,
        n_modes: int | None = None,
        *,
        energy: float = 0.999,
        center: bool = True,
        random_state: int = 0,
        max_bytes: int = 1 << 28,
    ) -> None:
        self.n_modes = n_modes
        self.energy = energy
        self.center = center
        self.random_state = random_state
        self.max_bytes = max_bytes

    @property
    def n_features_out_(self) -> int:
        """Number of modes."""
        return len(self.modes_)

    @property
    def lossy(self) -> bool:
        """Whether there are fewer modes than features."""
        return len(self.modes_) < self.n_features_in_

    def fit(self, X: Any, y: Any = None) -> POD:
        """Find the modes.

        Parameters
        ----------
        X : array, shape (n_snapshots, n_features) or (..., n_features)
            Also a memory map, an HDF5 or Zarr array, Trajectories, or blocks of rows: a list, or
            any object that can be iterated over again and again.

        Raises
        ------
        DataError
            There are fewer snapshots or features than modes, or the data do not vary.
        """
        return self.fit_in_time(X, UNLIMITED)

    def fit_in_time(self, X: Any, clock: Clock) -> POD:
        """As :meth:`fit`; where time is short the modes are those of fewer passes."""
        if self.n_modes is None and not (is_number(self.energy) and 0 < self.energy <= 1):
            raise ArgumentError(f"Expected energy above 0 and at most 1, got {self.energy!r}.")
        seed = as_seed(self.random_state)
        max_bytes = as_count(self.max_bytes, "max_bytes")
        # A block, what is computed of it, and the copy that a file's reader makes.
        data = _Centred(Blocks(X, max_bytes // 4), self.center)
        n, d = data.n_rows, len(data.mean)
        rank = min(n, d)
        wanted = None if self.n_modes is None else as_count(self.n_modes, "n_modes")
        if wanted is not None and wanted > rank:
            raise DataError(f"{wanted} modes were asked for; {n} rows of {d} features have {rank}.")
        small = rank <= _SMALL and 8 * rank * d <= max_bytes
        small = small and clock.affords(4 * rank * rank * d / _SPEED)
        count = _FIRST if wanted is None else wanted
        while True:
            size = count + max(_SPARE, count // 2)
            if small or size >= rank:
                values, modes, total = data.ritz(data.everything())
                kept = self._kept(values, total, wanted)
                break
            exact = data.n_rows <= _SMALL and clock.affords(n * n * d / _SPEED)
            sketch = data.snapshots(size) if exact else None
            if sketch is not None:
                values, modes, total = data.ritz(_orthonormal(sketch))
            else:
                values, modes, total = data.iterate(size, count, seed, clock)
            kept = self._kept(values[:count], total, wanted)
            if wanted is not None or np.square(values[:count]).sum() >= self.energy * total:
                break
            if clock.is_over:
                clock.cut("the search for more modes")
                break
            count *= 2
        modes = modes[:kept]
        largest = modes[np.arange(kept), np.abs(modes).argmax(axis=1)]
        self.modes_ = np.ascontiguousarray(modes * np.where(largest < 0, -1.0, 1.0)[:, None])
        self.mean_ = data.mean
        self.singular_values_ = values[:kept].copy()
        self.energy_ = float(min(1.0, np.square(values[:kept]).sum() / total))
        self.n_features_in_ = d
        return self

    def refitted(self, X: Any) -> POD:
        """Return another of as many modes, fitted to other rows ``X``."""
        found = POD(**{**self.get_params(), "n_modes": len(self.modes_)}).fit(X)
        found.n_modes = self.n_modes
        return found

    def leading(self, n_modes: int) -> POD:
        """Return a fitted POD of the first modes alone, which shares its arrays with this one."""
        few = POD(
            n_modes, center=self.center, random_state=self.random_state, max_bytes=self.max_bytes
        )
        few.modes_, few.mean_ = self.modes_[:n_modes], self.mean_
        few.singular_values_ = self.singular_values_[:n_modes]
        total = np.square(self.singular_values_).sum() / self.energy_
        few.energy_ = float(np.square(few.singular_values_).sum() / total)
        few.n_features_in_ = self.n_features_in_
        return few

    def _kept(self, values: np.ndarray, total: float, wanted: int | None) -> int:
        if total == 0:
            raise DataError("The data do not vary, so they have no modes.")
        if wanted is not None:
            return wanted
        share = np.cumsum(np.square(values)) / total
        # Singular values of rounding's size hold nothing.
        real = int((values > values[0] * len(values) * np.finfo(float).eps).sum())
        return min(real, int(np.searchsorted(share, self.energy)) + 1)

    def _encode(self, X: np.ndarray) -> np.ndarray:
        rows = X.reshape(-1, self.n_features_in_)
        out = np.empty((len(rows), len(self.modes_)))
        size = max(1, self.max_bytes // (16 * self.n_features_in_))
        for begin in range(0, len(rows), size):
            part = slice(begin, begin + size)
            np.matmul(rows[part] - self.mean_, self.modes_.T, out=out[part])
        return out.reshape(*X.shape[:-1], -1)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        fields = np.asarray(Z, dtype=np.float64) @ self.modes_
        fields += self.mean_
        return np.asarray(fields)

    def _names(self, names: Sequence[str]) -> Sequence[str]:
        return [f"mode {k}" for k in range(1, len(self.modes_) + 1)]

    def state(self) -> dict[str, np.ndarray]:
        """Return ``modes``, ``mean``, ``singular_values`` and ``energy``."""
        return {
            "modes": self.modes_,
            "mean": self.mean_,
            "singular_values": self.singular_values_,
            "energy": np.array([self.energy_]),
        }

    def set_state(self, **arrays: np.ndarray) -> POD:
        """Set what :meth:`state` returns; a ValueError if it does not fit together."""
        modes, mean, values = arrays["modes"], arrays["mean"], arrays["singular_values"]
        if modes.ndim != 2 or mean.shape != modes.shape[1:] or values.shape != modes.shape[:1]:
            raise ValueError(f"its modes have shape {modes.shape}, their mean {mean.shape}")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("its modes are not finite")
        self.modes_, self.mean_, self.singular_values_ = modes, mean, values
        self.energy_ = float(arrays["energy"][0])
        self.n_features_in_ = len(mean)
        return self


class _Centred:
    """Centred rows, of which only products with thin matrices are looked at.

    Attributes
    ----------
    mean : array, shape (d,)
    """

    def __init__(self, blocks: Blocks, center: bool) -> None:
        self._blocks = blocks
        self._strongest: np.ndarray | None = None
        self.n_rows = 0
        first: np.ndarray | None = None
        for block in blocks:
            if first is None:
                first, total = block[0].copy(), np.zeros(block.shape[1])
            self.n_rows += len(block)
            # Counted from the first row, so that a large offset costs no digits.
            total += np.subtract(block, first, out=block).sum(axis=0)
        if first is None:
            raise DataError("Expected rows, got none.")
        self.mean = first + total / self.n_rows if center else np.zeros(len(first))

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            yield np.subtract(block, self.mean, out=block)

    def everything(self) -> np.ndarray:
        """Return an orthonormal basis of all rows, shape ``(min(n_rows, d), d)``."""
        if len(self.mean) <= self.n_rows:
            return np.eye(len(self.mean))
        rows = np.concatenate(list(self))
        return _orthonormal(rows)

    def snapshots(self, size: int) -> np.ndarray | None:
        """Return the strongest ``size`` modes by the snapshots' inner products, not orthonormal.

        Weak ones lose digits, which orthonormal rows of their span and :meth:`ritz` give back. None
        if the data are no single array.
        """
        columns = self._blocks.columns()
        if columns is None:
            return None
        if self._strongest is None:
            products = np.zeros((self.n_rows, self.n_rows))
            for part, block in columns:
                centred = np.subtract(block, self.mean[part], out=block)
                products += centred @ centred.T
            self._strongest = np.linalg.eigh(products)[1][:, ::-1]
        weights = self._strongest[:, :size]
        sketch, first = np.zeros((size, len(self.mean))), 0
        for block in self:
            sketch += weights[first : first + len(block)].T @ block
            first += len(block)
        return sketch

    def iterate(
        self, size: int, count: int, seed: int, clock: Clock
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return singular values, modes and total energy of the best subspace of ``size``.

        The energy of the first ``count`` modes ends the iteration when it no longer changes.
        """
        rng = np.random.default_rng(seed)
        sketch = np.zeros((size, len(self.mean)))
        for block in self:
            sketch += rng.standard_normal((len(block), size)).T @ block
        before = 0.0
        for _ in range(_PASSES):
            begin = clock.now()
            values, modes, total = self.ritz(_orthonormal(sketch), sketch)
            energy = float(np.square(values[:count]).sum())
            if energy - before <= _CONVERGED * total:
                break
            if not clock.affords(clock.now() - begin):
                clock.cut("the convergence of modes")
                break
            before = energy
        return values, modes, total

    def ritz(
        self, basis: np.ndarray, image: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return singular values and modes of the rows within a subspace, and their energy in all.

        Parameters
        ----------
        basis : array, shape (k, d)
            Orthonormal rows.
        image : array, shape (k, d), optional
            Filled with the covariance times the basis: the subspace to look at next.
        """
        k = len(basis)
        if image is not None:
            image[:] = 0
        # Triangles of QR decompositions, one below the other: no squares, no digits lost.
        triangle = np.zeros((0, k))
        total = 0.0
        for block in self:
            total += float(np.vdot(block, block))
            coefficients = block @ basis.T
            if image is not None:
                image += coefficients.T @ block
            triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, coefficients]), mode="r"))
        _, values, rotation = np.linalg.svd(triangle, full_matrices=False)
        return values, rotation @ basis, total


def _orthonormal(rows: np.ndarray) -> np.ndarray:
    """Return orthonormal rows of the same span.

    Twice by Cholesky factors, the second time for the digits that the first has lost (Yamamoto et
    al. 2015): some ten times faster than Householder's way, which rows that are nearly dependent
    take.
    """
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if len(rows) < rows.shape[1] and (norms > 0).all():
        basis = rows / norms
        try:
            for least in (_NEARLY_DEPENDENT, 0.5):
                factor = np.linalg.cholesky(basis @ basis.T)
                if factor.diagonal().min() < least:
                    break
                from scipy.linalg import solve_triangular  # a third of a second, for a fit alone

                basis = solve_triangular(factor, basis, lower=True, check_finite=False)
            else:
                return np.ascontiguousarray(basis)
        except np.linalg.LinAlgError:
            pass
    return np.ascontiguousarray(np.linalg.qr(rows.T)[0].T)
