"""YUV4MPEG2: bare pictures in a pipe, as FFmpeg and its kin pass them on."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from fractions import Fraction
from types import TracebackType
from typing import BinaryIO, Self, cast

import numpy as np
from av.video.plane import VideoPlane

from i2itool.errors import OutputError
from i2itool.frames import Frame, VideoInfo
from i2itool.video.coding import PictureCoding
from i2itool.video.color import FULL_RANGE, LIMITED_RANGE, ColorTags, matrix_for_size
from i2itool.video.planes import RgbWriter

logger = logging.getLogger("i2itool.video.y4m")

# FFmpeg's name -> that of the header, and of its comment for those that read only this.
_CHROMA = {
    "yuv420p": "C420mpeg2 XYSCSS=420MPEG2",
    "yuv422p": "C422 XYSCSS=422",
    "yuv444p": "C444 XYSCSS=444",
}
_CHROMA |= {
    f"yuv{chroma}p{bits}le": f"C{chroma}p{bits} XYSCSS={chroma}P{bits}"
    for chroma in (420, 422, 444)
    for bits in (10, 12)
}
_RATE_IF_UNKNOWN = Fraction(25)


class Y4mWriter:
    """Writes frames to standard output, and sees to it that nothing else gets there; a `FrameSink`.

    Raises OutputError if nobody reads it.
    """

    def __init__(self, info: VideoInfo, coding: PictureCoding) -> None:
        if sys.stdout is not None and sys.stdout.isatty():
            raise OutputError(
                "standard output is a terminal, which shows no video", hint="pipe it into a player, or use -o"
            )
        self._rate = info.rate or _RATE_IF_UNKNOWN
        self._pixel_format = _pixel_format(info, coding)
        self._bytes_per_sample = 2 if self._pixel_format.endswith("le") else 1
        # There is no place for a matrix, so it is the one that a reader assumes.
        color_range = coding.tags.color_range or LIMITED_RANGE
        self._tags = ColorTags(matrix_for_size(info.width, info.height), color_range)
        # Only this header tells where chroma samples lie; of the others, readers take it to be the middle.
        is_left = self._pixel_format == "yuv420p"
        self._to_planes = RgbWriter(self._pixel_format, self._tags, is_left_sited=is_left)
        self._header = self._describe(info, coding)
        self._first: Frame | None = None
        self._num_frames = 0
        self._has_warned = False

    def __enter__(self) -> Self:
        sys.stdout.flush()
        self._stdout = os.dup(1)
        self._file: BinaryIO = os.fdopen(os.dup(1), "wb")
        # What libraries print would end up in the middle of a picture.
        os.dup2(2, 1)
        self._put(self._header)
        return self

    def write(self, frame: Frame) -> None:
        """Write the next frame; all are shown equally long."""
        self._warn_of_another_time(frame)
        self._num_frames += 1
        picture = self._to_planes(frame.pixels)
        self._put(b"FRAME\n" + b"".join(_rows(plane, self._bytes_per_sample) for plane in picture.planes))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._put(b"", flush=True)
        finally:
            # What is left in the buffer goes nowhere if nobody reads it.
            with suppress(OSError):
                self._file.close()
            os.dup2(self._stdout, 1)
            os.close(self._stdout)

    def _describe(self, info: VideoInfo, coding: PictureCoding) -> bytes:
        aspect = coding.sample_aspect_ratio
        color_range = "FULL" if self._tags.color_range == FULL_RANGE else "LIMITED"
        return (
            f"YUV4MPEG2 W{info.width} H{info.height} F{self._rate.numerator}:{self._rate.denominator} Ip "
            f"A{aspect.numerator}:{aspect.denominator} {_CHROMA[self._pixel_format]} "
            f"XCOLORRANGE={color_range}\n"
        ).encode()

    def _put(self, data: bytes, *, flush: bool = False) -> None:
        try:
            self._file.write(data)
            if flush:
                self._file.flush()
        except BrokenPipeError as error:
            raise OutputError("the program behind the pipe has stopped reading") from error
        except OSError as error:
            raise OutputError(f"cannot write to standard output: {error.strerror}") from error

    def _warn_of_another_time(self, frame: Frame) -> None:
        """Say so once if the frames do not come at a constant rate."""
        self._first = self._first or frame
        seconds = (frame.pts - self._first.pts) * frame.time_base
        if not self._has_warned and abs(seconds * self._rate - self._num_frames) > Fraction(1, 2):
            self._has_warned = True
            logger.warning(
                "the frames do not come at a constant rate, but y4m has no time stamps: %.3f frames/s",
                self._rate,
            )


def _pixel_format(info: VideoInfo, coding: PictureCoding) -> str:
    """That of the input; 4:4:4 where a side is odd, as for encoders."""
    name = coding.pixel_format if coding.pixel_format in _CHROMA else "yuv420p"
    subsampling = name[3:6]
    is_even = not ((subsampling != "444" and info.width % 2) or (subsampling == "420" and info.height % 2))
    return name if is_even else name.replace(subsampling, "444")


def _rows(plane: VideoPlane, bytes_per_sample: int) -> bytes:
    """The samples of a plane without what fills up its lines."""
    # A plane is a buffer, though PyAV's stub does not say so.
    lines = np.frombuffer(cast(bytes, plane), np.uint8).reshape(plane.height, plane.line_size)
    return bytes(lines[:, : plane.width * bytes_per_sample].tobytes())
