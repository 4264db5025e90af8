"""What is done to every pixel of a frame, whoever does it: OpenCV on the processor, or PyTorch on a device.

What a smoother decides, it decides on small grids; here is all that it does at full size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2itool.frames import AnyPixels
from i2itool.temporal.scaling import Field

Planes: TypeAlias = NDArray[np.float32]
"""C,H,W float32."""

Plane: TypeAlias = Any
"""H,W float32 at full size, in levels of 8 bits, wherever it is kept: an array, or a tensor on a device."""

# Sides of the square whose mean is taken away from a pixel to leave its finest structure.
FINE_PX = 5


@dataclass(frozen=True, slots=True)
class Remembered:
    """What another frame knows of the pixels of this one.

    plane: of that frame; an array will do on any device.  x, y: h,w: from this frame's pixels to those of
    `plane`, in pixels of full size.  share: h,w: its weight, from 0 to 1.  The grid may be a small one.
    """

    plane: Plane
    x: Field
    y: Field
    share: Field


class Pixelwise(Protocol):
    """Arithmetic at full size.

    Small fields go in and come out as arrays and are enlarged bilinearly. The planes that it gives are
    good until the next `begin`, except those of `mean_along`.
    """

    def begin(self) -> None:
        """A new frame: the planes of the one before are needed no longer."""
        ...

    def luma(self, pixels: AnyPixels) -> Plane:
        """Brightness (BT.601) of H,W,3 RGB, uint8 or uint16."""
        ...

    def plus_affine(self, plane: Plane, pair: Planes, given: Plane) -> Plane:
        """plane + A given + b.  pair: 2,h,w: A and b."""
        ...

    def plus_product(self, plane: Plane, factor: Field, other: Plane) -> Plane:
        """plane + factor other.  factor: h,w."""
        ...

    def mean_along(self, plane: Plane, remembered: Sequence[Remembered]) -> Plane:
        """The mean of a plane and what is remembered of it, by cubic interpolation; a plane to be kept.

        What weight the shares leave over is that of `plane` itself.
        """
        ...

    def structure(self, plane: Plane) -> Plane:
        """The finest structure: what a mean over `FINE_PX` square takes away."""
        ...

    def energy(self, structure: Plane, grid: tuple[int, ...]) -> Field:
        """Mean squares in the cells of a grid (height, width)."""
        ...

    def changed(self, output: AnyPixels, before: Plane, after: Plane, tint: Field) -> AnyPixels:
        """H,W,3 RGB whose brightness goes from `before` to `after`; of the dtype of `output`.

        tint: h,w,3: levels of 8 bits added to R, G and B.
        """
        ...
