"""A translated picture taken apart by its input, and put together again.

Locally it is an affine function of the input's brightness, P = A Y + b, on a coarse grid, and a residual. All
is float32, in levels of 8 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.frames import AnyPixels
from i2itool.temporal.motion import Look
from i2itool.temporal.scaling import Field, coarsen, luma, refine, shrink

Planes = NDArray[np.float32]
"""C,H,W float32."""

# Side of a cell of the coarse grid, in pixels of the work grid, and of the window that a fit sees, in cells.
_CELL_PX = 3
WINDOW_CELLS = (5, 5)
# Keeps the fit from making structure out of noise: a variance of the input, in levels squared.
_LEAST_VARIANCE = 60.0
# BT.601, from R - Y and B - Y to G - Y.
_GREEN_OF_RED, _GREEN_OF_BLUE = -0.299 / 0.587, -0.114 / 0.587


@dataclass(frozen=True, slots=True)
class Parts:
    """What a picture is made of.

    luma: H,W: its brightness.  affine: 6,gh,gw: A and b of Y, of R - Y and of B - Y.
    brightness: H,W: the residual of Y.
    color: 2,h,w: the residuals of R - Y and B - Y, on the work grid: finer than that the eye sees no colour.
    """

    luma: Field
    affine: Planes
    brightness: Field
    color: Planes


def take_apart(look: Look, brightness: Field, output: AnyPixels) -> Parts:
    """The parts of a translated picture (H,W,3 RGB). look, brightness: of its input."""
    small = shrink(output)
    y = luma(small)
    red, _, blue = (np.asarray(plane, np.float32) for plane in cv2.split(small))
    given = look.gray.astype(np.float32)
    targets = [y, red - y, blue - y]
    affine = _fit(given, targets)
    color = [targets[i] - apply(affine[2 * i : 2 * i + 2], given) for i in (1, 2)]
    whole = luma(output)
    explained = apply(affine[:2], brightness)
    fine = np.asarray(cv2.subtract(whole, explained, dst=explained), np.float32)
    return Parts(whole, affine, fine, np.stack(color))


def apply(pair: Planes, given: Field) -> Field:
    """A given + b, for A and b on the coarse grid."""
    product = np.asarray(cv2.multiply(refine(pair[0], given.shape), given), np.float32)
    return np.asarray(cv2.add(product, refine(pair[1], given.shape), dst=product), np.float32)


def changed(output: AnyPixels, brightness: Field, color: Field) -> AnyPixels:
    """A picture (H,W,3 RGB) with its brightness changed by H,W levels and its colours by h,w,3."""
    change = cv2.cvtColor(brightness, cv2.COLOR_GRAY2RGB)
    cv2.add(change, refine(color, output.shape[:2]), dst=change)
    if output.dtype == np.uint8:
        return np.asarray(cv2.add(output, change, dtype=cv2.CV_8U), np.uint8)
    return np.clip(np.rint(output + 257.0 * change), 0, 65535).astype(np.uint16)


def color_change(look: Look, affine: Planes, color: Planes) -> Field:
    """h,w,3: what R, G and B change by, for changes of the coefficients and of the residuals of colour."""
    given = look.gray.astype(np.float32)
    red, blue = (apply(affine[2 * i : 2 * i + 2], given) + color[i - 1] for i in (1, 2))
    return np.asarray(cv2.merge([red, _GREEN_OF_RED * red + _GREEN_OF_BLUE * blue, blue]), np.float32)


def window_mean(field: Field, grid: tuple[int, ...]) -> Field:
    """Means of a field over windows, on the coarse grid."""
    cells = coarsen(field, grid)
    return np.asarray(cv2.blur(cells, WINDOW_CELLS, borderType=cv2.BORDER_REPLICATE), np.float32)


def _fit(given: Field, targets: Sequence[Field]) -> Planes:
    """Local linear regressions of each target (h,w) on `given`: A and b in turn."""
    height, width = given.shape
    grid = max(1, round(height / _CELL_PX)), max(1, round(width / _CELL_PX))
    mean_given = window_mean(given, grid)
    squares = window_mean(given * given, grid)
    variance = np.maximum(squares - mean_given * mean_given, 0) + np.float32(_LEAST_VARIANCE)
    found = []
    for target in targets:
        mean_target = window_mean(target, grid)
        slope = (window_mean(given * target, grid) - mean_given * mean_target) / variance
        found += [slope, mean_target - slope * mean_given]
    return np.stack(found)
