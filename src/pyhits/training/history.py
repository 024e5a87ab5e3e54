"""What one scale's training did, as plain records that plots, files and tests can read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pyhits.util.schema import Many, Maybe, Named, Plain, Real, Record, Text, Whole

#: Errors are infinite where nothing finite was found.
_ERROR = Real(0.0, finite=False)

#: A :class:`History` in files.
HISTORY = Record(
    {"step_size": Whole(1)},
    {
        "records": Many(Named(Maybe(Real(finite=False)))),
        "stopped_by": Text(),
        "flow_map": Text(),
        "polynomial_error": _ERROR,
        "validation_error": _ERROR,
        "one_step_mse": _ERROR,
        "seconds": Real(0.0),
        "n_windows": Whole(),
        "form": Named(Plain()),
        "scores": Named(Real(finite=False)),
    },
)


@dataclass
class History:
    """Record of one scale's training.

    Attributes
    ----------
    step_size : int
        Rows per step of the flow map.
    records : list of dict
        One a validation: ``step``, ``seconds``, ``train_error``, ``validation_error`` (mean squared
        one-step or p-step error relative to the increment's mean square) and ``learning_rate``. Of
        a net whose last layer is solved for, one a solution, with ``gain`` and ``penalty`` instead
        of the first and last of these. Of few points first one a candidate for a closed form, with
        ``penalty`` and its score in rollouts as the error.
    stopped_by : str
        ``steps``, ``time``, ``target``, ``patience``, ``behind`` what it competes with, ``closed
        form``, ``budget`` of a convolutional net that has had its seconds, or ``not finite`` if
        every learning rate blew up.
    flow_map : str
        The flow map: ``polynomial (degree 9)``, ``table (930 cells of degree 7)``, ``net``,
        ``polynomial (degree 5) + net``; with ``, 16 outputs`` if it is dense.
    polynomial_error, validation_error : float
        Relative held-out error of the closed-form stage alone (infinite without one), and of what
        was kept.
    one_step_mse : float
        Held-out one-step mean squared error in the coordinates trained in.
    form : dict
        Of a closed form for few points: what was chosen (:class:`pyhits.flowmaps.form.Form`), and
        its score in rollouts; of a net the polynomial below it, empty without one.
    scores : dict
        Of few points: the best score in rollouts of each family tried, ``polynomial``, ``kernel``
        and ``net``; in standard deviations.
    """

    step_size: int
    records: list[dict[str, float]] = field(default_factory=list)
    stopped_by: str = ""
    flow_map: str = ""
    polynomial_error: float = float("inf")
    validation_error: float = float("inf")
    one_step_mse: float = float("inf")
    seconds: float = 0.0
    n_windows: int = 0
    form: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def curve(self) -> list[dict[str, float]]:
        """The records of training, without those of candidates for a closed form."""
        return [one for one in self.records if "penalty" not in one or "gain" in one]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        """Rebuild from :meth:`as_dict`; unknown keys of later versions are left out."""
        known = cls.__dataclass_fields__
        own = {k: v for k, v in values.items() if k in known}
        errors = ("polynomial_error", "validation_error", "one_step_mse")
        own |= {k: float(v) for k, v in own.items() if k in errors}
        # Files hold what is not finite as texts.
        own["records"] = [
            {k: float(v) if isinstance(v, str) else v for k, v in record.items()}
            for record in own.get("records", [])
        ]
        return cls(**own)
