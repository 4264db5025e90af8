"""Pictures kept as a video stores them, from decoder to encoder, where only a small copy has to be RGB."""

from __future__ import annotations

import av
import numpy as np

from i2itool.frames import Stored
from i2itool.video.color import (
    FULL_RANGE,
    LIMITED_RANGE,
    ColorTags,
    resolved_matrix,
    rgb_to_yuv,
    yuv_to_rgb,
)
from i2itool.video.planes import samples_of

STORED_FORMAT = "yuv420p"
"""FFmpeg's name of what can be kept."""

# The same with the range in its name.
_FORMATS = (STORED_FORMAT, "yuvj420p")
_LEFT_SITED = ("h264", "hevc", "mpeg4", "mpeg2video")


def is_kept(picture: av.VideoFrame, codec: str) -> bool:
    """Whether a decoded picture of a codec, by FFmpeg's name, is stored as those are that can be kept.

    Chroma samples have to lie where encoders put them, and PyAV tells that of no picture but by its codec.
    """
    is_even = picture.width % 2 == 0 and picture.height % 2 == 0
    return picture.format.name in _FORMATS and is_even and codec in _LEFT_SITED


class StoredReader:
    """Hands out what decoded pictures store, without copying it."""

    def __init__(self, tags: ColorTags, *, width: int, height: int) -> None:
        """width, height: of the pictures, in pixels. What `tags` leave open is guessed as players do."""
        matrix, is_full = in_full(tags, width, height)
        self._from_rgb = rgb_to_yuv(matrix, full_range=is_full)
        self._to_rgb = yuv_to_rgb(matrix, full_range=is_full)

    def __call__(self, picture: av.VideoFrame) -> Stored:
        """The planes of a picture; should it be of another kind than those before, 4:2:0 is made of it."""
        if picture.format.name not in _FORMATS:
            picture = picture.reformat(format=STORED_FORMAT)
        luma, blue, red = (samples_of(plane, np.uint8) for plane in picture.planes)
        return Stored(luma, blue, red, self._to_rgb, self._from_rgb)


def in_full(tags: ColorTags, width: int, height: int) -> tuple[int, bool]:
    """The matrix, and whether the range is the full one: what `tags` say, or players assume."""
    is_full = (tags.color_range or LIMITED_RANGE) == FULL_RANGE
    return resolved_matrix(tags, width, height), is_full


def to_picture(stored: Stored) -> av.VideoFrame:
    """A picture of `STORED_FORMAT` for an encoder."""
    height, width = stored.luma.shape
    picture = av.VideoFrame(width, height, STORED_FORMAT)
    for plane, levels in zip(picture.planes, (stored.luma, stored.blue, stored.red), strict=True):
        samples_of(plane, np.uint8)[:] = levels
    return picture
