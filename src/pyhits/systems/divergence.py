"""The error for a trajectory that cannot be integrated to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pyhits.errors import DivergenceError

if TYPE_CHECKING:
    from pyhits.systems.system import System


def divergence(
    system: System, trajectory: int, times: np.ndarray, t: float, state: np.ndarray
) -> DivergenceError:
    """Return the error that names the trajectory, the time ``t`` it reached, and its state there.

    ``times`` are those of the rows; the first row after ``t`` gives the error's ``step``.
    """
    names = system.feature_names or ()
    values = ", ".join(f"{name} = {x:.6g}" for name, x in zip(names, state, strict=True))
    return DivergenceError(
        f"Trajectory {trajectory} of {system.name} cannot be integrated beyond t = {t:.6g} "
        f"({values}): it grows without bound, its derivative is not finite, or its steps become "
        "too small. Draw initial states from another region, simulate fewer steps, or check the "
        "right-hand side; for steps too small, raise rtol and atol or declare the system stiff.",
        trajectory=trajectory,
        step=int(np.count_nonzero((times >= 0) & (times <= t))),
    )
