"""A rendered time-lapse of an opening flower, one frame at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.paper.sequences.sequence import Sequence
from pyhits.util.checks import as_count


@dataclass(frozen=True)
class Whorl:
    """A ring of petals.

    Attributes
    ----------
    count : int
        Petals in it.
    turn : float
        Angle of the first, in turns of a petal.
    length, width : float
        Of a petal, in heights of the frame, when open.
    opens : tuple of float
        When it begins to open and when it has, as shares of the whole time.
    angle : tuple of float
        Angle between the flower's axis and the petals, closed and open, in degrees.
    inner, outer : tuple of float
        Colours (RGB, 0 to 1) at the base and towards the tip.
    """

    count: int
    turn: float
    length: float
    width: float
    opens: tuple[float, float]
    angle: tuple[float, float]
    inner: tuple[float, float, float]
    outer: tuple[float, float, float]


#: From the sepals inwards, in the order in which they are painted.
WHORLS = (
    Whorl(6, 0.0, 0.34, 0.060, (0.00, 0.55), (24, 84), (0.16, 0.30, 0.10), (0.30, 0.46, 0.16)),
    Whorl(8, 0.5, 0.43, 0.105, (0.08, 0.75), (19, 82), (0.98, 0.80, 0.52), (0.87, 0.22, 0.42)),
    Whorl(8, 0.0, 0.38, 0.098, (0.16, 0.86), (16, 68), (0.99, 0.84, 0.56), (0.92, 0.33, 0.50)),
    Whorl(7, 0.3, 0.31, 0.086, (0.24, 0.94), (13, 52), (1.00, 0.88, 0.60), (0.95, 0.46, 0.58)),
    Whorl(6, 0.1, 0.23, 0.068, (0.32, 1.00), (10, 38), (1.00, 0.92, 0.64), (0.97, 0.60, 0.66)),
)

#: Leaves: where they grow (x from the middle, y from the top, in heights), angle, length, width.
LEAVES = (
    (0.01, 0.98, -152.0, 0.56, 0.10),
    (-0.01, 0.97, -24.0, 0.60, 0.11),
    (-0.02, 0.90, -166.0, 0.40, 0.08),
    (0.02, 0.92, -10.0, 0.42, 0.08),
)

#: How far the flower's axis leans back from the line of sight, and where its heart is.
LEAN, HEART = np.radians(38.0), (0.0, 0.60)


def blooming_flower(n_frames: int = 175, *, height: int = 540, width: int = 960) -> Sequence:
    """Return the whole time-lapse, in the paper's size by default (Appendix A.3).

    The paper takes a recorded video of blooming flowers; this one is drawn.

    Parameters
    ----------
    n_frames : int
        Number of frames.
    height, width : int
        Of a frame, in pixels.

    Returns
    -------
    Sequence
        ``data`` of uint8, shape ``(n_frames, height * width * 3)``, 272 MB by default, with ``dt``
        1, a frame. Facts: ``shape``, that of a frame.
    """
    data = np.empty((as_count(n_frames, "n_frames", least=2), height * width * 3), np.uint8)
    for row, image in zip(data, frames(n_frames, height=height, width=width), strict=True):
        row[:] = image.ravel()
    return Sequence("flower", data, 1.0, {"shape": (height, width, 3)})


def frames(n_frames: int = 175, *, height: int = 540, width: int = 960) -> Iterator[np.ndarray]:
    """Yield the frames one after the other, each uint8, shape ``(height, width, 3)``."""
    scene = Scene(height, width)
    for k in range(n_frames):
        yield scene.frame(k / max(n_frames - 1, 1))


class Scene:
    """The picture at any time.

    Parameters
    ----------
    height, width : int
        Of a frame, in pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height = as_count(height, "height", least=8)
        self.width = as_count(width, "width", least=8)
        self.still = self._still()

    def frame(self, time: float) -> np.ndarray:
        """Return the picture at a time from 0, a bud, to 1, open; uint8 (height, width, 3)."""
        if not 0 <= time <= 1:
            raise ArgumentError(f"Expected time to be from 0 to 1, got {time!r}.")
        image = self.still.copy()
        # The stem gives way a little, as in any recording of hours.
        sway = 0.006 * np.sin(2 * np.pi * 1.7 * time)
        heart = (HEART[0] + sway, HEART[1] - 0.02 * _eased(time) + 0.3 * sway)
        for whorl in WHORLS:
            self._paint_whorl(image, whorl, heart, time)
        self._paint_stamens(image, heart, time)
        light = 1 + 0.05 * np.sin(2 * np.pi * 0.9 * time + 0.4)
        warmth = 0.025 * np.sin(2 * np.pi * 0.6 * time)
        image *= np.array([light + warmth, light, light - warmth], np.float32)
        return np.asarray(255 * np.clip(image, 0, 1) + 0.5).astype(np.uint8)

    def _still(self) -> np.ndarray:
        """Return what does not move: background, stem and leaves; float32."""
        y, x = self._coordinates(slice(0, self.height), slice(0, self.width))
        image = np.empty((self.height, self.width, 3), np.float32)
        image[:] = np.array([0.06, 0.12, 0.07], np.float32)
        image += (1 - y)[..., None] * np.array([0.05, 0.10, 0.07], np.float32)
        # Things far out of focus: discs of light, evenly scattered by multiples of irrationals.
        for k in range(1, 15):
            across = (k * 0.618034 % 1 - 0.5) * self.width / self.height
            down, size = k * 0.754878 % 1, 0.05 + 0.07 * (k * 0.569840 % 1)
            disc = _smooth((size - np.hypot(x - across, y - down)) / (0.5 * size))
            hue = np.array([0.10 + 0.05 * (k % 3), 0.17, 0.05 + 0.03 * (k % 2)], np.float32)
            image += 0.7 * disc[..., None] * hue
        stem = 0.03 * np.sin(2.2 * (y - HEART[1]))
        inside = _smooth((0.015 - np.abs(x - stem)) * self.height) * (y > HEART[1])
        round_ = 0.65 + 0.35 * np.cos(np.clip((x - stem) / 0.015, -1, 1) * 1.4 + 0.4)
        green = round_[..., None] * np.array([0.27, 0.44, 0.16], np.float32)
        image += inside[..., None] * (green - image)
        for across, down, angle, length, half in LEAVES:
            along = length * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
            self._paint_blade(
                image, np.array([across, down]), along, half, (0.10, 0.26, 0.08), (0.24, 0.47, 0.15)
            )
        return image

    def _coordinates(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return y from the top and x from the middle, in heights; (n, 1) and (1, m), float32."""
        y = (np.arange(rows.start, rows.stop) + 0.5) / self.height
        x = (np.arange(columns.start, columns.stop) + 0.5 - self.width / 2) / self.height
        return y[:, None].astype(np.float32), x[None].astype(np.float32)

    def _patch(
        self, image: np.ndarray, middle: np.ndarray, reach: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the view of what lies within ``reach`` (x, y) of a place, and its coordinates."""
        left, top = np.floor((middle - reach) * self.height).astype(int)
        right, bottom = np.ceil((middle + reach) * self.height).astype(int)
        columns = np.clip([left + self.width // 2, right + self.width // 2], 0, self.width)
        within = slice(*np.clip([top, bottom], 0, self.height)), slice(*columns)
        return image[within], *self._coordinates(*within)

    def _paint_whorl(
        self, image: np.ndarray, whorl: Whorl, heart: tuple[float, float], time: float
    ) -> None:
        """Paint the petals of a whorl, those in the back first."""
        begin, end = whorl.opens
        opening = _eased((time - begin) / (end - begin))
        closed, opened = whorl.angle
        turns = 2 * np.pi * (np.arange(whorl.count) + whorl.turn) / whorl.count
        for turn in turns[np.argsort(np.sin(turns))[::-1]]:
            # Each petal a little on its own: no flower is even.
            own = np.sin(17.0 * turn + 5.0 * whorl.length)
            away = np.radians(closed + (opened + 4 * own - closed) * opening)
            size = whorl.length * (0.62 + 0.38 * opening) * (1 + 0.04 * own)
            outwards = np.array([np.cos(turn), np.sin(turn)]) * np.sin(away)
            # The axis leans back: seen from the front, up on the picture is part axis, part ring.
            up = np.cos(away) * np.sin(LEAN) + outwards[1] * np.cos(LEAN)
            along = size * np.array([outwards[0], -up])
            facing = abs(np.cos(away) * np.cos(LEAN) - outwards[1] * np.sin(LEAN))
            half = whorl.width * (0.70 + 0.30 * opening) * (1 - 0.18 * facing)
            # Light comes from the upper left.
            light = 0.86 + 0.16 * (0.8 * along[0] / size * -0.6 - along[1] / size * 0.8)
            inner, outer = (np.multiply(light, c) for c in (whorl.inner, whorl.outer))
            self._paint_blade(image, np.array(heart), along, half, inner, outer, ruffle=own)

    def _paint_blade(
        self,
        image: np.ndarray,
        base: np.ndarray,
        along: np.ndarray,
        half: float,
        inner: np.ndarray | tuple[float, float, float],
        outer: np.ndarray | tuple[float, float, float],
        ruffle: float = 0.0,
    ) -> None:
        """Paint a petal or leaf and its shadow, in place.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3)
            Painted on, float32.
        base, along : np.ndarray, shape (2,)
            Where it grows and where its tip is from there, x and y, in heights.
        half : float
            Half its greatest width.
        inner, outer : array-like, shape (3,)
            Colours at base and tip.
        ruffle : float
            How its edge and its veins differ from those of others, -1 to 1.
        """
        # A petal that points at the viewer has no length, and shows nothing.
        length = max(float(np.hypot(*along)), 1e-6)
        reach = np.abs(along) / 2 + 1.3 * half + 0.15 * length
        patch, y, x = self._patch(image, base + along / 2, reach)
        y, x = y - np.float32(base[1]), x - np.float32(base[0])
        unit = (along / length).astype(np.float32)
        a = (x * unit[0] + y * unit[1]) / np.float32(length)
        b = x * -unit[1] + y * unit[0]
        # A blade bends a little to its side, is widest beyond its middle and ends in a soft point.
        b = b + np.float32(0.05 * length * ruffle) * a * (1 - a)
        inside = np.clip(a, 0, 1)
        outline = 1.37 * half * inside**0.75 * np.sqrt(np.maximum(1 - inside**2.6, 0))
        outline *= 1 + 0.035 * np.sin(9 * inside + 7 * ruffle)
        margin = (outline - np.abs(b)) * self.height
        margin = np.where((a > 0) & (a < 1), margin, -self.height)
        shadow = 0.30 * _smooth(margin / (0.030 * self.height) + 1)
        patch *= 1 - shadow[..., None]
        cover = _smooth(margin / 1.2 + 0.5)
        across = np.clip(b / np.maximum(outline, 1e-4), -1, 1)
        colour = _blade_colour(inside, across, float(unit[1]), ruffle, inner, outer)
        patch += cover[..., None] * (colour - patch)

    def _paint_stamens(self, image: np.ndarray, heart: tuple[float, float], time: float) -> None:
        """Paint the golden heart, which appears as the inner petals part."""
        opening = _eased((time - 0.45) / 0.5)
        if opening <= 0:
            return
        for k in range(60):
            # Florets of a head of seeds, a golden angle apart.
            radius, turn = 0.062 * np.sqrt((k + 0.5) / 60) * opening, 2.399963 * k
            place = np.array(
                [
                    heart[0] + radius * np.cos(turn),
                    heart[1] - radius * np.sin(turn) * np.cos(LEAN) - 0.05 * np.sin(LEAN),
                ]
            )
            size = 0.0085 * opening
            patch, y, x = self._patch(image, place, np.full(2, 2 * size))
            away = np.hypot(x - place[0], y - place[1]) / size
            cover = opening * _smooth((1 - away) * size * self.height / 1.2 + 0.5)
            gold = np.array([0.98, 0.74 + 0.1 * np.sin(turn), 0.18], np.float32)
            ball = (1.05 - 0.45 * away**2)[..., None] * gold
            patch += cover[..., None] * (ball - patch)


def _blade_colour(
    inside: np.ndarray,
    across: np.ndarray,
    slope: float,
    ruffle: float,
    inner: np.ndarray | tuple[float, float, float],
    outer: np.ndarray | tuple[float, float, float],
) -> np.ndarray:
    """Return the colours of a blade, from 0 to 1 along it and -1 to 1 across; ``(..., 3)``."""
    fade = _smooth(1.15 * inside)[..., None]
    colour = np.asarray(inner, np.float32) * (1 - fade) + np.asarray(outer, np.float32) * fade
    veins = 0.030 * np.sin(26 * across * (1 - 0.35 * inside) + 3 * ruffle) * (1 - inside**2)
    midrib = -0.10 * np.exp(-((across / 0.07) ** 2)) * (1 - inside)
    cupped = 0.10 * across * slope - 0.16 * across**4 - 0.30 * np.exp(-inside / 0.13)
    bright = 1.0 + veins + midrib + cupped + 0.10 * inside
    return np.asarray(colour * bright[..., None])


def _smooth(x: np.ndarray) -> np.ndarray:
    """Return 0 below 0, 1 above 1, and a smooth step between."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def _eased(x: float) -> float:
    """Return the same smooth step of a number."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)
