"""Local affine maps of colours, as `i2itool.affine` fits them, applied to a picture at full size.

The maps are small and change slowly from place to place: they are enlarged, and not the picture.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.affine import AffineGrid, Floats
from i2itool.frames import Levels, Stored

# Lines carried at once: what belongs to them stays in the processor's cache, and products of matrices are so
# small that NumPy does not share them among threads, which wait for each other longer than they work.
_STRIP_LINES = 16


def apply_affine(grid: AffineGrid, pixels: NDArray[Levels]) -> NDArray[Levels]:
    """Map every pixel of a picture by the maps of its place.

    pixels: H,W,3 RGB, uint8 or uint16, of any size.  Returns the same shape and dtype.
    """
    height, width = pixels.shape[:2]
    grid = _in_levels(grid, float(np.iinfo(pixels.dtype).max))
    maps = _Enlarger(grid.maps.reshape(12, *grid.maps.shape[2:]), height, width)
    light = None if grid.light is None else _Enlarger(grid.light, height, width)
    plane = np.empty((_STRIP_LINES, width), np.float32)
    result = np.empty_like(pixels)
    for start in range(0, height, _STRIP_LINES):
        lines = slice(start, start + _STRIP_LINES)
        strip = pixels[lines]
        mapped = maps(lines).reshape(3, 4, *strip.shape[:2])
        total = mapped[:, 3]
        for i, levels in enumerate(cv2.split(strip)):
            plane[: len(strip)] = levels
            mapped[:, i] *= plane[: len(strip)]
            total += mapped[:, i]
        if light is not None:
            total += light(lines)
        result[lines] = cv2.merge([_saturated(channel, pixels.dtype) for channel in total])
    return result


def apply_to_stored(grid: AffineGrid, stored: Stored) -> Stored:
    """The same for a picture as a video stores it, without making RGB of it: a third of the work.

    Brightness meets the brightness of each pixel; what colours add to it, and all of colours, is computed at
    their own size. As if RGB were mapped and stored again, but for the rounding and for what clips.
    """
    maps, light = _in_stored_levels(grid, stored)
    height, width = stored.luma.shape
    rows, columns = stored.blue.shape
    luma = cv2.resize(stored.luma, (columns, rows), interpolation=cv2.INTER_AREA)
    given = [np.asarray(plane, np.float32) for plane in (luma, stored.blue, stored.red)]
    totals = []
    for channel in range(3):
        total = _enlarged(maps[channel, 3], rows, columns)
        for i in range(3):
            if (channel, i) != (0, 0):
                cv2.accumulateProduct(_enlarged(maps[channel, i], rows, columns), given[i], total)
        if light is not None:
            cv2.add(total, _enlarged(light[channel], rows, columns), dst=total)
        totals.append(total)
    brightness = _enlarged(totals[0], height, width)
    slope = _enlarged(maps[0, 0], height, width)
    cv2.accumulateProduct(slope, stored.luma.astype(np.float32), brightness)
    # Nothing darker than black: nobody sees it, and it costs bits.
    shown = _saturated(brightness, stored.luma.dtype).clip(*stored.black_and_white)
    blue, red = (_saturated(total, stored.luma.dtype) for total in totals[1:])
    return replace(stored, luma=shown, blue=blue, red=red)


def _in_stored_levels(grid: AffineGrid, stored: Stored) -> tuple[Floats, Floats | None]:
    """Maps and light of a grid, for levels of Y, Cb and Cr instead of R, G and B."""
    forth = stored.from_rgb.astype(np.float32)
    back = np.vstack([stored.to_rgb, [0, 0, 0, 1]]).astype(np.float32)
    # Not by products of matrices: NumPy shares these among threads, which takes longer than the work.
    maps = np.einsum("ibhw,bj->ijhw", np.einsum("ia,abhw->ibhw", forth[:, :3], grid.maps), back)
    maps[:, 3] += forth[:, 3, None, None]
    light = None if grid.light is None else np.einsum("ia,ahw->ihw", forth[:, :3], grid.light)
    return maps, light


def _enlarged(plane: Floats, rows: int, columns: int) -> Floats:
    return np.asarray(cv2.resize(plane, (columns, rows)), np.float32)


class _Enlarger:
    """Planes N,h,w enlarged linearly, a strip of lines at a time, in memory that all strips share.

    Fresh memory for each, or a call for each plane, would take longer than the work.
    """

    def __init__(self, planes: Floats, height: int, width: int) -> None:
        count, rows, columns = planes.shape
        wide = cv2.resize(planes.reshape(-1, columns), (width, count * rows))
        self._planes = np.asarray(wide, np.float32).reshape(count, rows, width)
        # Line by line what each row of the planes counts.
        self._weights = cv2.resize(np.eye(rows, dtype=np.float32), (rows, height))
        self._memory = np.empty((count, _STRIP_LINES, width), np.float32)

    def __call__(self, lines: slice) -> Floats:
        """N,lines,width, until the next call."""
        weights = self._weights[lines]
        used = np.flatnonzero(weights.any(0))
        band = slice(used[0], used[-1] + 1)
        here = self._memory[:, : len(weights)]
        return np.matmul(weights[:, band], self._planes[:, band], out=here)


def _in_levels(grid: AffineGrid, highest: float) -> AffineGrid:
    """The same maps for levels from 0 to `highest`: only what is added changes."""
    maps = grid.maps.copy()
    maps[:, 3] *= highest
    return AffineGrid(maps, None if grid.light is None else grid.light * highest)


def _saturated(plane: Floats, dtype: np.dtype[Any]) -> NDArray[Any]:  # Any: uint8 or uint16
    """Rounded and clipped."""
    kind = cv2.CV_8U if dtype == np.uint8 else cv2.CV_16U
    return np.asarray(cv2.add(plane, np.zeros(1), dtype=kind), dtype)
