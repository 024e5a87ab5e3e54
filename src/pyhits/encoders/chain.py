"""Encoders one after another, and as plain values in model files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pyhits.encoders.autoencoder import Autoencoder
from pyhits.encoders.base import ENCODERS, Encoder
from pyhits.encoders.delay import DelayEmbedding
from pyhits.encoders.pod import POD
from pyhits.encoders.standardise import Standardise
from pyhits.errors import ArgumentError
from pyhits.util.schema import Many
from pyhits.util.stored import TensorSpec, check_arrays, under
from pyhits.util.transaction import copied

#: What an estimator's encoder is called that is to be chosen from the data.
AUTO = "auto"

#: Rows of more features are fields, whose modes are delayed in their place.
_MOST_FEATURES = 32


class Chain(Encoder):
    """Several encoders, each working on what the one before it returns.

    Parameters
    ----------
    encoders : sequence of Encoder
        A chain among them stands for its links. :meth:`fit` fits these very objects.
    """

    kind: ClassVar[str] = "chain"

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        self.encoders = encoders

    def fit(self, X: Any, y: Any = None) -> Chain:
        """Fit one after the other; ``X`` as the first of them takes it.

        Where one of them raises, all stay as they were.
        """
        encoders = links(self)
        fitted = [copied(encoder) for encoder in encoders]
        for encoder in fitted[:-1]:
            X = encoder.fit(X).transform(X)
        fitted[-1].fit(X)
        for encoder, draft in zip(encoders, fitted, strict=True):
            encoder.__dict__ = draft.__dict__
        self.n_features_in_ = encoders[0].n_features_in_
        return self

    def refitted(self, X: Any) -> Chain:
        """Return another of the same links, fitted one after the other to other rows ``X``."""
        found = []
        for encoder in links(self):
            found.append(encoder.refitted(X))
            X = found[-1].transform(X)
        chain = Chain(found)
        chain.n_features_in_ = found[0].n_features_in_
        return chain

    @property
    def n_features_out_(self) -> int:
        """Number of encoded coordinates."""
        return links(self)[-1].n_features_out_

    @property
    def history(self) -> int:
        """Rows of a trajectory that one encoded row is made of."""
        return 1 + sum(encoder.history - 1 for encoder in links(self))

    @property
    def lossy(self) -> bool:
        """Whether any of the encoders loses something."""
        return any(encoder.lossy for encoder in links(self))

    def notes(self) -> list[str]:
        """Return what all of them say."""
        return [note for encoder in links(self) for note in encoder.notes()]

    def transform(self, X: Any) -> Any:
        """Return encoded rows, as every encoder; trajectories stay together on the way."""
        self._check_fitted()
        return self._encode(X)

    def inverse_transform(self, Z: Any) -> Any:
        """Return rows in the user's units."""
        self._check_fitted()
        return self._decode(Z)

    def _encode(self, X: Any) -> Any:
        for encoder in links(self):
            X = encoder.transform(X)
        return X

    def _decode(self, Z: Any) -> Any:
        for encoder in reversed(links(self)):
            Z = encoder.inverse_transform(Z)
        return Z

    def _names(self, names: Sequence[str]) -> Sequence[str]:
        for encoder in links(self):
            names = list(encoder.get_feature_names_out(names))
        return names

    def plain(self) -> dict[str, Any]:
        """Return what all links are."""
        return {"encoders": to_plain(links(self))}

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays of all links, those of link k beginning with ``k.``."""
        return {
            f"{k}.{name}": array
            for k, encoder in enumerate(links(self))
            for name, array in encoder.state().items()
        }

    def set_state(self, **arrays: np.ndarray) -> Chain:
        """Set what :meth:`state` returns; a ValueError if the links do not fit together."""
        encoders = links(self)
        for k, encoder in enumerate(encoders):
            encoder.set_state(**under(f"{k}.", arrays))
            if k and encoder.n_features_in_ != encoders[k - 1].n_features_out_:
                raise ValueError("its encoders do not fit together")
        self.n_features_in_ = encoders[0].n_features_in_
        return self

    @classmethod
    def check_state(
        cls, plain: Mapping[str, Any], found: Mapping[str, TensorSpec], where: str = ""
    ) -> None:
        """Compare the arrays of every link with what it may have."""
        rest = dict(found)
        for k, link in enumerate(plain["encoders"]):
            own = under(f"{k}.", found)
            ENCODERS.check_state(link, own, f"{where}{k}.")
            for name in own:
                del rest[f"{k}.{name}"]
        check_arrays({}, rest, where)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Chain:
        """Return an unfitted chain."""
        return cls(from_plain(plain["encoders"]))


def automatic(n_features: int) -> list[Encoder]:
    """Return what ``encoder="auto"`` stands for: delays if they help, of modes for a field."""
    delays = DelayEmbedding("auto")
    if n_features <= _MOST_FEATURES:
        return [delays]
    return [POD(), delays, Standardise(common=True)]


def without_idle(chain: Chain) -> Chain | None:
    """Return a fitted chain without the choices of delays that chose none; None if none is left."""
    own = links(chain)
    kept = [link for link in own if not (isinstance(link, DelayEmbedding) and link.idle)]
    if len(kept) == len(own):
        return chain
    if not kept:
        return None
    rest = Chain(kept)
    rest.n_features_in_ = kept[0].n_features_in_
    return rest


def links(encoder: Any) -> list[Encoder]:
    """Return an encoder, a chain or a sequence of them as a plain list; none for None and "auto".

    Raises ArgumentError: something is no encoder.
    """
    if encoder is None or (isinstance(encoder, str) and encoder == AUTO):
        return []
    if isinstance(encoder, Chain):
        found = links(list(encoder.encoders))
        if not found:
            raise ArgumentError("A chain needs at least one encoder.")
        return found
    if isinstance(encoder, Encoder):
        return [encoder]
    if isinstance(encoder, (list, tuple)) and AUTO not in encoder:
        return [link for part in encoder for link in links(part)]
    raise ArgumentError(
        "Expected an encoder such as POD, DelayEmbedding or Standardise, a list of them, or 'auto' "
        f"alone, got {encoder!r}."
    )


def split(encoder: Any, standardise: bool) -> tuple[Chain | None, Standardise]:
    """Return unfitted copies of the parts that an encoder has for an estimator.

    Raises ArgumentError: something is no encoder.

    Returns
    -------
    preprocessor : Chain or None
        What lies before the scaling.
    scaling : Standardise
        The last of the encoders, if it is one; otherwise one is added, ``standardise`` or not, with
        a common scale for the coefficients of a POD or an Autoencoder that comes last.
    """
    given = fresh(links(encoder))
    scaling, last = Standardise(standardise), given[-1] if given else None
    if isinstance(last, Standardise):
        scaling, given = last, given[:-1]
    elif isinstance(last, (POD, Autoencoder)):
        scaling = Standardise(standardise, common=True)
    return Chain(given) if given else None, scaling


#: What :func:`to_plain` returns, in model files.
CHAIN = Many(ENCODERS.schema, 0, 100)


def to_plain(encoders: Sequence[Encoder]) -> list[dict[str, Any]]:
    """Return what encoders are, without what they have learned, as JSON values."""
    return [ENCODERS.plain(link) for link in encoders]


def from_plain(values: Sequence[Mapping[str, Any]]) -> list[Encoder]:
    """Return new encoders from :func:`to_plain`'s values."""
    return [
        ENCODERS[one["kind"]].from_plain({k: v for k, v in one.items() if k != "kind"})
        for one in values
    ]


def fresh(encoders: Sequence[Encoder]) -> list[Encoder]:
    """Return new, unfitted encoders with the same arguments."""
    return [type(link)(**link.get_params()) for link in encoders]
