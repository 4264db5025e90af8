"""The arithmetic at full size on the processor, with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from i2itool.frames import AnyPixels
from i2itool.temporal.pixelwise import FINE_PX, Planes, Remembered
from i2itool.temporal.scaling import Field, coarsen, luma, refine

# Cubic: a linear pull would cost sharpness with each frame.
_PULL = cv2.INTER_CUBIC | cv2.WARP_RELATIVE_MAP
# Lines of a picture done at once: what is in between stays in the processor's cache.
_STRIP_LINES = 48


class ByOpenCv:
    """A `Pixelwise`; the same planes serve each frame, so it is for one thread at a time."""

    def __init__(self) -> None:
        # New memory is dearer than what is computed in it: the system clears it page by page.
        self._planes: list[Field] = []
        self._free: list[Field] = []
        self._tint: Field | None = None

    def begin(self) -> None:
        """See `Pixelwise`."""
        self._free = list(self._planes)

    def luma(self, pixels: AnyPixels) -> Field:
        """See `Pixelwise`."""
        return luma(pixels, self._lent(pixels.shape[:2]))

    def plus_affine(self, plane: Field, pair: Planes, given: Field) -> Field:
        """See `Pixelwise`."""
        slope, total = (refine(field, plane.shape, self._lent(plane.shape)) for field in pair)
        cv2.add(total, plane, dst=total)
        cv2.accumulateProduct(slope, given, total)
        self._give_back(slope)
        return total

    def plus_product(self, plane: Field, factor: Field, other: Field) -> Field:
        """See `Pixelwise`."""
        total = refine(factor, plane.shape, self._lent(plane.shape))
        cv2.multiply(total, other, dst=total)
        return np.asarray(cv2.add(total, plane, dst=total), np.float32)

    def mean_along(self, plane: Field, remembered: Sequence[Remembered]) -> Field:
        """See `Pixelwise`."""
        mean = plane
        x, y, pulled = (self._lent(plane.shape) for _ in range(3))
        for other in remembered:
            refine(other.x, plane.shape, x)
            refine(other.y, plane.shape, y)
            cv2.remap(other.plane, x, y, _PULL, dst=pulled, borderMode=cv2.BORDER_REPLICATE)
            cv2.subtract(pulled, plane, dst=pulled)
            cv2.multiply(pulled, refine(other.share, plane.shape, x), dst=pulled)
            mean = np.asarray(cv2.add(mean, pulled, dst=None if mean is plane else mean), np.float32)
        self._give_back(x, y, pulled)
        return mean.copy() if mean is plane else mean

    def structure(self, plane: Field) -> Field:
        """See `Pixelwise`."""
        # A box; `cv2.blur` sums in double precision, in half as much time again.
        box = np.full(FINE_PX, 1 / FINE_PX, np.float32)
        mean = self._lent(plane.shape)
        cv2.sepFilter2D(plane, cv2.CV_32F, box, box, dst=mean, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.subtract(plane, mean, dst=mean), np.float32)

    def energy(self, structure: Field, grid: tuple[int, ...]) -> Field:
        """See `Pixelwise`."""
        square = self._lent(structure.shape)
        cells = coarsen(np.asarray(cv2.multiply(structure, structure, dst=square), np.float32), grid)
        self._give_back(square)
        return cells

    def changed(self, output: AnyPixels, before: Field, after: Field, tint: Field) -> AnyPixels:
        """See `Pixelwise`."""
        made = np.empty_like(output)
        self._tint = refine(tint, before.shape, _fitting(self._tint, output.shape))
        for top in range(0, len(output), _STRIP_LINES):
            lines = slice(top, top + _STRIP_LINES)
            change = cv2.cvtColor(cv2.subtract(after[lines], before[lines]), cv2.COLOR_GRAY2RGB)
            cv2.add(change, self._tint[lines], dst=change)
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


def _fitting(plane: Field | None, shape: tuple[int, ...]) -> Field:
    return plane if plane is not None and plane.shape == shape else np.empty(shape, np.float32)


def _add(pixels: AnyPixels, change: Field, out: AnyPixels) -> None:
    """Pixels with levels of 8 bits added to them, rounded and clipped."""
    if pixels.dtype == np.uint8:
        cv2.add(pixels, change, dst=out, dtype=cv2.CV_8U)
    else:
        out[:] = np.clip(np.rint(pixels + 257.0 * change), 0, 65535)
