"""A translation made at a working size, carried to the full size by local affine maps of the colours.

The colour guided filter of He, Sun and Tang (arXiv:1505.00996, after ECCV 2010): round each point the small
output is an affine map of the small input's RGB, fitted by least squares; the maps change slowly from place
to place, so they are enlarged instead of the picture and applied to the full-size input. Edges are then the
input's own. What the maps cannot say, light that the input does not hold, comes on top from the small output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from itertools import product as pairs_of
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.frames import Levels

Floats = NDArray[np.float32]

# Half the side of the window of a fit, in pixels of the working size.
RADIUS_PX = 4
# Where colours vary by less than the root of this, of 1, they say little about the map; it is then drawn
# towards one that only brightens or darkens, so that faint texture stays, and the identity is exact.
_REGULARISATION = 2e-3
_DARK, _MOST_GAIN = 3 / 255, 2.0
# Windows are moved by so many pixels; the maps are means over them, and change more slowly.
_CELL_PX = 4
_PAIRS = tuple(combinations_with_replacement(range(3), 2))


@dataclass(frozen=True, slots=True)
class Trust:
    """How much of what the maps leave over is taken for light that is meant.

    faint, strong: below the first it counts nothing, from the second on fully; of 1.
    busy: variance of the input's luma round a place at which light there counts half.
    """

    faint: float
    strong: float
    busy: float


# Of a network that paints the whole picture: what is faint is its ringing and texture, what lies at an edge
# of the input comes from the small output's blur.
CAUTIOUS = Trust(faint=0.08, strong=0.23, busy=2e-3)
# Of one that draws over its input, whose edges are the input's.
OPEN = Trust(faint=0.02, strong=0.10, busy=0.1)


@dataclass(frozen=True, slots=True)
class AffineGrid:
    """Local affine maps from input colours to output colours, both from 0 to 1.

    maps: 3,4,h,w float32; output channel c is maps[c, :3] . RGB + maps[c, 3].
    light: 3,h',w' float32, added on top, on a grid of its own; None if nothing is.
    """

    maps: Floats
    light: Floats | None = None


def fit_affine(
    source: NDArray[Levels], target: NDArray[Levels], *, radius: int = RADIUS_PX, trust: Trust = CAUTIOUS
) -> AffineGrid:
    """The maps that turn `source` into `target`, and the light that they leave out.

    source, target: H,W,3 RGB of one size, uint8 or uint16: a picture and its translation.
    radius: half the side of the window of each fit, in pixels.  trust: how much of the rest is light.
    """
    x, y = _planes(source), _planes(target)
    moments = _moments(x, y, radius)
    maps = _fit(moments, _parts(radius, _CELL_PX))
    return AffineGrid(maps, _trusted(_rest(maps, x, y), moments.luma_variance(), trust))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Means over the windows round each cell. x, y: by channel.  xx, xy: covariances, by both channels."""

    x: Sequence[Floats]
    y: Sequence[Floats]
    xx: Mapping[tuple[int, int], Floats]
    xy: Mapping[tuple[int, int], Floats]

    def luma_variance(self) -> Floats:
        """Of the mean of the three channels."""
        total = sum(self.xx[min(i, j), max(i, j)] for i, j in pairs_of(range(3), repeat=2))
        return np.asarray(total, np.float32) / np.float32(9)


def _planes(pixels: NDArray[Levels]) -> list[Floats]:
    """H,W,3 levels to three planes from 0 to 1."""
    scale = np.float32(1 / np.iinfo(pixels.dtype).max)
    return [np.multiply(plane, scale, dtype=np.float32) for plane in cv2.split(pixels)]


def _moments(x: Sequence[Floats], y: Sequence[Floats], radius: int) -> _Moments:
    height, width = x[0].shape
    shape = _parts(height, _CELL_PX), _parts(width, _CELL_PX)
    cells = _parts(radius, _CELL_PX)
    product = np.empty_like(x[0])

    def mean(plane: Floats) -> Floats:
        return _mean(_shrunk(plane, shape), cells)

    def mean_of_product(one: Floats, other: Floats) -> Floats:
        return mean(np.multiply(one, other, out=product))

    mean_x, mean_y = [mean(plane) for plane in x], [mean(plane) for plane in y]
    xx = {(i, j): mean_of_product(x[i], x[j]) - mean_x[i] * mean_x[j] for i, j in _PAIRS}
    xy = {
        (i, j): mean_of_product(x[i], y[j]) - mean_x[i] * mean_y[j] for i, j in pairs_of(range(3), repeat=2)
    }
    return _Moments(mean_x, mean_y, xx, xy)


