"""The arithmetic at full size on the processor, with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from i2itool.frames import AnyPixels
from i2itool.temporal.pixelwise import FINE_PX, Planes, Remembered
from i2itool.temporal.scaling import Field, coarsen, luma, refine

# Lines of a picture done at once: what is in between stays in the processor's cache.
_STRIP_LINES = 48


class ByOpenCv:
    """A `Pixelwise`; the same planes serve each frame, so it is for one thread at a time."""

    def __init__(self) -> None:
        # New memory is dearer than what is computed in it: the system clears it page by page.
        self._planes: list[Field] = []
        self._free: list[Field] = []

    def begin(self) -> None:
        """See `Pixelwise`."""
        self._free = list(self._planes)

    def luma(self, pixels: AnyPixels) -> Field:
        """See `Pixelwise`."""
        return luma(pixels, self._lent(pixels.shape[:2]))

    def plus_affine(self, plane: Field, pair: Planes, given: Field) -> Field:
        """See `Pixelwise`."""
        total, offset = (refine(field, plane.shape, self._lent(plane.shape)) for field in pair)
        cv2.multiply(total, given, dst=total)
        cv2.add(total, offset, dst=total)
        self._give_back(offset)
        return np.asarray(cv2.add(total, plane, dst=total), np.float32)

    def plus_product(self, plane: Field, factor: Field, other: Field) -> Field:
        """See `Pixelwise`."""
        total = refine(factor, plane.shape, self._lent(plane.shape))
        cv2.multiply(total, other, dst=total)
        return np.asarray(cv2.add(total, plane, dst=total), np.float32)

    def mean_along(self, plane: Field, remembered: Sequence[Remembered]) -> Field:
        """See `Pixelwise`."""
        mean = plane.copy()
        height, width = plane.shape
        columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
        x, y, pulled = (self._lent(plane.shape) for _ in range(3))
        for other in remembered:
            np.add(refine(other.x, plane.shape, x), columns, out=x)
            np.add(refine(other.y, plane.shape, y), rows, out=y)
            # A linear pull would cost sharpness with each frame.
            cv2.remap(other.plane, x, y, cv2.INTER_CUBIC, dst=pulled, borderMode=cv2.BORDER_REPLICATE)
            cv2.subtract(pulled, plane, dst=pulled)
            cv2.multiply(pulled, refine(other.share, plane.shape, x), dst=pulled)
            cv2.add(mean, pulled, dst=mean)
        self._give_back(x, y, pulled)
        return mean

    def structure(self, plane: Field) -> Field:
        """See `Pixelwise`."""
        side = FINE_PX, FINE_PX
        mean = cv2.blur(plane, side, dst=self._lent(plane.shape), borderType=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.subtract(plane, mean, dst=mean), np.float32)

    def energy(self, structure: Field, grid: tuple[int, ...]) -> Field:
        """See `Pixelwise`."""
        square = self._lent(structure.shape)
        cells = coarsen(np.asarray(cv2.multiply(structure, structure, dst=square), np.float32), grid)
        self._give_back(square)
        return cells

    def changed(self, output: AnyPixels, before: Field, after: Field, tint: Field) -> AnyPixels:
        """See `Pixelwise`."""
        height, width = before.shape
        made = np.empty_like(output)
        # Widened strip by strip.
        tall = refine(tint, (height, tint.shape[1]))
        for top in range(0, height, _STRIP_LINES):
            lines = slice(top, min(top + _STRIP_LINES, height))
            change = cv2.cvtColor(cv2.subtract(after[lines], before[lines]), cv2.COLOR_GRAY2RGB)
            cv2.add(change, refine(tall[lines], (len(change), width)), dst=change)
            _add(output[lines], np.asarray(change, np.float32), made[lines])
        return made

    def _lent(self, size: tuple[int, ...]) -> Field:
        if self._planes and self._planes[0].shape != size:
            self._planes, self._free = [], []
        if not self._free:
            self._free.append(np.empty(size, np.float32))
            self._planes += self._free
        return self._free.pop()

    def _give_back(self, *planes: Field) -> None:
        self._free.extend(planes)


def _add(pixels: AnyPixels, change: Field, out: AnyPixels) -> None:
    """Pixels with levels of 8 bits added to them, rounded and clipped."""
    if pixels.dtype == np.uint8:
        cv2.add(pixels, change, dst=out, dtype=cv2.CV_8U)
    else:
        out[:] = np.clip(np.rint(pixels + 257.0 * change), 0, 65535)
