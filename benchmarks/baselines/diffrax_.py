"""diffrax's Tsit5: one adaptive trajectory, vmapped over the batch and compiled, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.problem import Slope


def compiled(slope: Slope, times: np.ndarray) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return ``solve(initial_states, tolerance)``, ``(n, 2)`` to ``(n, len(times), 2)``.

    It compiles when first called with states of a shape. JAX uses as many threads as it likes.
    """
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    term = diffrax.ODETerm(lambda t, state, args: jnp.stack(slope(state[0], state[1])))
    save = diffrax.SaveAt(ts=jnp.asarray(times))

    def one(start: jax.Array, tolerance: jax.Array) -> jax.Array:
        solution = diffrax.diffeqsolve(
            term,
            diffrax.Tsit5(),
            t0=times[0],
            t1=times[-1],
            dt0=None,
            y0=start,
            saveat=save,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            max_steps=10 * len(times) + 100_000,
            adjoint=diffrax.ForwardMode(),
        )
        return solution.ys

    batch = jax.jit(jax.vmap(one, in_axes=(0, None)))

    def solve(initial_states: np.ndarray, tolerance: float) -> np.ndarray:
        return np.asarray(batch(jnp.asarray(initial_states), tolerance))

    return solve
