"""Six kinds of fields, small, which benchmarks of time limits and memory fit to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import pyhits
from benchmarks.planes import gray_scott, turbulence

#: Rows ``(run, time, ...)`` and the grid that they lie on; None for what is found by itself.
Sample = tuple[np.ndarray, pyhits.Grid | None]


def ring() -> Sample:
    """Return the Kuramoto-Sivashinsky equation on 64 points, 20 runs of 100 frames."""
    rng, n, h = np.random.default_rng(0), 64, 0.05
    k = 2 * np.pi * np.arange(n // 2 + 1) / 22
    grown = np.exp(h * (k**2 - k**4))
    modes = np.fft.rfft(rng.standard_normal((20, n)) * 0.5)
    modes[:, n // 4 :] = 0

    def slope(modes: np.ndarray) -> np.ndarray:
        product = -0.5j * k * np.fft.rfft(np.square(np.fft.irfft(modes, n)))
        product[:, n // 3 :] = 0
        return product

    frames = []
    for step in range(4000):
        if step >= 2000 and step % 20 == 0:
            frames.append(np.fft.irfft(modes, n))
        first = slope(modes)
        middle = grown * (modes + h * first)
        modes = 0.5 * (grown * modes + middle + h * (grown * first / 2 + slope(middle) / 2))
    return np.stack(frames, axis=1), None


def plane() -> Sample:
    """Return decaying turbulence, 20 runs on 64 x 64 points."""
    return turbulence(20, 3)[..., 0], pyhits.Grid((64, 64))


def reacting_plane() -> Sample:
    """Return Gray and Scott's two channels on a periodic plane of 32 x 32 points."""
    rng, n = np.random.default_rng(2), 32
    u, v = np.ones((12, n, n)), np.zeros((12, n, n))
    for run in range(12):
        for i, j in rng.integers(4, n - 4, (4, 2)):
            u[run, i - 3 : i + 3, j - 3 : j + 3] = 0.5
            v[run, i - 3 : i + 3, j - 3 : j + 3] = 0.25
    frames = []
    for frame in range(-10, 40):
        if frame >= 0:
            frames.append(np.stack([u, v], axis=-1))
        for _ in range(20):
            r = u * v * v
            u = u + 0.16 * _around(u) - r + 0.035 * (1 - u)
            v = v + 0.08 * _around(v) + r - 0.095 * v
    return np.stack(frames, axis=1).astype(np.float32), pyhits.Grid((n, n), channels=2)


def walled_plane() -> Sample:
    """Return the same between walls, 12 runs on 64 x 64 points."""
    return gray_scott(12, 5), pyhits.Grid((64, 64), channels=2)


def box() -> Sample:
    """Return Allen and Cahn's equation in a box of 16 x 16 x 16 points."""
    u = np.random.default_rng(4).standard_normal((10, 16, 16, 16))
    for _ in range(8):
        u = u + _around(u) / 12
    u /= u.std()
    frames = []
    for _ in range(30):
        frames.append(u)
        for _ in range(5):
            u = u + 0.05 * (0.5 * _around(u) + u - u**3)
    return np.stack(frames, axis=1), pyhits.Grid((16, 16, 16))


def coupled() -> Sample:
    """Return Lorenz's 40 coupled variables of 1996, 4 runs of 5000 rows."""
    x, h, frames = np.random.default_rng(5).standard_normal((4, 40)) + 8, 0.01, []

    def slope(x: np.ndarray) -> np.ndarray:
        return np.asarray((np.roll(x, -1, 1) - np.roll(x, 2, 1)) * np.roll(x, 1, 1) - x + 8)

    for step in range(5500):
        a = slope(x)
        b = slope(x + h / 2 * a)
        c = slope(x + h / 2 * b)
        d = slope(x + h * c)
        x = x + h / 6 * (a + 2 * b + 2 * c + d)
        if step >= 500:
            frames.append(x)
    return np.stack(frames, axis=1), None


def _around(u: np.ndarray) -> np.ndarray:
    """Return the sum of neighbours less so many times the point, of runs ``(run, ...)``."""
    axes = range(1, u.ndim)
    near = sum(np.roll(u, shift, axis) for axis in axes for shift in (-1, 1))
    return np.asarray(near - 2 * len(axes) * u)


FIELDS: dict[str, Callable[[], Sample]] = {
    "ring": ring, "plane": plane, "reacting plane": reacting_plane, "walled plane": walled_plane,
    "box": box, "coupled": coupled,
}  # fmt: skip
