"""Flow maps that give states rather than changes, and set up once what their numbers make of it."""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor

from pyhits.flowmaps.base import FlowMap


class PreparedMap(FlowMap):
    """A flow map whose ``forward`` gives the states one step later.

    What ``forward`` sets up is kept in ``_ready``, until the numbers change or move.
    """

    _ready: Any = None

    def increment(self, states: Tensor) -> Tensor:
        """Return the changes over one step; ``(n, d)`` to ``(n, d)``."""
        changes: Tensor = self.forward(states) - states
        return changes

    def within(self, states: Tensor) -> Tensor:
        """Return the states one step later; ``(n, d)`` to ``(n, 1, d)``."""
        return self.forward(states)[:, None]

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        """Move or convert, and forget what was made for another place."""
        self._ready = None
        super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Take other coefficients, and forget what was made of the last."""
        self._ready = None
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickles and copies hold: not what is made anew."""
        return self.__dict__ | {"_ready": None}
