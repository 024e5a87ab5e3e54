"""Kuramoto-Sivashinsky equation on a ring: Fourier in space, ETDRK4 in time."""

from __future__ import annotations

import numpy as np

from pyhits.paper.sequences.sequence import Sequence
from pyhits.util.checks import as_count, as_positive

#: The paper's interval and its points.
LENGTH, POINTS = 16 * np.pi, 512


class Solver:
    """ETDRK4 steps of ``u_t = -u u_x - u_xx - u_xxxx`` in Fourier coefficients.

    Two thirds of the coefficients are kept, so that products are not aliased. Any number of fields
    goes ahead at once. Kassam and Trefethen 2005, SIAM J. Sci. Comput. 26, 1214.

    Parameters
    ----------
    step : float
        Time step.
    n_points : int
        Points on the interval.
    length : float
        Length of the interval, which is periodic.
    """

    def __init__(self, step: float, n_points: int = POINTS, length: float = LENGTH) -> None:
        self.n_points = n_points
        self.n_kept = n_points // 3 + 1
        wave = 2 * np.pi / length * np.arange(self.n_kept)
        linear = wave**2 - wave**4
        self.product = -0.5j * wave
        # Means over circles around each point: the formulas themselves cancel near zero.
        roots = np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 32)
        z = step * linear[:, None] + roots
        self.whole, self.half = np.exp(step * linear), np.exp(step * linear / 2)
        self.middle, self.first, self.inner, self.last = (
            step * weight.mean(axis=1).real
            for weight in (
                (np.exp(z / 2) - 1) / z,
                (-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3,
                (2 + z + np.exp(z) * (z - 2)) / z**3,
                (-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3,
            )
        )

    def slope(self, modes: np.ndarray) -> np.ndarray:
        """Return ``-u u_x``; both ``(n, n_kept)``."""
        u = np.fft.irfft(modes, self.n_points)
        u *= u
        return np.asarray(self.product * np.fft.rfft(u)[:, : self.n_kept])

    def __call__(self, modes: np.ndarray) -> np.ndarray:
        """Return the coefficients one step later; both ``(n, n_kept)``."""
        start, slope = self.half * modes, self.slope(modes)
        a = start + self.middle * slope
        slope_a = self.slope(a)
        b = start + self.middle * slope_a
        slope_b = self.slope(b)
        c = self.half * a + self.middle * (2 * slope_b - slope)
        inner = self.inner * (2 * (slope_a + slope_b))
        return np.asarray(
            self.whole * modes + self.first * slope + inner + self.last * self.slope(c)
        )


def kuramoto_sivashinsky(
    n_snapshots: int = 4001,
    *,
    dt: float = 0.05,
    n_points: int = POINTS,
    length: float = LENGTH,
    substeps: int = 4,
) -> Sequence:
    """Return one solution on ``(0, length)``, periodic (the paper's Section 3.2 and Appendix A.3).

    The paper gives the interval, the points and the number of snapshots, but neither the initial
    state nor the time between snapshots. The state here is ``cos(y) (1 + sin(y))`` with
    ``y = 2 pi x / length``, the one of Kassam and Trefethen 2005 on their interval; chaos sets in
    after some 30 of the 200 time units. It is odd about a quarter of the interval, and the solution
    stays so. Half the step changes the last of the 4001 snapshots by 3e-5, root mean square.

    Parameters
    ----------
    n_snapshots : int
        Number of snapshots, the initial state among them.
    dt : float
        Time between snapshots, in the equation's units.
    n_points, length : int, float
        Points on the interval, at ``length * k / n_points``; its length.
    substeps : int
        Steps of the solver in ``dt``.

    Returns
    -------
    Sequence
        ``data`` of float64, shape ``(n_snapshots, n_points)``. Facts: ``length``, ``substeps``.
    """
    n_snapshots = as_count(n_snapshots, "n_snapshots", least=2)
    n_points = as_count(n_points, "n_points", least=8)
    substeps = as_count(substeps, "substeps")
    solver = Solver(as_positive(dt, "dt") / substeps, n_points, as_positive(length, "length"))
    y = 2 * np.pi * np.arange(n_points) / n_points
    data = np.empty((n_snapshots, n_points))
    data[0] = np.cos(y) * (1 + np.sin(y))
    modes = np.fft.rfft(data[:1])[:, : solver.n_kept]
    for k in range(1, n_snapshots):
        for _ in range(substeps):
            modes = solver(modes)
        data[k] = np.fft.irfft(modes[0], n_points)
    return Sequence("kuramoto-sivashinsky", data, dt, {"length": length, "substeps": substeps})
