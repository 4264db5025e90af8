"""From frames to packets: what an encoder is asked for, and one that is running."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.codec.context import Flags, ThreadType
from av.format import ContainerFormat
from av.video.codeccontext import VideoCodecContext

from i2itool.errors import OutputError
from i2itool.frames import Frame, VideoInfo
from i2itool.options import ConvertOptions
from i2itool.video.codecs import check_pixel_format, choose_encoder, encoder_options
from i2itool.video.coding import PictureCoding
from i2itool.video.color import FULL_RANGE, RGB
from i2itool.video.encoders import (
    choose_pixel_format,
    encoder_time_base,
    is_left_sited,
    storable_tags,
)
from i2itool.video.mastering import Mastering, mastering_parameters
from i2itool.video.packets import Encoded
from i2itool.video.planes import RgbWriter
from i2itool.video.rate import constant_rate
from i2itool.video.stored import STORED_FORMAT, in_full, to_picture

logger = logging.getLogger("i2itool.video")

# Only a ratio; where a container names no rate, time stamps still tell the truth.
_RATE_IF_UNKNOWN = Fraction(25)
# Encoders cut a picture, or their work, differently for each number of threads, and so give other bits.
# With a fixed number a file depends on no machine; eight keep up with any network.
_THREADS = 8
_WITHOUT_ASPECT = ("matroska", "webm", "avi")
_CODECS_WITH_ASPECT = ("libx264", "libx265", "h264_", "hevc_", "mpeg4", "mpeg2video")
# Of a container's flags; FFmpeg's AVFMT_GLOBALHEADER.
_GLOBAL_HEADER = 0x40


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a video is to be encoded: the same for each of its segments, and for the head of the file.

    options: of the encoder.  has_global_header: whether the container keeps the codec's parameters; else,
    key frames do.  may_reorder: whether packets may lie in another order than frames.
    """

    codec: str
    options: dict[str, str]
    info: VideoInfo
    coding: PictureCoding
    pixel_format: str
    has_global_header: bool
    may_reorder: bool

    @classmethod
    def choose(
        cls,
        path: Path,
        info: VideoInfo,
        coding: PictureCoding,
        asked: ConvertOptions,
        *,
        source: Path | None = None,
    ) -> Encoding:
        """What suits a file called `path`; raises OutputError if nothing does.

        source: the video that it is made from, which is read if its times are not sure to fit.
        """
        name = choose_encoder(path, asked.codec)
        container = _container_format(path)
        # AVI stores no time stamps, so frames must lie in the order in which they are shown. A transport
        # stream holds no negative ones, which reordering needs at the start: everything would come later.
        may_reorder = container.name not in ("avi", "mpegts")
        if container.name == "avi":
            info = _counted_in_frames(info, source)
        pixel_format = asked.pixel_format or choose_pixel_format(
            name, coding.pixel_format, width=info.width, height=info.height
        )
        check_pixel_format(name, pixel_format)
        if not asked.drop_unsupported:
            _refuse_lost_aspect(container.name, name, coding)
        return cls(
            codec=name,
            options=_with_mastering(name, encoder_options(name, asked), coding.mastering),
            info=info,
            coding=_as_stored(coding, pixel_format),
            pixel_format=pixel_format,
            has_global_header=bool(container.flags & _GLOBAL_HEADER),
            may_reorder=may_reorder,
        )

    def takes_stored(self, coding: PictureCoding) -> bool:
        """Whether pictures stored by `coding`, which `stored.is_kept`, can be encoded as they are."""
        tags = storable_tags(self.codec, self.coding.tags)
        before, after = (in_full(item, self.info.width, self.info.height) for item in (coding.tags, tags))
        return self.pixel_format == STORED_FORMAT and is_left_sited(self.codec) and before == after

    @property
    def rate(self) -> Fraction:
        """Frames per second, for encoders that steer by it."""
        return self.info.rate or _RATE_IF_UNKNOWN

    def configure(self, context: VideoCodecContext) -> None:
        """Tell a context that is not open yet all but the options."""
        context.width, context.height = self.info.width, self.info.height
        context.pix_fmt = self.pixel_format
        context.framerate = self.rate
        context.time_base = encoder_time_base(self.codec, self.info.time_base)
        context.sample_aspect_ratio = self.coding.sample_aspect_ratio
        tags = storable_tags(self.codec, self.coding.tags)
        context.colorspace, context.color_range = tags.matrix, tags.color_range
        context.color_primaries, context.color_trc = tags.primaries, tags.transfer
        # Without this, PyAV's contexts have x264 cut each picture into slices, one a thread.
        context.thread_type, context.thread_count = ThreadType.AUTO, _THREADS
        context.bit_rate = 0
        if not self.may_reorder:
            context.max_b_frames = 0


