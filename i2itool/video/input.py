"""Opening media files, and only those that were meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from i2itool.errors import InputError
from i2itool.stills import check_size
from i2itool.video.pipe import WholePipe

# Stands for standard input, or standard output.
PIPE = Path("-")

# Forms that hold all they show. Others name files to be read in their place (hls, concat, dash), or devices.
_FORMATS = (
    *("mov", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "gif", "apng", "nut", "mxf"),
    *("yuv4mpegpipe", "ivf", "obu", "h264", "hevc", "mpegvideo", "m4v", "mjpeg", "vc1", "dv", "wtv", "rm"),
)
# Of the sides of the largest picture, up to blocks of 128.
_PADDING_PIXELS = 2**22
_PICTURES_THAT_ARE_NOT_VIDEO = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
)


def open_input(path: Path) -> InputContainer:
    """Open a local media file for reading, or `PIPE`; raises InputError if it is missing or no media file."""
    if path == PIPE:
        return _open_pipe()
    if not path.is_file():
        raise InputError(f"no such video: {path}" if not path.exists() else f"not a file: {path}")
    # Only this file: no address, nor a list of other files, which any name can hide.
    limits = {"protocol_whitelist": "file", "format_whitelist": ",".join(_FORMATS)}
    try:
        return av.open(f"file:{path}", "r", options=limits, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"not a readable video: {path} ({reason(error)})") from error


def _open_pipe() -> InputContainer:
    """Standard input, which must be YUV4MPEG2: of other forms the streams beside the video would be lost."""
    try:
        return av.open(WholePipe(), "r", format="yuv4mpegpipe")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"standard input is no YUV4MPEG2 video ({reason(error)})", hint="ffmpeg -i FILE -f yuv4mpegpipe -"
        ) from error


def video_stream(container: InputContainer) -> VideoStream:
    """The first video stream that is not a cover picture; raises InputError if there is none."""
    for stream in container.streams.video:
        if not stream.disposition & _PICTURES_THAT_ARE_NOT_VIDEO:
            return stream
    raise InputError(f"no video stream in {container.name.removeprefix('file:')}")


def limit_pixels(stream: VideoStream, path: Path, max_pixels: int) -> None:
    """Refuse frames of more pixels before one is decoded, and later on; raises InputError."""
    check_size(path, stream.codec_context.width, stream.codec_context.height, max_pixels)
    # Frames may grow on the way; the decoder counts its own padding, too.
    stream.codec_context.options |= {"max_pixels": str(max_pixels + _PADDING_PIXELS)}


def demux(container: InputContainer, *streams: Stream) -> Iterator[av.Packet[Stream]]:
    """The packets of `streams`, or of all, and of each an empty one at the end; as PyAV's own.

    That one stumbles, at the end, over streams that began after the file was opened, as in a damaged one.
    """
    with suppress(IndexError):
        yield from container.demux(*streams)


def end_seconds(packet: av.Packet[Stream]) -> float:
    """When what is in a packet ends; 0 if that is unknown."""
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def reason(error: Exception) -> str:
    """What FFmpeg says, without its numbers."""
    return getattr(error, "strerror", None) or str(error)
