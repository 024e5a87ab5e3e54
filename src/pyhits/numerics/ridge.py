"""Linear readouts by ridge regression, for many regularisations from one decomposition."""

from __future__ import annotations

import numpy as np
from scipy import linalg

#: Up to so many rows or units, whichever are fewer, the states themselves are decomposed.
_SMALL = 1000


class Ridge:
    """Ridge regression of targets on states, without intercept, in float64.

    Minimises ``|H W - Y|^2 + ridge * s^2 |W|^2``, where s is the largest singular value of H. One
    decomposition serves all values of the ridge: of H itself where it is small, which also solves
    without any ridge to full precision, otherwise of the smaller of its two Gram matrices.

    Parameters
    ----------
    states : array, shape (rows, n_units)
        H.
    targets : array, shape (rows, d)
        Y.
    exact : bool
        Decompose the states themselves, whatever their size.
    """

    def __init__(self, states: np.ndarray, targets: np.ndarray, *, exact: bool = False) -> None:
        rows, units = states.shape
        self.states = states
        self.dual = rows < units
        if exact or min(rows, units) <= _SMALL:
            left, values, right = linalg.svd(states, full_matrices=False, check_finite=False)
            self.power = 1
            self.basis, self.inner = right.T, left.T @ targets
        else:
            gram = states @ states.T if self.dual else states.T @ states
            squares, vectors = linalg.eigh(gram, overwrite_a=True, check_finite=False, driver="evd")
            values = np.sqrt(np.maximum(squares, 0.0))
            self.power = 2
            if self.dual:
                self.basis, self.inner = vectors, vectors.T @ targets
            else:
                self.basis, self.inner = vectors, vectors.T @ (states.T @ targets)
        self.values = values
        self.largest = float(values.max()) or 1.0

    def solve(self, ridge: float) -> np.ndarray:
        """Return W, shape (n_units, d).

        Parameters
        ----------
        ridge : float
            Relative to the square of the largest singular value. 0 is the pseudo-inverse:
            directions below rounding are left out.
        """
        values = self.values / self.largest
        floor = np.finfo(float).eps * max(self.states.shape)
        squares = np.square(values) + ridge
        known = values > (floor if self.power == 1 else np.sqrt(floor))
        if ridge > 0:
            known = squares > 0
        if self.power == 1:
            factors = np.divide(values, squares, out=np.zeros_like(values), where=known)
            return np.asarray(self.basis @ (factors[:, None] * self.inner)) / self.largest
        factors = np.divide(1.0, squares, out=np.zeros_like(values), where=known)
        inner = self.basis @ (factors[:, None] * self.inner)
        weights = self.states.T @ inner if self.dual else inner
        return np.asarray(weights) / self.largest**2
