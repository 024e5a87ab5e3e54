"""Random reservoirs: their matrices, and their states along given rows or their own forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

#: Matrices up to these sizes are decomposed densely: dense ones, and sparse ones.
_DENSE, _SPARSE = 1500, 200

#: Multiplications of the estimate where Arnoldi's iteration does not converge.
_N_POWERS = 200


@dataclass
class Reservoir:
    """The fixed part of an echo state network (Jaeger 2001).

    ``x' = (1 - leak) x + leak tanh(W x + W_in u + bias)``: u is read, and x' predicts what follows.

    Parameters
    ----------
    recurrent : array or sparse array, shape (n_units, n_units)
    inputs : array or sparse array, shape (n_units, d)
    bias : array, shape (n_units,)
    leak : float
    """

    recurrent: Any
    inputs: Any
    bias: np.ndarray
    leak: float

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.bias)

    def harvest(self, rows: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
        """Return the states after each of the rows that are read, from zero where none is given.

        Parameters
        ----------
        rows : array, shape (n, time, d)
        state : array, shape (n, n_units), optional

        Returns
        -------
        array, shape (n, time, n_units)
        """
        n, length, d = rows.shape
        driven = np.asarray((self.inputs @ rows.reshape(-1, d).T).T).reshape(n, length, -1)
        driven += self.bias
        x = np.zeros((self.n_units, n)) if state is None else state.T
        for k in range(length):
            x = self._move(x, driven[:, k].T)
            driven[:, k] = x.T
        return driven

    def move(self, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Read one row each: ``(n_units, n)`` and ``(d, n)`` give ``(n_units, n)``."""
        return self._move(x, self.inputs @ rows + self.bias[:, None])

    def _move(self, x: np.ndarray, driven: np.ndarray) -> np.ndarray:
        new = self.recurrent @ x
        new += driven
        np.tanh(new, out=new)
        if self.leak < 1:
            new *= self.leak
            new += (1 - self.leak) * x
        return np.asarray(new)


def paper_reservoir(n_units: int, dimension: int, rng: np.random.Generator) -> Reservoir:
    """Dense matrices, uniform between -1 and 1; spectral radius 0.9, no leak, no bias."""
    recurrent = rng.uniform(-1, 1, (n_units, n_units))
    recurrent *= 0.9 / spectral_radius(recurrent)
    inputs = rng.uniform(-1, 1, (n_units, dimension))
    return Reservoir(recurrent, inputs, np.zeros(n_units), 1.0)


def sparse_matrix(n_units: int, degree: int, rng: np.random.Generator) -> Any:
    """Return a sparse random matrix of spectral radius 1, ``degree`` entries a row."""
    degree = min(degree, n_units)
    rows = np.repeat(np.arange(n_units), degree)
    columns = rng.integers(0, n_units, n_units * degree)
    values = rng.uniform(-1, 1, n_units * degree)
    matrix = sparse.csr_array((values, (rows, columns)), shape=(n_units, n_units))
    radius = spectral_radius(matrix)
    return matrix / radius if radius > 0 else matrix


def sparse_inputs(n_units: int, dimension: int, degree: int, rng: np.random.Generator) -> Any:
    """Return input weights of unit variance a sum: each unit sees ``degree`` features."""
    degree = min(degree, dimension)
    rows = np.repeat(np.arange(n_units), degree)
    columns = np.argsort(rng.random((n_units, dimension)), axis=1)[:, :degree].ravel()
    values = rng.uniform(-1, 1, n_units * degree) * np.sqrt(3 / degree)
    return sparse.csr_array((values, (rows, columns)), shape=(n_units, dimension))


def spectral_radius(matrix: Any) -> float:
    """Return the largest absolute eigenvalue.

    Small matrices are decomposed; of large ones Arnoldi's iteration finds it, and where that does
    not converge, the growth of powers: right to a few per cent for random matrices.
    """
    n = matrix.shape[0]
    if n <= (_SPARSE if sparse.issparse(matrix) else _DENSE):
        dense = matrix.toarray() if sparse.issparse(matrix) else matrix
        return float(np.abs(np.linalg.eigvals(dense)).max())
    start = np.random.default_rng(0).standard_normal(n)
    # Products with large dense matrices take a tenth of a second each.
    maxiter = 30 if sparse.issparse(matrix) else 4
    try:
        found = linalg.eigs(
            matrix, k=1, ncv=60, tol=1e-3, maxiter=maxiter, v0=start, return_eigenvectors=False
        )
        return float(np.abs(found[0]))
    except linalg.ArpackError:
        pass
    logs = 0.0
    for k in range(_N_POWERS):
        start = matrix @ start
        norm = float(np.linalg.norm(start))
        if norm == 0:
            return 0.0
        start /= norm
        # The first half aligns the vector.
        logs += np.log(norm) if k >= _N_POWERS // 2 else 0.0
    return float(np.exp(logs / (_N_POWERS - _N_POWERS // 2)))
