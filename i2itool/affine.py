"""A translation made at a working size, carried to the full size by local affine maps of the colours.

The colour guided filter of He, Sun and Tang (arXiv:1505.00996, after ECCV 2010): round each point the small
output is an affine map of the small input's RGB, fitted by least squares; the maps change slowly from place
to place, so they are enlarged instead of the picture and applied to the full-size input. Edges are then the
input's own. What the maps cannot say, light that the input does not hold, comes on top from the small output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
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
# Windows are moved by so many pixels; the maps are means over them, so that every fourth pixel says all.
_CELL_PX, _STRIDE_PX = 2, 4


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
    maps = _fit(x, y, radius)
    shape = (_parts(x.shape[1], _STRIDE_PX), _parts(x.shape[2], _STRIDE_PX))
    grid = _shrunk(maps.reshape(12, *maps.shape[2:]), shape).reshape(3, 4, *shape)
    return AffineGrid(grid, _trusted(y - _map(maps, x), x, radius, trust))


def _planes(pixels: NDArray[Levels]) -> Floats:
    """H,W,3 levels to 3,H,W from 0 to 1."""
    floats = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return np.ascontiguousarray(floats.transpose(2, 0, 1))


def _fit(x: Floats, y: Floats, radius: int) -> Floats:
    """3,4,h,w: for each cell of _CELL_PX the weighted mean of the maps of all windows that it lies in."""
    shape = (_parts(x.shape[1], _CELL_PX), _parts(x.shape[2], _CELL_PX))

    def mean_of_cells(plane: Floats) -> Floats:
        return mean(_shrunk(plane[None], shape)[0])

    mean = partial(_mean, radius=_parts(radius, _CELL_PX))
    mean_x, mean_y = [mean_of_cells(plane) for plane in x], [mean_of_cells(plane) for plane in y]
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    covariance = {(i, j): mean_of_cells(x[i] * x[j]) - mean_x[i] * mean_x[j] for i, j in pairs}
    brightness = np.maximum(mean_x[0] + mean_x[1] + mean_x[2], _DARK)
    gain = ((mean_y[0] + mean_y[1] + mean_y[2]) / brightness).clip(0, _MOST_GAIN)
    # Windows with an edge know its map; flat ones beside it would only blur it.
    weight = covariance[0, 0] + covariance[1, 1] + covariance[2, 2] + _REGULARISATION
    total = mean(weight)
    for i in range(3):
        covariance[i, i] += _REGULARISATION
    inverse = _inverse(covariance)
    maps = np.empty((3, 4, *shape), np.float32)
    for channel in range(3):
        with_x = [mean_of_cells(x[i] * y[channel]) - mean_x[i] * mean_y[channel] for i in range(3)]
        with_x[channel] += _REGULARISATION * gain
        offset = mean_y[channel]
        for i in range(3):
            parts = [inverse[min(i, j), max(i, j)] * with_x[j] for j in range(3)]
            slope = parts[0] + parts[1] + parts[2]
            offset = offset - slope * mean_x[i]
            maps[channel, i] = mean(weight * slope) / total
        maps[channel, 3] = mean(weight * offset) / total
    return maps


def _parts(size: int, part: int) -> int:
    """How many parts, the last of them perhaps not whole."""
    return -(-size // part)


def _shrunk(planes: Floats, shape: tuple[int, int]) -> Floats:
    """N,H,W to N,h,w: each value is the mean of what it covers."""
    small = [cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA) for plane in planes]
    return np.stack(small).astype(np.float32, copy=False)


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


def _trusted(rest: Floats, x: Floats, radius: int, trust: Trust) -> Floats:
    """The part of what the maps leave over that is meant as light."""
    light = np.maximum(rest, 0)
    share = ((light.max(0) - trust.faint) / (trust.strong - trust.faint)).clip(0, 1)
    luma = x.mean(0)
    share *= trust.busy / (trust.busy + _mean(luma * luma, radius) - _mean(luma, radius) ** 2)
    return light * np.asarray(cv2.GaussianBlur(share, (0, 0), 1.0), np.float32)


def _map(maps: Floats, x: Floats) -> Floats:
    """Apply maps, enlarged to the size of the picture."""
    size = x.shape[:0:-1]
    here = np.stack([cv2.resize(plane, size) for plane in maps.reshape(12, *maps.shape[2:])])
    here = here.reshape(3, 4, *x.shape[1:])
    return np.asarray(here[:, 0] * x[0] + here[:, 1] * x[1] + here[:, 2] * x[2] + here[:, 3], np.float32)
