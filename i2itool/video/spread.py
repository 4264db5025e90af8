"""Frames spread over a video: to look at, to try an engine on, to calibrate one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from i2itool.errors import InputError
from i2itool.frames import AnyPixels, Frame, VideoInfo, Window
from i2itool.options import ConvertOptions
from i2itool.trim import window_of
from i2itool.video.input import PIPE
from i2itool.video.reader import VideoReader
from i2itool.video.sources import open_source

# Enough to see what a video holds; as floats no more than 200 MB.
_CALIBRATION_FRAMES = 12
_CALIBRATION_PIXELS = 2**24


def spread_frames(reader: VideoReader, window: Window, count: int) -> Iterator[Frame]:
    """Those shown in the middle of `count` equal parts of a window; fewer, if there are fewer.

    Raises InputError if neither the file nor the window tells where it ends, or if nothing lies within.
    """
    start, end = _range(reader, window)
    # Each costs a seek: more than there are would only find the same again.
    count = min(count, reader.info.num_frames or count)
    last_pts = None
    for i in range(count):
        frame = reader.shown_at(start + (end - start) * Fraction(2 * i + 1, 2 * count))
        if frame.pts != last_pts:
            yield frame
        last_pts = frame.pts


def sampler_of(path: Path, info: VideoInfo, options: ConvertOptions) -> Callable[[], AnyPixels] | None:
    """What gives some pictures of a source, N,H,W,3, to try an engine on; a pipe can be read only once."""
    if path == PIPE:
        return None
    many = min(_CALIBRATION_FRAMES, max(2, _CALIBRATION_PIXELS // (info.height * info.width)))
    return lambda: sample_pixels(path, options, many if options.precision == "int8" else 1)


def sample_pixels(path: Path, options: ConvertOptions, count: int) -> AnyPixels:
    """Up to `count` pictures of whatever holds frames, N,H,W,3: spread over a video, otherwise the first.

    Raises InputError if it cannot be read, or if --trim leaves none.
    """
    with open_source(path, options) as source:
        window = window_of(options.trim, source.start_seconds)
        if isinstance(source, VideoReader) and (window.end, source.length_seconds) != (None, None):
            frames = list(spread_frames(source, window, count))
        else:
            frames = list(islice(source.frames(window), count))
    if not frames:
        raise InputError(f"no frame of {path} lies within --trim")
    return np.stack([frame.pixels for frame in frames])


def _range(reader: VideoReader, window: Window) -> tuple[Fraction, Fraction]:
    length = reader.length_seconds
    if window.end is None and length is None:
        raise InputError(f"{reader.path} does not tell how long it is", hint="give --trim with an end")
    stops = [window.end, None if length is None else reader.start_seconds + length]
    end = min(stop for stop in stops if stop is not None)
    start = reader.start_seconds if window.start is None else window.start
    if end <= start:
        raise InputError(f"no frame of {reader.path} lies within --trim")
    return start, end
