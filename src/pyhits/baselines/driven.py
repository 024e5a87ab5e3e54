"""One-step maps of states and known inputs: what simple forecasts make of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pyhits.baselines.base import blank_diverged
from pyhits.baselines.polynomial import Polynomial, roll
from pyhits.baselines.simple import BASELINES, finite
from pyhits.coordinates.starts import as_states
from pyhits.data.packing import default_names
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import as_choice, as_count
from pyhits.util.stored import Array


@BASELINES.register
class DrivenPolynomial(Polynomial):
    """A polynomial of the last state and of the inputs.

    The last features of the training data are inputs: row i of them acts from row i to the next.

    Parameters
    ----------
    n_inputs : int
        How many of them are.
    max_degree : int
        Highest degree tried, from 1 to 4, as far as there are at most 300 monomials.
    scaling : Standardise, optional
        By default ``Standardise()``.
    """

    kind: ClassVar[str] = "driven polynomial"
    arrays: ClassVar[Mapping[str, Array]] = {**Polynomial.arrays, "inputs": Array(1, ("I64",))}
    max_lags = 1

    def __init__(
        self, n_inputs: int = 1, *, max_degree: int = 4, scaling: Standardise | None = None
    ) -> None:
        self.n_inputs = n_inputs
        self.max_degree = max_degree
        self.scaling = scaling

    @property
    def label(self) -> str:
        """Name in a table."""
        return f"{self.kind} (degree {self.map_.degree})"

    def forecast(
        self, initial_states: Any, n_steps: int, *, inputs: Any = None, on_divergence: str = "raise"
    ) -> np.ndarray:
        """Step forward from states, with inputs.

        Parameters
        ----------
        initial_states : array, shape (n, d) or (d,)
            In the user's units, without the inputs.
        n_steps : int
            Horizon in multiples of ``dt``.
        inputs : array, shape (n, m, k), or (m, k) for one state
            Row i acts from row i to the next; the last goes on where there are fewer than
            ``n_steps``.
        on_divergence : {"raise", "return"}
            As other baselines.

        Returns
        -------
        array, shape (n, n_steps + 1, d) or (n_steps + 1, d)

        Raises
        ------
        ArgumentError, DataError, DivergenceError, NotFittedError
        """
        self._check_fitted()
        n_steps = as_count(n_steps, "n_steps")
        as_choice(on_divergence, "on_divergence", ("raise", "return"))
        d = self.n_features_in_ - self.n_inputs
        states, single = as_states(initial_states, self.feature_names_[:d])
        values = self._inputs(inputs, len(states), n_steps, single)
        first = self.scaling_.transform(np.concatenate([states, values[:, 0]], axis=1))
        mean, scale = self.scaling_.mean_[d:], self.scaling_.scale_[d:]
        given = ((values[:, 1:] - mean) / scale).transpose(1, 0, 2)
        ahead = np.empty((n_steps, *first.shape))
        roll(ahead[None], first[None], self.map_.weights[None], self.map_, self.map_, given)
        scaled = ahead.transpose(1, 0, 2)
        blank_diverged(scaled[..., :d], raises=on_divergence == "raise")
        found = np.empty((len(states), n_steps + 1, d), dtype=states.dtype)
        found[:, 0] = states
        found[:, 1:] = self.scaling_.inverse_transform(scaled)[..., :d]
        return found[0] if single else found

    def _inputs(self, inputs: Any, n: int, n_steps: int, single: bool) -> np.ndarray:
        """Return the inputs on all rows of a forecast, ``(n, n_steps + 1, k)``; the last stays."""
        values = np.asarray(inputs, dtype=np.float64)
        values = values[None] if single and values.ndim == 2 else values
        if values.ndim != 3 or values.shape[::2] != (n, self.n_inputs) or values.shape[1] == 0:
            raise ArgumentError(
                f"Expected inputs of shape ({n}, rows, {self.n_inputs}), got {values.shape}."
            )
        if not np.isfinite(values).all():
            raise DataError("The inputs hold NaN or infinity; fill or leave out such rows.")
        return values[:, np.minimum(np.arange(n_steps + 1), values.shape[1] - 1)]

    def forecast_from(
        self, recording: Any, n_steps: int, *, on_divergence: str = "raise"
    ) -> np.ndarray:
        """Refuse: a recording does not hold the inputs after its end."""
        raise ArgumentError(
            f"{type(self).__name__} goes on from states, with the inputs that follow: "
            "forecast(recording[-1:, :d], n_steps, inputs=...)."
        )

    def _learned(self) -> dict[str, np.ndarray]:
        return super()._learned() | {"inputs": np.array([self.n_inputs])}

    def _set_learned(self, arrays: dict[str, np.ndarray]) -> None:
        self.n_inputs = int(finite(arrays["inputs"], (1,))[0])
        if not 1 <= self.n_inputs < self.n_features_in_:
            raise ValueError("a baseline has more inputs than features")
        self.feature_names_ = default_names(self.n_features_in_)
        super()._set_learned(arrays)


@BASELINES.register
class DrivenLinear(DrivenPolynomial):
    """``x' = A x + B u + c`` by ridge regression: dynamic mode decomposition with control.

    Proctor, Brunton, Kutz 2016, SIAM J. Appl. Dyn. Syst. 15, 142.
    """

    kind: ClassVar[str] = "driven linear"
    cost = 2
    max_degree = 1

    def __init__(self, n_inputs: int = 1, *, scaling: Standardise | None = None) -> None:
        self.n_inputs = n_inputs
        self.scaling = scaling

    @property
    def label(self) -> str:
        """Name in a table."""
        return self.kind
