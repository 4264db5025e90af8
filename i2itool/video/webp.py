"""Animated WebP, frame by frame."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from i2itool.errors import InputError
from i2itool.frames import Damage, Frame, Pixels, Position, VideoInfo, Window
from i2itool.stills import MAX_PIXELS, check_size, open_image
from i2itool.video.coding import PictureCoding
from i2itool.video.color import ColorTags

logger = logging.getLogger("i2itool.video")

_MILLISECOND = Fraction(1, 1000)
# What players make of a frame that names no time.
_USUAL_MS = 100


class WebpReader:
    """The frames of an animated WebP, which FFmpeg cannot decode; a `FrameSource`.

    Transparency is dropped. Raises InputError if the file is damaged.
    """

    start_seconds = Fraction(0)
    damage = Damage()

    def __init__(self, path: Path, *, max_pixels: int = MAX_PIXELS) -> None:
        self.path = path
        try:
            self._image = open_image(path, ("WEBP",))
        except OSError as error:
            raise InputError(f"{path} is damaged or truncated: {error}") from error
        width, height = self._image.size
        try:
            check_size(path, width, height, max_pixels)
        except InputError:
            self._image.close()
            raise
        num_frames = getattr(self._image, "n_frames", 1)
        self.info = VideoInfo(width, height, Fraction(0), _MILLISECOND, num_frames)
        self.coding = PictureCoding("yuv420p", ColorTags(), Fraction(1))
        if self._image.mode == "RGBA":
            logger.warning("%s: its transparency is dropped", path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._image.close()

    def __iter__(self) -> Iterator[Frame]:
        return self.frames(Window())

    def frames(self, window: Window, after: Position | None = None) -> Iterator[Frame]:
        """The frames within `window`, from the one behind `after` on."""
        pts = place = 0
        for i in range(self.info.num_frames or 0):
            pixels = self._read(i)
            duration = round(self._image.info.get("duration") or _USUAL_MS)
            if window.holds(pts * _MILLISECOND):
                place += 1
                if after is None or place > after.num_frames:
                    yield Frame(pixels, pts, _MILLISECOND, duration)
            pts += duration

    def _read(self, number: int) -> Pixels:
        try:
            self._image.seek(number)
            self._image.load()
        except (OSError, EOFError, ValueError) as error:
            raise InputError(f"{self.path} is damaged at frame {number + 1}: {error}") from error
        return np.array(self._image.convert("RGB"))
