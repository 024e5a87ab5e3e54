"""Reversible maps from the user's states to the coordinates that flow maps work in."""

from pyhits.encoders.angle import Angle
from pyhits.encoders.autoencoder import Autoencoder
from pyhits.encoders.base import ENCODERS, Encoder
from pyhits.encoders.bounded import Bounded
from pyhits.encoders.chain import Chain
from pyhits.encoders.delay import DelayEmbedding
from pyhits.encoders.embedding import choose_delays
from pyhits.encoders.pod import POD
from pyhits.encoders.standardise import Standardise
from pyhits.encoders.staterows import StateRows

__all__ = [
    "ENCODERS",
    "POD",
    "Angle",
    "Autoencoder",
    "Bounded",
    "Chain",
    "DelayEmbedding",
    "Encoder",
    "Standardise",
    "StateRows",
    "choose_delays",
]
