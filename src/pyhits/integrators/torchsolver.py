"""torchdiffeq's solvers, all states in one tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pyhits.errors import ArgumentError, PyHiTSError
from pyhits.integrators.base import Integrator
from pyhits.integrators.righthandside import Time, as_right_hand_side
from pyhits.util.checks import as_positive
from pyhits.util.extras import need


class TorchDiffEq(Integrator):
    """``torchdiffeq.odeint`` on all states together: neural ODEs, and solvers on a GPU.

    Adaptive methods choose one step for all states together, so a state's solution depends, within
    the tolerance, on the others.

    Parameters
    ----------
    system : torch.nn.Module, System or callable
        A module is called as ``module(t, x)`` with tensors, x of shape ``(n, d)``, in its own dtype
        and on its own device. Anything else is as in :class:`~pyhits.integrators.RungeKutta`.
    method : str
        One of torchdiffeq's, such as ``"dopri5"``, ``"dopri8"`` or ``"rk4"``.
    rtol, atol : float
    options : dict, optional
        Passed on to the method.

    Raises
    ------
    MissingExtraError
        torchdiffeq is not installed.
    """

    independent: ClassVar[bool] = False
    advice: str = "Ask for smaller steps or another method."

    def __init__(
        self,
        system: Any,
        method: str = "dopri5",
        *,
        rtol: float = 1e-8,
        atol: float = 1e-10,
        options: dict[str, Any] | None = None,
    ) -> None:
        self._odeint = need("torchdiffeq", action="TorchDiffEq", extra="torchdiffeq").odeint
        self.method, self.options = method, options
        self.rtol, self.atol = as_positive(rtol, "rtol"), as_positive(atol, "atol")
        self._like = torch.zeros(0, dtype=torch.float64)
        self._slopes: Callable[[Tensor | float, Tensor], Tensor]
        if isinstance(system, torch.nn.Module):
            self._like = next((p.detach() for p in system.parameters()), self._like)
            self._slopes = system
        else:
            self.right_hand_side = rhs = as_right_hand_side(system)

            def slopes(t: Tensor | float, x: Tensor) -> Tensor:
                time = t.numpy() if isinstance(t, Tensor) else t
                return torch.from_numpy(np.ascontiguousarray(rhs(time, x.numpy())))

            self._slopes = slopes

    def __repr__(self) -> str:
        return f"torchdiffeq's {self.method}"

    @torch.inference_mode()
    def integrate(
        self, states: np.ndarray, dt: float, n_steps: int, t: Time = 0.0
    ) -> Iterator[np.ndarray]:
        """Yield all states in one piece; see :meth:`Integrator.integrate`."""
        sound = np.isfinite(states).all(axis=1)
        solved = np.full((len(states), n_steps, states.shape[1]), np.nan)
        if sound.any():
            start = torch.from_numpy(states[sound]).to(self._like)
            each = isinstance(t, np.ndarray)
            begin = torch.from_numpy(t[sound]).to(self._like) if isinstance(t, np.ndarray) else t

            # One clock for all states, which begins at 0.
            def slopes(clock: Tensor, x: Tensor) -> Tensor:
                return self._slopes(begin + clock if each else float(begin) + float(clock), x)

            times = dt * torch.arange(n_steps + 1, dtype=start.dtype, device=start.device)
            try:
                solution = self._odeint(
                    slopes,
                    start,
                    times,
                    method=self.method,
                    rtol=self.rtol,
                    atol=self.atol,
                    options=self.options,
                )
            except ValueError as error:
                raise ArgumentError(f"torchdiffeq: {error}") from None
            except AssertionError as error:  # how it says that steps became too small
                raise PyHiTSError(f"torchdiffeq's {self.method} gave up: {error}.") from error
            solved[sound] = solution[1:].cpu().numpy().transpose(1, 0, 2)
        yield solved
