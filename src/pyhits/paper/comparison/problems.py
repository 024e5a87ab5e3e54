"""The four sequences: what stands between them and the models, and how large the models are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Models of Table 1, in its order, by name with their labels.
MODELS = {"hits": "HiTS", "lstm": "LSTM", "esn": "ESN", "cwrnn": "CW-RNN"}

#: How models are scored: on the very sequence they were trained on, generated from its first row,
#: as in the paper; or on its last part, after training on the first.
PROTOCOLS = ("reproduce", "forecast")

#: Part of the sequence that is left out of the training of ``forecast``, and of what is left the
#: part that chooses weights and hyper-parameters.
LAST, VALIDATION = 0.2, 0.2


@dataclass(frozen=True)
class SequenceProblem:
    """One sequence and the models for it.

    Parameters
    ----------
    name : str
    label : str
        Name in tables and figures.
    step_sizes : tuple of int
        Of HiTS (Appendix A.3), and the clock periods of the CW-RNN.
    hidden_sizes : tuple of int
        Units of the one hidden layer of each net (Table 4).
    units : dict of str to int
        Hidden units of the rivals, from the parameters of Table 3.
    seconds : float
        Time that each model is given for its training, on one core.
    n_modes : int, optional
        POD modes.
    lyapunov : float, optional
        Largest Lyapunov exponent, where the sequence is chaotic.
    small : mapping
        Arguments that make a small sequence, for small budgets: coarser fields, smaller frames.
    """

    name: str
    label: str
    step_sizes: tuple[int, ...]
    hidden_sizes: tuple[int, ...]
    units: dict[str, int]
    seconds: float
    n_modes: int | None = None
    lyapunov: float | None = None
    small: Mapping[str, Any] = field(default_factory=dict)

    def parameters(self, n_features: int) -> int:
        """Return the trained numbers of all nets of HiTS, for Table 3."""
        return sum(h * n_features * 2 + h + n_features for h in self.hidden_sizes)


SEQUENCE_PROBLEMS = {
    problem.name: problem
    for problem in (
        SequenceProblem(
            "fluid",
            "Fluid flow",
            (1, 4, 16, 64),
            (256, 64, 16, 4),
            {"lstm": 49, "esn": 700, "cwrnn": 104},
            seconds=45.0,
            n_modes=22,
            small={"n_radial": 80, "n_modes": 56, "step": 0.01, "shape": (80, 180)},
        ),
        SequenceProblem(
            "video",
            "Video frame",
            (1, 4, 16, 64),
            (128, 64, 32, 16),
            {"lstm": 56, "esn": 490, "cwrnn": 124},
            seconds=45.0,
            n_modes=64,
            small={"height": 135, "width": 240},
        ),
        SequenceProblem(
            "music",
            "Music data",
            (1, 5, 25, 125, 625),
            (2048, 1024, 512, 256, 128),
            {"lstm": 430, "esn": 8000, "cwrnn": 900},
            seconds=135.0,
        ),
        # Edson, Bunder, Mattner, Roberts (2019): about 0.09 for lengths of 50 and more.
        SequenceProblem(
            "ks",
            "KS equation",
            (1, 6, 36, 216, 1296),
            (2048, 1024, 512, 256, 128),
            {"lstm": 740, "esn": 7950, "cwrnn": 1570},
            seconds=225.0,
            lyapunov=0.09,
        ),
    )
}
