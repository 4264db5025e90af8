"""Frames of a video file, upright and with their own time stamps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from i2itool.errors import InputError
from i2itool.frames import Frame, Position, VideoInfo, Window
from i2itool.video.color import RGB, UNSPECIFIED, ColorTags, check_color, matrix_for_size
from i2itool.video.orientation import Orientation
from i2itool.video.planes import RgbReader
from i2itool.video.stamps import Stamps

# Only of these containers does the header or the index tell how much should follow.
_INDEXED_FORMATS = ("mov", "avi")
_TIMED_FORMATS = ("avi", "matroska")
# Beyond this, frames are missing; within it, the container may have rounded.
_SLACK_SECONDS, _SLACK = 0.25, 0.005
_PICTURES_THAT_ARE_NOT_VIDEO = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
)


@dataclass(frozen=True, slots=True)
class PictureCoding:
    """How a video stores its pictures: what a writer repeats, so that only their content changes.

    pixel_format: FFmpeg's name of the 8-bit format with the same chroma subsampling.
    sample_aspect_ratio: width of an upright pixel by its height.
    """

    pixel_format: str
    tags: ColorTags
    sample_aspect_ratio: Fraction


def open_input(path: Path) -> InputContainer:
    """Open a local media file for reading; raises InputError if it is missing or no media file."""
    if not path.is_file():
        raise InputError(f"no such video: {path}" if not path.exists() else f"not a file: {path}")
    try:
        # Only this file: no address, nor a playlist that names other files.
        return av.open(f"file:{path}", "r", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"not a readable video: {path} ({_reason(error)})") from error


def video_stream(container: InputContainer) -> VideoStream:
    """The first video stream that is not a cover picture; raises InputError if there is none."""
    for stream in container.streams.video:
        if not stream.disposition & _PICTURES_THAT_ARE_NOT_VIDEO:
            return stream
    raise InputError(f"no video stream in {container.name.removeprefix('file:')}")


class VideoReader:
    """The frames of the first video stream of a file; a `FrameSource`.

    info, coding: of that stream, known at once, since the first frame is decoded on opening.
    stream_index: its place in the file.  Raises InputError if the file is missing, truncated or no video.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container = open_input(path)
        try:
            self._stream = video_stream(self._container)
            self.stream_index = self._stream.index
            self._refuse_truncated()
            self._open_first_frame()
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def start_seconds(self) -> Fraction:
        """Where the file's own time begins: what a player shows as 0."""
        return Fraction(self._container.start_time or 0, av.time_base)

    def __iter__(self) -> Iterator[Frame]:
        """Every frame once, upright; raises InputError, naming the time, where the file is damaged."""
        return self.frames()

    def frames(self, window: Window | None = None, after: Position | None = None) -> Iterator[Frame]:
        """The frames within `window` (None: all), from the one behind `after` on, as iterating gives them.

        What lies before is decoded but made no picture of: stamps may depend on all that came earlier.
        Raises InputError if the frame at `after` is not the one that it was.
        """
        place = 0
        for frame, pts, duration in self._stamped():
            if window is not None:
                if window.end is not None and pts * self._time_base >= window.end:
                    break
                if pts * self._time_base < window.start:
                    continue
            place += 1
            if after is not None and place <= after.num_frames:
                if place == after.num_frames and pts != after.last_pts:
                    raise InputError(
                        f"{self.path}: frame {place} was at tick {after.last_pts}, and is at {pts} now",
                        hint="--restart begins anew",
                    )
                continue
            pixels = self._orientation.upright(self._to_rgb(frame, self._tags))
            yield Frame(pixels, pts, self._time_base, duration)
        if after is not None and place < after.num_frames:
            raise InputError(f"{self.path} has but {place} of {after.num_frames} frames left")

    def _stamped(self) -> Iterator[tuple[av.VideoFrame, int, int]]:
        """Every frame as it was decoded, with its own pts and its duration."""
        pts: int | None = None
        duration = 0
        frame: av.VideoFrame | None = self._first
        while frame is not None:
            if (frame.width, frame.height) != (self._first.width, self._first.height):
                raise InputError(
                    f"{self.path}: frames change from {self._first.width}x{self._first.height} to "
                    f"{frame.width}x{frame.height} at {_seconds(frame)}"
                )
            pts = _next_stamp(frame.pts, pts, duration)
            duration = frame.duration or self._usual_duration()
            yield frame, pts, duration
            frame = next(self._decoded, None)

    def _open_first_frame(self) -> None:
        if self._stream.codec_context is None:
            raise InputError(f"{self.path}: no decoder for its video stream")
        self._stream.thread_type = "AUTO"
        self._decoded = self._decode()
        first = next(self._decoded, None)
        if first is None:
            raise InputError(f"{self.path} holds no frame that can be decoded")
        self._first = first
        self._orientation = Orientation.of(first)
        self._to_rgb = RgbReader()
        self._time_base = Fraction(self._stream.time_base or first.time_base or Fraction(1, 1000))
        self._tags = _color_tags(self._stream, first)
        check_color(self._tags, str(self.path))
        self.info = self._describe()
        self.coding = self._describe_coding()

    def _decode(self) -> Iterator[av.VideoFrame]:
        time = 0.0
        last_seconds = 0.0
        stamps = Stamps()
        try:
            for packet in self._container.demux():
                if packet.stream.index != self.stream_index:
                    last_seconds = max(last_seconds, _end_seconds(packet))
                    continue
                # In transport streams this marks any hiccup of the reception; the decoder copes.
                if packet.is_corrupt and self._container.format.name != "mpegts":
                    raise InputError(f"{self.path} is damaged or truncated at {time:.3f} s")
                last_seconds = max(last_seconds, _end_seconds(packet))
                stamps.see(packet)
                for frame in self._stream.decode(packet):
                    frame.pts = stamps.of(frame, is_reordered=self._stream.codec_context.has_b_frames)
                    time = frame.time if frame.time is not None else time
                    yield frame
        except av.FFmpegError as error:
            raise InputError(f"{self.path} cannot be decoded after {time:.3f} s: {_reason(error)}") from error
        self._refuse_early_end(last_seconds)

    def _usual_duration(self) -> int:
        return round(1 / (self.info.rate * self._time_base)) if self.info.rate else 0

    def _describe(self) -> VideoInfo:
        width, height = self._first.width, self._first.height
        rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or 0)
        num_frames: int | None = self._stream.frames or None
        if num_frames is None and self._container.duration and rate:
            num_frames = math.ceil(self._container.duration * rate / av.time_base)
        if self._orientation.transpose:
            width, height = height, width
        return VideoInfo(width, height, rate, self._time_base, num_frames)

    def _describe_coding(self) -> PictureCoding:
        aspect = Fraction(self._stream.sample_aspect_ratio or 1) or Fraction(1)
        tags = self._tags
        # A player would guess by the size; once turned or no longer RGB, it would guess differently.
        if tags.matrix == RGB or (self._orientation.transpose and tags.matrix == UNSPECIFIED):
            tags = ColorTags(
                matrix_for_size(self._first.width, self._first.height),
                tags.color_range,
                tags.primaries,
                tags.transfer,
            )
        if self._orientation.transpose:
            aspect = 1 / aspect
        return PictureCoding(
            _eight_bit_format(self._first, transposed=self._orientation.transpose), tags, aspect
        )

    def _refuse_truncated(self) -> None:
        """See by the index alone, before any work, that the end of the file is missing."""
        if not self._container.format.name.startswith(_INDEXED_FORMATS):
            return
        end = max((entry.pos + entry.size for entry in self._stream.index_entries), default=0)
        size = self.path.stat().st_size
        if end > size:
            raise InputError(f"{self.path} is truncated: at least {end - size} bytes are missing")

    def _refuse_early_end(self, last_seconds: float) -> None:
        """See by the declared duration that the end of the file is missing."""
        duration, start = self._container.duration, self._container.start_time or 0
        if duration is None or not self._container.format.name.startswith(_TIMED_FORMATS):
            return
        declared_seconds = (start + duration) / av.time_base
        if last_seconds < declared_seconds - max(_SLACK_SECONDS, _SLACK * declared_seconds):
            raise InputError(
                f"{self.path} is truncated: it ends at {last_seconds:.3f} s of {declared_seconds:.3f} s"
            )


