"""Random reservoirs: their matrices, and their states along given rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
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

    def harvest(self, rows: np.ndarray) -> np.ndarray:
        """Return the states ``(n, time, n_units)`` after each of ``(n, time, d)``, from zero."""
        x = np.zeros((len(self.bias), len(rows)))
        states = np.empty((*rows.shape[:2], len(x)))
        for k in range(rows.shape[1]):
            x = self.move(x, rows[:, k].T)
            states[:, k] = x.T
        return states

    def move(self, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Read one row each: ``(n_units, n)`` and ``(d, n)`` give ``(n_units, n)``."""
        new = self.recurrent @ x
        new += self.inputs @ rows
        new += self.bias[:, None]
        np.tanh(new, out=new)
        return np.asarray(new if self.leak == 1 else self.leak * new + (1 - self.leak) * x)


@dataclass(frozen=True)
class ReservoirSettings:
    """Settings of one reservoir.

    Attributes
    ----------
    radius, leak : float
        Spectral radius and leak.
    input_scale, bias_scale : float
        Standard deviations of the driven and the constant part of a unit's sum.
    degree, input_degree : int
        Recurrent connections and features that a unit sees.
    increments : bool
        Whether the readout gives increments instead of states.
    seed : int
        Of the matrices.
    """

    radius: float = 0.9
    leak: float = 1.0
    input_scale: float = 0.5
    bias_scale: float = 0.3
    degree: int = 10
    input_degree: int = 10
    increments: bool = True
    seed: int = 0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> ReservoirSettings:
        """Return random settings."""

        def between(low: float, high: float) -> float:
            return float(np.exp(rng.uniform(np.log(low), np.log(high))))

        return cls(
            radius=float(rng.uniform(0.05, 1.3)),
            leak=between(0.03, 1.0) if rng.random() < 0.6 else 1.0,
            input_scale=between(0.003, 3.0),
            bias_scale=between(0.03, 2.0),
            degree=int(rng.choice([3, 10, 30])),
            input_degree=int(rng.choice([1, 3, 10, 100])),
            increments=bool(rng.random() < 0.5),
            seed=int(rng.integers(1 << 31)),
        )

    def vary(self, rng: np.random.Generator) -> ReservoirSettings:
        """Return settings near these."""
        near = np.exp(0.3 * rng.standard_normal(4))
        return replace(
            self,
            radius=min(float(self.radius * near[0]), 1.5),
            leak=min(float(self.leak * near[1]), 1.0) if self.leak < 1 else 1.0,
            input_scale=float(self.input_scale * near[2]),
            bias_scale=float(self.bias_scale * near[3]),
            seed=int(rng.integers(1 << 31)),
        )

    def reservoir(self, n_units: int, dimension: int) -> Reservoir:
        """Return the reservoir; its matrices are sparse."""
        rng = np.random.default_rng(self.seed)
        recurrent = _sparse(n_units, n_units, self.degree, rng)
        inputs = _sparse(n_units, dimension, self.input_degree, rng)
        return Reservoir(
            self.radius / (spectral_radius(recurrent) or 1.0) * recurrent,
            self.input_scale * np.sqrt(3 / min(self.input_degree, dimension)) * inputs,
            self.bias_scale * rng.standard_normal(n_units),
            self.leak,
        )


def paper_reservoir(n_units: int, dimension: int, rng: np.random.Generator) -> Reservoir:
    """Dense matrices, uniform between -1 and 1; spectral radius 0.9, no leak, no bias."""
    recurrent = rng.uniform(-1, 1, (n_units, n_units))
    recurrent *= 0.9 / spectral_radius(recurrent)
    inputs = rng.uniform(-1, 1, (n_units, dimension))
    return Reservoir(recurrent, inputs, np.zeros(n_units), 1.0)


def _sparse(n_rows: int, n_columns: int, degree: int, rng: np.random.Generator) -> Any:
    """Return a matrix with ``degree`` entries a row, uniform between -1 and 1."""
    degree = min(degree, n_columns)
    if 10 * degree < n_columns:  # two entries in one place are rare then; they add up
        columns = rng.integers(0, n_columns, (n_rows, degree))
    else:
        columns = np.argsort(rng.random((n_rows, n_columns)), axis=1)[:, :degree]
    rows, values = np.repeat(np.arange(n_rows), degree), rng.uniform(-1, 1, n_rows * degree)
    return sparse.csr_array((values, (rows, columns.ravel())), shape=(n_rows, n_columns))


def spectral_radius(matrix: Any, n_powers: int = 200) -> float:
    """Return the largest absolute eigenvalue.

    Small matrices are decomposed. Of large ones the growth of powers tells it, right to a few per
    cent for random matrices.
    """
    n = matrix.shape[0]
    if n <= (200 if sparse.issparse(matrix) else 1500):
        dense = matrix.toarray() if sparse.issparse(matrix) else matrix
        return float(np.abs(np.linalg.eigvals(dense)).max())
    vector, growth = np.random.default_rng(0).standard_normal(n), np.ones(n_powers)
    for k in range(n_powers):
        vector = matrix @ vector
        growth[k] = np.linalg.norm(vector)
        if growth[k] == 0:
            return 0.0
        vector /= growth[k]
    # The first half aligns the vector.
    return float(np.exp(np.log(growth[n_powers // 2 :]).mean()))
