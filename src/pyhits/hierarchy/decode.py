"""From the coordinates of the flow maps to the user's units, in full precision."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pyhits.encoders import Standardise

#: Numbers decoded with one row of constants, which stay in a core's cache.
_PERIOD = 1 << 12


def decode_into(states: Tensor, encoder: Standardise, out: Tensor) -> None:
    """Write states in the user's units into ``out``; contiguous, of equal shape, maybe the same.

    The arithmetic is float64 where states or result are; ``states`` are used up.
    """
    if out.device == states.device and out.dtype == torch.promote_types(out.dtype, states.dtype):
        work = out if out.data_ptr() == states.data_ptr() else out.copy_(states)
    else:
        # What comes from between the steps need not lie in a row.
        work = states.to(torch.promote_types(out.dtype, states.dtype)).contiguous()
    d = states.shape[-1]
    # One constant for each of many numbers: no loops over a handful of features.
    times = max(1, min(_PERIOD // d, work.numel() // d))
    scale, mean = (
        torch.from_numpy(statistic if times == 1 else np.tile(statistic, times))
        for statistic in (encoder.scale_, encoder.mean_)
    )
    # A large mean is added last, and what float32 cuts off from it first: no digit is lost.
    large = mean.to(work.dtype)
    small, scale, large = (c.to(work.device, work.dtype) for c in (mean - large, scale, large))
    flat = work.view(-1)
    period = d * times
    whole = len(flat) // period * period
    for part in (flat[:whole].view(-1, period), flat[whole:]):
        k = part.shape[-1]
        if k == 0:
            continue
        torch.addcmul(small[:k], part, scale[:k], out=part).add_(large[:k])
    if work is not out:
        out.copy_(work)
