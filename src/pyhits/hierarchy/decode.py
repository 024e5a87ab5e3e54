"""From the coordinates of the flow maps to the user's units, in full precision."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pyhits.encoders import Standardise

#: Numbers decoded with one row of constants, which stay in a core's cache.
_PERIOD = 1 << 12


def decode_into(states: Tensor, scaling: Standardise, out: Tensor) -> None:
    """Write states in the user's units into ``out``; contiguous, of equal shape, maybe the same.

    The arithmetic is float64 where states or result are; ``states`` are used up.
    """
    dtype = torch.promote_types(out.dtype, states.dtype)
    if out.dtype == dtype and out.device == states.device:
        work = out if out.data_ptr() == states.data_ptr() else out.copy_(states)
    else:
        # What comes from between the steps need not lie in a row.
        work = states.to(dtype).contiguous()
    flat, d = work.view(-1), states.shape[-1]
    # One constant for each of many numbers: no loops over a handful of features.
    times = max(1, min(_PERIOD // d, len(flat) // d))
    constants = _constants(scaling, times, work)
    whole = len(flat) // (d * times) * d * times
    _scale(flat[:whole].view(-1, d * times), *constants)
    if whole < len(flat):
        _scale(flat[whole:], *(c[: len(flat) - whole] for c in constants))
    if work is not out:
        out.copy_(work)


def _constants(scaling: Standardise, times: int, like: Tensor) -> list[Tensor]:
    """Return scale and mean, repeated, and in float32 what it cuts off from the mean."""
    scale, mean = (
        torch.from_numpy(statistic if times == 1 else np.tile(statistic, times))
        for statistic in (scaling.scale_, scaling.mean_)
    )
    if like.dtype == torch.float64:
        return [c.to(like.device) for c in (scale, mean)]
    rest = mean - mean.to(like.dtype)
    return [c.to(like.device, like.dtype) for c in (scale, mean, rest)]


def _scale(rows: Tensor, scale: Tensor, mean: Tensor, rest: Tensor | None = None) -> None:
    """Scale and shift in place. A large mean is added last, its rest first: no digit is lost."""
    if rest is None:
        rows.mul_(scale).add_(mean)
    else:
        torch.addcmul(rest, rows, scale, out=rows).add_(mean)