def _next_stamp(pts: int | None, previous: int | None, duration: int) -> int:
    """A stamp behind the previous one, whatever the file says; `duration` is the previous frame's."""
    if previous is None:
        return 0 if pts is None else pts
    if pts is None:
        return previous + max(duration, 1)
    # A repeated one goes on by a tick, since no container can hold two frames at the same instant.
    return max(pts, previous + 1)


def _color_tags(stream: VideoStream, frame: av.VideoFrame) -> ColorTags:
    """The tags of the frame; where it has none, those of the stream."""
    context = stream.codec_context
    full = frame.format.name.startswith("yuvj")
    return ColorTags(
        matrix=RGB if frame.format.is_rgb else _first_known(frame.colorspace, context.colorspace),
        color_range=2 if full else int(frame.color_range or context.color_range),
        primaries=_first_known(frame.color_primaries, context.color_primaries),
        transfer=_first_known(frame.color_trc, context.color_trc),
    )


def _first_known(*tags: int) -> int:
    return next((int(tag) for tag in tags if tag != UNSPECIFIED), UNSPECIFIED)


def _eight_bit_format(frame: av.VideoFrame, *, transposed: bool) -> str:
    """The planar 8-bit format with the subsampling of `frame`; RGB and palettes have none."""
    components = frame.format.components
    if frame.format.is_rgb or frame.format.has_palette:
        return "yuv444p"
    if len(components) < 3:  # gray
        return "yuv420p"
    narrow, low = components[1].width < frame.width, components[1].height < frame.height
    if transposed:
        narrow, low = low, narrow
    return {(True, True): "yuv420p", (True, False): "yuv422p"}.get((narrow, low), "yuv444p")


def _end_seconds(packet: av.Packet[av.stream.Stream]) -> float:
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _seconds(frame: av.VideoFrame) -> str:
    return "an unknown time" if frame.pts is None else f"{frame.time:.3f} s"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
