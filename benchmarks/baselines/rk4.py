"""The classical Runge-Kutta method of order 4 at the recorded step: NumPy over the batch, Numba.

Numba takes one trajectory after another, which waits for itself at every operation, or 32 side by
side, which fill the processor's vectors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.problem import Slope


def numpy_rk4(slope: Slope, initial_states: np.ndarray, n_steps: int, dt: float) -> np.ndarray:
    """Step all trajectories together; ``(n, 2)`` to ``(n, n_steps + 1, 2)``."""
    out = np.empty((n_steps + 1, 2, len(initial_states)))
    out[0] = initial_states.T
    x, y = out[0]
    half = 0.5 * dt
    for k in range(1, n_steps + 1):
        a, b = slope(x, y)
        c, d = slope(x + half * a, y + half * b)
        e, f = slope(x + half * c, y + half * d)
        g, h = slope(x + dt * e, y + dt * f)
        np.add(x, dt / 6 * (a + 2 * (c + e) + g), out=out[k, 0])
        np.add(y, dt / 6 * (b + 2 * (d + f) + h), out=out[k, 1])
        x, y = out[k]
    return np.ascontiguousarray(out.transpose(2, 0, 1))


def numba_rk4(
    slope: Slope, *, parallel: bool, fastmath: bool
) -> Callable[[np.ndarray, int, float], np.ndarray]:
    """Return a compiled ``solve(initial_states, n_steps, dt)``, one trajectory after another.

    Parameters
    ----------
    parallel : bool
        Share the trajectories among Numba's threads.
    fastmath : bool
        Let the compiler reorder sums.
    """
    import numba

    f = numba.njit(inline="always")(slope)

    @numba.njit(parallel=parallel, fastmath=fastmath)
    def solve(initial_states, n_steps, dt):  # type: ignore[no-untyped-def]
        n = initial_states.shape[0]
        out = np.empty((n, n_steps + 1, 2), initial_states.dtype)
        half = 0.5 * dt
        for i in numba.prange(n):
            x, y = initial_states[i, 0], initial_states[i, 1]
            out[i, 0, 0], out[i, 0, 1] = x, y
            for k in range(1, n_steps + 1):
                a, b = f(x, y)
                c, d = f(x + half * a, y + half * b)
                p, q = f(x + half * c, y + half * d)
                g, h = f(x + dt * p, y + dt * q)
                x += dt / 6 * (a + 2 * (c + p) + g)
                y += dt / 6 * (b + 2 * (d + q) + h)
                out[i, k, 0], out[i, k, 1] = x, y
        return out

    return solve


def numba_rk4_side_by_side(
    slope: Slope, *, parallel: bool
) -> Callable[[np.ndarray, int, float], np.ndarray]:
    """Return a compiled ``solve(initial_states, n_steps, dt)``, 32 trajectories side by side.

    In the dtype of the initial states, with ``fastmath``. States of 64 steps are kept by time, then
    written by trajectory. ``parallel`` shares the blocks of trajectories among Numba's threads.
    """
    import numba

    f = numba.njit(inline="always")(slope)

    # Numba vectorises loops whose length it can see: the numbers of lanes and steps are literal.
    @numba.njit(parallel=parallel, fastmath=True)
    def solve(initial_states, n_steps, dt):  # type: ignore[no-untyped-def]
        n, dtype = initial_states.shape[0], initial_states.dtype
        out = np.empty((n, n_steps + 1, 2), dtype)
        dt, half, sixth = dtype.type(dt), dtype.type(dt / 2), dtype.type(dt / 6)
        two = dtype.type(2)
        for block in numba.prange((n + 31) // 32):
            first = 32 * block
            count = min(32, n - first)
            xs, ys = np.zeros(32, dtype), np.zeros(32, dtype)
            kept_x, kept_y = np.empty(64 * 32, dtype), np.empty(64 * 32, dtype)
            for j in range(count):
                xs[j], ys[j] = initial_states[first + j, 0], initial_states[first + j, 1]
                out[first + j, 0, 0], out[first + j, 0, 1] = xs[j], ys[j]
            for begin in range(0, n_steps, 64):
                steps = min(64, n_steps - begin)
                for k in range(steps):
                    for j in range(32):
                        x, y = xs[j], ys[j]
                        a, b = f(x, y)
                        c, d = f(x + half * a, y + half * b)
                        p, q = f(x + half * c, y + half * d)
                        g, h = f(x + dt * p, y + dt * q)
                        x += sixth * (a + two * (c + p) + g)
                        y += sixth * (b + two * (d + q) + h)
                        xs[j], ys[j] = x, y
                        kept_x[32 * k + j], kept_y[32 * k + j] = x, y
                for j in range(count):
                    for k in range(steps):
                        out[first + j, begin + k + 1, 0] = kept_x[32 * k + j]
                        out[first + j, begin + k + 1, 1] = kept_y[32 * k + j]
        return out

    return solve
