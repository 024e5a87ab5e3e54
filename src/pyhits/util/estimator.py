"""scikit-learn's face of what only stores what it is made with, without importing scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any, Self

from pyhits.errors import ArgumentError
from pyhits.util.checks import suggest


class Estimator:
    """Arguments of a constructor that can be read, set and shown.

    ``clone``, pipelines and searches of scikit-learn take it, which need not be installed.
    """

    @classmethod
    def _parameters(cls) -> list[str]:
        found = inspect.signature(cls).parameters.values()
        return [one.name for one in found if one.kind is not one.VAR_KEYWORD]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: Any) -> Self:
        """Set arguments of the constructor; returns itself."""
        for name, value in params.items():
            if name not in self._parameters():
                raise ArgumentError(
                    f"Unknown parameter {name!r}{suggest(name, self._parameters())}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        given = {k: repr(v) for k, v in self.get_params().items()}
        shown = [f"{k}={v}" for k, v in given.items() if v != repr(defaults[k].default)]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn's pipelines and searches ask for; it is installed then."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))
