"""A video file with new pictures, and everything else as it was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from i2itool.errors import OutputError
from i2itool.frames import Frame, VideoInfo
from i2itool.partial import whole_file
from i2itool.video.color import RgbWriter
from i2itool.video.encoders import (
    choose_codec,
    choose_pixel_format,
    encoder_time_base,
    is_left_sited,
    quality_options,
    storable_tags,
)
from i2itool.video.passthrough import OtherStreams
from i2itool.video.reader import PictureCoding

# Only a ratio; where a container names no rate, time stamps still tell the truth.
_RATE_IF_UNKNOWN = Fraction(25)
# Of the MP4 muxer, a second; the most is what its 32-bit field holds.
_MOVIE_TICKS, _MOST_MOVIE_TICKS = 1000, 2**31 - 1


class VideoWriter:
    """Encodes frames into a video at `path`, beside the copied `others`; a `FrameSink`.

    The file is written under a temporary name, and takes its own when the block ends well.
    Raises OutputError if the container, the encoder and the streams do not go together.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        coding: PictureCoding,
        others: OtherStreams,
        *,
        codec: str | None,
        crf: int,
    ) -> None:
        self._path = path
        self._others = others
        self._time_base = info.time_base
        self._context = self._opened(choose_codec(path, codec), crf, info, coding)
        # Encoders keep time stamps but lose durations; these are of the frames still inside.
        self._durations: dict[int, int] = {}

    def __enter__(self) -> Self:
        self._context.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def write(self, frame: Frame) -> None:
        """Encode a frame; its time stamp is kept."""
        picture = self._to_planes(frame.pixels)
        picture.pts, picture.time_base = frame.pts, self._stream.codec_context.time_base
        self._durations[frame.pts] = frame.duration
        self._encode(picture)

    @contextmanager
    def _opened(self, codec: str, crf: int, info: VideoInfo, coding: PictureCoding) -> Iterator[None]:
        """The life of the file: head, whatever is written meanwhile, tail, name."""
        with (
            whole_file(self._path) as partial,
            _muxer(self._path, partial, self._others) as self._container,
        ):
            self._others.copy_head(self._container)
            self._others.add_to(self._container, after_video=False)
            self._stream = _add_video(self._container, codec, crf, info, coding)
            self._others.copy_video_tags(self._stream)
            self._others.add_to(self._container, after_video=True)
            _write_header(self._path, self._container, self._stream)
            self._to_planes = RgbWriter(
                self._stream.pix_fmt or coding.pixel_format,
                storable_tags(codec, coding.tags),
                is_left_sited=is_left_sited(codec),
            )
            yield
            self._encode(None)
            with _as_output_error(self._path):
                self._others.mux_until(self._container, None)

    def _encode(self, picture: av.VideoFrame | None) -> None:
        with _as_output_error(self._path):
            for packet in self._stream.encode(picture):
                packet.time_base = self._time_base
                if packet.pts is not None:
                    packet.duration = self._durations.pop(packet.pts, packet.duration)
                if packet.dts is not None:
                    self._others.mux_until(self._container, packet.dts * self._time_base)
                self._container.mux_one(packet)


@contextmanager
def _muxer(path: Path, partial: Path, others: OtherStreams) -> Iterator[OutputContainer]:
    """Open a container for writing, and close it whatever happens."""
    try:
        container = av.open(f"file:{partial}", "w", container_options=_muxer_options(path, others))
    except ValueError as error:
        raise OutputError(
            f"no video container is called '{path.suffix}'", hint="for instance .mp4, .mkv or .webm"
        ) from error
    try:
        yield container
    except BaseException:
        with suppress(av.FFmpegError):
            container.close()
        raise
    with _as_output_error(path):
        container.close()


def _muxer_options(path: Path, others: OtherStreams) -> dict[str, str]:
    suffix = path.suffix.lower()
    if suffix in (".ts", ".m2ts", ".mts") and others.format_name == "mpegts":
        # By default the muxer starts at a time of its own.
        return {"mpegts_copyts": "1"}
    if suffix in (".mkv", ".webm"):
        # Sound may start before 0, to warm up its decoder; the muxer would move everything instead.
        return {"avoid_negative_ts": "disabled"}
    if suffix not in (".mp4", ".m4v", ".mov"):
        return {}
    options = {}
    if others.has_unusual_tags:
        # There is a place of its own for the common tags only; the rest would be dropped.
        options["movflags"] = "use_metadata_tags"
    ticks = math.lcm(_MOVIE_TICKS, others.start_ticks_per_second)
    if _MOVIE_TICKS < ticks <= _MOST_MOVIE_TICKS:
        # A late start is written in ticks of the whole movie, and rounded to them.
        options["movie_timescale"] = str(ticks)
    return options


def _add_video(
    container: OutputContainer, codec: str, crf: int, info: VideoInfo, coding: PictureCoding
) -> VideoStream:
    rate = info.rate or _RATE_IF_UNKNOWN
    _refuse_variable_rate(container, info, rate)
    try:
        stream = container.add_stream(codec, rate=rate, options=quality_options(codec, crf))
    except ValueError as error:
        raise OutputError(
            f"{container.format.name} cannot hold what {codec} makes",
            hint="choose another --codec, or another container with -o, for instance .mkv",
        ) from error
    assert isinstance(stream, VideoStream)  # `choose_codec` saw to it
    context = stream.codec_context
    context.width, context.height = info.width, info.height
    context.pix_fmt = choose_pixel_format(codec, coding.pixel_format, width=info.width, height=info.height)
    stream.time_base = info.time_base
    context.time_base = encoder_time_base(codec, info.time_base)
    context.sample_aspect_ratio = coding.sample_aspect_ratio
    tags = storable_tags(codec, coding.tags)
    context.colorspace, context.color_range = tags.matrix, tags.color_range
    context.color_primaries, context.color_trc = tags.primaries, tags.transfer
    if container.format.name == "avi":
        # AVI stores no time stamps, so frames must lie in the order in which they are shown.
        context.max_b_frames = 0
    return stream


def _refuse_variable_rate(container: OutputContainer, info: VideoInfo, rate: Fraction) -> None:
    """AVI counts frames in ticks: with ticks finer than frames it would fill up with empty ones."""
    if container.format.name == "avi" and info.time_base * rate * 2 < 1:
        raise OutputError("AVI cannot hold the time stamps of this video", hint="choose .mkv or .mp4 with -o")


def _write_header(path: Path, container: OutputContainer, stream: VideoStream) -> None:
    codec = stream.codec_context.name
    try:
        stream.codec_context.open()
    except (av.FFmpegError, ValueError) as error:
        raise OutputError(
            f"encoder {codec} cannot be opened for {stream.width}x{stream.height} {stream.pix_fmt}: {error}",
            hint="choose another --codec",
        ) from error
    try:
        container.start_encoding()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    except (av.FFmpegError, ValueError) as error:
        held = ", ".join(_describe(item) for item in container.streams)
        raise OutputError(
            f"{container.format.name} cannot hold these streams together: {held}",
            hint="choose another container with -o, for instance .mkv",
        ) from error


def _describe(stream: av.stream.Stream) -> str:
    name = stream.codec_context.name if stream.codec_context is not None else "data"
    return f"{stream.type} {name}"


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
