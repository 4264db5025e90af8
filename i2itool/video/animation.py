"""Animations: GIF, animated PNG and animated WebP, each frame with its own time."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
from av.filter import Graph
from av.video.stream import VideoStream

from i2itool.errors import OutputError
from i2itool.frames import Frame, VideoInfo
from i2itool.partial import whole_file
from i2itool.stills import open_image, to_8_bits

_MILLISECOND = Fraction(1, 1000)
_FORMATS = {".gif": "gif", ".apng": "apng", ".png": "apng", ".webp": "webp"}
_ENCODERS = {"gif": "gif", "apng": "apng", "webp": "libwebp_anim"}
_PIXEL_FORMATS = {"gif": "pal8", "apng": "rgb24", "webp": "yuv420p"}
_GIF_TICK = Fraction(1, 100)
# A PNG counts the parts of a second in 16 bits.
_MOST_PARTS = 2**16 - 1


def is_animation(path: Path) -> bool:
    """Whether a file is a GIF, or a PNG or a WebP that moves; the first bytes tell."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return False
    is_moving_webp = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)
    is_moving_png = head.startswith(b"\x89PNG") and b"acTL" in head
    return head.startswith((b"GIF87a", b"GIF89a")) or is_moving_webp or is_moving_png


def is_animation_name(path: Path) -> bool:
    """Whether a name is that of a file that `AnimationWriter` writes."""
    return path.suffix.lower() in _FORMATS


def num_plays(path: Path) -> int:
    """How often an animation is to be shown; 0 for ever. That of a file that is none: for ever."""
    if not is_animation(path):
        return 0
    with open_image(path, ("GIF", "PNG", "WEBP")) as image:
        loops = image.info.get("loop")
        if image.format == "GIF":
            # What it counts comes after the first time; without a count it is shown once.
            return 1 if loops is None else loops + 1 if loops else 0
        return int(loops or 0)


class AnimationWriter:
    """Writes frames into an animation; a `FrameSink`.

    plays: how often it is to be shown, 0 for ever.  crf: of WebP, 0 is lossless; GIF and PNG always are, but
    for the 256 colours of a frame in a GIF.
    The file takes its name when it is whole. Raises OutputError if it cannot be written.
    """

    def __init__(self, path: Path, info: VideoInfo, *, plays: int, crf: int) -> None:
        self._path = path
        self._format = _FORMATS[path.suffix.lower()]
        self._tick = _GIF_TICK if self._format == "gif" else _MILLISECOND
        self._size = info.width, info.height
        self._start: Fraction | None = None
        self._end = Fraction(0)
        self._last_pts = -1
        self._context = self._opened(plays, crf)

    def __enter__(self) -> Self:
        self._context.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def write(self, frame: Frame) -> None:
        """Add a frame; its time is rounded to the ticks of the format."""
        seconds = frame.pts * frame.time_base
        if self._start is None:
            self._start = seconds
        seconds -= self._start
        self._last_pts = max(round(seconds / self._tick), self._last_pts + 1)
        self._end = seconds + frame.duration * frame.time_base
        picture = self._to_picture(av.VideoFrame.from_ndarray(to_8_bits(frame.pixels), "rgb24"))
        picture.pts, picture.time_base = self._last_pts, self._tick
        self._encode(picture)

    @contextmanager
    def _opened(self, plays: int, crf: int) -> Iterator[None]:
        """The life of the file: head, whatever is written meanwhile, tail, name."""
        with whole_file(self._path) as partial:
            with _as_output_error(self._path):
                container = av.open(
                    f"file:{partial}", "w", format=self._format, container_options=_loop(plays, self._format)
                )
            with container as self._container:
                self._add_stream(crf)
                yield
                self._encode(None)
            if self._format != "gif":
                _set_last_duration(partial, self._last_duration * self._tick)

    @property
    def _last_duration(self) -> int:
        return max(round(self._end / self._tick) - self._last_pts, 1)

    def _add_stream(self, crf: int) -> None:
        codec = _ENCODERS[self._format]
        pixel_format = "bgra" if self._format == "webp" and crf == 0 else _PIXEL_FORMATS[self._format]
        options = _webp_quality(crf) if self._format == "webp" else {}
        # The rate only stands in the head of the stream.
        stream = cast(VideoStream, self._container.add_stream(codec, rate=25, options=options))
        stream.width, stream.height = self._size
        stream.pix_fmt = pixel_format
        stream.time_base = stream.codec_context.time_base = self._tick
        self._stream = stream
        self._to_picture: Callable[[av.VideoFrame], av.VideoFrame] = (
            _Palettes(*self._size)
            if self._format == "gif"
            else lambda picture: picture.reformat(format=pixel_format)
        )

    def _encode(self, picture: av.VideoFrame | None) -> None:
        with _as_output_error(self._path):
            for packet in self._stream.encode(picture):
                # Of the last one it is the only word about its time; of the others the next one's start is.
                packet.duration = self._last_duration
                self._container.mux_one(packet)


