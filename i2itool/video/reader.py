"""Frames of a video file, upright and with their own time stamps."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import av

from i2itool.errors import InputError
from i2itool.frames import WHOLE, AnyPixels, Damage, Frame, Position, VideoInfo, Window
from i2itool.options import ReadOptions
from i2itool.video.coding import coding_of, color_tags
from i2itool.video.color import check_color, is_hdr
from i2itool.video.decoding import Decoder, Picture
from i2itool.video.deinterlace import deinterlaced
from i2itool.video.orientation import Orientation
from i2itool.video.planes import RgbReader, is_transparent
from i2itool.video.stamps import next_stamp
from i2itool.video.stored import StoredReader, is_kept
from i2itool.video.tonemap import SDR_TAGS, ToneMap
from i2itool.work_size import small_of

logger = logging.getLogger("i2itool.video")


class VideoReader:
    """The frames of the first video stream of a file; a `FrameSource`.

    info, coding: of that stream, known at once, since the first frame is decoded on opening.
    stream_index: its place in the file.  What is done to the pictures is logged.
    Raises InputError if the file is missing, truncated or no video.
    """

    def __init__(self, path: Path, options: ReadOptions = ReadOptions()) -> None:  # noqa: B008 - it is frozen
        self.path = path
        self._num_repeated = self._num_damaged = 0
        self._small_size: tuple[int, int] | None = None
        self._options = options
        self._decoder = Decoder(path, options)
        try:
            self._open_first_picture()
        except BaseException:
            self._decoder.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.close()

    @property
    def start_seconds(self) -> Fraction:
        """Where the file's own time begins: what a player shows as 0."""
        return self._start_seconds

    @property
    def length_seconds(self) -> Fraction | None:
        """How long the file says that it is; None if it does not."""
        duration = self._decoder.container.duration
        return None if duration is None else Fraction(duration, av.time_base)

    @property
    def damage(self) -> Damage:
        """What was wrong, as far as the video has been read."""
        return Damage(self._num_repeated, self._num_damaged, self._decoder.is_cut_off)

    def can_keep_stored(self) -> bool:
        """Whether `keep_stored` may be called."""
        image, codec = self._first.image, self._decoder.stream.codec_context.codec.canonical_name
        is_as_it_is = self._orientation == Orientation() and self._to_sdr is None
        return is_as_it_is and is_kept(image, codec)

    def keep_stored(self, small_size: tuple[int, int]) -> None:
        """From now on give frames as they are stored, and their pixels at a size (height, width) only."""
        self._small_size = small_size

    def __iter__(self) -> Iterator[Frame]:
        """Every frame once, upright; raises InputError, naming the time, where the file is damaged."""
        return self.frames()

    def frames(self, window: Window = WHOLE, after: Position | None = None) -> Iterator[Frame]:
        """The frames within `window`, from the one behind `after` on, as iterating gives them.

        What lies before is decoded but made no picture of: stamps may depend on all that came earlier.
        Raises InputError if the frame at `after` is not the one that it was.
        """
        place = 0
        for picture, pts, duration in self._stamped():
            if window.end is not None and pts * self._time_base >= window.end:
                break
            if not window.holds(pts * self._time_base):
                continue
            place += 1
            self._num_repeated += picture.is_repeated
            self._num_damaged += picture.is_damaged
            if after is not None and place <= after.num_frames:
                if place == after.num_frames and after.last_pts not in (None, pts):
                    raise InputError(
                        f"{self.path}: frame {place} was at tick {after.last_pts}, and is at {pts} now",
                        hint="--restart begins anew",
                    )
                continue
            yield self._frame(picture, pts, duration)
        if after is not None and after.last_pts is not None and place < after.num_frames:
            raise InputError(f"{self.path} has but {place} of {after.num_frames} frames left")

    def shown_at(self, seconds: Fraction) -> Frame:
        """The frame that is on show at an instant of the file's time; to be iterated no more after that.

        It is sought, so its stamp is the file's own, even where iterating would have moved it by a tick.
        """
        self._go_before(seconds)
        shown: tuple[Picture, int, int] | None = None
        for stamped in self._stamped():
            if shown is not None and stamped[1] * self._time_base > seconds:
                break
            shown = stamped
        assert shown is not None  # there is a first one
        picture, pts, duration = shown
        return self._frame(picture, pts, duration)

    def _go_before(self, seconds: Fraction) -> None:
        """Go on at a picture that is not behind an instant: the nearest key frame, or else the first one."""
        tick = math.floor(seconds / self._time_base)
        with suppress(av.FFmpegError):
            self._decoder.seek(tick)
            self._pictures = iter(self._decoder)
            first = next(self._pictures, None)
            if first is not None and first.pts is not None and first.pts <= tick:
                self._first = first
                return
        self._decoder.close()
        self._decoder = Decoder(self.path, self._options)
        self._pictures = iter(self._decoder)
        self._first = next(self._pictures)

    def _stamped(self) -> Iterator[tuple[Picture, int, int]]:
        """Every picture with its own pts and its duration."""
        pictures = self._of_one_size()
        if self._options.deinterlace == "auto":
            pictures = deinterlaced(pictures, str(self.path))
        pts: int | None = None
        duration, num_moved = 0, 0
        for picture in pictures:
            last, pts = pts, next_stamp(picture.pts, pts, duration)
            if picture.pts is not None and picture.pts != pts:
                num_moved += 1
                if num_moved == 1:
                    at = f"{float(last or 0) * self._time_base:.3f} s"
                    logger.warning(
                        "%s: several frames are at %s; all but one are moved by a tick", self.path, at
                    )
            duration = picture.duration or self._usual_duration()
            yield picture, pts, duration

    def _of_one_size(self) -> Iterator[Picture]:
        first = self._first.image
        for picture in chain([self._first], self._pictures):
            image = picture.image
            if (image.width, image.height) != (first.width, first.height):
                at = (
                    "an unknown time"
                    if picture.pts is None
                    else f"{float(picture.pts * self._time_base):.3f} s"
                )
                raise InputError(
                    f"{self.path}: frames change from {first.width}x{first.height} to "
                    f"{image.width}x{image.height} at {at}"
                )
            yield picture

    def _open_first_picture(self) -> None:
        self._pictures = iter(self._decoder)
        first = next(self._pictures, None)
        if first is None:
            raise InputError(f"{self.path} holds no frame that can be decoded")
        stream, image = self._decoder.stream, first.image
        self._first = first
        self.stream_index = stream.index
        self._start_seconds = Fraction(self._decoder.container.start_time or 0, av.time_base)
        self._time_base: Fraction = Fraction(stream.time_base or image.time_base or Fraction(1, 1000))
        self._orientation = Orientation.of(image)
        self._tags = color_tags(stream, image)
        accepts_hdr = self._options.tonemap or self._options.assume_sdr
        check_color(self._tags, str(self.path), accepts_hdr=accepts_hdr)
        self._to_rgb = RgbReader()
        self._to_stored = StoredReader(self._tags, width=image.width, height=image.height)
        self._to_sdr = ToneMap(self._tags.transfer) if is_hdr(self._tags) and self._options.tonemap else None
        self.info = self._describe()
        tags = self._tags if self._to_sdr is None else SDR_TAGS
        self.coding = coding_of(stream, image, tags, transposed=self._orientation.transpose)
        self._say_what_changes()

    def _say_what_changes(self) -> None:
        image, metadata = self._first.image, self._decoder.stream.metadata
        # FFmpeg's decoder of VP9 leaves transparency out, so that only the container tells of it.
        if is_transparent(image) or metadata.get("alpha_mode") == "1":
            logger.warning("%s: its transparency is dropped", self.path)
        if self._to_sdr is not None:
            logger.warning("%s: HDR is made SDR (BT.709)", self.path)

    def _frame(self, picture: Picture, pts: int, duration: int) -> Frame:
        if self._small_size is None:
            return Frame(self._pixels(picture), pts, self._time_base, duration)
        stored = self._to_stored(picture.image)
        return Frame(small_of(stored, self._small_size), pts, self._time_base, duration, stored)

    def _pixels(self, picture: Picture) -> AnyPixels:
        pixels = self._to_rgb(picture.image, self._tags)
        if self._to_sdr is not None:
            pixels = self._to_sdr(pixels)
        return self._orientation.upright(pixels)

    def _usual_duration(self) -> int:
        return round(1 / (self.info.rate * self._time_base)) if self.info.rate else 0

    def _describe(self) -> VideoInfo:
        stream, duration = self._decoder.stream, self._decoder.container.duration
        width, height = self._first.image.width, self._first.image.height
        rate = Fraction(stream.average_rate or stream.guessed_rate or 0)
        num_frames: int | None = stream.frames or None
        if num_frames is None and duration and rate:
            num_frames = math.ceil(duration * rate / av.time_base)
        if self._orientation.transpose:
            width, height = height, width
        return VideoInfo(width, height, rate, self._time_base, num_frames)
