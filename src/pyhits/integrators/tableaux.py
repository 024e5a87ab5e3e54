"""Butcher tableaux of Runge-Kutta methods, explicit and implicit, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class Tableau:
    """Coefficients of a Runge-Kutta method with s stages.

    Parameters
    ----------
    A : array, shape (s, s)
        Weights of the slopes in each stage; strictly lower triangular if explicit.
    b : array, shape (s,)
        Weights of the slopes in the step; their sum is 1.
    order : int, optional
        Order of convergence.
    name, citation : str

    Raises
    ------
    ArgumentError
        Shapes do not match, or the weights b do not sum to 1.
    """

    A: Any
    b: Any
    order: int = 1
    name: str = "Runge-Kutta"
    citation: str = ""

    def __post_init__(self) -> None:
        A, b = np.array(self.A, dtype=np.float64), np.array(self.b, dtype=np.float64)
        if b.ndim != 1 or A.shape != (len(b), len(b)):
            raise ArgumentError(
                f"Expected a tableau with A of shape (s, s) and b of shape (s,), got {A.shape} and "
                f"{b.shape}."
            )
        if not abs(b.sum() - 1) < 1e-12:
            raise ArgumentError(f"Expected the weights b of a tableau to sum to 1, got {b.sum()}.")
        object.__setattr__(self, "A", A)
        object.__setattr__(self, "b", b)

    @property
    def c(self) -> np.ndarray:
        """Times of the stages, as fractions of the step; shape ``(s,)``."""
        return np.asarray(self.A.sum(axis=1))

    @property
    def is_explicit(self) -> bool:
        """Whether each stage follows from those before it."""
        return not np.triu(self.A).any()


def _lower(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """Return a strictly lower triangular matrix from its rows, the empty first one left out."""
    A = np.zeros((len(rows) + 1, len(rows) + 1))
    for k, row in enumerate(rows):
        A[k + 1, : k + 1] = row
    return A


def _euler() -> Tableau:
    return Tableau([[0.0]], [1.0], 1, "Euler")


def _rk2() -> Tableau:
    return Tableau(_lower([[0.5]]), [0.0, 1.0], 2, "midpoint rule", "Runge 1895")


def _heun() -> Tableau:
    return Tableau(_lower([[1.0]]), [0.5, 0.5], 2, "Heun", "Heun 1900")


def _rk4() -> Tableau:
    rows = [[0.5], [0.0, 0.5], [0.0, 0.0, 1.0]]
    return Tableau(_lower(rows), [1 / 6, 1 / 3, 1 / 3, 1 / 6], 4, "RK4", "Kutta 1901")


def _tsit5() -> Tableau:
    rows = [
        [0.161],
        [-0.008480655492356989, 0.335480655492357],
        [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
        [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
        [
            5.86145544294642,
            -12.92096931784711,
            8.159367898576159,
            -0.071584973281401,
            -0.028269050394068383,
        ],
    ]
    b = [
        0.09646076681806523,
        0.01,
        0.4798896504144996,
        1.379008574103742,
        -3.290069515436081,
        2.324710524099774,
    ]
    return Tableau(
        _lower(rows), b, 5, "Tsit5", "Tsitouras 2011, Comput. Math. Appl. 62, 770, Table 1"
    )


def _dop853() -> Tableau:
    from scipy.integrate import DOP853  # imported when used: half a second

    return Tableau(
        DOP853.A,
        DOP853.B,
        8,
        "DOP853",
        "Hairer, Norsett, Wanner 1993, Solving Ordinary Differential Equations I, II.5",
    )


_RADAU = "Hairer, Wanner 1996, Solving Ordinary Differential Equations II, IV.5"


def _implicit_euler() -> Tableau:
    return Tableau([[1.0]], [1.0], 1, "implicit Euler", _RADAU)


def _radau3() -> Tableau:
    A = [[5 / 12, -1 / 12], [3 / 4, 1 / 4]]
    return Tableau(A, A[-1], 3, "Radau IIA of order 3", _RADAU)


def _radau5() -> Tableau:
    r = math.sqrt(6)
    A = [
        [(88 - 7 * r) / 360, (296 - 169 * r) / 1800, (-2 + 3 * r) / 225],
        [(296 + 169 * r) / 1800, (88 + 7 * r) / 360, (-2 - 3 * r) / 225],
        [(16 - r) / 36, (16 + r) / 36, 1 / 9],
    ]
    return Tableau(A, A[-1], 5, "Radau IIA of order 5", _RADAU)


#: Makers of the named tableaux.
EXPLICIT: dict[str, Callable[[], Tableau]] = {
    "euler": _euler,
    "rk2": _rk2,
    "heun": _heun,
    "rk4": _rk4,
    "tsit5": _tsit5,
    "dop853": _dop853,
}
IMPLICIT: dict[str, Callable[[], Tableau]] = {
    "implicit-euler": _implicit_euler,
    "radau3": _radau3,
    "radau5": _radau5,
}
