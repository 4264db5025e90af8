"""Before and after in one picture: `--compare side` and `--compare wipe`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from i2itool.frames import AnyPixels, Frame, VideoInfo
from i2itool.options import Compare

# How long the edge of a wipe takes to go and come back.
_WIPE_SECONDS = 6.0


class Juxtaposition:
    """Puts each frame of a video beside its translation, or does nothing.

    layout: "side", before on the left, twice as wide; "wipe", before on the left of an edge that goes to and
    fro; "off".
    """

    def __init__(self, layout: Compare) -> None:
        self._layout = layout
        self._waiting: deque[AnyPixels] = deque()

    def info(self, info: VideoInfo) -> VideoInfo:
        """What the frames will be."""
        return replace(info, width=2 * info.width) if self._layout == "side" else info

    def watch(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Pass frames on, and remember those whose translation is under way."""
        for frame in frames:
            if self._layout != "off":
                self._waiting.append(frame.pixels)
            yield frame

    def put(self, frame: Frame) -> Frame:
        """A translated frame with its original; they come in the order in which `watch` saw them."""
        if self._layout == "off":
            return frame
        seconds = float(frame.pts * frame.time_base)
        return replace(frame, pixels=juxtapose(self._waiting.popleft(), frame.pixels, self._layout, seconds))


def juxtapose(before: AnyPixels, after: AnyPixels, layout: Compare, seconds: float = 0.0) -> AnyPixels:
    """One picture of two of the same size and dtype, H,W,3.

    seconds: where the edge of a wipe is; it begins in the middle.
    """
    if layout == "side":
        return np.concatenate([before, after], axis=1)
    if layout == "off":
        return after
    width = before.shape[1]
    edge = round(width * (0.5 + 0.5 * np.sin(2 * np.pi * seconds / _WIPE_SECONDS)))
    picture = after.copy()
    picture[:, :edge] = before[:, :edge]
    # A line that is seen on any picture.
    picture[:, max(edge - 1, 0) : edge + 1] = np.iinfo(picture.dtype).max
    return picture
