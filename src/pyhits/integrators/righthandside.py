"""The right-hand side of ``dx/dt = f(t, x)``, from a System, its name, or a function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.systems import System, get
from pyhits.util.checks import shown

#: A time, or one a state: a float, or an array of shape ``(n,)``.
Time = float | np.ndarray

#: Relative step of a finite difference: the square root of the rounding error.
_DIFFERENCE = 2.0**-26


@dataclass(frozen=True)
class RightHandSide:
    """A vectorised right-hand side.

    Attributes
    ----------
    function : callable
        ``function(t, x)`` takes states ``(n, d)`` and returns their time derivatives ``(n, d)``.
        Components are ``x[..., 0]``, ``x[..., 1]`` and so on. Where states have different times,
        t has the shape ``(n,)``, like a component.
    jacobian : callable, optional
        ``jacobian(t, x)`` returns ``(n, d, d)``.
    dimension : int, optional
        d, where it is known.
    feature_names : tuple of str, optional
    name : str
        What errors call it.
    """

    function: Callable[[Any, np.ndarray], Any]
    jacobian: Callable[[Any, np.ndarray], Any] | None = None
    dimension: int | None = None
    feature_names: tuple[str, ...] | None = None
    name: str = "right-hand side"

    def __call__(self, t: Time, x: np.ndarray) -> np.ndarray:
        """Return the time derivatives of states ``(n, d)``, in float64.

        Raises
        ------
        ArgumentError
            The function returns another shape.
        """
        slope = np.asarray(self.function(t, x), dtype=np.float64)
        if slope.shape != x.shape:
            raise ArgumentError(
                f"The {self.name} must return derivatives of shape {x.shape} for states of that "
                f"shape, got {slope.shape}: index components with x[..., 0] and return "
                "np.stack([...], axis=-1)."
            )
        return slope

    def jacobians(self, t: Time, x: np.ndarray) -> np.ndarray:
        """Return the derivatives by the state at each state; ``(n, d)`` to ``(n, d, d)``.

        Forward differences where none were given, all states and directions in one call.
        """
        n, d = x.shape
        if self.jacobian is not None:
            given = np.asarray(self.jacobian(t, np.asfortranarray(x)), dtype=np.float64)
            if given.shape != (n, d, d):
                raise ArgumentError(
                    f"The Jacobian of the {self.name} must have shape {(n, d, d)} for states "
                    f"{x.shape}, got {given.shape}."
                )
            return given
        size = np.abs(x).max(axis=1, initial=0.0, keepdims=True)
        step = _DIFFERENCE * np.maximum(np.abs(x), 1e-3 * size + 1e-30)
        moved = np.tile(x, (d + 1, 1, 1))
        for k in range(d):
            moved[k + 1, :, k] += step[:, k]
        step = moved[range(1, d + 1), :, range(d)] - x.T  # what rounding left of it; (d, n)
        # Component by component in memory, as everywhere: equal states then give equal bits.
        columns = np.ascontiguousarray(moved.reshape(-1, d).T)
        times = np.tile(t, d + 1) if np.ndim(t) else t
        slopes = self(times, columns.T).reshape(d + 1, n, d)
        return np.asarray(((slopes[1:] - slopes[0]) / step[:, :, None]).transpose(1, 2, 0))

    def check(self, states: np.ndarray) -> None:
        """Raise an ArgumentError unless many states are treated as each of them by itself.

        Parameters
        ----------
        states : array, shape (n, d)
            Where the right-hand side is defined; n should not be d.
        """
        n, d = states.shape
        if self.dimension not in (None, d):
            raise ArgumentError(f"The {self.name} has dimension {self.dimension}, not {d}.")
        how = (
            f"The {self.name} must take states of shape (n, {d}) with times of shape (n,), and "
            f"return derivatives of shape (n, {d})"
        )
        with np.errstate(all="ignore"):
            try:
                together = self(np.zeros(n), states)
                apart = [self(np.zeros(1), state[None])[0] for state in states]
            except ArgumentError:
                raise
            except Exception as error:
                raise ArgumentError(f"{how}. It raised {type(error).__name__}: {error}") from error
        if not np.allclose(together, apart, rtol=1e-9, atol=1e-12, equal_nan=True):
            raise ArgumentError(
                f"{how}. For {n} states at once it returned other values than each."
            )


def as_right_hand_side(system: Any) -> RightHandSide:
    """Return the right-hand side of a System, of the system of that name, or of a function.

    Raises
    ------
    ArgumentError
        There is no system of that name (the nearest is suggested), or it is none of these.
    """
    if isinstance(system, RightHandSide):
        return system
    if isinstance(system, str):
        system = get(system)
    if isinstance(system, System):
        return RightHandSide(
            functools.partial(system.rhs, **system.parameters),
            None
            if system.jacobian is None
            else functools.partial(system.jacobian, **system.parameters),
            system.dimension,
            tuple(system.feature_names or ()),
            f"right-hand side of {system.name}",
        )
    if callable(system):
        return RightHandSide(system)
    raise ArgumentError(
        "Expected a System, the name of one (pyhits.systems.names()) or a function f(t, x), got "
        f"{shown(system)}."
    )


def check_features(rhs: RightHandSide, feature_names: Sequence[str]) -> None:
    """Raise an ArgumentError where a model's features cannot be the right-hand side's components.

    They are the same by position; a name that both know must be at the same position.
    """
    d, names = len(feature_names), rhs.feature_names
    if rhs.dimension is not None and rhs.dimension != d:
        raise ArgumentError(
            f"The {rhs.name} has {rhs.dimension} components, the model {d} features: "
            f"{', '.join(feature_names)}."
        )
    for k, name in enumerate(names or ()):
        if name != feature_names[k] and name in feature_names:
            raise ArgumentError(
                f"The components of the {rhs.name} are {', '.join(names or ())}, the model's "
                f"features {', '.join(feature_names)}: {name!r} is at another place. Train on data "
                "in the system's order, or give a right-hand side in the model's."
            )
