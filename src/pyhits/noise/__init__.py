"""Noise: how much there is, and the clean motion beneath it."""

from __future__ import annotations

from pyhits.noise.denoise import Denoised, denoise
from pyhits.noise.initial_state import EstimatedStates, estimate_initial_states
from pyhits.noise.level import noise_level

__all__ = ["Denoised", "EstimatedStates", "denoise", "estimate_initial_states", "noise_level"]
