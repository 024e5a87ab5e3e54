"""Flow past a circular cylinder: its vorticity and stream function on a grid fitted to it.

The grid is polar with a logarithmic radius, which gives the boundary layer its fine cells and the
far field its distance: the flow is unbounded, without walls beside it. With ``xi = log(r / R)`` and
the angle ``a``,

    r^2 w_t + (w psi_a)_xi - (w psi_xi)_a = (w_xixi + w_aa) / Re
    psi_xixi + psi_aa = -r^2 w

in Fourier modes of the angle and Chebyshev points in ``xi``, with diffusion implicit and
convection explicit (second-order backward differences). In each mode, vorticity and stream function
at the next time solve one linear system, in which the wall's two conditions, no flow through it and
none along it, make up for the vorticity there, which has none. Lengths are in diameters, times in
diameters over the speed of the flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf

import numpy as np
from scipy import fft, ndimage

from pyhits.errors import ArgumentError
from pyhits.paper.sequences.sequence import Sequence
from pyhits.util.checks import as_count, as_positive

#: The cylinder's radius.
RADIUS = 0.5

#: How far the grid goes, and from where on viscosity grows, so that vortices fade before its cells
#: are too large for them.
OUTER, FADING = 60.0, 20.0

#: The window of the snapshots, from the cylinder's centre: x, then y.
WINDOW = ((-1.0, 8.0), (-2.0, 2.0))


def cylinder_wake(
    n_snapshots: int = 300,
    *,
    dt: float = 0.2,
    start: float = 100.0,
    reynolds: float = 100.0,
    shape: tuple[int, int] = (199, 449),
    n_radial: int = 128,
    n_modes: int = 96,
    step: float = 0.005,
) -> Sequence:
    """Return snapshots of the streamwise velocity behind a cylinder (the paper's Section 3.2).

    The paper's come from an immersed boundary projection method, these from the solver of this
    module. It starts impulsively, from potential flow with a little swirl behind the cylinder, and
    sheds vortices regularly from a time of about 80 on, at a Strouhal number of 0.164 and with a
    mean drag coefficient of 1.32.

    Parameters
    ----------
    n_snapshots : int
        Number of snapshots.
    dt : float
        Time between them; a period of shedding takes 6.1.
    start : float
        Time of the first, from the impulsive start.
    reynolds : float
        Reynolds number of the diameter.
    shape : tuple of int
        Rows and columns of a snapshot, which spans x from -1 to 8 and y from -2 to 2.
    n_radial, n_modes : int
        Points along the radius and Fourier modes in the angle; fewer are coarser.
    step : float
        Longest time step.

    Returns
    -------
    Sequence
        ``data`` of float32, shape ``(n_snapshots, rows * columns)``, the lowest row first, 0 in the
        cylinder. Facts: ``shape``, ``window``, ``reynolds``, ``start``; ``blockage``, 0, as the
        flow has no walls; over the whole periods among the snapshots ``strouhal`` (frequency of the
        lift), ``drag`` (mean coefficient) and ``lift`` (largest coefficient), NaN where there is no
        whole one.

    Raises
    ------
    ArgumentError
        The step is too long for the grid: the flow left every bound.
    """
    n_snapshots = as_count(n_snapshots, "n_snapshots", least=2)
    if not 0 <= start < inf:
        raise ArgumentError(f"Expected start to be a time of 0 or more, got {start!r}.")
    rows, columns = (as_count(n, "shape", least=2) for n in shape)
    substeps = ceil(as_positive(dt, "dt") / as_positive(step, "step") - 1e-9)
    flow = Flow(reynolds, dt / substeps, n_radial, n_modes)
    before = round(start / flow.step)
    data, forces = _record(flow, (n_snapshots, rows, columns), before, substeps)
    facts = {
        "shape": (rows, columns),
        "window": WINDOW,
        "reynolds": reynolds,
        "start": before * flow.step,
        "blockage": 0.0,
        **shedding(forces, flow.step),
    }
    return Sequence("cylinder-wake", data, dt, facts)


def _record(
    flow: Flow, shape: tuple[int, int, int], before: int, substeps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return snapshots, float32, and the forces of every step from the first of them on.

    Parameters
    ----------
    flow : Flow
        Goes ahead.
    shape : tuple of int
        Snapshots, and rows and columns of one.
    before, substeps : int
        Steps before the first snapshot, and between two.
    """
    n, rows, columns = shape
    camera = Camera(flow.grid, (rows, columns))
    data = np.empty((n, rows * columns), np.float32)
    forces = np.empty(((n - 1) * substeps + 1, 2))
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(-before, len(forces)):
            if k > -before:
                flow.advance()
            if k >= 0:
                forces[k] = flow.forces()
            if k % substeps:
                continue
            if not np.isfinite(flow.vorticity).all():
                raise ArgumentError(
                    f"The flow left every bound by the time {(k + before) * flow.step:g}; expected "
                    f"a step of less than {flow.step:g} for {len(flow.grid.r)} points and "
                    f"{len(flow.grid.k)} modes."
                )
            if k >= 0:
                data[k // substeps] = camera.streamwise(flow).ravel()
    return data, forces


def shedding(forces: np.ndarray, step: float) -> dict[str, float]:
    """Return Strouhal number, mean drag and largest lift over the whole periods of the lift.

    Parameters
    ----------
    forces : np.ndarray, shape (time, 2)
        Coefficients of drag and lift.
    step : float
        Time between them.
    """
    drag, lift = forces.T
    rises = np.flatnonzero((lift[:-1] < 0) & (lift[1:] >= 0))
    if len(rises) < 2:
        return dict.fromkeys(("strouhal", "drag", "lift"), float("nan"))
    ends = rises[[0, -1]]
    first, last = ends + lift[ends] / (lift[ends] - lift[ends + 1])
    within = slice(rises[0] + 1, rises[-1] + 1)
    return {
        "strouhal": float((len(rises) - 1) / (last - first) / step),
        "drag": float(drag[within].mean()),
        "lift": float(lift[within].max()),
    }


@dataclass(frozen=True)
class Grid:
    """Points and derivatives.

    Attributes
    ----------
    r : np.ndarray, shape (n_radial,)
        Radii, from the wall outwards, in diameters.
    first : np.ndarray, shape (n_radial, n_radial)
        First derivative in ``xi``.
    k : np.ndarray, shape (n_modes,)
        Wavenumbers in the angle, from 0.
    n_angles : int
        Angles at which products are taken, enough that none is aliased.
    """

    r: np.ndarray
    first: np.ndarray
    k: np.ndarray
    n_angles: int

    @classmethod
    def of(cls, n_radial: int, n_modes: int) -> Grid:
        """Make the grid (Trefethen 2000, Spectral Methods in MATLAB, chapter 6)."""
        x = -np.cos(np.pi * np.arange(n_radial) / (n_radial - 1))
        ends = np.ones(n_radial)
        ends[[0, -1]] = 2.0
        ends[1::2] *= -1
        distance = x[:, None] - x + np.eye(n_radial)
        first = ends[:, None] / ends / distance
        first -= np.diag(first.sum(axis=1))
        length = np.log(OUTER / RADIUS)
        r = RADIUS * np.exp(length * (x + 1) / 2)
        n_angles = fft.next_fast_len(3 * n_modes, real=True)
        return cls(r, first * (2 / length), np.arange(n_modes), n_angles)


class Flow:
    """The flow from its impulsive start on.

    Parameters
    ----------
    reynolds : float
        Reynolds number of the diameter.
    step : float
        Time step, in diameters over speed.
    n_radial, n_modes : int
        Points along the radius; Fourier modes.

    Attributes
    ----------
    grid : Grid
        Points and derivatives.
    vorticity, stream : np.ndarray, shape (n_modes, n_radial)
        Fourier coefficients at the present time.
    """

    def __init__(self, reynolds: float, step: float, n_radial: int, n_modes: int) -> None:
        self.grid = Grid.of(
            as_count(n_radial, "n_radial", least=8), as_count(n_modes, "n_modes", least=2)
        )
        self.viscosity, self.step = 1 / as_positive(reynolds, "reynolds"), step
        self.matrix, self.far = self._implicit()
        r, angles = self.grid.r, 2 * np.pi / self.grid.n_angles * np.arange(self.grid.n_angles)
        # Potential flow, and beside its axis a little swirl, without which it stays symmetric.
        x, y = r * np.cos(angles)[:, None], r * np.sin(angles)[:, None]
        swirl = 0.5 * np.exp(-4 * ((x - 1.5) ** 2 + (y - 0.5) ** 2))
        self.vorticity = self._modes(swirl)
        self.stream = self._modes(y * (1 - (RADIUS / r) ** 2))
        # The same flow one step earlier, which makes the first step a shorter one.
        self.before, self.convected_before = self.vorticity, self._convected()

    def _implicit(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what takes the right-hand side to ``(w, psi)``, and what the far flow adds."""
        r, first, n = self.grid.r, self.grid.first, len(self.grid.r)
        second, eye = first @ first, np.eye(n)
        diffusion = self.viscosity * (1 + (r / FADING) ** 4) / r**2
        matrix = np.empty((len(self.grid.k), 2 * n, n))
        far = np.zeros((len(self.grid.k), 2 * n), complex)
        for k in self.grid.k:
            laplace = second - k**2 * eye
            system = np.zeros((2 * n, 2 * n))
            system[:n, :n] = 1.5 / self.step * eye - diffusion[:, None] * laplace
            system[n:, :n] = np.diag(r**2)
            system[n:, n:] = laplace
            ends = [0, n - 1, n, 2 * n - 1]
            system[ends] = 0
            # No flow through the wall, none along it, none of the vorticity's slope far away.
            system[n, n] = 1
            system[n - 1, :n] = first[-1]
            if k:
                system[0, n:] = first[0]
                system[-1, n:] = first[-1] + k * eye[-1]
            else:
                # Pressure is the same after once around, so no vorticity flows from the wall.
                system[0, :n] = first[0]
                system[-1, n:] = first[0]
            inverse = np.linalg.inv(system)
            matrix[k] = inverse[:, :n]
            matrix[k][:, [0, -1]] = 0
            if k == 1:
                far[k] = -1j * r[-1] * inverse[:, -1]
        return matrix, far

    def _modes(self, values: np.ndarray) -> np.ndarray:
        """Return ``(n_angles, n_radial)`` as ``(n_modes, n_radial)``."""
        return np.asarray(fft.rfft(values, axis=0, norm="forward")[: len(self.grid.k)])

    def _values(self, modes: np.ndarray) -> np.ndarray:
        """Return ``(n_modes, n_radial)`` as ``(n_angles, n_radial)``."""
        return np.asarray(fft.irfft(modes, self.grid.n_angles, axis=0, norm="forward"))

    def _convected(self) -> np.ndarray:
        """Return ``u . grad w``, shape (n_modes, n_radial)."""
        turn, first = 1j * self.grid.k[:, None], self.grid.first
        vorticity = self._values(self.vorticity)
        outward = self._modes(vorticity * self._values(turn * self.stream))
        around = self._modes(vorticity * self._values(self.stream @ first.T))
        return np.asarray((outward @ first.T - turn * around) / self.grid.r**2)

    def advance(self) -> None:
        """Go one step ahead."""
        convected = self._convected()
        right = (4 * self.vorticity - self.before) / (2 * self.step)
        right -= 2 * convected - self.convected_before
        self.before, self.convected_before = self.vorticity, convected
        solved = self.matrix @ right.view(float).reshape(*right.shape, 2)
        both = solved.reshape(len(solved), -1).view(complex) + self.far
        self.vorticity, self.stream = (np.ascontiguousarray(b) for b in np.split(both, 2, axis=1))

    def forces(self) -> tuple[float, float]:
        """Return the coefficients of drag and of lift.

        At the wall, the angle's derivative of pressure is ``nu w_xi``, and friction is ``nu w``.
        """
        pull = self.grid.first[0] @ self.vorticity[1] - self.vorticity[1, 0]
        pull *= -4 * np.pi * self.viscosity * RADIUS
        return float(pull.imag), float(pull.real)


class Camera:
    """The streamwise velocity on the window's points.

    Parameters
    ----------
    grid : Grid
        Of the flow.
    shape : tuple of int
        Rows (y) and columns (x).
    """

    #: Angles that are repeated at either end, for splines to go round.
    margin = 12

    def __init__(self, grid: Grid, shape: tuple[int, int]) -> None:
        self.grid, self.n_angles = grid, fft.next_fast_len(4 * len(grid.k), real=True)
        # Twice as fine as the grid, for cubic splines between its points.
        self.n_radial = 2 * len(grid.r) - 1
        (left, right), (bottom, top) = WINDOW
        x, y = np.meshgrid(np.linspace(left, right, shape[1]), np.linspace(bottom, top, shape[0]))
        r = np.hypot(x, y)
        self.solid = r < RADIUS
        part = np.log(np.maximum(r, RADIUS) / RADIUS) / np.log(OUTER / RADIUS)
        # In units of points: they are even in the angle, and in the arc cosine of the radius.
        across = np.arctan2(y, x) % (2 * np.pi) / (2 * np.pi) * self.n_angles
        self.places = across + self.margin, np.arccos(1 - 2 * part) / np.pi * (self.n_radial - 1)

    def streamwise(self, flow: Flow) -> np.ndarray:
        """Return the velocity along x, shape ``shape``."""
        grid = self.grid
        angles = 2 * np.pi / self.n_angles * np.arange(self.n_angles)[:, None]
        through, along = (
            fft.irfft(modes, self.n_angles, axis=0, norm="forward")
            for modes in (1j * grid.k[:, None] * flow.stream, flow.stream @ grid.first.T)
        )
        velocity = (through * np.cos(angles) + along * np.sin(angles)) / grid.r
        waves = fft.dct(velocity, type=1, axis=1)
        waves[:, -1] /= 2
        finer = fft.idct(np.pad(waves, ((0, 0), (0, len(grid.r) - 1))), type=1, axis=1) * 2
        closed = np.pad(finer, ((self.margin, self.margin), (0, 0)), mode="wrap")
        # Even at both ends in the arc cosine, so that mirrors are exact there.
        seen = ndimage.map_coordinates(closed, self.places, order=3, mode="mirror")
        return np.where(self.solid, 0.0, seen)
