"""The arithmetic at full size on a device, with PyTorch: the planes stay there from frame to frame.

It gives what OpenCV gives up to rounding, so that a video looks the same wherever it was made.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from i2itool.frames import AnyPixels
from i2itool.temporal.pixelwise import FINE_PX, Plane, Planes, Remembered
from i2itool.temporal.scaling import Field

# BT.601 as OpenCV has it, in shares of 2^15.
_RED, _GREEN, _BLUE, _WHOLE = 9798, 19235, 3735, 1 << 15


class ByTorch:
    """A `Pixelwise` on any device that PyTorch knows."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def begin(self) -> None:
        """See `Pixelwise`; PyTorch keeps freed memory by itself."""

    def luma(self, pixels: AnyPixels) -> Tensor:
        """See `Pixelwise`."""
        red, green, blue = self._levels(pixels).to(torch.int32).unbind(-1)
        total: Tensor = _RED * red + _GREEN * green + _BLUE * blue + _WHOLE // 2
        gray = torch.div(total, _WHOLE, rounding_mode="floor").float()
        return gray if pixels.dtype == np.uint8 else gray.mul(1 / 257)

    def plus_affine(self, plane: Tensor, pair: Planes, given: Tensor) -> Tensor:
        """See `Pixelwise`."""
        enlarged = self._refined(pair, plane.shape)
        return enlarged[0].mul_(given).add_(enlarged[1]).add_(plane)

    def plus_product(self, plane: Tensor, factor: Field, other: Tensor) -> Tensor:
        """See `Pixelwise`."""
        return self._refined(factor[None], plane.shape)[0].mul_(other).add_(plane)

    def mean_along(self, plane: Tensor, remembered: Sequence[Remembered]) -> Tensor:
        """See `Pixelwise`."""
        mean = plane.clone()
        for other in remembered:
            x, y, share = self._refined(np.stack([other.x, other.y, other.share]), plane.shape)
            mean += share.mul_(_pulled(self._here(other.plane), x, y).sub_(plane))
        return mean

    def structure(self, plane: Tensor) -> Tensor:
        """See `Pixelwise`."""
        padded = F.pad(plane[None, None], (FINE_PX // 2,) * 4, mode="replicate")
        return plane - F.avg_pool2d(padded, FINE_PX, stride=1)[0, 0]

    def energy(self, structure: Tensor, grid: tuple[int, ...]) -> Field:
        """See `Pixelwise`."""
        rows, columns = (self._areas(*sides) for sides in zip(structure.shape, grid, strict=True))
        return np.asarray((rows @ structure.square() @ columns.T).cpu())

    def changed(self, output: AnyPixels, before: Tensor, after: Tensor, tint: Field) -> AnyPixels:
        """See `Pixelwise`."""
        change = self._refined(tint.transpose(2, 0, 1), before.shape).add_(after - before).permute(1, 2, 0)
        scale, highest = (1, 255) if output.dtype == np.uint8 else (257, 65535)
        total = self._levels(output) + scale * change
        whole = total.round_().clamp_(0, highest).to(torch.uint8 if scale == 1 else torch.int32)
        return whole.cpu().numpy().astype(output.dtype, copy=False)

    def _levels(self, pixels: AnyPixels) -> Tensor:
        # Of 16 bits PyTorch can do little.
        known = pixels if pixels.dtype == np.uint8 else pixels.astype(np.int32)
        return self._here(np.ascontiguousarray(known))

    def _here(self, values: Plane) -> Tensor:
        return torch.as_tensor(values, device=self.device)

    def _refined(self, fields: Planes, size: tuple[int, ...]) -> Tensor:
        """C,h,w enlarged to C,H,W, as `refine` does."""
        small = self._here(np.ascontiguousarray(fields, np.float32))
        return F.interpolate(small[None], size=tuple(size), mode="bilinear", align_corners=False)[0]

    def _areas(self, many: int, few: int) -> Tensor:
        """few,many: the share of each pixel of a side in each cell, for means of areas as in `coarsen`."""
        cells = torch.arange(few, dtype=torch.float64, device=self.device)[:, None] * (many / few)
        pixels = torch.arange(many, dtype=torch.float64, device=self.device)
        shared = torch.minimum(pixels + 1, cells + many / few) - torch.maximum(pixels, cells)
        return (shared.clamp_(min=0) * (few / many)).float()


def _pulled(plane: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`plane` at the pixels of a picture moved by x and y; cubic, and beyond its border as it ends."""
    height, width = plane.shape
    columns, rows = (torch.arange(side, device=plane.device, dtype=torch.float32) for side in (width, height))
    # In PyTorch's measure a picture goes from -1 to 1, here between the outer edges of its pixels.
    across = (2 * (x + columns) + 1) / width - 1
    down = (2 * (y + rows[:, None]) + 1) / height - 1
    pulled = F.grid_sample(
        plane[None, None],
        torch.stack([across, down], -1)[None],
        mode="bicubic",
        padding_mode="border",
        align_corners=False,
    )
    return pulled[0, 0]
