"""How a frame follows from its neighbour: the way of its pixels, how sure that is, and whether it is a cut.

All of it comes from the input alone, so it is known before the network runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from i2itool.frames import AnyPixels, Pixels
from i2itool.temporal.scaling import Field, regrid, shrink

# DIS matches patches of 8 pixels on a pyramid: smaller pictures go on at their borders until they fit.
_LEAST_PX = 32
# Pixels whose way is known must make up a quarter of a frame, or it is of another scene.
_SURE, _LEAST_SURE = 0.3, 0.25
# The errors of both flows may differ by this; where the input has no texture, by more, for there it does no
# harm; and by a twentieth of the way, for what is fast is less exact.
_ERROR_PX, _FLAT_ERROR_PX, _FLAT_SLOPE, _RELATIVE_ERROR = 0.7, 2.5, 6.0, 0.05
_DIFFERENCE_LEVELS = 14.0
# DIS wavers by so much on what stands still, and every step between pixels costs sharpness.
_STILL_PX = 0.15


@dataclass(frozen=True, slots=True)
class Look:
    """A frame on its work grid. rgb: h,w,3 uint8.  gray: h,w uint8."""

    rgb: Pixels
    gray: Pixels


@dataclass(frozen=True, slots=True)
class Motion:
    """The way from the pixels of a frame to those of its neighbour, on the work grid.

    x, y: h,w float32, in pixels of that grid; what is at p here is at p + (x, y) there.
    confidence: h,w float32 from 0 to 1; 0 where a pixel is hidden or out of sight there.
    """

    x: Field
    y: Field
    confidence: Field

    def moves(self, size: tuple[int, ...]) -> tuple[Field, Field]:
        """The same way in pixels of a grid of `size` (height, width), still at the pixels of this one."""
        stretch_y, stretch_x = size[0] / self.x.shape[0], size[1] / self.x.shape[1]
        if stretch_x == stretch_y == 1:
            return self.x, self.y
        return self.x * np.float32(stretch_x), self.y * np.float32(stretch_y)

    def regridded(self, size: tuple[int, ...]) -> tuple[Field, Field]:
        """The same way at the pixels of a grid of `size`, be it smaller or larger."""
        x, y = (regrid(field, size) for field in self.moves(size))
        return x, y


def look_at(pixels: AnyPixels) -> Look:
    """Shrink a frame (H,W,3 RGB) to its work grid."""
    rgb = shrink(pixels)
    return Look(rgb, np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8))


def find_motion(current: Look, neighbour: Look) -> Motion | None:
    """The motion from one frame to another of the same size; None if they show different scenes."""
    there, back = _flow(current.gray, neighbour.gray), _flow(neighbour.gray, current.gray)
    confidence = _confidence(current, neighbour, there, back)
    if np.count_nonzero(confidence > _SURE) < _LEAST_SURE * confidence.size:
        return None
    return Motion(*_without_wavering(*there), confidence)


def pull(field: Field, way: tuple[Field, Field]) -> Field:
    """Sample a field (h,w float32) where a way leads; beyond its border it goes on as it ends."""
    how = cv2.INTER_LINEAR | cv2.WARP_RELATIVE_MAP
    return np.asarray(cv2.remap(field, *way, how, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _flow(start: Pixels, end: Pixels) -> tuple[Field, Field]:
    """Where each pixel of `start` is in `end`: dense inverse search (Kroeger et al. 2016)."""
    height, width = start.shape
    below, right = max(0, _LEAST_PX - height), max(0, _LEAST_PX - width)
    if below or right:
        start, end = (
            np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
            for image in (start, end)
        )
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    # Of the preset's 16 and 5. More follow what is no motion: videos come out no steadier, and later.
    search.setGradientDescentIterations(4)
    search.setVariationalRefinementIterations(2)
    found = search.calc(start, end, None)  # type: ignore[call-overload]  # None: no flow to begin with
    x, y = cv2.split(found[:height, :width])
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _without_wavering(x: Field, y: Field) -> tuple[Field, Field]:
    share = np.clip(cv2.magnitude(x, y) / _STILL_PX - 1, 0, 1)
    return x * share, y * share


def _confidence(
    current: Look, neighbour: Look, there: tuple[Field, Field], back: tuple[Field, Field]
) -> Field:
    """Agreement of the two flows, and of the pictures along the way."""
    height, width = current.gray.shape
    x, y = there
    back_x, back_y = (pull(field, there) for field in back)
    error = _squares(x + back_x, y + back_y)
    tolerance = _ERROR_PX**2 + _RELATIVE_ERROR**2 * (_squares(x, y) + _squares(*back))
    tolerance += _FLAT_ERROR_PX**2 * _exp(_slope(current.gray) / -(_FLAT_SLOPE**2))
    difference = cv2.blur(_difference(current.rgb, neighbour.rgb, there), (3, 3))
    confidence = _exp(
        error / (-2 * tolerance) - difference * difference / np.float32(2 * _DIFFERENCE_LEVELS**2)
    )
    columns, rows = x + np.arange(width, dtype=np.float32), y + np.arange(height, dtype=np.float32)[:, None]
    confidence[(columns < -1) | (columns > width) | (rows < -1) | (rows > height)] = 0
    return confidence


def _exp(field: Field) -> Field:
    # Three times as fast as NumPy's.
    return np.asarray(cv2.exp(field), np.float32)


def _squares(x: Field, y: Field) -> Field:
    return x * x + y * y


def _slope(gray: Pixels) -> Field:
    """Mean squared gradient of the neighbourhood, in levels a pixel."""
    x, y = (cv2.Sobel(gray, cv2.CV_32F, 1 - axis, axis, scale=1 / 8) for axis in (0, 1))
    return np.asarray(cv2.blur(_squares(np.asarray(x, np.float32), np.asarray(y, np.float32)), (5, 5)))


def _difference(current: Pixels, neighbour: Pixels, way: tuple[Field, Field]) -> Field:
    """The largest difference of a channel at each pixel, in levels."""
    # OpenCV samples four channels several times as fast as three.
    padded, how = cv2.cvtColor(neighbour, cv2.COLOR_RGB2RGBA), cv2.INTER_LINEAR | cv2.WARP_RELATIVE_MAP
    pulled = cv2.remap(padded, *way, how, borderMode=cv2.BORDER_REPLICATE)
    first, second, third, _ = cv2.split(cv2.absdiff(cv2.cvtColor(current, cv2.COLOR_RGB2RGBA), pulled))
    return np.asarray(cv2.max(cv2.max(first, second), third), np.float32)