def _refuse_lost_aspect(container: str, codec: str, coding: PictureCoding) -> None:
    """PyAV cannot hand the aspect of pixels to some containers; there, only the codec itself can keep it."""
    aspect = coding.sample_aspect_ratio
    is_lost = container in _WITHOUT_ASPECT and not codec.startswith(_CODECS_WITH_ASPECT)
    if aspect != 1 and is_lost:
        raise OutputError(
            f"{container} cannot hold pixels of {aspect.numerator}:{aspect.denominator} with {codec}",
            hint="write .mp4 with -o, or choose h264 or hevc; --drop-unsupported makes them square",
        )


def _as_stored(coding: PictureCoding, pixel_format: str) -> PictureCoding:
    """The coding with the tags of what is stored: RGB has no matrix, and uses its full range."""
    if not av.VideoFormat(pixel_format, 2, 2).is_rgb:
        return coding
    return replace(coding, tags=replace(coding.tags, matrix=RGB, color_range=FULL_RANGE))


def _with_mastering(codec: str, options: dict[str, str], mastering: Mastering | None) -> dict[str, str]:
    """Have the encoder say what the input says about its screen, or tell that it cannot."""
    if mastering is None:
        return options
    if (parameters := mastering_parameters(codec, mastering)) is None:
        logger.warning("%s cannot keep what the video says about the screen of its HDR", codec)
        return options
    option, words = parameters
    # What the user asks for comes last, and holds.
    return options | {option: ":".join([words, *filter(None, [options.get(option)])])}


class FrameEncoder:
    """An encoder from its first frame, which becomes a key frame, to its last."""

    def __init__(self, encoding: Encoding) -> None:
        self._context = cast("VideoCodecContext", av.CodecContext.create(encoding.codec, "w"))
        encoding.configure(self._context)
        self._context.options = dict(encoding.options)
        if encoding.has_global_header:
            self._context.flags |= Flags.global_header
        self._time_base = encoding.info.time_base
        self._tags = storable_tags(encoding.codec, encoding.coding.tags)
        left = is_left_sited(encoding.codec)
        self._to_planes = RgbWriter(encoding.pixel_format, self._tags, is_left_sited=left)
        # Encoders keep time stamps but lose durations; these are of the frames still inside.
        self._durations: dict[int, int] = {}
        open_encoder(self._context)

    def encode(self, frame: Frame) -> Iterator[Encoded]:
        """Take a frame; give the packets that are ready, with the stamps of their frames."""
        picture = self._to_planes(frame.pixels) if frame.stored is None else to_picture(frame.stored)
        pts, duration = (self._in_ticks(ticks, frame.time_base) for ticks in (frame.pts, frame.duration))
        picture.pts, picture.time_base = pts, self._context.time_base
        # ProRes writes into each picture what the picture says, not what the context does.
        picture.colorspace, picture.color_range = self._tags.matrix, self._tags.color_range
        picture.color_primaries, picture.color_trc = self._tags.primaries, self._tags.transfer
        self._durations[pts] = duration
        return self._packets(picture)

    def _in_ticks(self, ticks: int, time_base: Fraction) -> int:
        """Ticks of the video that is made; of a longer one in AVI, which counts frames."""
        is_same = time_base == self._time_base
        return ticks if is_same else round(ticks * time_base / self._time_base)

    def finish(self) -> Iterator[Encoded]:
        """The packets that are left; nothing can be encoded after that."""
        return self._packets(None)

    def _packets(self, picture: av.VideoFrame | None) -> Iterator[Encoded]:
        try:
            for packet in self._context.encode(picture):
                assert packet.pts is not None  # every frame has one
                duration = self._durations.pop(packet.pts, packet.duration or 0)
                yield Encoded(bytes(packet), packet.pts, duration, packet.is_keyframe)
        except av.FFmpegError as error:
            raise OutputError(f"encoder {self._context.name} failed: {error.strerror}") from error


def open_encoder(context: VideoCodecContext) -> None:
    """Open a context; raises OutputError if it cannot do what it was told."""
    try:
        context.open()
    except (av.FFmpegError, ValueError) as error:
        raise OutputError(
            f"encoder {context.name} cannot be opened for {context.width}x{context.height} "
            f"{context.pix_fmt}: {error}",
            hint="choose another --codec",
        ) from error


def _container_format(path: Path) -> ContainerFormat:
    try:
        # Nothing is written before a stream is.
        with av.open(f"file:{path}", "w") as container:
            return container.format
    except ValueError as error:
        raise OutputError(
            f"no video container is called '{path.suffix}'", hint="for instance .mp4, .mkv or .webm"
        ) from error


def _counted_in_frames(info: VideoInfo, source: Path | None) -> VideoInfo:
    """AVI counts frames in ticks: with ticks finer than frames it would fill up with empty ones."""
    if info.time_base * (info.rate or _RATE_IF_UNKNOWN) * 2 >= 1:
        return info
    rate = None if source is None else constant_rate(source)
    if rate is None:
        raise OutputError(
            "AVI cannot hold the time stamps of this video: its rate varies",
            hint="choose .mkv or .mp4 with -o",
        )
    return replace(info, rate=rate, time_base=1 / rate)
