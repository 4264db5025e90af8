"""Which way up a frame is to be shown, from the display matrix that cameras write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast

import av
import numpy as np
from av.buffer import Buffer

from i2itool.errors import InputError
from i2itool.frames import AnyPixels


@dataclass(frozen=True, slots=True)
class Orientation:
    """What to do to a stored frame to see it upright: transpose first, then flip."""

    transpose: bool = False
    flip_columns: bool = False
    flip_rows: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """The orientation that the frame's display matrix asks for; raises InputError at odd angles."""
        # PyAV's stub lists one kind of side data; there are more.
        side_data = cast("Mapping[str, Buffer]", frame.side_data)
        if "DISPLAYMATRIX" not in side_data:
            return cls()
        a, b, _, c, d, *_ = np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), np.int32).tolist()
        # A stored point (x, y) is shown at (a x + c y, b x + d y).
        if b == c == 0:
            return cls(flip_columns=a < 0, flip_rows=d < 0)
        if a == d == 0:
            return cls(transpose=True, flip_columns=c < 0, flip_rows=b < 0)
        raise InputError(f"the video is rotated by {frame.rotation} degrees, not by a multiple of 90")

    def upright(self, pixels: AnyPixels) -> AnyPixels:
        """Turn a stored picture (H,W,3) the way it is to be shown."""
        if self.transpose:
            pixels = pixels.transpose(1, 0, 2)
        if self.flip_columns:
            pixels = pixels[:, ::-1]
        if self.flip_rows:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)
