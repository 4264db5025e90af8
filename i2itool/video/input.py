"""Opening media files, and seeing that they are whole."""

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
# Only of these containers does the header or the index tell how much should follow.
_INDEXED_FORMATS = ("mov", "avi")
_TIMED_FORMATS = ("avi", "matroska")
# Of the sides of the largest picture, up to blocks of 128.
_PADDING_PIXELS = 2**22
_EBML_ID, _SEGMENT_ID = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
# The first element is tens of bytes long.
_MATROSKA_HEAD_BYTES = 4096
# Beyond this, frames are missing; within it, the container may have rounded.
_SLACK_SECONDS, _SLACK = 0.25, 0.005
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


def refuse_missing_bytes(container: InputContainer, stream: VideoStream, path: Path) -> None:
    """See by the head or the index, before any work, that the end is missing; raises InputError."""
    end = 0
    if container.format.name.startswith(_INDEXED_FORMATS):
        end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if container.format.name.startswith("matroska"):
        end = _end_of_matroska(path)
    if container.format.name == "avi":
        end = max(end, _end_of_riff(path))
    # A pipe has no size, and no head that tells it.
    if end > (size := path.stat().st_size if end else 0):
        raise InputError(f"{path} is truncated: at least {end - size} bytes are missing")


def _end_of_matroska(path: Path) -> int:
    """Where the head says that the file ends, in bytes; 0 if it does not, as when it was streamed."""
    with path.open("rb") as file:
        head = file.read(_MATROSKA_HEAD_BYTES)
    size, width = _ebml_size(head, len(_EBML_ID))
    segment = len(_EBML_ID) + width + size
    if not head.startswith(_EBML_ID) or not head.startswith(_SEGMENT_ID, segment):
        return 0
    size, width = _ebml_size(head, segment + len(_SEGMENT_ID))
    is_unknown = size == (1 << 7 * width) - 1
    return 0 if is_unknown else segment + len(_SEGMENT_ID) + width + size


def _ebml_size(data: bytes, offset: int) -> tuple[int, int]:
    """The size of an element and the bytes that it is written in; RFC 8794, section 4."""
    first = data[offset] if offset < len(data) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(data[offset : offset + width], "big")
    return value & ((1 << 7 * width) - 1), width


def _end_of_riff(path: Path) -> int:
    """Where the head says that at least the first part of the file ends, in bytes."""
    with path.open("rb") as file:
        head = file.read(12)
    if not (head.startswith(b"RIFF") and head.endswith(b"AVI ")):
        return 0
    # Some count the head in.
    return int.from_bytes(head[4:8], "little") - len(head)


def refuse_early_end(container: InputContainer, path: Path, last_seconds: float) -> None:
    """See by the declared duration that the end of the file is missing; raises InputError."""
    duration = container.duration
    if duration is None or not container.format.name.startswith(_TIMED_FORMATS):
        return
    # These containers count it from 0, wherever the first stream starts.
    declared_seconds = duration / av.time_base
    if last_seconds < declared_seconds - max(_SLACK_SECONDS, _SLACK * declared_seconds):
        raise InputError(f"{path} is truncated: it ends at {last_seconds:.3f} s of {declared_seconds:.3f} s")


def end_seconds(packet: av.Packet[Stream]) -> float:
    """When what is in a packet ends; 0 if that is unknown."""
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def reason(error: Exception) -> str:
    """What FFmpeg says, without its numbers."""
    return getattr(error, "strerror", None) or str(error)
