"""Noise: how much there is, and the clean motion beneath it."""

from __future__ import annotations

from pyhits.noise.denoise import Denoised, denoise
from pyhits.noise.level import noise_level

__all__ = ["Denoised", "denoise", "noise_level"]
