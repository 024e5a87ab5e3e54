"""Fitted baselines by kind, as model files hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from pyhits.baselines.simple import BASELINES, SimpleBaseline
from pyhits.util.schema import Many, Schema
from pyhits.util.stored import Stored, TensorSpec, check_arrays, under

#: Forecasts initial states (n, d) over n_steps: the result is (n, n_steps + 1, d).
ForecastFromStates = Callable[[np.ndarray, int], np.ndarray]


class BaselineForecast(NamedTuple):
    """A simple forecast to compare with: its name in tables, and what makes it."""

    label: str
    forecaster: ForecastFromStates


class BaselineSet(Stored):
    """Fitted baselines.

    Parameters
    ----------
    by_kind : mapping of str to SimpleBaseline
    """

    schema: ClassVar[Schema] = Many(BASELINES.kinds, unique=True)

    def __init__(self, by_kind: Mapping[str, SimpleBaseline]) -> None:
        self.by_kind = dict(by_kind)

    def plain(self) -> dict[str, Any]:
        """Return their kinds, and the step of the training data."""
        steps = {baseline.dt_ for baseline in self.by_kind.values()}
        return {"kinds": list(self.by_kind), "dt": max(steps, default=1.0)}

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays of all, with names that begin with their kinds."""
        return {
            f"{kind}.{name}": array
            for kind, baseline in self.by_kind.items()
            for name, array in baseline.state().items()
        }

    @classmethod
    def check_state(
        cls, plain: Mapping[str, Any], found: Mapping[str, TensorSpec], where: str = ""
    ) -> None:
        """Compare the arrays of every baseline with those that there may be."""
        rest = dict(found)
        for kind in plain["kinds"]:
            own = under(f"{kind}.", found)
            BASELINES[kind].check_state({}, own, f"{where}{kind}.")
            for name in own:
                del rest[f"{kind}.{name}"]
        check_arrays({}, rest, where)

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Self:
        """Return fitted baselines; a ValueError if what was learned does not fit together."""
        about = {"dt": plain["dt"]}
        return cls(
            {
                kind: BASELINES[kind].from_stored(about, under(f"{kind}.", state))
                for kind in plain["kinds"]
            }
        )
