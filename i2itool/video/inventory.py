"""What a media file holds: the times, hashes and tags that a faithful copy must have too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import DataStream, Disposition, Stream
from av.video.stream import VideoStream

from i2itool.errors import InputError
from i2itool.options import ReadOptions
from i2itool.video.clock import Clock
from i2itool.video.color import RGB, UNSPECIFIED, ColorTags
from i2itool.video.decoding import Decoder
from i2itool.video.input import demux, open_input, video_stream
from i2itool.video.orientation import Orientation
from i2itool.video.tally import FrameTally, Times, Track, TrackTally, codec_name

# Where a packet is a frame that is shown, and tells when: VP8 has hidden frames, and AVI tells no times.
_EXACT_FORMATS = ("mov", "matroska")
_EXACT_CODECS = frozenset({"h264", "hevc", "vp9", "av1", "prores", "ffv1", "mjpeg", "png", "mpeg4"})

# Is told how many frames have come, now and then.
OnFrames = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Picture:
    """How the frames of a video are to be shown.

    width, height: upright, in pixels.  stored: width and height before turning.
    aspect: width of an upright pixel by its height.  tags: of RGB, the matrix is unspecified.
    """

    width: int
    height: int
    stored: tuple[int, int]
    aspect: Fraction
    tags: ColorTags
    codec: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of a file with a name; start and end in units of `time_base` seconds."""

    start: int
    end: int
    time_base: Fraction
    title: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that a file holds but the pixels.

    frames, picture, video_metadata, video_disposition: of its first video stream.
    last_frame_seconds: how long the last frame is shown, None where the file does not tell.
    tracks: the other streams.
    """

    frames: Times
    last_frame_seconds: Fraction | None
    picture: Picture
    video_metadata: Mapping[str, str]
    video_disposition: Disposition
    tracks: tuple[Track, ...]
    chapters: tuple[Chapter, ...]
    metadata: Mapping[str, str]


def take_inventory(
    path: Path,
    *,
    is_fast: bool = False,
    mends: bool = False,
    is_told: bool = True,
    on_frames: OnFrames | None = None,
) -> Inventory:
    """Read a file to its end and list what it holds; memory grows by 8 bytes for each frame and packet.

    is_fast: take packets for frames where they are as good, instead of decoding.
    mends: list the frames that a conversion shows, also in the place of those that damage has taken.
    is_told: whether these are logged.
    Raises InputError if the file is missing, truncated or no video, and, without `mends`, if it is damaged.
    """
    mended = _mended_frames(path, on_frames, is_told=is_told) if mends else None
    with open_input(path) as container:
        try:
            if mended is not None:
                return _read(container, path, mended, is_mended=True)
            video = _decodable(container, path)
            frames = FrameTally(video, is_decoding=not (is_fast and _is_packet_a_frame(container, video)))
            return _read(container, path, frames, on_frames=on_frames)
        except (av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{path} cannot be read to its end: {reason}") from error


def _mended_frames(path: Path, on_frames: OnFrames | None, *, is_told: bool) -> FrameTally:
    """The frames as a conversion reads them."""
    decoder = Decoder(path, ReadOptions(), is_told=is_told)
    try:
        frames = FrameTally(decoder.stream, is_decoding=True)
        for picture in decoder:
            frames.first = frames.first or picture.image
            frames.note(picture.pts, picture.duration)
            if on_frames is not None:
                on_frames(1)
        return frames
    finally:
        decoder.close()


def _decodable(container: InputContainer, path: Path) -> VideoStream:
    video = video_stream(container)
    if video.codec_context is None:
        raise InputError(f"{path}: no decoder for its video stream")
    video.thread_type = "AUTO"
    return video


def _read(
    container: InputContainer,
    path: Path,
    frames: FrameTally,
    *,
    is_mended: bool = False,
    on_frames: OnFrames | None = None,
) -> Inventory:
    """Everything else; and the frames, unless they are known already."""
    video = video_stream(container)
    tracks = {stream.index: TrackTally(stream) for stream in _other_streams(container, video)}
    for packet in Clock(path).mended(demux(container)):
        if packet.is_corrupt and not is_mended:
            raise InputError(f"{path} is damaged or truncated after {float(frames.last_seconds):.3f} s")
        if packet.stream.index == video.index and is_mended:
            frames.see(packet)
        elif packet.stream.index == video.index:
            num_frames = frames.add(packet)
            if on_frames is not None and num_frames:
                on_frames(num_frames)
        elif packet.stream.index in tracks and packet.size:
            tracks[packet.stream.index].add(packet)
    if frames.first is None:
        raise InputError(f"{path} holds no frame that can be decoded")
    return Inventory(
        frames=frames.times(),
        last_frame_seconds=frames.last_frame_seconds(is_mov=_is_mov(container)),
        picture=_picture(video, frames.first),
        video_metadata=dict(video.metadata),
        video_disposition=video.disposition,
        tracks=tuple(tally.track() for tally in tracks.values()),
        chapters=_chapters(container),
        metadata=dict(container.metadata),
    )


def _other_streams(container: InputContainer, video: VideoStream) -> list[Stream]:
    """All but the video, and but the tracks in which QuickTime repeats its chapters and its time code."""
    is_mov = _is_mov(container)
    has_chapters = bool(container.chapters())
    return [
        stream
        for stream in container.streams
        if stream.index != video.index
        and not (
            is_mov
            and isinstance(stream, DataStream)
            and ("timecode" in stream.metadata or (has_chapters and stream.name == "bin_data"))
        )
    ]


def _is_mov(container: InputContainer) -> bool:
    return container.format.name.startswith("mov")


def _is_packet_a_frame(container: InputContainer, video: VideoStream) -> bool:
    return container.format.name.startswith(_EXACT_FORMATS) and codec_name(video) in _EXACT_CODECS


def _picture(stream: VideoStream, frame: av.VideoFrame) -> Picture:
    is_turned = Orientation.of(frame).transpose
    stored = frame.width, frame.height
    aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
    return Picture(
        width=stored[is_turned],
        height=stored[not is_turned],
        stored=stored,
        aspect=1 / aspect if is_turned else aspect,
        tags=_color_tags(stream, frame),
        codec=codec_name(stream),
    )


def _color_tags(stream: VideoStream, frame: av.VideoFrame) -> ColorTags:
    """The tags of the frame; where it has none, those of the stream."""
    context = stream.codec_context
    matrix, primaries, transfer = (
        int(of_stream if of_frame == UNSPECIFIED else of_frame)
        for of_frame, of_stream in (
            (frame.colorspace, context.colorspace),
            (frame.color_primaries, context.color_primaries),
            (frame.color_trc, context.color_trc),
        )
    )
    is_full = frame.format.name.startswith("yuvj")
    return ColorTags(
        matrix=UNSPECIFIED if frame.format.is_rgb or matrix == RGB else matrix,
        color_range=2 if is_full else int(frame.color_range or context.color_range),
        primaries=primaries,
        transfer=transfer,
    )


def _chapters(container: InputContainer) -> tuple[Chapter, ...]:
    return tuple(
        Chapter(
            item["start"], item["end"], Fraction(item["time_base"] or 1), item["metadata"].get("title", "")
        )
        for item in container.chapters()
    )
