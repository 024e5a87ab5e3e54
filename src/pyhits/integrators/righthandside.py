"""The right-hand side of ``dx/dt = f(t, x)``, from a System or a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError
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
    broadcasts : bool
        Whether function and jacobian take states ``(..., d)``, so that one alone is ``(d,)``.
    """

    function: Callable[[Any, np.ndarray], Any]
    jacobian: Callable[[Any, np.ndarray], Any] | None = None
    dimension: int | None = None
    feature_names: tuple[str, ...] | None = None
    name: str = "right-hand side"
    broadcasts: bool = False

    def __call__(self, t: Time, x: np.ndarray) -> np.ndarray:
        """Return the time derivatives of states ``(n, d)``, in float64.

        Raises ArgumentError: the function returns another shape.
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

    def of_one(
        self,
    ) -> tuple[Callable[[float, np.ndarray], Any], Callable[[float, np.ndarray], Any] | None]:
        """Return function and Jacobian of one state, ``(d,)`` to ``(d,)`` and ``(d, d)``.

        They leave out the checks, and arrays of one row where numbers will do: solvers of single
        states call them millions of times.
        """
        function, jacobian = self.function, self.jacobian
        if self.broadcasts:
            return function, jacobian
        return (
            lambda t, x: function(t, x[None])[0],
            None if jacobian is None else lambda t, x: jacobian(t, x[None])[0],
        )

    def check(self, states: np.ndarray) -> None:
        """Raise an ArgumentError unless many states are treated as each of them by itself.

        Parameters
        ----------
        states : array, shape (n, d)
            Where the right-hand side is defined; n should not be d.
        """
        d = states.shape[1]
        if self.dimension not in (None, d):
            raise ArgumentError(f"The {self.name} has dimension {self.dimension}, not {d}.")
        how = (
            f"The {self.name} must take states of shape (n, {d}) with times of shape (n,), and "
            f"return derivatives of shape (n, {d})"
        )
        each = [state[None] for state in states]
        check_vectorised(lambda x: self(np.zeros(len(x)), x), states, each, how)


def check_vectorised(
    function: Callable[[np.ndarray], np.ndarray],
    states: np.ndarray,
    each: Sequence[np.ndarray],
    how: str,
) -> None:
    """Raise an ArgumentError unless a function treats many states as it treats each by itself.

    Parameters
    ----------
    function : callable
        Returns the time derivatives of states, in their shape.
    states : array, shape (..., d)
    each : sequence of array
        The same states, one by one, in a shape in which one can be given.
    how : str
        What the function must take and return; the beginning of the error.
    """
    with np.errstate(all="ignore"):
        try:
            together = function(states)
            single = [function(state) for state in each]
        except ArgumentError:
            raise
        except Exception as error:
            raise ArgumentError(f"{how}. It raised {type(error).__name__}: {error}") from error
    shapes = [(x.shape, y.shape) for x, y in zip((states, *each), (together, *single), strict=True)]
    for given, returned in shapes:
        if given != returned:
            raise ArgumentError(f"{how}. For states {given} it returned {returned}.")
    if not np.allclose(together.ravel(), np.ravel(single), rtol=1e-9, atol=1e-12, equal_nan=True):
        raise ArgumentError(
            f"{how}. For {len(each)} states at once it returned other values than for each."
        )


def as_right_hand_side(system: Any) -> RightHandSide:
    """Return the right-hand side of a System, which has one, or of a function ``f(t, x)``.

    Raises
    ------
    ArgumentError
        It is none of these.
    """
    if isinstance(system, RightHandSide):
        return system
    own = getattr(system, "right_hand_side", None)
    if isinstance(own, RightHandSide):
        return own
    if callable(system):
        return RightHandSide(system)
    hint = f": pyhits.systems.get({system!r}) returns one" if isinstance(system, str) else ""
    raise ArgumentError(f"Expected a System or a function f(t, x), got {shown(system)}{hint}.")


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
