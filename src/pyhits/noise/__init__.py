"""Noise: how much there is, and the clean motion beneath it."""

from __future__ import annotations

from pyhits.noise.denoise import Denoised, denoise
from pyhits.noise.level import noise_level
from pyhits.noise.start import Ends, smooth_ends

__all__ = ["Denoised", "Ends", "denoise", "noise_level", "smooth_ends"]
