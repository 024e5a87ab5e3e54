"""A curved subspace of few coordinates: POD modes, and a net for what they leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from pyhits.data.limits import in_words, memory
from pyhits.encoders.base import ENCODERS, Encoder
from pyhits.encoders.blocks import Blocks
from pyhits.encoders.pod import POD
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import as_count, as_seed
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.schema import Many, Maybe, Record, Whole
from pyhits.util.stored import Array
from pyhits.util.transaction import transactional

#: Modes beyond the coordinates that the net's output lies in, unless said otherwise: so many times
#: the coordinates, and so many at most.
_TIMES, _MOST_MODES = 8, 64

#: Modes below this part of the variance are rounding's.
_LEAST_ENERGY = 1e-12

#: Snapshots that the net is trained on, at most, and the part of them that is held out, in blocks:
#: neighbours in time are nearly equal.
_MOST_ROWS, _HELD, _BLOCKS = 4096, 0.2, 20

#: Iterations of L-BFGS between two looks at the rows held out, and looks without gain that end it.
_ROUND, _PATIENCE = 20, 5

#: Arrays of the size of the weights that L-BFGS holds.
_COPIES = 50

#: Part of a time limit that the modes may take.
_FOR_MODES = 0.5

#: Weight decay, relative to a loss of order one: enough to keep weights finite.
_DECAY = 1e-7


@ENCODERS.register
class Autoencoder(Encoder):
    """Encode fields as POD coefficients, and decode them on a curved manifold.

    The leading coefficients are the coordinates: the encoder is linear. The decoder adds to the
    modes what a small net says of the coefficients that were left out, which on travelling
    structures follow from the leading ones, where POD alone would need many modes (nonlinear
    manifolds: Geelen, Wright, Willcox 2023, Comput. Methods Appl. Mech. Eng. 403, 115717; latent
    HiTS: arXiv:2407.00011). Encoding what was decoded gives the same coordinates.

    On the training data the reconstruction is never worse than that of a POD of as many modes:
    every coefficient's net is scaled by least squares, and left out where it does not help.

    Parameters
    ----------
    n_components : int
        Coordinates.
    hidden_sizes : sequence of int
        Widths of the net's hidden layers.
    n_modes : int, optional
        Modes in all, of which the net says those beyond the coordinates; by default nine times the
        coordinates, 64 at most beyond them.
    max_steps : int
        Iterations of L-BFGS; rows held out mostly end it before.
    random_state : int
        Seed of the weights. Equal seeds give equal encoders on one machine.
    max_bytes : int
        Bytes of the rows worked on at a time, as in :class:`POD`.

    Attributes
    ----------
    pod_ : POD
        All modes, the coordinates' first.
    weights_, biases_ : list of array
        The net's layers, ``tanh`` between them.
    energy_ : float
        Share of the variance of the training data that is kept.
    linear_energy_ : float
        What a POD of as many modes as coordinates keeps of it.
    """

    kind: ClassVar[str] = "autoencoder"
    arrays: ClassVar[Mapping[str, Array]] = {
        **POD.arrays,
        r"weight\.\d+": Array(2, ("F64", "F32")),
        r"bias\.\d+": Array(1, ("F64", "F32")),
        "scales": Array(2),
        "energies": Array(),
    }
    schema: ClassVar[Record] = Record(
        {
            "n_components": Whole(1, loose=True),
            "hidden_sizes": Many(Whole(1, loose=True), 0, 1000),
            "n_modes": Maybe(Whole(1, loose=True)),
            "max_steps": Whole(loose=True),
            "random_state": Whole(loose=True),
            "max_bytes": Whole(1, loose=True),
        }
    )

    weights_: list[np.ndarray]
    biases_: list[np.ndarray]

    def __init__(
        self,
        n_components: int,
        hidden_sizes: Sequence[int] = (64, 64),
        *,
        n_modes: int | None = None,
        max_steps: int = 1000,
        random_state: int = 0,
        max_bytes: int = 1 << 28,
    ) -> None:
        self.n_components = n_components
        self.hidden_sizes = hidden_sizes
        self.n_modes = n_modes
        self.max_steps = max_steps
        self.random_state = random_state
        self.max_bytes = max_bytes

    @property
    def n_features_out_(self) -> int:
        """Number of coordinates."""
        return as_count(self.n_components, "n_components")

    @property
    def lossy(self) -> bool:
        """Whether there are fewer coordinates than features."""
        return self.n_features_out_ < self.n_features_in_

    def notes(self) -> list[str]:
        """Return what is kept of the variance."""
        return [
            f"Autoencoder: {self.n_features_out_} coordinates keep {_percent(self.energy_)} of the "
            f"variance, as modes alone {_percent(self.linear_energy_)}."
        ]

    @transactional
    def fit(self, X: Any, y: Any = None) -> Autoencoder:
        """Find the modes, and train the net.

        Parameters
        ----------
        X : array, shape (n_snapshots, n_features) or (..., n_features)
            As :meth:`POD.fit` takes it.

        Raises
        ------
        DataError
            There are fewer snapshots or features than coordinates, or the data do not vary.
        """
        return self.fit_in_time(X, UNLIMITED)

    def fit_in_time(self, X: Any, clock: Clock) -> Autoencoder:
        """As :meth:`fit`; the net trains as long as there is time."""
        r = as_count(self.n_components, "n_components")
        widths = [as_count(width, "hidden_sizes") for width in self.hidden_sizes]
        seed, steps = as_seed(self.random_state), as_count(self.max_steps, "max_steps")
        max_bytes = as_count(self.max_bytes, "max_bytes")
        blocks = Blocks(X, max_bytes // 4)
        shapes = [block.shape for block in blocks]
        if not shapes:
            raise DataError("Expected rows, got none.")
        rank = min(sum(shape[0] for shape in shapes), shapes[0][1])
        if self.n_modes is None:
            wanted = min(rank, r + min(_MOST_MODES, _TIMES * r))
        else:
            wanted = as_count(self.n_modes, "n_modes")
            if wanted < r:
                raise ArgumentError(
                    f"Expected n_modes of at least n_components={r}, got {self.n_modes}."
                )
        _check_size([r, *widths, max(wanted - r, 0)])
        pod = POD(max(wanted, r), random_state=seed, max_bytes=max_bytes)
        pod.fit_in_time(X, clock.part(_FOR_MODES))
        real = int((np.square(pod.singular_values_) > _LEAST_ENERGY * _total(pod)).sum())
        self.pod_ = pod.leading(max(r, real))
        self.n_features_in_ = self.pod_.n_features_in_
        kept = np.concatenate([self.pod_.transform(block) for block in blocks])
        total = _total(pod) / pod.energy_
        self.linear_energy_ = float(np.square(pod.singular_values_[:r]).sum() / total)
        self.energy_ = self.linear_energy_
        self._scales = np.ones((2, 1))
        self.weights_, self.biases_ = [], []
        if kept.shape[1] > r:
            self._train(kept[:, :r], kept[:, r:], widths, seed, steps, clock)
            left = np.square(kept[:, r:]).sum() - np.square(kept[:, r:] - self._beyond(kept)).sum()
            self.energy_ += float(left) / total
        return self

    def _train(
        self,
        z: np.ndarray,
        beyond: np.ndarray,
        widths: list[int],
        seed: int,
        steps: int,
        clock: Clock,
    ) -> None:
        """Train the net from coordinates to the coefficients beyond them."""
        from pyhits.encoders.dense_net import DenseNetFit

        step = max(1, -(-len(z) // _MOST_ROWS))
        rows = np.arange(0, len(z), step)
        validation = (np.arange(len(rows)) * _BLOCKS // len(rows)) % round(1 / _HELD) == 2
        # One scale for all inputs and one for all outputs: small coefficients stay small.
        self._scales = np.array([[z.std()], [beyond.std()]])
        inputs, outputs = z[rows] / self._scales[0], beyond[rows] / self._scales[1]
        fit = DenseNetFit(widths, seed, steps, _ROUND, _PATIENCE, _DECAY)
        layers = fit(inputs, outputs, validation, clock)
        self.weights_, self.biases_ = [w for w, _ in layers], [b for _, b in layers]
        # The last layer scaled by least squares: where the net does not help, it says the mean, 0.
        said = self._beyond(z)
        power = np.square(said).sum(axis=0)
        share = np.clip((said * beyond).sum(axis=0) / np.where(power > 0, power, 1.0), 0.0, 1.0)
        self.weights_[-1] = self.weights_[-1] * share
        self.biases_[-1] = self.biases_[-1] * share

    def _beyond(self, z: np.ndarray) -> np.ndarray:
        """Return the coefficients beyond the coordinates, as the net says them."""
        x = z[..., : self.n_features_out_] / self._scales[0]
        for k, (weight, bias) in enumerate(zip(self.weights_, self.biases_, strict=True)):
            x = x @ weight + bias
            if k < len(self.weights_) - 1:
                np.tanh(x, out=x)
        return np.asarray(x * self._scales[1])

    def _encode(self, X: np.ndarray) -> np.ndarray:
        return self.pod_.leading(self.n_features_out_)._encode(X)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        Z = np.asarray(Z, dtype=np.float64)
        if not self.weights_:
            return self.pod_._decode(Z)
        return self.pod_._decode(np.concatenate([Z, self._beyond(Z)], axis=-1))

    def _names(self, names: Sequence[str]) -> Sequence[str]:
        return [f"latent {k}" for k in range(1, self.n_features_out_ + 1)]

    def state(self) -> dict[str, np.ndarray]:
        """Return the modes, the net's layers and the energies."""
        layers = {
            f"{name}.{k}": array
            for name, arrays in (("weight", self.weights_), ("bias", self.biases_))
            for k, array in enumerate(arrays)
        }
        own = {"scales": self._scales, "energies": np.array([self.energy_, self.linear_energy_])}
        return {**self.pod_.state(), **own, **layers}

    def set_state(self, **arrays: np.ndarray) -> Autoencoder:
        """Set what :meth:`state` returns; a ValueError if it does not fit together."""
        names = ("modes", "mean", "singular_values", "energy")
        pod = POD().set_state(**{name: arrays[name] for name in names})
        n = sum(name.startswith("weight.") for name in arrays)
        weights = [arrays[f"weight.{k}"] for k in range(n)]
        biases = [arrays[f"bias.{k}"] for k in range(n)]
        r = self.n_features_out_
        widths = [r, *(len(bias) for bias in biases)]
        fits = all(w.shape == pair for w, pair in zip(weights, pairwise(widths), strict=True))
        if not fits or (widths[-1] if n else 0) != len(pod.modes_) - r:
            raise ValueError("its layers do not fit its modes")
        if not all(np.isfinite(array).all() for array in (*weights, *biases, arrays["scales"])):
            raise ValueError("its net is not finite")
        self.pod_, self.weights_, self.biases_ = pod, weights, biases
        self._scales = arrays["scales"]
        self.energy_, self.linear_energy_ = (float(x) for x in arrays["energies"])
        self.n_features_in_ = pod.n_features_in_
        return self


def _check_size(sizes: Sequence[int]) -> None:
    """Raise an ArgumentError where a net of these widths does not fit into memory in training."""
    needed = 8.0 * _COPIES * sum((a + 1) * b for a, b in pairwise(sizes))
    if needed > memory():
        raise ArgumentError(
            f"The training of a net with hidden_sizes={tuple(sizes[1:-1])} takes "
            f"{in_words(needed)} and this process may use {in_words(memory())} of memory: take "
            "smaller ones."
        )


def _total(pod: POD) -> float:
    return float(np.square(pod.singular_values_).sum())


def _percent(share: float) -> str:
    """Return a share so that what it lacks shows: 99.9992 %."""
    lacking = 1 - share
    digits = 1 if lacking <= 0 else int(np.clip(-np.floor(np.log10(lacking)) - 1, 1, 8))
    return f"{100 * share:.{digits}f} %"
