"""A video file with new pictures, and everything else as it was."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from i2itool.errors import OutputError
from i2itool.frames import WHOLE, Window
from i2itool.video.encoding import Encoding, open_encoder
from i2itool.video.no_streams import NoStreams
from i2itool.video.packets import Encoded, with_decode_stamps
from i2itool.video.passthrough import OtherStreams

logger = logging.getLogger("i2itool.video")

# Of the MP4 muxer, a second; the most is what its 32-bit field holds.
_MOVIE_TICKS, _MOST_MOVIE_TICKS = 1000, 2**31 - 1


class _Enough(Exception):
    """Ends a file whose head is all that was wanted: without pictures, some containers refuse to end."""


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video to be: encoded pictures, beside all that `source` holds but its stream `video_index`.

    path: its name, which says what container it is to be.  source: None if nothing is beside the pictures.
    """

    path: Path
    source: Path | None
    video_index: int
    encoding: Encoding
    drop_unsupported: bool = False

    def check(self, partial: Path) -> None:
        """See before any work whether the container, the encoder and the streams go together.

        Tries with a file `partial`, and removes it. Raises OutputError, naming what does not fit.
        """
        try:
            with suppress(_Enough), self._begun(partial, WHOLE) as (_, _, others):
                for lost in others.lost:
                    logger.warning("%s cannot hold %s", self.path.name, lost)
                raise _Enough
        finally:
            partial.unlink(missing_ok=True)

    def join(self, partial: Path, packets: Iterable[Encoded], *, depth: int, window: Window) -> None:
        """Write the file, under the name `partial`.

        depth: the largest `reorder_depth` of the packets.  window: the part of the source's other streams
        to take.  Raises OutputError.
        """
        time_base = self.encoding.info.time_base
        shift = window.shift(time_base)
        with self._begun(partial, window) as (container, stream, others):
            for encoded, dts in with_decode_stamps(packets, depth):
                packet = av.Packet(encoded.data)
                packet.stream, packet.time_base = stream, time_base
                packet.pts, packet.dts = encoded.pts - shift, dts - shift
                packet.duration, packet.is_keyframe = encoded.duration, encoded.is_keyframe
                with _as_output_error(self.path):
                    others.mux_until(container, (dts - shift) * time_base)
                    container.mux_one(packet)
            with _as_output_error(self.path):
                others.mux_until(container, None)

    def _others(self, window: Window) -> OtherStreams | NoStreams:
        if self.source is None:
            return NoStreams()
        return OtherStreams(self.source, self.video_index, window, drop_unsupported=self.drop_unsupported)

    @contextmanager
    def _begun(
        self, partial: Path, window: Window
    ) -> Iterator[tuple[OutputContainer, VideoStream, OtherStreams | NoStreams]]:
        """The life of the file: head, whatever is written meanwhile, tail."""
        with (
            self._others(window) as others,
            _muxer(self.path, partial, others) as container,
        ):
            others.settle(container)
            others.copy_head(container)
            others.add_to(container, after_video=False)
            stream = _add_video(container, self.encoding)
            others.copy_video_tags(stream)
            others.add_to(container, after_video=True)
            _write_header(self.path, container, stream)
            yield container, stream, others


@contextmanager
def _muxer(path: Path, partial: Path, others: OtherStreams | NoStreams) -> Iterator[OutputContainer]:
    """Open a container for writing, and close it whatever happens."""
    # Otherwise Matroska numbers its parts at random, and no two files are alike.
    options = {"fflags": "+bitexact"} | _muxer_options(path, others)
    container = av.open(f"file:{partial}", "w", container_options=options)
    try:
        yield container
    except BaseException:
        with suppress(av.FFmpegError):
            container.close()
        raise
    with _as_output_error(path):
        container.close()


def _muxer_options(path: Path, others: OtherStreams | NoStreams) -> dict[str, str]:
    suffix = path.suffix.lower()
    # Sound may start before 0, to warm up its decoder; the muxers would move everything instead. In a
    # transport stream, stamps are counted round a ring, so those before 0 lie just before its end.
    as_they_are = {"avoid_negative_ts": "disabled"}
    if suffix in (".ts", ".m2ts", ".mts"):
        # By default the muxer starts the copy of a transport stream at a time of its own.
        return as_they_are | ({"mpegts_copyts": "1"} if others.format_name == "mpegts" else {})
    if suffix in (".mkv", ".webm"):
        return as_they_are
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


def _add_video(container: OutputContainer, encoding: Encoding) -> VideoStream:
    """Declare the video as its encoder would: opened, for its parameters, but never given a frame."""
    try:
        stream = container.add_stream(encoding.codec, rate=encoding.rate, options=dict(encoding.options))
    except ValueError as error:
        raise OutputError(
            f"{container.format.name} cannot hold what {encoding.codec} makes",
            hint="choose another --codec, or another container with -o, for instance .mkv",
        ) from error
    video = cast("VideoStream", stream)  # `choose_codec` saw to it
    video.time_base = encoding.info.time_base
    encoding.configure(video.codec_context)
    return video


def _write_header(path: Path, container: OutputContainer, stream: VideoStream) -> None:
    open_encoder(stream.codec_context)
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