def _fit(moments: _Moments, cells: int) -> Floats:
    """3,4,h,w: for each cell the weighted mean of the maps of all windows that it lies in.

    cells: half the side of a window.
    """
    mean_x, mean_y = moments.x, moments.y
    brightness = np.maximum(mean_x[0] + mean_x[1] + mean_x[2], _DARK)
    gain = ((mean_y[0] + mean_y[1] + mean_y[2]) / brightness).clip(0, _MOST_GAIN)
    # Windows with an edge know its map; flat ones beside it would only blur it.
    weight = moments.xx[0, 0] + moments.xx[1, 1] + moments.xx[2, 2] + _REGULARISATION
    total = _mean(weight, cells)
    inverse = _inverse({(i, j): moments.xx[i, j] + (i == j) * _REGULARISATION for i, j in _PAIRS})
    maps = np.empty((3, 4, *weight.shape), np.float32)
    for channel in range(3):
        with_x = [moments.xy[i, channel] for i in range(3)]
        with_x[channel] = with_x[channel] + _REGULARISATION * gain
        offset = mean_y[channel]
        for i in range(3):
            parts = [inverse[min(i, j), max(i, j)] * with_x[j] for j in range(3)]
            slope = parts[0] + parts[1] + parts[2]
            offset = offset - slope * mean_x[i]
            maps[channel, i] = _mean(weight * slope, cells) / total
        maps[channel, 3] = _mean(weight * offset, cells) / total
    return maps


def _parts(size: int, part: int) -> int:
    """How many parts, the last of them perhaps not whole."""
    return -(-size // part)


def _shrunk(plane: Floats, shape: tuple[int, int]) -> Floats:
    """H,W to h,w: each value is the mean of what it covers."""
    rows, columns = shape
    if plane.shape == (4 * rows, 4 * columns):
        # Means of pairs twice take less than half the time of means of four.
        plane = _shrunk(plane, (2 * rows, 2 * columns))
    return np.asarray(cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _mean(plane: NDArray[Any], radius: int) -> Floats:
    """Over the window round each pixel."""
    side = 2 * radius + 1
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT_101), np.float32)


def _inverse(matrix: Mapping[tuple[int, int], Floats]) -> dict[tuple[int, int], Floats]:
    """Of symmetric 3x3 matrices, one a pixel, by their cofactors; the upper triangles."""
    (a, b, c), (d, e), f = (
        (matrix[0, 0], matrix[0, 1], matrix[0, 2]),
        (matrix[1, 1], matrix[1, 2]),
        matrix[2, 2],
    )
    cofactors = {
        (0, 0): d * f - e * e,
        (0, 1): c * e - b * f,
        (0, 2): b * e - c * d,
        (1, 1): a * f - c * c,
        (1, 2): b * c - a * e,
        (2, 2): a * d - b * b,
    }
    determinant = a * cofactors[0, 0] + b * cofactors[0, 1] + c * cofactors[0, 2]
    return {place: cofactor / determinant for place, cofactor in cofactors.items()}


def _rest(maps: Floats, x: Sequence[Floats], y: Sequence[Floats]) -> list[Floats]:
    """What the maps of x, enlarged to the size of the picture, leave over of y."""
    size = x[0].shape[::-1]
    rest = []
    for channel, wanted in enumerate(y):
        mapped = np.asarray(cv2.resize(maps[channel, 3], size), np.float32)
        for i, plane in enumerate(x):
            cv2.accumulateProduct(cv2.resize(maps[channel, i], size), plane, mapped)
        rest.append(np.subtract(wanted, mapped, out=mapped))
    return rest


def _trusted(rest: Sequence[Floats], variance: Floats, trust: Trust) -> Floats:
    """The part of what the maps leave over that is meant as light, 3,H,W.

    variance: of the input's luma round each cell.
    """
    light = np.stack(rest)
    np.maximum(light, 0, out=light)
    share = ((light.max(0) - trust.faint) / (trust.strong - trust.faint)).clip(0, 1)
    calm = trust.busy / (trust.busy + variance)
    share *= cv2.resize(np.maximum(calm, 0), share.shape[::-1])
    light *= cv2.GaussianBlur(share, (0, 0), 1.0)
    return light
