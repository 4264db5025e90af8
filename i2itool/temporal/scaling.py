"""Pictures and fields on smaller grids. Every grid spans the whole picture, whatever its size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.frames import AnyPixels, Pixels

Field = NDArray[np.float32]
"""H,W float32, contiguous."""

# Long side of the work grid, on which motion is found, and its share in that of a picture: a finer grid costs
# more and gains little.
_MOST_WORK_PX, _LEAST_WORK_PX, _WORK_SHARE = 480, 320, 0.7


def work_px(long_px: int) -> int:
    """Long side of the work grid of a picture with such a long side, if it is no smaller itself."""
    return min(_MOST_WORK_PX, max(_LEAST_WORK_PX, round(_WORK_SHARE * long_px)))


def shrink(pixels: AnyPixels, long_px: int | None = None) -> Pixels:
    """A picture (H,W,3 uint8 or uint16) with no longer side than that, without aliasing, as uint8.

    long_px: None for that of its work grid.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, (long_px or work_px(max(height, width))) / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = np.ascontiguousarray(pixels)
    # Means of pairs are many times as fast as those of any other number, and from less than two pixels to one
    # nothing is lost between them.
    while _is_halved_exactly(small.shape[:2], size):
        small = _resized(small, (small.shape[0] // 2, small.shape[1] // 2), cv2.INTER_AREA)
    ratio = max(small.shape[0] / size[0], small.shape[1] / size[1])
    small = _resized(small, size, cv2.INTER_AREA if ratio >= 2 else cv2.INTER_LINEAR)
    return small.astype(np.uint8) if small.dtype == np.uint8 else np.rint(small / 257.0).astype(np.uint8)


def coarsen(field: Field, size: tuple[int, ...]) -> Field:
    """A field on a smaller grid of `size` (height, width), by means of areas."""
    if field.shape == size:
        return field
    return np.asarray(cv2.resize(field, size[::-1], interpolation=cv2.INTER_AREA), np.float32)


def refine(field: Field, size: tuple[int, ...], out: Field | None = None) -> Field:
    """A field (h,w or h,w,C float32) on a larger grid of `size` (height, width), bilinearly.

    out: where to put it; without, a field of that size already is given back as it is.
    """
    if out is None and field.shape[:2] == size:
        return field
    return np.asarray(cv2.resize(field, size[::-1], dst=out, interpolation=cv2.INTER_LINEAR), np.float32)


def regrid(field: Field, size: tuple[int, ...]) -> Field:
    """A field on a grid of `size` (height, width), be it smaller or larger."""
    return (
        coarsen(field, size) if size[0] < field.shape[0] or size[1] < field.shape[1] else refine(field, size)
    )


def luma(pixels: AnyPixels, out: Field | None = None) -> Field:
    """Brightness (BT.601) of a picture (H,W,3 RGB, uint8 or uint16) as H,W float32 from 0 to 255.

    out: where to put it.
    """
    gray = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    brightness = np.empty(gray.shape, np.float32) if out is None else out
    if gray.dtype == np.uint8:
        np.copyto(brightness, gray)
    else:
        np.multiply(gray, np.float32(1 / 257), out=brightness)
    return brightness


def _resized(pixels: AnyPixels, size: tuple[int, int], how: int) -> AnyPixels:
    if pixels.shape[:2] == size:
        return pixels
    small: AnyPixels = cv2.resize(pixels, size[::-1], interpolation=how)  # type: ignore[assignment]  # its dtype
    return small


def _is_halved_exactly(size: tuple[int, ...], goal: tuple[int, int]) -> bool:
    return all(side % 2 == 0 and side // 2 >= least for side, least in zip(size, goal, strict=True))
