"""Angles, phases and hours that run over the end of their range and begin again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyhits.data.diagnostics.finding import Finding, place
from pyhits.data.diagnostics.sample import MOST_FEATURES, Sample
from pyhits.data.trajectories import Trajectories

#: Lengths of a turn that people use: radians, degrees, gon, turns, hours, minutes, months, weeks.
_TURNS = (2 * np.pi, 360.0, 400.0, 1.0, 24.0, 60.0, 12.0, 7.0, 2.0, 100.0, 365.0, 366.0, 3600.0)
_ANGLES = (2 * np.pi, 360.0, 400.0)

#: A step beyond this share of the range may be a wrap, and is usual in at most this share of rows.
_LONG, _MOST = 0.6, 0.45

#: Steps that wrap are longer than others by this factor: noise has steps of any length.
_GAP = 1.5

#: Share of a turn that an angle runs over, at least.
_WHOLE = 0.9

#: Wraps that it takes where the turn is of no known length, and for certainty where it is.
_FEWEST, _FEWEST_KNOWN = 3, 2

#: Usual steps are at most this share of a turn of no known length.
_SLOW = 0.25

#: The same where there are fewer wraps than that, of any length.
_SLOW_FEW = 0.15

#: Share of the rows in each quarter of the range, at least: what jumps to and fro has none there.
_BETWEEN = 0.02

#: Change of slope across a wrap, as a share of the slope, at most: a reset changes it.
_SLOPE = 0.3

#: Share of the wraps that go on as the rows around them do, at least.
_CONTINUED = 0.7

#: Rows on either side that show the slope.
_NEAR = 3


@dataclass(frozen=True, eq=False)
class Wrapped:
    """A feature that wraps."""

    name: str
    turn: float  # length of a turn
    #: Whether it is one that people use, all of which occurs, and the wraps are several.
    is_certain: bool
    finding: Finding  # what to say of it


def wrapped(sample: Sample) -> list[Finding]:
    """Look for features that wrap."""
    return [one.finding for one in wrapped_features(sample)]


def wrapped_features(sample: Sample) -> list[Wrapped]:
    """Return the features that wrap."""
    return [found for k in sample.judged if (found := _in_column(sample, k)) is not None]


def certain_angles(data: Trajectories, inputs: Sequence[str] = ()) -> dict[str, float]:
    """Return the turns of features that are angles beyond doubt, by name."""
    if data.n_features > MOST_FEATURES:
        return {}
    found = wrapped_features(Sample.of(data, inputs))
    return {one.name: one.turn for one in found if one.is_certain}


def _in_column(sample: Sample, k: int) -> Wrapped | None:
    columns = [piece[:, k] for piece in sample.pieces]
    low, high = min(x.min() for x in columns), max(x.max() for x in columns)
    width = high - low
    if not width > 0 or not np.isfinite(width):
        return None
    steps = [np.diff(x) for x in columns]
    is_long = [np.abs(d) > _LONG * width for d in steps]
    n_long, n = sum(int(m.sum()) for m in is_long), sum(len(d) for d in steps)
    if not 0 < n_long <= _MOST * n or n < 10:
        return None
    short = np.concatenate([d[~m] for d, m in zip(steps, is_long, strict=True)])
    usual = float(np.quantile(np.abs(short), 0.95)) if len(short) else 0.0
    # Slow, or fast and steady: what is neither jumps about.
    if usual > 0.4 * width or np.median(np.abs(short)) == 0:
        return None
    shortest = np.quantile(np.abs(np.concatenate(steps)[np.concatenate(is_long)]), 0.05)
    if shortest < _GAP * np.quantile(np.abs(short), 0.995):
        return None
    reach = _GAP * float(np.quantile(np.abs(short), 0.995)) + 1e-3 * width
    if _from_end_to_end(columns, is_long, low + reach, high - reach) < _CONTINUED:
        return None
    turn, known = _turn(steps, is_long, low, high, usual)
    is_field = sample.n_features > len(sample.names)
    if not known and (n_long < _FEWEST or usual > _SLOW * turn or is_field):
        return None
    share = np.histogram(np.concatenate(columns), bins=4, range=(low, high))[0] / (n + len(columns))
    if n_long < _FEWEST and usual > _SLOW_FEW * turn:
        return None
    is_angle = known and turn in _ANGLES and width > _WHOLE * turn
    if not is_angle and share.min() < _BETWEEN:
        return None
    if not _goes_on(steps, turn, usual):
        return None
    fewest = _FEWEST_KNOWN if turn in _ANGLES else _FEWEST
    is_certain = known and n_long >= fewest and width > _WHOLE * turn
    return Wrapped(sample.names[k], turn, is_certain, _finding(sample, k, is_long, turn))


def _finding(sample: Sample, k: int, is_long: list[np.ndarray], turn: float) -> Finding:
    """Return what to say of a feature that wraps, with the first place where it does."""
    piece = next(j for j, m in enumerate(is_long) if m.any())
    row = int(is_long[piece].argmax())
    number, first = sample.trajectories[piece], sample.first_rows[piece]
    name, at = sample.names[k], place(number, first + row + 1, sample.n_trajectories)
    x = sample.pieces[piece][row : row + 2, k]
    count = sum(int(m.sum()) for m in is_long)
    return Finding(
        "wrapped",
        f"{name!r} wraps: it jumps from {x[0]:.4g} to {x[1]:.4g} at {at} as an angle does that "
        f"starts again after a turn of {turn:.6g} ({count} such jumps).",
        f"Put its cosine and sine in its place (cos and sin of 2 pi {name} / {turn:.6g}), or "
        f"unwrap it: numpy.unwrap(x, period={turn:.6g}).",
        number,
        first + row + 1,
        (name,),
    )


def _from_end_to_end(
    columns: list[np.ndarray], is_long: list[np.ndarray], near_low: float, near_high: float
) -> float:
    """Return the share of the long steps that lead from near one end of the range to the other."""
    before = np.concatenate([x[:-1][m] for x, m in zip(columns, is_long, strict=True)])
    after = np.concatenate([x[1:][m] for x, m in zip(columns, is_long, strict=True)])
    down = (before >= near_high) & (after <= near_low)
    up = (before <= near_low) & (after >= near_high)
    return float((down | up).mean())


def _turn(
    steps: list[np.ndarray], is_long: list[np.ndarray], low: float, high: float, usual: float
) -> tuple[float, bool]:
    """Return the length of a turn, and whether it is one that people use."""
    width = high - low
    for turn in _TURNS:
        starts_well = (
            min(abs(low - start) for start in (0.0, -turn / 2, 1.0)) <= usual + 1e-3 * turn
        )
        if width <= turn * (1 + 1e-9) and turn - width <= 2 * usual and starts_well:
            return turn, True
    near = []
    for d, m in zip(steps, is_long, strict=True):
        places = np.flatnonzero(m)
        places = places[(places > 0) & (places < len(d) - 1)]
        around = (d[places - 1] + d[places + 1]) / 2
        near.append(np.abs(d[places] - around)[~(m[places - 1] | m[places + 1])])
    found = np.concatenate(near)
    return (float(np.median(found)) if len(found) else width + usual), False


def _goes_on(steps: list[np.ndarray], turn: float, usual: float) -> bool:
    """Whether the motion goes on over the wraps as it was before, turns taken off."""
    off, changes, slopes, rough = [], [], [], []
    for d in steps:
        is_wrap = np.abs(d) > turn / 2
        plain = d - turn * np.round(d / turn)
        bend = np.abs(plain[1:-1] - (plain[:-2] + plain[2:]) / 2)
        places = np.flatnonzero(is_wrap)
        inner = places[(places >= 1) & (places < len(d) - 1)]
        off.append(bend[inner - 1])
        rough.append(np.delete(bend, inner - 1))
        inner = places[(places >= _NEAR) & (places < len(d) - _NEAR)]
        before = sum(plain[inner - j] for j in range(1, _NEAR + 1)) / _NEAR
        after = sum(plain[inner + j] for j in range(1, _NEAR + 1)) / _NEAR
        direction = -np.sign(d[inner])
        changes.append(direction * (after - before))
        slopes.append(direction * (after + before) / 2)
    bends, usual_bends = np.concatenate(off), np.concatenate(rough)
    if not len(bends) or not len(usual_bends):
        return False
    allowed = 3 * np.quantile(usual_bends, 0.9) + 0.05 * usual + 1e-4 * turn
    if (bends <= allowed).mean() < _CONTINUED:
        return False
    change, slope = np.concatenate(changes), np.concatenate(slopes)
    if not len(change):
        return True
    doubt = change.std() / np.sqrt(len(change)) if len(change) > 2 else 0.0
    size = max(float(np.mean(np.abs(slope))), 1e-12 * turn)
    return bool(np.median(slope) > 0 and abs(change.mean()) <= _SLOPE * size + doubt)
