"""Fields as pictures: space against time along one axis, snapshots of two; forecasts beside them.

Rows are ``(time, n_features)``, as a :class:`pyhits.Grid` lays them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.data.grid import Grid
from pyhits.plots.look import (
    FORECAST,
    RECORDED,
    drawn,
    is_single,
    label,
    legend_above,
    line,
    logarithmic,
    note_left_out,
    of_shape,
    panels,
    times_along,
)

#: Snapshots of a field of two axes, and channels drawn.
_SNAPSHOTS, _CHANNELS = 5, 3

#: Rows and points of a picture of space against time: more than a screen shows.
_PIXELS = 1200

#: Values are drawn around 0, in two colours, if one side is at least this part of the other.
_BALANCED = 0.3

#: Share of values beyond the ends of the colours, on either side.
_BEYOND = 0.002

#: Names of channels that make a colour together.
_COLOURS = ({"red", "green", "blue"}, {"r", "g", "b"})


def field(
    rows: np.ndarray, times: np.ndarray, grid: Grid, *, unit: str = "", ax: Any = None
) -> Any:
    """Draw a field: along one axis as space against time, otherwise as snapshots; by channel.

    Of three axes the middle of the first is shown.

    Parameters
    ----------
    rows : array, shape (time, n_features)
    times : array, shape (time,)
    grid : Grid
    unit : str
        Of the times.
    ax : Axes, array of Axes, or Figure, optional
        A single panel shows the first channel; of two axes the last snapshot.
    """
    named = [(name, rows, None) for name in _channels(grid, ax)]
    axes = _pictures(named, times, grid, unit, ax)
    if not _is_colour(grid):
        note_left_out(np.atleast_1d(axes), (len(named), len(grid.channels), "channels"))
    return axes


def compared_fields(
    truth: np.ndarray,
    forecast: np.ndarray,
    times: np.ndarray,
    grid: Grid,
    *,
    unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw a recorded field, its forecast in the same colours, and forecast minus truth.

    The first channel is shown; arguments are as those of :func:`field`.
    """
    limits = _limits(_of_channel(truth, grid, 0))
    missed = forecast.astype(float) - truth
    shown = _of_channel(missed, grid, 0)
    far = float(np.nanquantile(np.abs(shown), 1 - _BEYOND)) if np.isfinite(shown).any() else 1.0
    named = [
        ("recorded", truth, limits),
        ("forecast", forecast, limits),
        ("error", missed, (-max(far, 1e-300), max(far, 1e-300))),
    ]
    return _pictures(named, times, grid, unit, ax)


def _channels(grid: Grid, ax: Any) -> Sequence[str]:
    return grid.channels[: 1 if is_single(ax) or _is_colour(grid) else _CHANNELS]


def _is_colour(grid: Grid) -> bool:
    """Whether the channels of each point are a colour."""
    return grid.n_axes > 1 and {name.lower() for name in grid.channels} in _COLOURS