class _Palettes:
    """Turns RGB into 256 colours, chosen for each picture anew: what has no more than these stays exact."""

    def __init__(self, width: int, height: int) -> None:
        self._graph = Graph()
        rgb = av.VideoFormat("rgb24", width, height)
        source = self._graph.add_buffer(width=width, height=height, format=rgb, time_base=_GIF_TICK)
        split = self._graph.add("split")
        choose = self._graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
        use = self._graph.add("paletteuse", "new=1")
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(choose, 1, 0)
        choose.link_to(use, 0, 1)
        use.link_to(self._graph.add("buffersink"))
        self._graph.configure()
        self._num_pushed = 0

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        picture.pts, picture.time_base = self._num_pushed, _GIF_TICK
        self._num_pushed += 1
        self._graph.push(picture)
        return cast(av.VideoFrame, self._graph.pull())


def _webp_quality(crf: int) -> dict[str, str]:
    """Of WebP, 100 is best; half a step for each of x264's keeps 18 hard to tell from the input."""
    return {"lossless": "1"} if crf == 0 else {"quality": str(max(0, 100 - crf / 2))}


def _loop(plays: int, form: str) -> dict[str, str]:
    """The muxer's option; GIF counts the times after the first, and -1 means that there are none."""
    if form == "gif":
        return {"loop": "-1" if plays == 1 else str(max(plays - 1, 0))}
    return {"plays" if form == "apng" else "loop": str(plays)}


def _set_last_duration(path: Path, seconds: Fraction) -> None:
    """Let the last frame of a PNG or a WebP be shown so long; their muxers guess it from the others."""
    data = bytearray(path.read_bytes())
    if data.startswith(b"RIFF"):
        start = _last_chunk(data, b"ANMF")
        if start is not None:
            # Behind the name, the size, and four numbers of three bytes.
            data[start + 20 : start + 23] = round(seconds / _MILLISECOND).to_bytes(3, "little")
    elif (start := _last_chunk(data, b"fcTL")) is not None:
        delay = seconds.limit_denominator(_MOST_PARTS)
        data[start + 28 : start + 32] = struct.pack(
            ">HH", min(delay.numerator, _MOST_PARTS), delay.denominator
        )
        data[start + 34 : start + 38] = struct.pack(">I", zlib.crc32(data[start + 4 : start + 34]))
    path.write_bytes(data)


def _last_chunk(data: bytearray, name: bytes) -> int | None:
    """Where the last chunk called `name` begins in a PNG or a WebP; None if there is none."""
    is_png = name == b"fcTL"
    position, last = (8 if is_png else 12), None
    while position + 8 <= len(data):
        if is_png:
            size, kind = (
                int.from_bytes(data[position : position + 4], "big"),
                data[position + 4 : position + 8],
            )
            length = size + 12
        else:
            kind, size = (
                data[position : position + 4],
                int.from_bytes(data[position + 4 : position + 8], "little"),
            )
            length = 8 + size + size % 2
        last = position if kind == name else last
        position += length
    return last


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
