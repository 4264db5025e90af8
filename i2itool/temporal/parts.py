"""The small parts of a translated picture: what its input explains of it, and the rest of its colours.

Locally it is an affine function of the input's brightness, P = A Y + b, on a coarse grid, and a residual. All
is float32, in levels of 8 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from i2itool.frames import AnyPixels
from i2itool.temporal.motion import Look
from i2itool.temporal.pixelwise import Planes
from i2itool.temporal.scaling import Field, coarsen, luma, refine, shrink

# Pictures of such a long side keep their colours at full size, larger ones on the work grid: what is seen of
# colours there is worth less than the time.
_COLOR_PX = 640
# Side of a cell of the coarse grid, in pixels of that of colours; of the window that a fit sees, in cells.
_CELL_PX = 3
_WINDOW_CELLS = (5, 5)
# Keeps the fit from making structure out of noise: a variance of the input, in levels squared.
_LEAST_VARIANCE = 60.0
# BT.601, from R - Y and B - Y to G - Y.
_GREEN_OF_RED, _GREEN_OF_BLUE = -0.299 / 0.587, -0.114 / 0.587


@dataclass(frozen=True, slots=True)
class Parts:
    """What a picture is made of, apart from the residual of its brightness, which is as large as itself.

    affine: 6,gh,gw: A and b of Y, of R - Y and of B - Y.
    color: 2,h,w: the residuals of R - Y and B - Y, on a grid of their own: the eye sees colours less sharply.
    given: h,w: the brightness of the input there.
    """

    affine: Planes
    color: Planes
    given: Field


def take_apart(look: Look, pixels: AnyPixels, output: AnyPixels) -> Parts:
    """The parts of a translated picture. look, pixels: of its input; all H,W,3 RGB."""
    if max(pixels.shape) <= _COLOR_PX:
        given, small = luma(shrink(pixels, _COLOR_PX)), shrink(output, _COLOR_PX)
    else:
        given, small = look.gray.astype(np.float32), shrink(output)
    y = luma(small)
    red, _, blue = (np.asarray(plane, np.float32) for plane in cv2.split(small))
    targets = [y, red - y, blue - y]
    affine = _fit(given, targets)
    color = [targets[i] - _apply(affine[2 * i : 2 * i + 2], given) for i in (1, 2)]
    return Parts(affine, np.stack(color), given)


def color_change(given: Field, affine: Planes, color: Planes) -> Field:
    """h,w,3: what R, G and B change by, for changes of the coefficients and of the residuals of colour.

    given: as in `Parts`.
    """
    red, blue = (_apply(affine[2 * i : 2 * i + 2], given) + color[i - 1] for i in (1, 2))
    return np.asarray(cv2.merge([red, _GREEN_OF_RED * red + _GREEN_OF_BLUE * blue, blue]), np.float32)


def window_mean(cells: Field) -> Field:
    """Means over windows of a field on the coarse grid."""
    return np.asarray(cv2.blur(cells, _WINDOW_CELLS, borderType=cv2.BORDER_REPLICATE), np.float32)


def _fit(given: Field, targets: Sequence[Field]) -> Planes:
    """Local linear regressions of each target (h,w) on `given`: A and b in turn."""
    height, width = given.shape
    grid = _cells(height), _cells(width)
    mean_given = window_mean(coarsen(given, grid))
    squares = window_mean(coarsen(given * given, grid))
    variance = np.maximum(squares - mean_given * mean_given, 0) + np.float32(_LEAST_VARIANCE)
    found = []
    for target in targets:
        mean_target = window_mean(coarsen(target, grid))
        slope = (window_mean(coarsen(given * target, grid)) - mean_given * mean_target) / variance
        found += [slope, mean_target - slope * mean_given]
    return np.stack(found)


def _cells(side: int) -> int:
    """How many cells a side has: of 3 pixels, or of 4 where only these come out even.

    Means of whole pixels are four times as fast as those of parts of them.
    """
    cell = next((size for size in (_CELL_PX, _CELL_PX + 1) if side % size == 0), _CELL_PX)
    return max(1, round(side / cell))


def _apply(pair: Planes, given: Field) -> Field:
    """A given + b, for A and b on the coarse grid."""
    product = np.asarray(cv2.multiply(refine(pair[0], given.shape), given), np.float32)
    return np.asarray(cv2.add(product, refine(pair[1], given.shape), dst=product), np.float32)