def _of_channel(rows: np.ndarray, grid: Grid, channel: int) -> np.ndarray:
    """Return one channel, ``(time, axis 1[, axis 2])``, of the middle of a third axis."""
    values = grid.array(np.asarray(rows))[..., channel]
    return values[:, values.shape[1] // 2] if grid.n_axes == 3 else values


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of the colours: both sides of 0 alike where values lie around it."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(np.quantile(finite, q)) for q in (_BEYOND, 1 - _BEYOND))
    if low < 0 < high and min(-low, high) >= _BALANCED * max(-low, high):
        return -max(-low, high), max(-low, high)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _pictures(
    named: Sequence[tuple[str, np.ndarray, tuple[float, float] | None]],
    times: np.ndarray,
    grid: Grid,
    unit: str,
    ax: Any,
) -> Any:
    """Draw each ``(name, rows, limits)`` in a row of its own."""
    is_flat = grid.n_axes == 1
    columns = 1 if is_flat or is_single(ax) else min(_SNAPSHOTS, len(times))
    tall = 1.0 if is_flat else min(2.0, max(0.4, grid.shape[-2] / grid.shape[-1]))
    height = 0.7 + 1.9 * len(named) if is_flat else (0.3 + 1.6 * tall) * len(named) + 0.3
    size = (7.5 if is_flat else 1.9 * columns + 0.9, height)
    found = panels(ax, (len(named), columns), size, sharex=True, sharey=True)
    for k, (name, rows, limits) in enumerate(named):
        channel = k if name in grid.channels else 0
        values = _of_channel(rows, grid, channel)
        low, high = _limits(values) if limits is None else limits
        style = {"vmin": low, "vmax": high, "cmap": "RdBu_r" if low == -high else "viridis"}
        if is_flat:
            image = _space_and_time(found[k, 0], values, times, grid, style)
        elif _is_colour(grid) and name in grid.channels:
            image = _snapshots(found[k], grid.array(rows), times, grid, {}, top=k == 0)
        else:
            image = _snapshots(found[k], values, times, grid, style, top=k == 0)
        title = "" if name == "value" else label(name)
        axis = label(grid.axes[0] if is_flat else grid.axes[-2])
        found[k, 0].set_ylabel(f"{title}\n{axis}" if title else axis)
        if style["cmap"] and image.get_array().ndim == 2:
            found[k, 0].figure.colorbar(image, ax=list(found[k]), shrink=0.9, pad=0.02, aspect=14)
    if is_flat:
        times_along(found[-1, 0], times, unit)
    else:
        for axes in found[-1]:
            axes.set_xlabel(label(grid.axes[-1]))
    return of_shape(found)


def _space_and_time(
    axes: Any, values: np.ndarray, times: np.ndarray, grid: Grid, style: dict[str, Any]
) -> Any:
    x, y = drawn(times), _points(grid, 0)
    each, along = (-(-n // _PIXELS) for n in values.shape)
    axes.grid(False)
    return axes.pcolormesh(
        x[::each], y[::along], values[::each, ::along].T, rasterized=True, shading="nearest",
        **style,
    )  # fmt: skip


def _snapshots(
    row: Any, values: np.ndarray, times: np.ndarray, grid: Grid, style: dict[str, Any], *, top: bool
) -> Any:
    which = np.linspace(0, len(values) - 1, len(row)).astype(int) if len(row) > 1 else [-1]
    image = None
    for axes, k in zip(row, which, strict=True):
        picture = values[k] if style else _as_colour(values[k], values)
        image = axes.imshow(picture, aspect="equal", interpolation="nearest", **style)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.set(xticks=[], yticks=[])
        if top:
            at = times[k]
            named = str(np.datetime_as_string(at, "auto")) if at.dtype.kind == "M" else f"{at:.4g}"
            axes.set_title(named if at.dtype.kind == "M" else f"t = {named}", fontsize=9)
    return image


def _as_colour(picture: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Return colours between 0 and 1, whether they came as bytes or as shares."""
    top = 255.0 if np.nanmax(every) > 1.5 else 1.0
    return np.asarray(np.clip(picture / top, 0.0, 1.0))


def _points(grid: Grid, axis: int) -> np.ndarray:
    """Return where points lie along an axis: their coordinates, or how many there are before."""
    known, spacing = grid.coordinates[axis], grid.spacing[axis]
    if known is not None:
        return known
    return (1.0 if spacing is None else spacing) * np.arange(grid.shape[axis])


def field_statistics(
    truth: np.ndarray,
    forecast: np.ndarray,
    times: np.ndarray,
    grid: Grid,
    *,
    unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw the energy of a field by wavenumber, over all its times, and its mean square over time.

    Of two and three axes wavenumbers are counted along all of them together, as their length.
    Arguments are as those of :func:`field`.

    Parameters
    ----------
    ax : two Axes, or Figure, optional
    """
    found = panels(ax, (1, 2), (8.0, 3.2))
    first, second = found.flat
    styles = {"color": RECORDED, "linewidth": 2.4}, {"color": FORECAST, "linewidth": 1.2}
    for rows, style, name in zip((truth, forecast), styles, ("recorded", "forecast"), strict=True):
        values = grid.array(np.asarray(rows, dtype=float))
        whole = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not whole.any():
            continue
        numbers, energies = _by_wavenumber(values[whole], grid.n_axes)
        first.plot(numbers[1:], energies[1:], label=name, **style)
        mean = np.square(values).reshape(len(values), -1).mean(axis=1)
        line(second, drawn(times), mean, label=name, **style)
    first.set(xlabel="wavenumber (waves across the field)", ylabel="energy", xscale="log")
    logarithmic(first)
    low, high = first.get_ylim()
    first.set_ylim(max(low, 1e-16 * high), high)
    second.set_ylabel("mean square")
    second.ticklabel_format(axis="y", useOffset=False)
    times_along(second, times, unit)
    legend_above(second)
    return of_shape(found)


def _by_wavenumber(values: np.ndarray, n_axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return wavenumbers and the energy at each, of ``(time, axis 1, ..., channel)``."""
    along = tuple(range(1, n_axes + 1))
    energies = np.square(np.abs(np.fft.fftn(values, axes=along))).sum(axis=-1).mean(axis=0)
    counts = [np.abs(np.fft.fftfreq(n, 1 / n)) for n in energies.shape]
    length = np.sqrt(sum(np.square(c) for c in np.meshgrid(*counts, indexing="ij")))
    which = np.rint(length).astype(int).ravel()
    reach = min(energies.shape) // 2 + 1
    sums = np.bincount(which, energies.ravel(), minlength=reach)[:reach]
    return np.arange(reach), sums / energies.size**2
