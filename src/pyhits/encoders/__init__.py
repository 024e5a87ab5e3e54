"""Reversible maps from the user's states to the coordinates that flow maps work in."""

from pyhits.encoders.standardise import Standardise

__all__ = ["Standardise"]
